//! The contents of a response besides its status, in all formats that the service uses.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::OAuthError;
use super::masked::Masked;
use super::reason::reason;
use super::shape::{is_given, member, objects};
use super::usual_response;
use crate::clock;
use crate::message::{Log, Object, json, text};
use crate::retry::BodyKind;
use crate::text::trimmed;
use crate::transport::{Response, TransportErrorKind, retry_after};

/// The contents of a response, as far as its format is known.
pub(crate) struct ResponseDetails {
    pub(crate) body: BodyKind,
    /// The content coding of an encoded body, such as `gzip`.
    pub(crate) coding: Option<&'static str>,
    /// The logs in `Meta.Logs[]`, or in the older `Meta.Message.ID` and `Meta.Transmission.ID`.
    pub(crate) logs: Vec<Log>,
    /// Whether the response contains errors in a format of the service. Something then failed,
    /// regardless of the status.
    pub(crate) has_errors: bool,
    /// The service's reason. It may repeat parts of the message, so it belongs only in an error
    /// value that the caller requests explicitly.
    pub(crate) text: Option<String>,
    /// The error of a token endpoint, in the format of RFC 6749.
    pub(crate) oauth_error: Option<OAuthError>,
    /// The delay that the response asks for with `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl ResponseDetails {
    /// Reads a response that has just arrived. Masks `secrets` in its texts.
    pub(crate) fn read(response: &Response, secrets: &[&str]) -> Self {
        let retry_after = retry_after(&response.headers, || clock::now().into());
        let details = match (coding(&response.headers), &response.body) {
            (_, Ok(body)) if body.is_empty() => Self::of_kind(BodyKind::Empty),
            (Some(coding), _) => Self { coding: Some(coding), ..Self::of_kind(BodyKind::Encoded) },
            // The service sends only JSON, and never more than the client reads.
            (None, Err(failure))
                if failure.kind() == TransportErrorKind::ResponseTooLong
                    || is_no_json(&response.headers) =>
            {
                Self::of_kind(BodyKind::Other)
            }
            (None, Err(_)) => Self::of_kind(BodyKind::Lost),
            (None, Ok(body)) => Self::of_body(body, response.status.is_success(), Masked(secrets)),
        };
        Self { retry_after, ..details }
    }

    /// Returns whether the response contains a log id.
    pub(crate) fn has_logs(&self) -> bool {
        let is_given = |id: &Option<String>| id.as_ref().is_some_and(|id| !id.is_empty());
        self.logs.iter().any(|log| is_given(&log.id) || is_given(&log.attempt_id))
    }

    fn of_kind(body: BodyKind) -> Self {
        Self {
            body,
            coding: None,
            logs: Vec::new(),
            has_errors: false,
            text: None,
            oauth_error: None,
            retry_after: None,
        }
    }

    fn of_body(body: &[u8], is_success: bool, masked: Masked<'_>) -> Self {
        // A gateway's text in another encoding must not hide the JSON around it.
        let body =
            std::str::from_utf8(body).map_or_else(|_| String::from_utf8_lossy(body), Cow::Borrowed);
        let body = trimmed(&body);
        if body.is_empty() {
            return Self::of_kind(BodyKind::Empty);
        }
        // Only the general path reads the reason, which a response with another status has.
        let usual = if is_success { usual_response::logs(body) } else { None };
        match usual {
            Some(logs) => {
                let shown = |id| Some(masked.shown_whole(id));
                let logs =
                    logs.iter().map(|ids| Log::from_parts(shown(ids.id), shown(ids.attempt_id)));
                Self { logs: logs.collect(), ..Self::of_kind(BodyKind::Service) }
            }
            None => Self::of_unusual_body(body, is_success, masked),
        }
    }

    fn of_unusual_body(body: &str, is_success: bool, masked: Masked<'_>) -> Self {
        let objects = json(body).map(objects).unwrap_or_default();
        let mut metas = Vec::new();
        for parent in &objects {
            metas.extend(parent.get_all("Meta").filter_map(Object::read));
        }
        // These members also count next to `Meta`. Without `Meta`, `errors` belongs to a gateway.
        let reports_errors = |body: &Object<'_>| {
            let has_meta = body.get_all("Meta").next().is_some();
            is_given(body, "error")
                || is_given(body, "errorDetail")
                || (has_meta && is_given(body, "Errors"))
        };
        let has_errors =
            metas.iter().any(|meta| is_given(meta, "Errors")) || objects.iter().any(reports_errors);
        let body_kind = match &objects[..] {
            [only] if is_own(body, only) => BodyKind::Service,
            _ if has_errors => BodyKind::KnownError,
            _ => BodyKind::Other,
        };
        let mut all_logs = Vec::new();
        for meta in &metas {
            all_logs.append(&mut logs(meta, masked));
        }
        // Receipts are kept for long.
        all_logs.shrink_to_fit();
        // The usual response contains no reason.
        let is_plain_success = is_success && body_kind == BodyKind::Service && !has_errors;
        Self {
            logs: all_logs,
            has_errors,
            text: if is_plain_success {
                None
            } else {
                reason(body).map(|reason| masked.shown(&reason))
            },
            oauth_error: objects
                .first()
                .filter(|_| body.starts_with('{'))
                .and_then(|body| oauth_error(body, masked)),
            ..Self::of_kind(body_kind)
        }
    }
}

/// Returns whether the header `Content-Type` names something other than JSON.
fn is_no_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    kind.is_some_and(|kind| !kind.windows(4).any(|part| part == b"json"))
}

