//! Progress, on a terminal.

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pushslots::{Progress, Wait, WaitReason};

/// A bar that is there on a terminal alone.
pub struct Bar {
    pub bar: ProgressBar,
}

impl Bar {
    /// For so many slots, of which so many went before.
    pub fn new(slots: u64, before: usize) -> Self {
        let bar = ProgressBar::new(slots);
        let style = ProgressStyle::with_template("{bar:40} {pos} of {len} slots, {rate}/s, {eta} left{msg}");
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate));
        bar.set_position(before as u64);
        bar.reset_eta();
        Self { bar }
    }

    pub fn show(&self, progress: &Progress) {
        self.bar.set_position((progress.batch.accepted_slots + progress.run.skipped_slots) as u64);
        let reason = |wait: Wait| match wait.reason {
            WaitReason::Failure(kind) => format!("; trying again in {:.0?} ({kind})", wait.remaining),
            _ => format!("; waiting {:.0?} for the rate limit", wait.remaining),
        };
        self.bar.set_message(progress.wait.map_or(String::new(), reason));
    }
}
