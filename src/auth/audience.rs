//! The audience of assertions: RFC 7523, section 3.

use url::Url;

/// Checks that an audience is a URI (RFC 3986, section 3).
pub(crate) fn check_audience(audience: &str) -> Result<(), &'static str> {
    // The parser encodes or drops other characters, but an audience is compared as text.
    let is_of_uri = |each: char| each.is_ascii_graphic() && !r#""<>\^`{|}"#.contains(each);
    match Url::parse(audience) {
        Ok(_) if audience.chars().all(is_of_uri) => Ok(()),
        _ => Err("not a URI, such as https://api.redoxengine.com/v2/auth/token"),
    }
}
