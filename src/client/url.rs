//! The URLs that a client may send to.

use http::Uri;
use url::Url;

use crate::transport::is_loopback;

use crate::text;

/// A URL that a client may send to.
pub(super) struct ServiceUrl {
    /// The URL as it was configured.
    text: String,
    url: Url,
    pub(super) uri: Uri,
}

impl ServiceUrl {
    /// Parses an absolute URL with https, or with http if that is safe.
    ///
    /// Plain http is safe to this machine. It is also accepted for the `allowed` hosts.
    pub(super) fn read(text: &str, allowed: &[String]) -> Result<Self, String> {
        let not_absolute =
            |_| "not an absolute URL, such as https://api.redoxengine.com".to_owned();
        let text = text::trimmed(text);
        let url = Url::parse(text).map_err(not_absolute)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL must not contain a user name or password".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("the URL must not contain a query or fragment".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "https" => {}
            "http"
                if is_loopback(&url)
                    || allowed.iter().any(|name| name.eq_ignore_ascii_case(host)) => {}
            "http" => {
                return Err(format!(
                    "plain http to {host} exposes tokens and messages to the network; use https, \
                     or allow the host with ClientBuilder::allow_plain_http or \
                     PUSHSLOTS_PLAIN_HTTP_HOSTS"
                ));
            }
            _ => return Err("the scheme must be https".to_owned()),
        }
        let uri =
            url.as_str().parse().map_err(|_| "the URL is too long or has no host".to_owned())?;
        Ok(Self { text: text.to_owned(), url, uri })
    }

    /// Returns the URI of `path` below this URL.
    pub(super) fn below(&self, path: &str) -> Result<Uri, String> {
        let text = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        text.parse().map_err(|_| "the URL is too long".to_owned())
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the URL as it was configured.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the URL of `path` below this one, as it was configured.
    pub(super) fn text_below(&self, path: &str) -> String {
        format!("{}{path}", self.text.trim_end_matches('/'))
    }

    /// Returns whether requests to this URL are unencrypted, because they stay on this machine.
    pub(super) fn is_plain_loopback(&self) -> bool {
        self.url.scheme() == "http" && is_loopback(&self.url)
    }
}
