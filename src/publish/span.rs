//! The span of a publication.

use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use super::{PublishError, PublishHandle, PublishReport};
use crate::error::ErrorKind;
use crate::transport::{fail, record};

/// The span of a publication. It records the outcome even if the publication is dropped.
pub(super) struct PublishSpan {
    span: Span,
    handle: PublishHandle,
    has_ended: bool,
}

impl PublishSpan {
    pub(super) fn open(handle: PublishHandle) -> Self {
        let span = info_span!(
            "publish",
            "pushslots.batch_id" = Empty,
            "pushslots.outcome" = Empty,
            "pushslots.accepted_messages" = Empty,
            "pushslots.accepted_slots" = Empty,
            "pushslots.skipped_slots" = Empty,
            "pushslots.requests" = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
            "otel.status_description" = Empty,
        );
        Self { span, handle, has_ended: false }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn close(mut self, result: &Result<PublishReport, PublishError>) {
        self.has_ended = true;
        match result {
            Ok(report) => self.record(report, "complete"),
            Err(error) => {
                let kind = error.kind();
                self.record(error.report(), &kind.to_string());
                // A stop was requested, so it isn't an error.
                if kind != ErrorKind::Stopped {
                    record(&self.span, "error.type", &display(kind));
                    fail(&self.span, error);
                }
            }
        }
    }

    fn record(&self, report: &PublishReport, outcome: &str) {
        let run = report.run();
        record(&self.span, "pushslots.outcome", &outcome);
        record(&self.span, "pushslots.accepted_messages", &run.accepted_messages);
        record(&self.span, "pushslots.accepted_slots", &run.accepted_slots);
        record(&self.span, "pushslots.skipped_slots", &run.skipped_slots);
        record(&self.span, "pushslots.requests", &run.requests);
    }
}

impl Drop for PublishSpan {
    fn drop(&mut self) {
        if !self.has_ended {
            self.record(&self.handle.report(), "dropped");
        }
    }
}
