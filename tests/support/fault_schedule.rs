//! The faults of a service in a simulation: none, single ones, or outages in which most requests
//! fail in one way.

use std::ops::Range;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::model::{Reply, ScriptedOutcome, TokenOutcome};

/// The length of a simulation. Sends begin in its first half.
pub const LENGTH: Duration = Duration::from_secs(600);

/// Draws the outcomes of messages and token requests.
#[derive(Clone)]
pub struct FaultSchedule {
    /// The probability of a fault outside an outage.
    fault_rate: f64,
    outages: Vec<(Range<Duration>, ScriptedOutcome)>,
    token_fault_rate: f64,
    token_outages: Vec<(Range<Duration>, TokenOutcome)>,
    token_life: Duration,
}

impl FaultSchedule {
    pub fn sample(rng: &mut StdRng) -> Self {
        let fault_rate = [0.0, 0.02, 0.2, 0.6, 1.0];
        let token_fault_rate = [0.0, 0.0, 0.1, 0.5];
        Self {
            fault_rate: fault_rate[rng.gen_range(0..fault_rate.len())],
            outages: (0..rng.gen_range(0..3)).map(|_| (outage_time(rng), fault(rng))).collect(),
            token_fault_rate: token_fault_rate[rng.gen_range(0..token_fault_rate.len())],
            token_outages: (0..rng.gen_range(0..2))
                .map(|_| (outage_time(rng), token_fault(rng)))
                .collect(),
            token_life: Duration::from_secs(rng.gen_range(20..400)),
        }
    }

    pub fn outcome(&self, rng: &mut StdRng, at: Duration) -> ScriptedOutcome {
        match self.outages.iter().find(|(time, _)| time.contains(&at)) {
            // Some messages get through in most outages.
            Some((_, outcome)) if rng.gen_bool(0.95) => outcome.clone(),
            _ if rng.gen_bool(self.fault_rate) => fault(rng),
            _ => ScriptedOutcome::Response(Reply { after: short(rng), ..Reply::accepted() }),
        }
    }

    pub fn token_outcome(&self, rng: &mut StdRng, at: Duration) -> TokenOutcome {
        match self.token_outages.iter().find(|(time, _)| time.contains(&at)) {
            Some((_, outcome)) => outcome.clone(),
            None if rng.gen_bool(self.token_fault_rate) => token_fault(rng),
            None => TokenOutcome::Issued(self.token_life),
        }
    }
}

fn outage_time(rng: &mut StdRng) -> Range<Duration> {
    let from = Duration::from_secs(rng.gen_range(0..300));
    from..from + Duration::from_secs(rng.gen_range(1..200))
}

fn short(rng: &mut StdRng) -> Duration {
    Duration::from_millis(rng.gen_range(1..500))
}

fn fault(rng: &mut StdRng) -> ScriptedOutcome {
    let accepted = rng.gen_bool(0.5);
    match rng.gen_range(0..19) {
        0 => ScriptedOutcome::NoConnection,
        1 => ScriptedOutcome::NeverLeaves,
        2 | 3 => ScriptedOutcome::Cut { accepted },
        4 => ScriptedOutcome::Hangs { accepted },
        5 => ScriptedOutcome::HangsForEver { accepted },
        6 => ScriptedOutcome::Revoked,
        7 => ScriptedOutcome::Response(Reply {
            after: Duration::from_secs(rng.gen_range(1..60)),
            ..Reply::accepted()
        }),
        8 => ScriptedOutcome::Response(Reply {
            body_lost: true,
            after: short(rng),
            ..Reply::accepted()
        }),
        9 => {
            let body = r#"{"Meta":{"Errors":[{"ID":1,"Text":"no"}]}}"#;
            ScriptedOutcome::Response(Reply { body, ..Reply::new(200) })
        }
        10 => with_status(rng, &[302, 400, 403, 404, 413, 422], false),
        11 => with_status(rng, &[429], false),
        12 => unavailable(rng, accepted),
        13 => with_status(rng, &[500, 502, 504], accepted),
        14 => with_status(rng, &[408, 421, 425], false),
        15 => {
            if rng.gen_bool(0.5) {
                ScriptedOutcome::Closed
            } else {
                ScriptedOutcome::NotProcessed
            }
        }
        16 | 17 => {
            let reply = if rng.gen_bool(0.5) {
                Reply::block_page(accepted)
            } else {
                unreadable(rng, accepted)
            };
            ScriptedOutcome::Response(Reply {
                after: short(rng),
                body_lost: rng.gen_bool(0.2),
                ..reply
            })
        }
        _ => {
            // One of several destinations may have the message.
            let body = r#"{"Meta":{"Logs":[{"ID":"1"}],"Errors":[{"ID":1,"Text":"no"}]}}"#;
            ScriptedOutcome::Response(Reply { accepted, body, ..Reply::new(200) })
        }
    }
}

/// A gateway may send 503 after the service accepted the message, but then without `Retry-After`.
fn unavailable(rng: &mut StdRng, accepted: bool) -> ScriptedOutcome {
    match with_status(rng, &[503], accepted) {
        // A value that is neither a number nor a date counts as missing.
        ScriptedOutcome::Response(reply)
            if reply.retry_after.as_deref().is_some_and(|value| value != "soon") =>
        {
            ScriptedOutcome::Response(Reply { accepted: false, ..reply })
        }
        outcome => outcome,
    }
}

/// Returns a 2xx response that leaves the outcome unknown, because it is compressed or arrives
/// before the whole message was sent.
fn unreadable(rng: &mut StdRng, accepted: bool) -> Reply {
    match rng.gen_bool(0.5) {
        true => Reply {
            accepted,
            header: Some(("content-encoding", "gzip")),
            body: "\u{1f}",
            ..Reply::new(200)
        },
        false => {
            Reply { accepted, is_early: true, body: Reply::accepted().body, ..Reply::new(200) }
        }
    }
}

fn with_status(rng: &mut StdRng, statuses: &[u16], accepted: bool) -> ScriptedOutcome {
    let retry_after = match rng.gen_range(0..8) {
        0 => Some(rng.gen_range(0..5).to_string()),
        1 => Some(rng.gen_range(5..=120).to_string()),
        2 => Some(rng.gen_range(121..10_000).to_string()),
        // A past and a distant date, in two of the forms. Neither delay depends on the time of the
        // run.
        3 => Some("Sunday, 06-Nov-94 08:49:37 GMT".to_owned()),
        4 => Some("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
        5 => Some("soon".to_owned()),
        _ => None,
    };
    let status = statuses[rng.gen_range(0..statuses.len())];
    ScriptedOutcome::Response(Reply {
        accepted,
        retry_after,
        after: short(rng),
        ..Reply::new(status)
    })
}

fn token_fault(rng: &mut StdRng) -> TokenOutcome {
    match rng.gen_range(0..13) {
        0 => TokenOutcome::Response(401, None),
        12 => TokenOutcome::Response([408, 421, 425][rng.gen_range(0..3)], None),
        1..=3 => TokenOutcome::Cut,
        4..=5 => TokenOutcome::Hangs,
        6..=7 => TokenOutcome::Response(429, Some(rng.gen_range(0..200))),
        _ => TokenOutcome::Response(503, None),
    }
}
