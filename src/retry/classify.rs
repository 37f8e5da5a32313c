//! What an outcome means for the message and for another attempt: one table.

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The service took the message.
    Accepted,
    /// It refused the message, and would again.
    Refused,
    /// It refused the message for now: too many requests.
    Throttled,
    /// It refused the message for now: not ready.
    Unavailable,
    /// It refused the access token.
    Unauthorized,
    /// It failed, and may have taken the message before it did.
    Failed,
    /// The message may have arrived, and no answer came.
    Lost,
    /// The message never left.
    NotSent,
    /// The message never left, since there is no access token, nor would there be one a moment later.
    NoToken,
}

/// Classifies an answer by its status.
pub(crate) fn classify_status(status: u16) -> Class {
    match status {
        200..=299 => Class::Accepted,
        401 => Class::Unauthorized,
        429 => Class::Throttled,
        503 => Class::Unavailable,
        500..=599 => Class::Failed,
        // A redirect too is an answer other than yes, and is never followed.
        _ => Class::Refused,
    }
}

/// Classifies an attempt that got no answer.
pub(crate) fn classify_failure(may_have_arrived: bool) -> Class {
    if may_have_arrived { Class::Lost } else { Class::NotSent }
}
