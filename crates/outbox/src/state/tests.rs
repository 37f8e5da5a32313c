use std::time::Duration;

use pushslots::Delivery;
use uuid::Uuid;

use super::{
    DeadReason, Effects, EntryRecord, EntryState, Event, Ignored, MAX_LOST_LEASES, OnDead, Outcome,
    Verdict,
};
use crate::schedule;
use crate::store::NewEntry;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp(1_000_000);
const KEEP: Effects = Effects { erases_body: false, holds_lane: false };
const ERASE: Effects = Effects { erases_body: true, holds_lane: false };
const HOLD: Effects = Effects { erases_body: false, holds_lane: true };

fn waiting() -> EntryRecord {
    let new = NewEntry { expires: Some(NOW), ..NewEntry::of(Uuid::from_u128(1), "lane") };
    new.into_record(1).0
}

fn in_state(state: EntryState) -> EntryRecord {
    EntryRecord { state, ..waiting() }
}

fn sending() -> EntryRecord {
    in_state(EntryState::Sending { lease: 5 })
}

fn ended(delivery: Delivery, verdict: Verdict) -> Event {
    Event::Ended { lease: 5, outcome: Outcome { delivery, verdict, attempts: 1 } }
}

/// Applies an event without jitter.
fn apply(entry: &mut EntryRecord, event: Event) -> Result<Effects, Ignored> {
    entry.apply(event, NOW, 0.5)
}

#[test]
fn failed_probe_waits_for_the_next_probe() {
    let (mut entry, lease) = (sending(), 5);
    for _ in 0..9 {
        let verdict = Verdict::Retry { at_least: Duration::ZERO, is_probe: true };
        let outcome = Outcome { delivery: Delivery::NotSent, verdict, attempts: 1 };
        entry.apply(Event::Ended { lease, outcome }, NOW, 0.9).unwrap();
        assert_eq!(entry.due, NOW.after(schedule::PROBE_DELAY));
        entry.apply(Event::Begun { lease }, NOW, 0.0).unwrap();
    }
    assert_eq!(entry.failures, 9);
}

#[test]
fn each_end_of_a_send_leads_to_its_state() {
    let retry = Verdict::Retry { at_least: Duration::ZERO, is_probe: false };
    let blocked = Verdict::Blocked { delay: Duration::from_secs(9) };
    let dead = EntryState::Dead;
    use Delivery::{Accepted, NotSent, Rejected, Unknown};
    for (delivery, verdict, state, effects) in [
        (Accepted, Verdict::Accepted, EntryState::Accepted, ERASE),
        (Rejected, Verdict::Final, dead(DeadReason::Rejected), KEEP),
        (NotSent, Verdict::Final, dead(DeadReason::Rejected), KEEP),
        // A rejection after an unknown attempt.
        (Unknown, Verdict::Final, dead(DeadReason::Rejected), KEEP),
        // Errors next to log ids, under either policy.
        (Unknown, Verdict::FinalUnknown, dead(DeadReason::Unknown), KEEP),
        (Unknown, Verdict::StopOnUnknown, dead(DeadReason::Unknown), HOLD),
        (NotSent, Verdict::Invalid, dead(DeadReason::Invalid), KEEP),
        (NotSent, blocked, EntryState::Waiting, KEEP),
        (NotSent, retry, EntryState::Waiting, KEEP),
        (Rejected, retry, EntryState::Waiting, KEEP),
        (Unknown, retry, EntryState::Waiting, KEEP),
    ] {
        let mut entry = sending();
        assert_eq!(apply(&mut entry, ended(delivery, verdict)), Ok(effects), "{verdict:?}");
        assert_eq!((entry.state, entry.delivery), (state, Some(delivery)), "{verdict:?}");
        assert_eq!((entry.attempts, entry.changed), (1, NOW));
    }
}

