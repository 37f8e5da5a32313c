//! The cost of waiting for the rate limit.
//!
//! * `permit_10000_vs_1` is the time to wait for a permit and send with it if 10,000 tasks wait at a
//!   time, divided by the same for one at a time. A waiting task holds only its wait.
//! * `rate_limit_10000_vs_1` is the same for sends that wait for their permits themselves. It
//!   includes the memory of 10,000 sends.
//!
//! All are medians of rounds that measure both sides. The client's clock is simulated, so only work
//! is measured. The service accepts at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, Request, StatusCode};
use pushslots::uuid::Uuid;
use pushslots::{
    AccessToken, AuthError, Client, Credentials, EncodedMessage, Response, TokenRequest,
    TokenSource, Transport, TransportContext, TransportError,
};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::slots;
use crate::print;

const ROUNDS: usize = 9;
const SENDS: u32 = 10_000;
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Accepts;

impl Transport for Accepts {
    async fn send(
        &self,
        _: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(Bytes::new())))
    }
}

struct Fixed;

impl TokenSource for Fixed {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new("token").expires_in(A_DAY))
    }
}

/// Returns the time per send if this number of sends wait at a time.
fn per_send<F>(waiting: u32, send: impl Fn(Client) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let builder =
            Client::builder().transport(Accepts).credentials(Credentials::token_source(Fixed));
        // 50 requests a second, one after the other.
        let builder =
            builder.destination(Uuid::from_u128(1)).rate_limit(2, Duration::from_millis(40));
        let client = builder.max_in_flight(u32::MAX).build().unwrap();
        let began = Instant::now();
        for _ in 0..SENDS / waiting {
            let mut sends = JoinSet::new();
            for _ in 0..waiting {
                sends.spawn(send(client.clone()));
            }
            sends.join_all().await;
        }
        began.elapsed() / SENDS
    })
}

/// Prints the ratio of the times per send with 10,000 waiting and with one.
fn compare<F>(name: &str, send: impl Fn(Client) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut rounds: Vec<_> =
        (0..ROUNDS).map(|_| [1, SENDS].map(|waiting| per_send(waiting, &send))).collect();
    let [one, many] = [0, 1].map(|side| {
        rounds.sort_by_key(|round| round[side]);
        rounds[ROUNDS / 2][side]
    });
    print(name, many.as_secs_f64() / one.as_secs_f64());
}

pub fn run() {
    let message = slots::messages(4, 4, 4).remove(0);
    let message: Arc<EncodedMessage> = Arc::new(message.encode().unwrap());
    compare("rate_limit_10000_vs_1", |client| {
        let message = message.clone();
        async move {
            client.send(&*message).deadline(A_DAY).await.unwrap();
        }
    });
    compare("permit_10000_vs_1", |client| {
        let message = message.clone();
        async move {
            let permit = client.rate_limiter().unwrap().permit().await.unwrap();
            client.send(&*message).permit(permit).await.unwrap();
        }
    });
}
