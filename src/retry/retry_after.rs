//! The `Retry-After` header: RFC 9110, section 10.2.3.

use std::time::{Duration, SystemTime};

/// Reads a delay in seconds or a date in any of the three forms of RFC 9110, section 5.6.7. A date that
/// has passed asks for no wait. What is neither is no hint.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than can be counted are still a wait, and a long one.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}
