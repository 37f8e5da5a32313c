//! Many slots: split into messages that go out one after the other, while the next is being encoded.

mod ledger;
mod lookout;
mod pack;
mod progress;
mod publish_error;
mod report;
mod resume;
mod skip;
mod source;
mod split;

use std::pin::pin;

use futures_util::future::{Either, select};
use tracing::{Instrument, info_span};

use crate::delivery::Courier;
use crate::error::{Error, ErrorKind};
use crate::receipt::{Attempt, Delivery};
use crate::retry::Policy;
use crate::transport::Place;

use lookout::Lookout;
use pack::Packed;
use source::Unreadable;

pub use ledger::PublishHandle;
pub(crate) use pack::{Batch, Packer};
pub(crate) use progress::OnProgress;
pub use progress::Progress;
pub use publish_error::PublishError;
pub use report::PublishReport;
pub use resume::{ParseResumePointError, ResumePoint};
pub(crate) use skip::OnInvalid;
pub(crate) use source::Source;
pub use source::StreamedSlot;
pub(crate) use split::Limits;

/// A batch that is being published.
pub(crate) struct Publication<'a> {
    courier: &'a Courier,
    policy: Policy,
    packer: Packer<'a>,
    lookout: Lookout<'a>,
}

/// Why a publication ends before its slots do.
enum End {
    Stopped,
    /// There is something wrong with the slots or the options, and with no message.
    Unreadable(Unreadable),
    /// The message of this number was not accepted.
    Failed(u64, Error),
}

impl From<Unreadable> for End {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Unreadable(Unreadable::Invalid(error))
    }
}

impl<'a> Publication<'a> {
    pub(crate) fn new(
        courier: &'a Courier,
        policy: Policy,
        packer: Packer<'a>,
        handle: PublishHandle,
        on_progress: Option<OnProgress<'a>>,
    ) -> Self {
        // However many the slots are, their messages wait for the client's own limits.
        let policy = Policy { deadline_covers_limits: false, ..policy };
        Self { courier, policy, packer, lookout: Lookout::new(courier.pace.clone(), handle, on_progress) }
    }

    /// Publishes from `start` on.
    pub(crate) async fn run(mut self, start: ResumePoint) -> Result<PublishReport, PublishError> {
        let span = info_span!("publish", batch_id = self.packer.batch_id());
        let ended = self.publish(start).instrument(span).await;
        let report = self.lookout.close(self.packer.inspector.skipped, ended.is_ok());
        let total = self.packer.total;
        match ended {
            Ok(()) | Err(End::Stopped) => Ok(report),
            Err(End::Failed(number, error)) => Err(PublishError::new(report, error, Some(number), total)),
            Err(End::Unreadable(unreadable)) => {
                let failure = self.packer.source.take_failure().unwrap_or(unreadable);
                let (error, cause) = match failure {
                    Unreadable::Invalid(error) => (error, None),
                    Unreadable::Failed(cause) => (Error::unreadable_slots(), Some(cause)),
                    Unreadable::Kept => (Error::unreadable_slots(), None),
                };
                Err(PublishError::new(report, error, None, total).with_source(cause))
            }
        }
    }

    async fn publish(&mut self, start: ResumePoint) -> Result<(), End> {
        let Self { packer, lookout, .. } = self;
        let (number, first) = lookout.unless_stopped(packer.begin(start)).await??;
        lookout.begins(number, packer.source.len().map(|all| all.saturating_sub(first)));
        let mut packed = lookout.unless_stopped(packer.pack(number, first)).await??;
        // After the first message there may be none: a stream didn't know that it had ended.
        if packed.is_none() && packer.source.is_empty() {
            return Err(Error::no_slots(packer.inspector.skipped).into());
        }
        while let Some(message) = packed {
            self.lookout.sends(&message, &self.packer);
            let place = self.lookout.wait_for_pace().await?;
            packed = self.send(message, place).await?;
        }
        Ok(())
    }

    /// Sends a message while the next is made; `None` behind the last.
    async fn send(&mut self, message: Packed, place: Option<Place>) -> Result<Option<Packed>, End> {
        let Self { courier, policy, packer, lookout } = self;
        let Packed { number, piece, parcel } = message;
        let (next, behind) = (number.saturating_add(1), piece.first + piece.slots);
        packer.source.release(piece.first);
        let following = packer.point_behind(number, piece);
        let sent = {
            let sending = courier.deliver(&parcel, policy, place);
            let mut packing = pin!(packer.pack(next, behind));
            let side_by_side = async {
                match select(pin!(sending), packing.as_mut()).await {
                    Either::Left((sent, _)) => (sent, None),
                    Either::Right((packed, sending)) => (sending.await, Some(packed)),
                }
            };
            match lookout.ticking(side_by_side).await {
                (Ok(receipt), packed) => {
                    lookout.accepted(receipt, piece.slots, following);
                    Ok(match packed {
                        Some(packed) => packed,
                        // The stream may have nothing for long.
                        None => lookout.unless_stopped(packing).await?,
                    })
                }
                (Err(error), _) => Err(error),
            }
        };
        match sent {
            Ok(packed) => {
                packer.reuse(parcel.body);
                Ok(packed?)
            }
            Err(error) if is_too_large(&error) && piece.slots > 1 => {
                lookout.too_large(&error);
                packer.service_limit = Some(piece.bytes / 2);
                packer.count(number, piece.first);
                Ok(lookout.unless_stopped(packer.pack(number, piece.first)).await??)
            }
            Err(error) => {
                lookout.failed(&error);
                Err(End::Failed(number, error))
            }
        }
    }
}

/// Whether the service rejected a message for its size. If an attempt before that may have been accepted, its slots may
/// arrive again with the parts, as they may with every retry after an unknown outcome.
fn is_too_large(error: &Error) -> bool {
    let is_413 = |last: &Attempt| last.status == Some(413) && last.delivery == Delivery::Refused;
    error.kind() == ErrorKind::Refused && error.attempts().last().is_some_and(is_413)
}