#[test]
fn due_time_follows_the_schedule_and_retry_after() {
    let mut entry = sending();
    for seconds in [5, 15, 60, 300, 900, 900, 900] {
        entry.state = EntryState::Sending { lease: 5 };
        let retry = Verdict::Retry { at_least: Duration::ZERO, is_probe: false };
        apply(&mut entry, ended(Delivery::NotSent, retry)).unwrap();
        assert_eq!(entry.due.since(NOW), Duration::from_secs(seconds));
    }
    assert_eq!(entry.failures, 7);
    let hour = Duration::from_secs(3_600);
    for verdict in
        [Verdict::Retry { at_least: hour, is_probe: false }, Verdict::Blocked { delay: hour }]
    {
        let mut entry = sending();
        apply(&mut entry, ended(Delivery::Rejected, verdict)).unwrap();
        assert_eq!(entry.due.since(NOW), hour);
        let counts = matches!(verdict, Verdict::Retry { .. });
        assert_eq!(entry.failures, u32::from(counts), "{verdict:?}");
    }
    // The delays vary by a tenth.
    for (random, milliseconds) in [(0.0, 4_500), (0.999_999, 5_499)] {
        assert_eq!(schedule::delay(1, random).as_millis(), milliseconds);
    }
}

#[test]
fn entry_is_abandoned_a_day_after_its_first_failure() {
    let retry = Verdict::Retry { at_least: Duration::ZERO, is_probe: false };
    let mut entry = sending();
    apply(&mut entry, ended(Delivery::NotSent, retry)).unwrap();
    // After two failures the outbox may have been off for a day.
    entry.state = EntryState::Sending { lease: 5 };
    entry
        .apply(ended(Delivery::NotSent, retry), NOW.after(schedule::ABANDONED_AFTER), 0.5)
        .unwrap();
    assert_eq!(entry.state, EntryState::Waiting);
    entry.failures = schedule::MIN_FAILURES;
    for (time, state) in [
        (schedule::ABANDONED_AFTER - Duration::from_secs(1), EntryState::Waiting),
        (schedule::ABANDONED_AFTER, EntryState::Dead(DeadReason::Abandoned)),
    ] {
        entry.state = EntryState::Sending { lease: 5 };
        entry.apply(ended(Delivery::NotSent, retry), NOW.after(time), 0.5).unwrap();
        assert_eq!(entry.state, state, "after {time:?}");
    }
    // A replay starts anew, and keeps attempts and certainty.
    entry.delivery = Some(Delivery::Unknown);
    apply(&mut entry, Event::Replayed).unwrap();
    assert_eq!((entry.state, entry.attempts), (EntryState::Waiting, 4));
    assert_eq!((entry.failures, entry.failing_since, entry.expires), (0, None, None));
    assert_eq!(entry.delivery, Some(Delivery::Unknown));
}

#[test]
fn lost_lease_is_unknown_and_the_fifth_is_poison() {
    let mut entry = waiting();
    for lost in 1..=MAX_LOST_LEASES {
        assert_eq!(entry.state, EntryState::Waiting);
        apply(&mut entry, Event::Begun { lease: lost.into() }).unwrap();
        apply(&mut entry, Event::LeaseLost { lease: lost.into() }).unwrap();
        assert_eq!((entry.delivery, entry.attempts), (Some(Delivery::Unknown), lost));
    }
    assert_eq!(entry.state, EntryState::Dead(DeadReason::Poison));
    // Another lease than the current one changes nothing.
    assert_eq!(apply(&mut sending(), Event::LeaseLost { lease: 4 }), Err(Ignored));
}

#[test]
fn late_acceptance_ends_an_entry_in_any_state() {
    let late = Event::Ended {
        lease: 4,
        outcome: Outcome { delivery: Delivery::Accepted, verdict: Verdict::Accepted, attempts: 2 },
    };
    let by = Uuid::nil();
    for state in [
        EntryState::Waiting,
        EntryState::Sending { lease: 5 },
        EntryState::Dead(DeadReason::Abandoned),
        EntryState::Superseded { by },
        EntryState::Cancelled,
    ] {
        let mut entry = in_state(state);
        assert_eq!(apply(&mut entry, late), Ok(ERASE), "{state:?}");
        assert_eq!((entry.state, entry.attempts), (EntryState::Accepted, 2));
        // The other send's end is evidence, and changes nothing else.
        let other = ended(Delivery::Rejected, Verdict::Final);
        assert_eq!(apply(&mut entry, other), Ok(KEEP));
        assert_eq!((entry.state, entry.attempts), (EntryState::Accepted, 3));
        assert_eq!(entry.delivery, Some(Delivery::Accepted));
        for event in [Event::Begun { lease: 9 }, Event::Replayed, Event::Expired] {
            assert_eq!(apply(&mut entry, event), Err(Ignored), "it is never sent again");
        }
    }
}

