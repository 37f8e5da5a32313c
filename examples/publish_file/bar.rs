//! The progress on a terminal.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pushslots::{Progress, WaitReason};

/// A progress bar that appears only on a terminal, and the batch id, which is always printed.
pub struct Bar {
    pub bar: ProgressBar,
    has_shown_batch: bool,
}

impl Bar {
    /// Creates a bar for this number of slots.
    pub fn new(slots: u64) -> Self {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        let template = "{bar:40} {pos} of {len} slots, {rate}/s, {eta} left{msg}";
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("rate", rate);
        let bar = ProgressBar::new(slots);
        bar.set_style(style);
        Self { bar, has_shown_batch: false }
    }

    pub fn show(&mut self, progress: &Progress) {
        let accepted = progress.batch.accepted_slots;
        // Skipped slots before the resume point are counted once they are read again.
        let done = (accepted + progress.run.skipped_slots) as u64;
        if !self.has_shown_batch {
            self.has_shown_batch = true;
            let id = &progress.batch_id;
            self.bar.suspend(|| match accepted {
                0 => eprintln!("batch {id}"),
                _ => eprintln!("batch {id}, {accepted} slots are accepted already"),
            });
            // The slots of earlier runs don't count for the rate.
            self.bar.set_position(done);
            self.bar.reset_eta();
        }
        self.bar.set_position(done);

        let message = match progress.wait {
            None => String::new(),
            Some(wait) => {
                let remaining = wait.remaining;
                match wait.reason {
                    WaitReason::Failure(kind) => format!("; retrying in {remaining:.0?} ({kind})"),
                    WaitReason::RateLimit => {
                        format!("; waiting {remaining:.0?} for the rate limit")
                    }
                    _ => format!("; waiting {remaining:.0?}"),
                }
            }
        };
        self.bar.set_message(message);
    }
}