/// Returns whether `body` is an object with an object `Meta`, in the service's spelling.
fn is_own(body: &str, read: &Object<'_>) -> bool {
    body.starts_with('{') && read.get("Meta").is_some_and(|meta| meta.starts_with('{'))
}

/// Returns the first content coding that the client can't read (RFC 9110, section 8.4). Only names
/// from a fixed list are shown.
fn coding(headers: &HeaderMap) -> Option<&'static str> {
    let coding = headers.get_all(CONTENT_ENCODING).iter().find_map(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })?;
    let known = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress"];
    let name = known.into_iter().find(|name| coding.eq_ignore_ascii_case(name.as_bytes()));
    Some(name.unwrap_or("unknown"))
}

fn logs(meta: &Object<'_>, masked: Masked<'_>) -> Vec<Log> {
    let id = |parent: &Object<'_>, key| Some(masked.shown_whole(&text(member(parent, key)?)?));
    let mut entries = Vec::new();
    for raw in meta.get_all("Logs") {
        entries.append(&mut objects(raw));
    }
    let logs: Vec<_> = entries
        .iter()
        .map(|entry| Log::from_parts(id(entry, "ID"), id(entry, "AttemptID")))
        .collect();
    if !logs.is_empty() {
        return logs;
    }
    let old = |key| id(&Object::read(member(meta, key)?)?, "ID");
    match (old("Message"), old("Transmission")) {
        (None, None) => Vec::new(),
        (message, transmission) => vec![Log::from_parts(message, transmission)],
    }
}

/// Reads an error response of RFC 6749, section 5.2.
fn oauth_error(body: &Object<'_>, masked: Masked<'_>) -> Option<OAuthError> {
    let part =
        |key| text(body.get(key)?).filter(|text| !text.is_empty()).map(|text| masked.shown(&text));
    Some(OAuthError {
        error: part("error")?,
        error_description: part("error_description"),
        error_uri: part("error_uri"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways of reading a body return the same logs, kind and errors.
    #[test]
    fn usual_response_reads_as_any_other() {
        let logs = r#"[{"ID":"d9f5","AttemptID":"925d"},{"AttemptID":"a2","ID":"i2"}]"#;
        let usual = [
            format!(r#"{{"Meta":{{"DataModel":"Scheduling","Logs":{logs}}}}}"#),
            format!(r#"{{"Meta":{{"Logs":{logs},"Test":true,"Source":{{"ID":null}}}}}}"#),
            r#" { "Meta" : { "Logs" : [ { "ID" : "eyJh.b.c", "AttemptID" : "key" } ] } } "#
                .to_owned(),
            format!(r#"{{"Meta":{{"Test":true,"Test":false,"Logs":{logs}}}}}"#),
        ];
        let unusual = [
            r#"{"Meta":{"Logs":[]}}"#.to_owned(),
            r#"{"Meta":{}}"#.to_owned(),
            r#"{"Meta":["Logs"]}"#.to_owned(),
            r#"[{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}]"#.to_owned(),
            r#"{"Meta":[[["1","2"]]]}"#.to_owned(),
            r#"{"Meta":{"Logs":[["1","2"]]}}"#.to_owned(),
            r#"{"Meta":{"Logs":{"ID":"1","AttemptID":"2"}}}"#.to_owned(),
            r#"{"Meta":{"Logs":[{"ID":1,"AttemptID":"2"}]}}"#.to_owned(),
            r#"{"Meta":{"Logs":[{"ID":"1"}]}}"#.to_owned(),
            format!(r#"{{"Meta":{{"Logs":{logs},"Logs":{logs}}}}}"#),
            format!(r#"{{"M\u0065ta":{{"Logs":{logs}}}}}"#),
            r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"},]}}"#.to_owned(),
            r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}{"ID":"3","AttemptID":"4"}]}}"#
                .to_owned(),
            r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2",}]}}"#.to_owned(),
            r#"{"Meta":{"Logs":[{,"ID":"1","AttemptID":"2"}]}}"#.to_owned(),
            r#"{"Meta":{"Logs":[{"ID":"\u0031","AttemptID":"2"}]}}"#.to_owned(),
            r#"{"Meta":{"Logs":[{"ID":"1","ID":"3","AttemptID":"2"}]}}"#.to_owned(),
            format!(r#"{{"Meta":{{"Logs":{logs},"Errors":[{{"Text":"no"}}]}}}}"#),
            format!(r#"{{"Meta":{{"Logs":{logs}}},"error":"no"}}"#),
            format!(r#"{{"Meta":{{"Logs":{logs}}},"Meta":{{"Errors":["no"]}}}}"#),
            format!(r#"{{"Meta":{{"Logs":{logs},"logs":{logs}}}}}"#),
            format!(r#"{{"meta":{{"Logs":{logs}}}}}"#),
            format!(r#"{{"Meta":{{"Logs":{logs}}}}} x"#),
            format!(r#"{{"Meta":{{"Logs":{logs}}}"#),
        ];
        for body in usual.iter().chain(&unusual) {
            let is_usual = usual_response::logs(body).is_some();
            assert_eq!(is_usual, usual.contains(body), "{body}");
            let read = |details: ResponseDetails| {
                (details.body, details.logs, details.has_errors, details.text)
            };
            let masked = Masked(&["key"]);
            let any = ResponseDetails::of_unusual_body(trimmed(body), true, masked);
            assert_eq!(
                read(ResponseDetails::of_body(body.as_bytes(), true, masked)),
                read(any),
                "{body}"
            );
        }
    }
}