#[test]
fn other_late_ends_only_add_attempts() {
    let retry = Verdict::Retry { at_least: Duration::ZERO, is_probe: false };
    for state in [EntryState::Waiting, EntryState::Sending { lease: 6 }, EntryState::Cancelled] {
        let mut entry = in_state(state);
        assert_eq!(apply(&mut entry, ended(Delivery::Unknown, retry)), Ok(KEEP));
        assert_eq!((entry.state, entry.attempts, entry.failures), (state, 1, 0));
        assert_eq!(entry.delivery, Some(Delivery::Unknown));
    }
}

#[test]
fn doubt_stays_until_an_acceptance() {
    use Delivery::{Accepted, NotSent, Rejected, Unknown};
    for (deliveries, expected) in [
        (&[NotSent, Rejected][..], Rejected),
        (&[Rejected, NotSent], Rejected),
        (&[Unknown, Rejected, NotSent], Unknown),
        (&[Unknown, Accepted], Accepted),
    ] {
        let mut entry = sending();
        for delivery in deliveries {
            entry.state = EntryState::Sending { lease: 5 };
            let retry = Verdict::Retry { at_least: Duration::ZERO, is_probe: false };
            apply(&mut entry, ended(*delivery, retry)).unwrap();
        }
        assert_eq!(entry.delivery, Some(expected), "{deliveries:?}");
    }
    // A send without attempts proves nothing.
    let mut entry = sending();
    let outcome = Outcome {
        delivery: NotSent,
        verdict: Verdict::Blocked { delay: Duration::ZERO },
        attempts: 0,
    };
    apply(&mut entry, Event::Ended { lease: 5, outcome }).unwrap();
    assert_eq!(entry.delivery, None);
}

#[test]
fn only_waiting_entries_are_begun_cancelled_superseded_or_expired() {
    let by = Uuid::from_u128(2);
    let begun = Event::Begun { lease: 7 };
    for (event, state, effects) in [
        (begun, EntryState::Sending { lease: 7 }, KEEP),
        (Event::Cancelled, EntryState::Cancelled, ERASE),
        (Event::Superseded { by }, EntryState::Superseded { by }, ERASE),
        (Event::Expired, EntryState::Dead(DeadReason::Expired), KEEP),
    ] {
        let mut entry = waiting();
        assert_eq!(apply(&mut entry, event), Ok(effects));
        assert_eq!(entry.state, state);
        for other in [
            EntryState::Sending { lease: 5 },
            EntryState::Accepted,
            EntryState::Cancelled,
            EntryState::Superseded { by },
            EntryState::Dead(DeadReason::Rejected),
        ] {
            let mut entry = in_state(other);
            assert_eq!(apply(&mut entry, event), Err(Ignored), "{event:?} in {other:?}");
            assert_eq!(entry, in_state(other));
        }
    }
    assert_eq!(apply(&mut waiting(), Event::Replayed), Err(Ignored));
}

#[test]
fn dead_letter_holds_its_lane_if_asked_unless_it_expired() {
    let mut entry = EntryRecord { on_dead: OnDead::Hold, ..sending() };
    assert_eq!(apply(&mut entry, ended(Delivery::Rejected, Verdict::Final)), Ok(HOLD));
    let mut entry = EntryRecord { on_dead: OnDead::Hold, ..waiting() };
    assert_eq!(apply(&mut entry, Event::Expired), Ok(KEEP));
}
