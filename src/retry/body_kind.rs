//! The kinds of response body.

/// The kind of a response's body. It shows whether a gateway, a proxy or a portal may have
/// responded instead of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyKind {
    /// The service's own body: a JSON object with the object `Meta`, in the current shape or the
    /// older one. It may hold errors.
    Service,
    /// No body, or only white space.
    Empty,
    /// A body that was lost after the status line arrived. The headers announce JSON, or no type at
    /// all.
    Lost,
    /// An error in another shape of the service: `error` or `errorDetail`, or `Meta.Errors` in a
    /// list or in lower case.
    KnownError,
    /// A body in a content coding, such as `gzip`, although the request accepts none.
    Encoded,
    /// Any other body, which the service doesn't send: HTML, text, JSON of another shape, or more
    /// than 4 MiB. A lost body belongs here if `Content-Type` announces anything but JSON.
    Other,
}
