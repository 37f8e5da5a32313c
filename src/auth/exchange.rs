//! The exchange of an assertion for an access token; the only file that names oauth2.
//!
//! oauth2 creates the request, and the transport's adapter reads the response.
//!
//! It follows RFC 6749, section 4.4, with the client authentication of RFC 7523, section 2.2.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::Uri;
use oauth2::basic::{
    BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, ClientId, ErrorResponse, HttpRequest, HttpResponse, RefreshToken,
    RequestTokenError, Scope, StandardRevocableToken, TokenResponse, TokenUrl,
};
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use super::clock_skew::{corrected, is_off};
use super::token_response::{Asked, ahead};
use super::{AccessToken, SignedJwt, TokenError, assertion};
use crate::clock;
use crate::message;
use crate::transport::{AnyTransport, Response, read_seconds, refuse_codings};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Requests an access token.
///
/// A rejection may carry a `Date` that shows that this machine's clock is off. Then the request is
/// repeated once with the endpoint's time. If that succeeds, later assertions use that time too.
pub(super) async fn request_token(
    client: &SignedJwt,
    endpoint: &Uri,
    audience: &str,
    transport: &dyn AnyTransport,
    deadline: Instant,
) -> Result<AccessToken, TokenError> {
    let assumed = client.skew.get();
    let exchange = |skew| {
        exchange(client, endpoint, audience, transport, deadline, corrected(clock::now(), skew))
    };
    let result = exchange(assumed).await;
    let Err(TokenError::CredentialsRejected(rejection)) = &result else { return result };
    let Some(measured) = rejection.ahead.filter(|measured| is_off(*measured, assumed)) else {
        return result;
    };
    tracing::warn!(
        "pushslots.clock_ahead_s" = measured.num_seconds(),
        "the token endpoint rejected the assertion, and the clocks differ; retrying once with the \
         endpoint's time"
    );
    let result = exchange(measured).await;
    if result.is_ok() {
        client.skew.set(measured);
    }
    result
}

/// Exchanges an assertion signed at `now` for an access token.
async fn exchange(
    client: &SignedJwt,
    endpoint: &Uri,
    audience: &str,
    transport: &dyn AnyTransport,
    deadline: Instant,
    now: DateTime<Utc>,
) -> Result<AccessToken, TokenError> {
    let audience = client.audience.as_deref().unwrap_or(audience);
    let assertion = assertion::sign(client, audience, now, deadline).await?;
    let url = TokenUrl::new(endpoint.to_string()).map_err(|_| {
        TokenError::invalid_response("the address of the token endpoint isn't a URL")
    })?;
    let oauth = OAuthClient::new(ClientId::new(client.client_id.clone())).set_token_uri(url);
    let mut request = oauth
        .exchange_client_credentials()
        .add_extra_param("client_assertion_type", ASSERTION_TYPE)
        .add_extra_param("client_assertion", assertion.expose_secret());
    if let Some(scope) = &client.scope {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    // All parts of the assertion, because an endpoint may echo any of them.
    let secrets: Vec<_> = assertion.expose_secret().split('.').collect();
    let asked = Asked { endpoint, client_id: Some(&client.client_id), secrets: &secrets };
    let http = OAuthHttpClient { transport, deadline, asked, token: OnceLock::new() };
    request.request_async(&http).await.map_err(token_error)?;
    http.token.into_inner().ok_or_else(not_created)
}

fn token_error(error: RequestTokenError<HttpError, PlaceholderResponse>) -> TokenError {
    match error {
        RequestTokenError::Request(HttpError(error)) => error,
        _ => not_created(),
    }
}

/// Returns the error for a request that oauth2 didn't pass to the adapter.
fn not_created() -> TokenError {
    TokenError::invalid_response("the token request can't be created")
}

/// Reads the members of a token response that matter (RFC 6749, section 5.1). Neither an odd
/// lifetime nor an additional member may cost the token.
fn access_token(response: &Response, asked: Asked<'_>) -> Result<AccessToken, TokenError> {
    let (reply, details) = asked.accepted(response)?;
    let Some(token) = reply.text("access_token") else {
        return Err(asked.without_token(
            response,
            details,
            "the endpoint's response contains no access_token",
        ));
    };
    if !reply.text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(TokenError::invalid_response(
            "the endpoint's token has a type other than Bearer",
        ));
    }
    let life = reply.get("expires_in").and_then(message::text);
    let life = life.and_then(|life| read_seconds(life.trim()));
    Ok(AccessToken::new(token).with_lifetime(life))
}

/// A client of oauth2 that only creates requests.
type OAuthClient = oauth2::Client<
    PlaceholderResponse,
    PlaceholderResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// A placeholder for responses, because the adapter reads them. oauth2 would reject odd but usable
/// ones, and its types would add tens of kilobytes to each program.
#[derive(Debug, Serialize)]
struct PlaceholderResponse {
    /// An empty text, which nothing reads.
    access_token: oauth2::AccessToken,
}

impl<'de> Deserialize<'de> for PlaceholderResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Ok(Self { access_token: oauth2::AccessToken::new(String::new()) })
    }
}

impl TokenResponse for PlaceholderResponse {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &oauth2::AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &BasicTokenType::Bearer
    }

    fn expires_in(&self) -> Option<Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        None
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl fmt::Display for PlaceholderResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a placeholder for a response")
    }
}

impl ErrorResponse for PlaceholderResponse {}

/// An adapter that sends oauth2's request with our transport, and keeps the token of the response.
struct OAuthHttpClient<'t> {
    transport: &'t dyn AnyTransport,
    deadline: Instant,
    asked: Asked<'t>,
    /// The token; empty until a response with one was read.
    token: OnceLock<AccessToken>,
}

impl<'c> AsyncHttpClient<'c> for OAuthHttpClient<'_> {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, mut request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            refuse_codings(request.headers_mut());
            let asked = clock::now();
            let time_left = self.deadline - Instant::now();
            let response = self.transport.send(request.map(Bytes::from), time_left).await;
            let ahead = response.as_ref().ok().and_then(|response| ahead(response, asked));
            let token = response
                .map_err(TokenError::Transport)
                .and_then(|response| access_token(&response, self.asked));
            let token = token.map_err(|error| HttpError(error.with_clock_ahead(ahead)))?;
            self.token.get_or_init(|| token);
            // The shortest response that oauth2 accepts.
            Ok(HttpResponse::new(b"{}".to_vec()))
        })
    }
}

/// A [`TokenError`] on its way through oauth2.
struct HttpError(TokenError);

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for HttpError {}
