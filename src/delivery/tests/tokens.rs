//! Tests of the token that many sends share, over hours of paused time.

use std::pin::pin;
use std::sync::atomic::Ordering;

use tokio::time::sleep_until;

use super::service::*;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_thousand_cold_sends_make_one_token_request() {
    let (service, sender) = serve(Service::new(|_| Act::Issue));
    let receipts = send_at_once(&sender, 1_000).await;
    assert!(receipts.iter().all(|receipt| receipt.attempts().len() == 1));
    println!("1,000 cold sends: {} token request", service.requests().len());
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_sends_with_one_revoked_token_make_one_more_request() {
    let (service, sender) = serve(Service::new(|_| Act::Issue));
    send_at_once(&sender, 1).await;
    service.revoke_all();
    let receipts = send_at_once(&sender, 1_000).await;
    for receipt in &receipts {
        let statuses: Vec<_> =
            receipt.attempts().iter().map(|attempt| attempt.status.unwrap()).collect();
        assert_eq!(statuses, [401, 200]);
    }
    println!(
        "1,000 sends with a revoked token: {} token request more",
        service.requests().len() - 1
    );
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn sends_of_a_day_never_meet_an_expired_token() {
    let (service, sender) = serve(Service::new(|_| Act::Issue));
    let sends =
        std::env::var("PUSHSLOTS_TOKEN_SENDS").map_or(200_000, |sends| sends.parse().unwrap());
    // Several at a time, so that many sends meet each renewal.
    let day = 1_440 * MINUTE;
    let bursts = 20_000;
    let at_a_time = sends / bursts as usize;
    for burst in 1..=bursts {
        send_at_once(&sender, at_a_time).await;
        sleep_until(service.began + day * burst / bursts).await;
    }
    let requests = service.requests();
    let expired = service.expired.load(Ordering::Relaxed);
    let shortest = requests.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    println!(
        "{sends} sends in 24 h: {expired} with an expired token, {} token requests, no two within \
         {shortest:?}",
        requests.len()
    );
    let accepted = service.accepted.load(Ordering::Relaxed);
    assert_eq!((accepted, expired), ((at_a_time * bursts as usize) as _, 0));
    assert!(requests.len() as u64 <= day.as_secs() / 220);
    assert!(shortest >= Duration::from_secs(220));
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_is_down_for_ten_minutes_costs_nothing_while_a_token_is_valid() {
    // Down from before the token is due for renewal until shortly before it expires.
    let down = Duration::from_secs(2_860)..Duration::from_secs(3_460);
    let act = move |at| if down.contains(&at) { Act::Response(503, "", "") } else { Act::Issue };
    let (service, sender) = serve(Service::new(act).life(3_600.0));
    let sent = send_for(&sender, Duration::from_secs(4_000), SECOND / 5).await;
    for sent in &sent {
        assert_eq!(sent.result.as_ref().unwrap().attempts().len(), 1);
        assert!(
            sent.took < Duration::from_millis(100),
            "no send waits for a renewal that fails: {:?}",
            sent.took
        );
    }
    let requests = service.requests();
    println!(
        "10 minutes without a token endpoint, with a token: 0 errors, {} requests",
        requests.len() - 2
    );
    assert!((3..=40).contains(&requests.len()), "{requests:?}");
    assert!(
        service.expired.load(Ordering::Relaxed) == 0 && service.issued.lock().unwrap().len() == 2
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_token_endpoint_a_token_lasts_until_its_last_twenty_seconds() {
    for act in
        [Act::Response(503, "", ""), Act::Reset, Act::Hang, Act::Response(400, "", REJECTION)]
    {
        let down = SECOND..10 * MINUTE;
        let act = move |at| if down.contains(&at) { act.clone() } else { Act::Issue };
        let (service, sender) = serve(Service::new(act));
        let sent = send_for(&sender, 5 * MINUTE, SECOND / 10).await;
        for Sent { began, result, .. } in sent {
            let at = began - service.began;
            if at < Duration::from_secs(279) {
                assert_eq!(result.unwrap().attempts().len(), 1, "sent at {at:?}");
            } else if at > Duration::from_secs(281) {
                assert_eq!(result.unwrap_err().delivery(), Delivery::NotSent, "sent at {at:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sends_do_not_make_an_outage_of_a_token_endpoint_that_responds_worse() {
    meet_an_outage_of_tokens([Act::Response(503, "", ""), Act::Response(429, "0", "")]).await;
}

#[tokio::test(start_paused = true)]
async fn sends_do_not_make_an_outage_of_a_token_endpoint_that_does_not_respond_worse() {
    meet_an_outage_of_tokens([Act::Reset, Act::Hang]).await;
}

async fn meet_an_outage_of_tokens(acts: [Act; 2]) {
    for act in acts {
        let failing = act.clone();
        let act = move |at| if at < 10 * MINUTE { failing.clone() } else { Act::Issue };
        let (service, sender) = serve(Service::new(act));
        let sent = send_for(&sender, 11 * MINUTE, SECOND / 20).await;
        let in_outage = service.requests().iter().filter(|at| **at < 10 * MINUTE).count();
        println!(
            "10 minutes without a token endpoint or a token, 12,000 sends: {in_outage} requests"
        );
        // Delays that grow to between 15 s and 30 s allow about 32 requests in 10 minutes, and
        // fewer if each hangs.
        assert!((10..=36).contains(&in_outage), "{in_outage} requests");
        for Sent { began, result, .. } in sent {
            match result {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.delivery(), Delivery::NotSent);
                    assert!(error.is_retryable(), "{error}");
                    assert!(began - service.began < 10 * MINUTE, "sent after the outage: {error}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_all_sends_share_is_no_attempt_of_any() {
    for _ in 0..20 {
        let act = |at| if at < 8 * SECOND { Act::Response(503, "", "") } else { Act::Issue };
        let (service, sender) = serve(Service::new(act));
        let sent = send_for(&sender, 10 * SECOND, SECOND / 10).await;
        let failing = service.requests().len() - 1;
        for Sent { began, result, .. } in sent {
            let attempts = match &result {
                Ok(receipt) => receipt.attempts(),
                Err(error) => error.attempts(),
            };
            let failed = attempts.iter().filter(|attempt| attempt.delivery == Delivery::NotSent);
            assert!(failed.clone().count() <= failing);
            for attempt in failed {
                // Each of these attempts shared a request that the endpoint responded to.
                assert_eq!(
                    attempt.error.as_deref(),
                    Some("no access token: the endpoint responded with 503")
                );
            }
            let at = began - service.began;
            assert!(result.is_ok() || at < 2 * SECOND, "sent at {at:?}: {result:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_begin_small_again_once_there_was_a_token() {
    let act = |at: Duration| match at.as_secs() {
        0..60 | 120..130 => Act::Response(503, "", ""),
        _ => Act::Issue,
    };
    let (service, sender) = serve(Service::new(act).life(20.0));
    send_for(&sender, 130 * SECOND, SECOND / 10).await;
    let requests = service.requests();
    let last = requests.iter().filter(|at| **at < MINUTE).count();
    assert!(requests[last - 1] - requests[last - 2] > 5 * SECOND, "{requests:?}");
    let second = requests.iter().position(|at| *at >= 2 * MINUTE).unwrap();
    let pause = requests[second + 1] - requests[second];
    assert!(pause < SECOND, "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_send_that_can_not_wait_for_a_token_says_when_to_come_back() {
    let (service, sender) = serve(Service::new(|_| Act::Response(503, "20", "")));
    let policy = Policy { deadline: 5 * SECOND, ..patient() };
    // The rest of `Retry-After`, plus less than a second of jitter.
    for (asked, words) in [
        (21, "no access token: the endpoint responded with 503"),
        (18, "no access token, and none is requested yet: the"),
    ] {
        let error = sender.deliver(&message(), &policy, SendContext::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
        assert_eq!(error.retry_after().unwrap().as_millis().div_ceil(1_000), asked);
        assert!(error.to_string().contains(words), "{error}");
        sleep(3 * SECOND).await;
    }
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endless_retry_after_does_not_lock_the_client_out() {
    let act = |at| if at < SECOND { Act::Response(429, "86400", "") } else { Act::Issue };
    let (service, sender) = serve(Service::new(act));
    let first = sender.deliver(&message(), &patient(), SendContext::default()).await.unwrap_err();
    assert_eq!(first.retry_after(), Some(Duration::from_secs(86_400)));
    sleep(119 * SECOND).await;
    sender.deliver(&message(), &patient(), SendContext::default()).await.unwrap_err();
    sleep(SECOND).await;
    sender.deliver(&message(), &patient(), SendContext::default()).await.unwrap();
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_is_remembered_for_a_short_while() {
    let (service, sender) = serve(Service::new(|_| Act::Response(401, "", REJECTION)));
    let mut remembered = 0;
    for Sent { result, .. } in send_for(&sender, 25 * SECOND, SECOND / 100).await {
        let error = result.unwrap_err();
        remembered += usize::from(
            error
                .to_string()
                .contains("no access token, and none is requested during the cooldown: "),
        );
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Credentials, false));
        assert_eq!((error.attempts().len(), error.retry_after()), (1, None));
        assert_eq!(error.oauth_error().unwrap().error, "invalid_client");
    }
    assert_eq!(service.requests().len(), 3, "one for each 10 s");
    assert!(remembered > 2_000, "the others end without a request: {remembered}");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_holds_up_one_send_for_a_moment() {
    let act = |at| if at < MINUTE { Act::Issue } else { Act::Hang };
    let (service, sender) = serve(Service::new(act));
    send_at_once(&sender, 1).await;
    sleep(220 * SECOND).await;
    // Sends with little time left get through too.
    let policy = Policy { deadline: SECOND / 2, ..patient() };
    let mut held_up = 0;
    while service.began.elapsed() < Duration::from_secs(279) {
        let began = Instant::now();
        assert_eq!(
            sender
                .deliver(&message(), &policy, SendContext::default())
                .await
                .unwrap()
                .attempts()
                .len(),
            1
        );
        held_up += usize::from(began.elapsed() > SECOND / 10);
        sleep(SECOND / 10).await;
    }
    assert_eq!(held_up, service.requests().len() - 1, "one send for each renewal that began");
    assert!((1..=3).contains(&held_up), "{held_up}");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_carried_on_by_later_sends_when_the_one_that_began_it_is_dropped() {
    let mut service = Service::new(|_| Act::Issue);
    service.token_time = Duration::from_millis(500);
    let (service, sender) = serve(service);
    send_at_once(&sender, 1).await;
    sleep(255 * SECOND).await;
    let message = message();
    let policy = patient();
    {
        let mut dropped = pin!(sender.deliver(&message, &policy, SendContext::default()));
        poll_once(dropped.as_mut()).await;
    }
    for _ in 0..40 {
        send_at_once(&sender, 1).await;
    }
    assert_eq!(service.requests().len(), 2);
    assert_eq!(service.issued.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_neither_ends_nor_repeats_the_request_that_others_wait_for() {
    let (service, sender) = serve(Service::new(|_| Act::Issue));
    let mut waiting: Vec<_> = (0..20).map(|_| tokio::spawn(send(sender.clone()))).collect();
    sleep(Duration::from_millis(10)).await;
    // The first one began the request; the others only wait for it.
    for dropped in waiting.drain(..15) {
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
    }
    for send in waiting {
        assert_eq!(
            send.await.unwrap().took,
            Duration::from_millis(70),
            "the request was not begun anew"
        );
    }
    assert_eq!(service.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_every_send_dropped_is_taken_up_again_while_its_time_lasts() {
    // After 20 s a token that lives for 5 s has expired.
    for (pause, life, requests) in [(20, 300.0, 1), (31, 300.0, 2), (20, 5.0, 2)] {
        let (service, sender) = serve(Service::new(|_| Act::Issue).life(life));
        let dropped = tokio::spawn(send(sender.clone()));
        sleep(Duration::from_millis(10)).await;
        dropped.abort();
        sleep(pause * SECOND).await;
        send_at_once(&sender, 1).await;
        assert_eq!(service.requests().len(), requests, "after {pause} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_is_short_missing_or_absurd_is_made_the_best_of() {
    // The stated lifetime, the earliest and the latest renewal, and the real lifetime.
    for (lifetime_members, earliest, latest, life) in [
        (r#","expires_in":1"#, 0.26, 0.3, 1.0),
        (r#","expires_in":8"#, 2.1, 2.4, 8.0),
        (r#","expires_in":"29""#, 7.7, 8.7, 29.0),
        (r#","expires_in":30"#, 8.0, 9.0, 30.0),
        (r#","expires_in":60"#, 32.0, 36.0, 60.0),
        ("", 224.0, 252.0, 300.0),
        (r#","expires_in":0"#, 224.0, 252.0, 300.0),
        (r#","expires_in":-5"#, 224.0, 252.0, 300.0),
        (r#","expires_in":null"#, 224.0, 252.0, 300.0),
        (r#","expires_in":"soon""#, 224.0, 252.0, 300.0),
        (r#","expires_in":99999999999"#, 224.0, 252.0, 300.0),
        (r#","expires_in":3600"#, 2_864.0, 3_222.0, 3_600.0),
    ] {
        let mut service = Service::new(|_| Act::Issue).life(life);
        service.lifetime_members = lifetime_members.to_owned();
        let (service, sender) = serve(service);
        let time = Duration::from_secs_f64(latest * 4.0);
        let pace = (time / 1_000).max(Duration::from_millis(10));
        for sent in send_for(&sender, time, pace).await {
            assert_eq!(sent.result.unwrap().attempts().len(), 1);
        }
        assert_eq!(service.expired.load(Ordering::Relaxed), 0, "{lifetime_members}");
        let requests = service.requests();
        assert!(requests.len() >= 4, "{lifetime_members}: {requests:?}");
        for pair in requests.windows(2) {
            let used = (pair[1] - pair[0]).as_secs_f64();
            let latest = latest + 2.0 * pace.as_secs_f64();
            assert!((earliest..latest).contains(&used), "{lifetime_members}: used for {used} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_hardly_lives_longer_than_it_takes_to_get_is_used() {
    for life in [1.0, 2.0, 3.0, 8.0] {
        for part in [0.1, 0.27, 0.29, 0.31, 0.33, 0.35, 0.7, 1.0, 1.5, 2.0] {
            let mut service = Service::new(|_| Act::Issue).life(life);
            service.token_time = Duration::from_secs_f64(life * part);
            let (service, sender) = serve(service);
            for sent in send_for(&sender, MINUTE, SECOND / 20).await {
                assert!(sent.result.is_ok(), "{life} s, {part}: {:?}", sent.result);
                let longest = 2 * service.token_time + 2 * SECOND;
                assert!(sent.took < longest, "{life} s, {part}: {:?}", sent.took);
            }
            let requests = service.requests().len();
            let usual = 60.0 / (life * 0.26).max(life * part);
            assert!(
                requests as f64 <= usual * 2.0 + 2.0,
                "{life} s, {part}: {requests} requests in a minute"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_of_a_fleet_are_spread() {
    let mut renewed = Vec::new();
    for _ in 0..100 {
        let (service, sender) = serve(Service::new(|_| Act::Issue));
        send_at_once(&sender, 1).await;
        sleep(220 * SECOND).await;
        while service.requests().len() < 2 {
            send_at_once(&sender, 1).await;
            sleep(SECOND / 10).await;
        }
        renewed.push(service.requests()[1].as_secs());
    }
    for range in [224..230, 246..253] {
        assert!(renewed.iter().any(|at| range.contains(at)), "{range:?} of {renewed:?}");
    }
    assert!(renewed.iter().all(|at| (224..253).contains(at)), "{renewed:?}");
}
