//! What a service goes through in a simulation: calm, single faults, and spells in which one fault
//! rules.

use std::ops::Range;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::model::{Reply, ScriptedOutcome, TokenFate};

/// How long a simulation lasts: sends begin in its first half.
pub const LENGTH: Duration = Duration::from_secs(600);

/// Draws what becomes of messages and of token requests.
#[derive(Clone)]
pub struct FaultSchedule {
    /// How likely a fault is outside the spells.
    trouble: f64,
    spells: Vec<(Range<Duration>, ScriptedOutcome)>,
    token_trouble: f64,
    token_spells: Vec<(Range<Duration>, TokenFate)>,
    token_life: Duration,
}

impl FaultSchedule {
    pub fn sample(rng: &mut StdRng) -> Self {
        let trouble = [0.0, 0.02, 0.2, 0.6, 1.0];
        let token_trouble = [0.0, 0.0, 0.1, 0.5];
        Self {
            trouble: trouble[rng.gen_range(0..trouble.len())],
            spells: (0..rng.gen_range(0..3)).map(|_| (spell(rng), fault(rng))).collect(),
            token_trouble: token_trouble[rng.gen_range(0..token_trouble.len())],
            token_spells: (0..rng.gen_range(0..2))
                .map(|_| (spell(rng), token_fault(rng)))
                .collect(),
            token_life: Duration::from_secs(rng.gen_range(20..400)),
        }
    }

    pub fn fate(&self, rng: &mut StdRng, at: Duration) -> ScriptedOutcome {
        match self.spells.iter().find(|(time, _)| time.contains(&at)) {
            // Hardly an outage lets nothing through.
            Some((_, fate)) if rng.gen_bool(0.95) => fate.clone(),
            _ if rng.gen_bool(self.trouble) => fault(rng),
            _ => ScriptedOutcome::Answered(Reply { after: short(rng), ..Reply::accepted() }),
        }
    }

    pub fn token_fate(&self, rng: &mut StdRng, at: Duration) -> TokenFate {
        match self.token_spells.iter().find(|(time, _)| time.contains(&at)) {
            Some((_, fate)) => fate.clone(),
            None if rng.gen_bool(self.token_trouble) => token_fault(rng),
            None => TokenFate::Issued(self.token_life),
        }
    }
}

fn spell(rng: &mut StdRng) -> Range<Duration> {
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
        7 => ScriptedOutcome::Answered(Reply {
            after: Duration::from_secs(rng.gen_range(1..60)),
            ..Reply::accepted()
        }),
        8 => ScriptedOutcome::Answered(Reply {
            body_lost: true,
            after: short(rng),
            ..Reply::accepted()
        }),
        9 => {
            let body = r#"{"Meta":{"Errors":[{"ID":1,"Text":"no"}]}}"#;
            ScriptedOutcome::Answered(Reply { body, ..Reply::new(200) })
        }
        10 => answered(rng, &[302, 400, 403, 404, 413, 422], false),
        11 => answered(rng, &[429], false),
        12 => unavailable(rng, accepted),
        13 => answered(rng, &[500, 502, 504], accepted),
        14 => answered(rng, &[408, 421, 425], false),
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
            ScriptedOutcome::Answered(Reply {
                after: short(rng),
                body_lost: rng.gen_bool(0.2),
                ..reply
            })
        }
        _ => {
            // One of several destinations may have it.
            let body = r#"{"Meta":{"Logs":[{"ID":"1"}],"Errors":[{"ID":1,"Text":"no"}]}}"#;
            ScriptedOutcome::Answered(Reply { accepted, body, ..Reply::new(200) })
        }
    }
}

/// A gateway sends 503 also after the service took the message, but then without `Retry-After`.
fn unavailable(rng: &mut StdRng, accepted: bool) -> ScriptedOutcome {
    match answered(rng, &[503], accepted) {
        // A value that is neither a number nor a date counts as missing.
        ScriptedOutcome::Answered(reply)
            if reply.retry_after.as_deref().is_some_and(|asked| asked != "soon") =>
        {
            ScriptedOutcome::Answered(Reply { accepted: false, ..reply })
        }
        fate => fate,
    }
}

/// A 2xx that leaves the outcome open: compressed, with or without errors in it, or before the
/// whole message was sent.
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

fn answered(rng: &mut StdRng, statuses: &[u16], accepted: bool) -> ScriptedOutcome {
    let retry_after = match rng.gen_range(0..8) {
        0 => Some(rng.gen_range(0..5).to_string()),
        1 => Some(rng.gen_range(5..=120).to_string()),
        2 => Some(rng.gen_range(121..10_000).to_string()),
        // Dates that are past or far off, in two of their forms: what they ask for does not hang on
        // the moment.
        3 => Some("Sunday, 06-Nov-94 08:49:37 GMT".to_owned()),
        4 => Some("Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
        5 => Some("soon".to_owned()),
        _ => None,
    };
    let status = statuses[rng.gen_range(0..statuses.len())];
    ScriptedOutcome::Answered(Reply {
        accepted,
        retry_after,
        after: short(rng),
        ..Reply::new(status)
    })
}

fn token_fault(rng: &mut StdRng) -> TokenFate {
    match rng.gen_range(0..13) {
        0 => TokenFate::Answered(401, None),
        12 => TokenFate::Answered([408, 421, 425][rng.gen_range(0..3)], None),
        1..=3 => TokenFate::Cut,
        4..=5 => TokenFate::Hangs,
        6..=7 => TokenFate::Answered(429, Some(rng.gen_range(0..200))),
        _ => TokenFate::Answered(503, None),
    }
}
