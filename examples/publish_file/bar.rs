//! Progress, on a terminal.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pushslots::{Progress, Wait, WaitReason};

/// A bar that is shown on a terminal only, and the id of the batch, which is always shown.
pub struct Bar {
    pub bar: ProgressBar,
    has_shown_batch: bool,
}

impl Bar {
    /// For so many slots.
    pub fn new(slots: u64) -> Self {
        let bar = ProgressBar::new(slots);
        let style = ProgressStyle::with_template(
            "{bar:40} {pos} of {len} slots, {rate}/s, {eta} left{msg}",
        );
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        bar.set_style(
            style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate),
        );
        Self { bar, has_shown_batch: false }
    }

    pub fn show(&mut self, progress: &Progress) {
        // Slots that were skipped before the resume point are counted once they are read again.
        let done = progress.batch.accepted_slots + progress.run.skipped_slots;
        if !std::mem::replace(&mut self.has_shown_batch, true) {
            let before = progress.batch.accepted_slots;
            let resumed = if before > 0 {
                format!(", {before} slots are accepted already")
            } else {
                String::new()
            };
            self.bar.suspend(|| eprintln!("batch {}{resumed}", progress.batch_id));
            self.bar.set_position(done as u64);
            self.bar.reset_eta();
        }
        self.bar.set_position(done as u64);
        let reason = |wait: Wait| match wait.reason {
            WaitReason::Failure(kind) => {
                format!("; trying again in {:.0?} ({kind})", wait.remaining)
            }
            _ => format!("; waiting {:.0?} for the rate limit", wait.remaining),
        };
        self.bar.set_message(progress.wait.map_or(String::new(), reason));
    }
}
