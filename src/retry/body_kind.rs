//! The kinds of body that a response can have.

/// The kind of body that a response has: a gateway, a proxy or a portal may respond instead of the
/// service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyKind {
    /// A JSON object with the object `Meta`: the service's own, in today's shape or the older one.
    /// It may hold errors.
    Service,
    /// No body, or only white space.
    Empty,
    /// A body that was lost after the status line arrived, and that the headers announce as JSON or
    /// not at all.
    Lost,
    /// An error in another shape of the service: `error` or `errorDetail`, or `Meta.Errors` in a
    /// list or in lower case.
    KnownError,
    /// A body in a content coding, such as `gzip`, although the request asks for none.
    Encoded,
    /// Any other body, which the service doesn't send: HTML, text, JSON of another shape, or more
    /// than 4 MiB. A lost body counts as one if `Content-Type` announces anything but JSON.
    Other,
}
