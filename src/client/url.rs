//! Addresses that a client may send to.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// Reads an absolute address: https, or http where that is safe.
///
/// Plain http is safe to this machine itself, and to `allowed` hosts since the user says so.
pub(super) fn read(text: &str, allowed: &[String]) -> Result<Uri, String> {
    let uri: Uri = text.trim().parse().map_err(|_| "not a URL, such as https://api.redoxengine.com")?;
    let Some((scheme, host)) = uri.scheme().zip(uri.host()) else {
        return Err("not an absolute URL, such as https://api.redoxengine.com".to_owned());
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("the URL must not hold a user name or password".to_owned());
    }
    if uri.query().is_some() {
        return Err("the URL must not hold a query".to_owned());
    }
    if *scheme == Scheme::HTTPS {
        return Ok(uri);
    }
    if *scheme != Scheme::HTTP {
        return Err("the scheme must be https".to_owned());
    }
    if is_loopback(&uri) || allowed.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Ok(uri);
    }
    Err(format!(
        "plain http would show tokens and messages to the network; use https, or allow it to {host} by name"
    ))
}

/// Whether the address is of this machine itself.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The address of `path` below `base`.
pub(super) fn below(base: &Uri, path: &str) -> String {
    format!("{}{path}", base.to_string().trim_end_matches('/'))
}
