//! The `Retry-After` and `Date` headers (RFC 9110, sections 10.2.3 and 6.6.1).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The maximum delay that is reported. No send waits longer, and a longer delay could overflow the
/// clock that it is added to.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the delay that a response asks for, at most a day. `now` returns the time by this
/// machine's clock. It is called only if a date has no `Date` to be compared with.
///
/// The header holds seconds, optionally with a fraction, or a date in any of the three forms of RFC
/// 9110, section 5.6.7. A date is compared with the response's own `Date` if it has one, because
/// the two machines' clocks may differ. A past date asks for no delay. Any other text is ignored.
pub(crate) fn retry_after(
    headers: &HeaderMap,
    now: impl FnOnce() -> SystemTime,
) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match read_seconds(value) {
        Some(wait) => wait,
        None => {
            let now = date(headers).unwrap_or_else(now);
            httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST))
}

/// Returns when the response was created, by the sender's clock.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Reads a number of seconds such as `3` or `3.5`.
pub(crate) fn read_seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // A number beyond `u64` still means a long delay.
    let whole = Duration::from_secs(whole.parse().unwrap_or(u64::MAX));
    let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
    Some(whole.saturating_add(Duration::from_nanos(nanoseconds)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Returns the delay that these headers ask for, 90 s before Sun, 06 Nov 1994 08:49:37 GMT.
    fn wait(value: &str, date: Option<&'static str>) -> Option<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        headers.extend(date.map(|date| (DATE, HeaderValue::from_static(date))));
        retry_after(&headers, || now)
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_in_all_three_forms_of_a_date() {
        for (value, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120_000)),
            ("3.5", Some(3_500)),
            ("299.997", Some(299_997)),
            ("0.0010000000000", Some(1)),
            ("86400.5", Some(86_400_000)),
            ("18446744073709551615", Some(86_400_000)),
            ("99999999999999999999999", Some(86_400_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90_000)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(90_000)),
            ("Sun Nov  6 08:49:37 1994", Some(90_000)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400_000)),
            ("", None),
            ("1.", None),
            (".5", None),
            ("1.5s", None),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(wait(value, None), expected.map(Duration::from_millis), "{value}");
        }
    }

    #[test]
    fn date_is_compared_with_the_date_of_the_response() {
        let later = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:34 GMT", 3),
            ("Sun, 06 Nov 1994 08:59:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 2_977),
            ("yesterday", 90),
        ] {
            assert_eq!(wait(later, Some(date)), Some(Duration::from_secs(expected)), "{date}");
        }
        assert_eq!(wait("5", Some("Sun, 06 Nov 1994 08:49:34 GMT")), Some(Duration::from_secs(5)));
    }
}
