//! Constructors of exchanges, for tests of classifiers.

use std::borrow::Cow;

use super::outcome::facts;
use crate::receipt::ResponseDetails;
use crate::retry::Exchange;
use crate::transport::{Response, TransportError};

/// Constructors for tests of a [classifier](crate::ClientBuilder::classifier). They need the
/// feature `mock`.
impl Exchange<'static> {
    /// Creates the exchange of an attempt that brought this response.
    ///
    /// ```
    /// use pushslots::http::{HeaderMap, StatusCode};
    /// use pushslots::{Classification, Exchange, Response};
    ///
    /// fn classify(exchange: &Exchange<'_>) -> Classification {
    ///     match exchange.status().map(u16::from) {
    ///         Some(403) => Classification::Transient,
    ///         _ => exchange.classification(),
    ///     }
    /// }
    ///
    /// let restarting = Response::new(StatusCode::FORBIDDEN, HeaderMap::new(), Ok("restarting".into()));
    /// assert_eq!(classify(&Exchange::from_response(&restarting)), Classification::Transient);
    /// ```
    #[must_use]
    pub fn from_response(response: &Response) -> Self {
        let mut details = ResponseDetails::read(response, &[]);
        let service_text = details.text.take().map(Cow::Owned);
        Self::of_response(facts(response, &details, service_text))
    }

    /// Creates the exchange of an attempt that brought no response.
    #[must_use]
    pub fn from_error(error: TransportError) -> Self {
        Self::of_failure(Cow::Owned(error))
    }
}
