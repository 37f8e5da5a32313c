//! The load of the machine while the bench runs.

use std::time::Instant;

use crate::print;

/// The CPU time in seconds that processes have used since the machine started.
struct Used {
    at: Instant,
    all: f64,
    mine: f64,
}

/// The load since this was created.
pub struct Load(Option<Used>);

impl Load {
    pub fn start() -> Self {
        Self(used())
    }

    /// Prints how many cores other processes kept busy. Prints nothing on a system other than Linux.
    pub fn print(&self) {
        let Some((before, now)) = self.0.as_ref().zip(used()) else { return };
        let others = (now.all - before.all) - (now.mine - before.mine);
        print("cores_busy_with_others", others.max(0.0) / before.at.elapsed().as_secs_f64());
    }
}

#[cfg(target_os = "linux")]
fn used() -> Option<Used> {
    use procfs::CurrentSI;

    let total = procfs::KernelStats::current().ok()?.total;
    let other = [total.irq, total.softirq, total.steal].into_iter().flatten().sum::<u64>();
    let all = total.user + total.nice + total.system + other;
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    let own = procfs::process::Process::myself().ok()?.stat().ok()?;
    Some(Used { at: Instant::now(), all: seconds(all), mine: seconds(own.utime + own.stime) })
}

#[cfg(not(target_os = "linux"))]
fn used() -> Option<Used> {
    None
}
