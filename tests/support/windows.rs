//! Counts events in windows of time.

use std::ops::Sub;
use std::time::Duration;

/// Returns the most arrivals in any window of this length, including both ends. `arrivals` must be
/// in order.
pub fn most_in<T: Copy + Sub<T, Output = Duration>>(window: Duration, arrivals: &[T]) -> usize {
    let mut first = 0;
    let in_window = |(index, at): (usize, &T)| {
        while *at - arrivals[first] > window {
            first += 1;
        }
        index + 1 - first
    };
    arrivals.iter().enumerate().map(in_window).max().unwrap_or(0)
}
