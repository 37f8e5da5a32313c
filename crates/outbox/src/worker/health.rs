//! Whether the service and the credentials work, as the sends of a worker show.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::verdict::Failure;
use crate::schedule::PROBE_DELAY;

/// The number of lanes that fail in a row before the service counts as down.
const LANES_OF_AN_OUTAGE: usize = 2;

/// The number of sends without a connection in a row before the service counts as down.
const SENDS_OF_AN_OUTAGE: u32 = 3;

/// The delays after rejected credentials: the first, and the maximum.
const CREDENTIALS_DELAYS: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(15 * 60));

/// The health of the service, shared by the tasks of a worker.
#[derive(Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// The lanes that failed since the last success.
    failed: HashSet<String>,
    /// The number of sends without a connection in a row.
    unconnected: u32,
    outage: Option<Outage>,
    /// The last delay after a failed token request.
    credentials_delay: Option<Duration>,
    no_token_until: Option<Instant>,
}

/// A service that is down.
struct Outage {
    next_probe: Instant,
    is_probing: bool,
    /// The lane of the last probe. The next one prefers another.
    probed: Option<String>,
}

/// A permission to send.
#[derive(Debug, PartialEq)]
pub(crate) enum Admission {
    /// Everything works.
    Open,
    /// The service is down, and this send finds out whether it is up again.
    Probe { avoid: Option<String> },
}

impl Admission {
    pub(crate) fn is_probe(&self) -> bool {
        matches!(self, Self::Probe { .. })
    }

    /// Returns the lane that the send should avoid.
    pub(crate) fn avoid(&self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Probe { avoid } => avoid.clone(),
        }
    }
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a send is allowed.
    pub(crate) async fn admission(&self) -> Admission {
        loop {
            let changed = self.changed.notified();
            let wait = match self.state().admission(Instant::now()) {
                Ok(admission) => return admission,
                Err(until) => until,
            };
            match wait {
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Ends an admission that led to no send.
    pub(crate) fn unused(&self, admission: &Admission) {
        if admission.is_probe() {
            if let Some(outage) = &mut self.state().outage {
                outage.is_probing = false;
            }
            self.changed.notify_waiters();
        }
    }

    /// Records the result of a send, which may have been a probe.
    pub(crate) fn ended(&self, lane: &str, failure: Failure, was_probe: bool) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(outage) = state.outage.as_mut().filter(|_| was_probe) {
            outage.is_probing = false;
            outage.next_probe = now + PROBE_DELAY;
            outage.probed = Some(lane.to_owned());
        }
        match failure {
            Failure::Unrelated => {}
            Failure::None => {
                if state.outage.is_some() {
                    tracing::info!("the service is available again");
                }
                *state = State::default();
            }
            Failure::Service | Failure::Connection => {
                state.failed.insert(lane.to_owned());
                state.unconnected = match failure {
                    Failure::Connection => state.unconnected.saturating_add(1),
                    _ => 0,
                };
                // A single message can make the service fail, but not its connections.
                let is_down = state.failed.len() >= LANES_OF_AN_OUTAGE
                    || state.unconnected >= SENDS_OF_AN_OUTAGE;
                if state.outage.is_none() && is_down {
                    tracing::warn!("the service is down; probing it every 30 s");
                    state.outage = Some(Outage {
                        next_probe: now + PROBE_DELAY,
                        is_probing: false,
                        probed: Some(lane.to_owned()),
                    });
                }
            }
            // Other sends of the same moment failed for the same reason.
            Failure::Credentials if state.no_token_until.is_some_and(|until| until > now) => {}
            Failure::Credentials => {
                let (first, maximum) = CREDENTIALS_DELAYS;
                let delay = state.credentials_delay.map_or(first, |delay| delay * 2).min(maximum);
                tracing::error!(
                    delay_s = delay.as_secs(),
                    "no access token; the outbox sends nothing until then, check the credentials"
                );
                state.credentials_delay = Some(delay);
                state.no_token_until = Some(now + delay);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    /// Returns the admission, or the time to wait for one. `None` waits for a change.
    fn admission(&mut self, now: Instant) -> Result<Admission, Option<Instant>> {
        if let Some(until) = self.no_token_until.filter(|until| *until > now) {
            return Err(Some(until));
        }
        match &mut self.outage {
            None => Ok(Admission::Open),
            Some(outage) if outage.is_probing => Err(None),
            Some(outage) if outage.next_probe > now => Err(Some(outage.next_probe)),
            Some(outage) => {
                outage.is_probing = true;
                Ok(Admission::Probe { avoid: outage.probed.clone() })
            }
        }
    }
}
