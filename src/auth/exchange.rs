//! The exchange of an assertion for an access token; the only file that names oauth2.
//!
//! RFC 6749, section 4.4, with the client authentication of RFC 7523, section 2.2.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use oauth2::basic::{BasicClient, BasicErrorResponse};
use oauth2::{
    AsyncHttpClient, ClientId, HttpRequest, HttpResponse, RequestTokenError, Scope, TokenResponse, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::token::{AccessToken, TokenError, accepted};
use super::{SignedJwt, assertion};
use crate::clock;
use crate::transport::Transport;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

pub(super) async fn request_token(
    client: &SignedJwt,
    endpoint: &Uri,
    transport: &dyn Transport,
    timeout: Duration,
) -> Result<AccessToken, TokenError> {
    let asked = Instant::now();
    let audience = endpoint.to_string();
    let assertion = assertion::sign(client, &audience, clock::now()).map_err(TokenError::Key)?;
    let url = TokenUrl::new(audience)
        .map_err(|_| TokenError::Odd("the address of the token endpoint is no URL"))?;
    let oauth = BasicClient::new(ClientId::new(client.client_id.clone())).set_token_uri(url);
    let mut request = oauth
        .exchange_client_credentials()
        .add_extra_param("client_assertion_type", ASSERTION_TYPE)
        .add_extra_param("client_assertion", assertion.expose_secret());
    if let Some(scope) = &client.scope {
        request = request.add_scope(Scope::new(scope.clone()));
    }
    let http = Http { transport, timeout };
    let answer = request.request_async(&http).await.map_err(token_error)?;
    let token = SecretString::from(answer.access_token().secret().as_str());
    AccessToken::new(&token, asked, answer.expires_in().unwrap_or_default())
}

fn token_error(error: RequestTokenError<HttpError, BasicErrorResponse>) -> TokenError {
    match error {
        RequestTokenError::Request(HttpError(error)) => error,
        // Parse errors repeat the body, which may hold a token.
        _ => TokenError::Odd("the endpoint's answer is no token response"),
    }
}

/// Our transport, as oauth2 calls it.
struct Http<'t> {
    transport: &'t dyn Transport,
    timeout: Duration,
}

impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let sent = self.transport.send(request.map(Bytes::from), self.timeout);
            let answer = sent.await.map_err(TokenError::Failure).and_then(accepted);
            let answer = answer.map_err(HttpError)?;
            // Without its headers: a token is one whatever content type a gateway gives it.
            let mut response = HttpResponse::new(answer.body().to_vec());
            *response.status_mut() = answer.status;
            Ok(response)
        })
    }
}

/// Carries a [`TokenError`] through oauth2.
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
