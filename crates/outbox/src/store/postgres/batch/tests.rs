use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use super::pending::Pending;
use super::rounds::Rounds;
use super::{Claim, Request, SendStep};
use crate::store::Lease;
use crate::time::Timestamp;

const FAST: Duration = Duration::from_millis(2);
const SLOW: Duration = Duration::from_millis(10);
const STEPS: (bool, bool) = (true, false);

fn begin() -> Request {
    let lease = Lease { lane: "lane".to_owned(), number: 1 };
    let (reply, _) = oneshot::channel();
    Request::Step(SendStep::Begin { lease, message_id: Uuid::new_v4(), reply })
}

#[test]
fn a_process_rests_the_longer_the_more_others_slow_it_down() {
    let rest_with = |holders| {
        let mut rounds = Rounds::default();
        rounds.set_holders(Some(holders));
        rounds.rest_after(STEPS, FAST);
        rounds.rest_after(STEPS, SLOW)
    };
    assert_eq!(rest_with(0), Duration::ZERO);
    assert_eq!(rest_with(1), Duration::ZERO, "alone, it has nothing to gain");
    let (few, many) = (rest_with(5), rest_with(17));
    assert!(few > Duration::from_millis(7) && few < SLOW, "{few:?}");
    assert!(many > few * 3, "{many:?}");
    assert_eq!(rest_with(i64::MAX), Duration::from_millis(500));
}

#[test]
fn rounds_of_another_kind_are_not_compared() {
    let mut rounds = Rounds::default();
    rounds.set_holders(Some(16));
    rounds.rest_after(STEPS, FAST);
    assert_eq!(rounds.rest_after((true, true), SLOW), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn requests_gather_until_they_are_enough_or_the_rest_is_over() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let mut pending = Pending::default();
    let start = Instant::now();
    let rest = Duration::from_millis(100);
    for _ in 0..2 {
        assert!(sender.send(begin()).is_ok());
    }
    pending.gather(&mut requests, rest, |pending| pending.steps() >= 2).await;
    assert_eq!((pending.steps(), start.elapsed()), (2, Duration::ZERO));

    pending.gather(&mut requests, rest, |pending| pending.steps() >= 3).await;
    assert_eq!(pending.steps(), 2);
    assert!(start.elapsed() >= rest && start.elapsed() < rest * 2, "{:?}", start.elapsed());

    // A round takes no more than 256.
    for _ in 0..300 {
        assert!(sender.send(begin()).is_ok());
    }
    pending.gather(&mut requests, rest, |_| false).await;
    assert_eq!(pending.steps(), 256);
}

#[tokio::test]
async fn claims_that_wait_keep_no_step_from_its_turn() {
    let (sender, mut requests) = mpsc::unbounded_channel();
    let mut pending = Pending::default();
    for _ in 0..256 {
        let (reply, _) = oneshot::channel();
        let claim = Claim { term: SLOW, avoid: None, wall: Timestamp(0), reply };
        assert!(sender.send(Request::Claim(claim)).is_ok());
    }
    assert!(pending.fill(&mut requests).await);
    assert!(pending.begin_round().is_empty());
    assert!(sender.send(begin()).is_ok());
    assert!(pending.fill(&mut requests).await);
    assert_eq!((pending.claims.len(), pending.begin_round().len()), (256, 1));

    drop((sender, std::mem::take(&mut pending.claims)));
    assert!(!pending.fill(&mut requests).await);
}
