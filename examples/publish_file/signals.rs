//! The signals that stop the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use pushslots::PublishHandle;

use crate::input::Batch;
use crate::output::{Outcome, explain_how_to_resume, print};

const CTRL_C: u8 = 130;
const SIGTERM: u8 = 143;

/// The exit code of the last signal. It is 0 if there was no signal.
#[derive(Clone, Default)]
pub struct Signals(Arc<AtomicU8>);

impl Signals {
    pub fn last(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// Stops the publication after the message in flight at the first signal, and the program at
    /// the second one.
    pub async fn stop(self, handle: PublishHandle, batch: Batch) {
        let code = signal().await;
        self.0.store(code, Ordering::Relaxed);
        eprintln!("stopping after the message in flight; another signal stops at once");
        handle.stop();

        let code = signal().await;
        let report = handle.report();
        print(&Outcome { report: &report, error: Some("stopped while a message was in flight") });
        explain_how_to_resume(&report, &batch);
        std::process::exit(code.into());
    }
}

/// Waits for a signal, and returns its exit code.
#[cfg(unix)]
async fn signal() -> u8 {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return ctrl_c().await;
    };
    tokio::select! {
        code = ctrl_c() => code,
        _ = terminated.recv() => SIGTERM,
    }
}

#[cfg(not(unix))]
async fn signal() -> u8 {
    ctrl_c().await
}

async fn ctrl_c() -> u8 {
    match tokio::signal::ctrl_c().await {
        Ok(()) => CTRL_C,
        // Without a handler, the system ends the program itself.
        Err(_) => std::future::pending().await,
    }
}
