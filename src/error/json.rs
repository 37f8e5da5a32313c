//! The JSON form of an error.

use serde::{Serialize, Serializer};

use super::{Error, ErrorKind, FailedSend, Inner};
use crate::message::Problem;

#[derive(Serialize)]
pub(super) struct ErrorJson<'a> {
    kind: ErrorKind,
    error: String,
    #[serde(flatten)]
    send: &'a FailedSend,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_text: Option<&'a str>,
    problems: &'a [Problem],
    omitted_problems: usize,
}

impl Error {
    pub(super) fn json<'a>(&'a self, service_text: Option<&'a str>) -> ErrorJson<'a> {
        let Inner { kind, send, problems, omitted_problems, .. } = &*self.0;
        let kind = *kind;
        let omitted_problems = *omitted_problems;
        ErrorJson { kind, error: self.to_string(), send, service_text, problems, omitted_problems }
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json(None).serialize(serializer)
    }
}
