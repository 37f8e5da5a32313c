//! The task that takes permits from the database.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::Permit;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::{DELAYS, Event, Limit, Wanted, lock};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::link::Link;
use crate::store::postgres::row::milliseconds;

/// The maximum number of permits that one transaction takes.
const MAX_WANTED: usize = 25;

/// The time for which a permit counts if its process ends before it reports the end of the request.
const LONGEST: Duration = Duration::from_secs(600);

/// The time for which an unused permit is kept for the next request of the same process.
const SPARE: Duration = Duration::from_secs(10);

/// The delay after a failure of the database.
const RETRY: Duration = Duration::from_millis(500);

/// Permits that one transaction took.
struct Block {
    taken: Instant,
    /// The number of permits that aren't back.
    outstanding: usize,
    /// The number of those that were used.
    left: i32,
}

/// The task that takes permits from the database, and gives them to requests.
pub(super) struct PermitTask {
    link: Link,
    limit: Limit,
    /// The sender for permits. It is weak, so that the task ends with the limiter.
    events: mpsc::WeakUnboundedSender<Event>,
    failure: Arc<Mutex<Option<String>>>,
    waiting: VecDeque<Wanted>,
    /// Permits that came back unused, with the time until which they are kept.
    spare: VecDeque<(i64, Instant)>,
    blocks: HashMap<i64, Block>,
    /// Blocks whose requests have ended, with the number of used permits.
    ended: Vec<(i64, i32)>,
    throttled_until: Option<Instant>,
    /// The end of a throttle that isn't in the database yet.
    unsaved_throttle: Option<Instant>,
}

impl PermitTask {
    pub(super) fn new(
        link: Link,
        limit: Limit,
        events: mpsc::WeakUnboundedSender<Event>,
        failure: Arc<Mutex<Option<String>>>,
    ) -> Self {
        Self {
            link,
            limit,
            events,
            failure,
            waiting: VecDeque::new(),
            spare: VecDeque::new(),
            blocks: HashMap::new(),
            ended: Vec::new(),
            throttled_until: None,
            unsaved_throttle: None,
        }
    }

    /// Handles events until the limiter and its permits are dropped.
    pub(super) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        let mut next_try = Instant::now();
        loop {
            let wakes_at = self.wakes_at(next_try);
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(event),
                    None => break,
                },
                () = sleep_until(wakes_at.unwrap_or(next_try)), if wakes_at.is_some() => {}
            }
            while let Ok(event) = events.try_recv() {
                self.handle(event);
            }
            self.drop_old_spares();
            if self.wakes_at(next_try).is_some_and(|time| time <= Instant::now()) {
                let delay = self.work().await;
                next_try = Instant::now() + delay;
            }
        }
        // The unused permits of this process count no longer.
        self.spare.iter_mut().for_each(|(_, until)| *until = Instant::now());
        self.drop_old_spares();
        let _ = self.end_blocks().await;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wanted(wanted) if wanted.is_for_token => self.waiting.push_front(wanted),
            Event::Wanted(wanted) => self.waiting.push_back(wanted),
            Event::Released { block, has_left: true } => self.end_permit(block, true),
            Event::Released { block, .. } => match self.blocks.get(&block) {
                // It isn't used long after the database counted it.
                Some(Block { taken, .. }) if taken.elapsed() < SPARE => {
                    self.spare.push_back((block, *taken + SPARE));
                }
                _ => self.end_permit(block, false),
            },
            Event::Throttled(delay) => {
                let until = Instant::now() + delay;
                self.throttled_until = self.throttled_until.max(Some(until));
                self.unsaved_throttle = self.unsaved_throttle.max(Some(until));
            }
        }
    }

    fn end_permit(&mut self, block: i64, has_left: bool) {
        let Some(entry) = self.blocks.get_mut(&block) else { return };
        entry.outstanding = entry.outstanding.saturating_sub(1);
        entry.left = entry.left.saturating_add(i32::from(has_left));
        if entry.outstanding == 0 {
            self.ended.push((block, entry.left));
            self.blocks.remove(&block);
        }
    }

    fn drop_old_spares(&mut self) {
        let now = Instant::now();
        while let Some((block, until)) = self.spare.front().copied()
            && until <= now
        {
            self.spare.pop_front();
            self.end_permit(block, false);
        }
    }

    /// Returns the time of the next work, or `None` if there is none.
    fn wakes_at(&self, next_try: Instant) -> Option<Instant> {
        let mut times = Vec::new();
        if !self.waiting.is_empty() {
            times.push(self.throttled_until.map_or(next_try, |until| until.max(next_try)));
        }
        if !self.ended.is_empty() || self.unsaved_throttle.is_some() {
            times.push(next_try);
        }
        times.extend(self.spare.front().map(|(_, until)| *until));
        times.into_iter().min()
    }

    /// Reports ended requests and throttles, and takes permits. Returns the time before the next try.
    async fn work(&mut self) -> Duration {
        let worked = async {
            self.save_throttle().await?;
            self.end_blocks().await?;
            self.give().await
        };
        match worked.await {
            Ok(delay) => {
                *lock(&self.failure) = None;
                delay
            }
            Err(failure) => {
                let text = failure.to_string();
                if lock(&self.failure).replace(text).is_none() {
                    tracing::error!(%failure, "the shared rate limit gives no permits");
                }
                RETRY
            }
        }
    }

    async fn save_throttle(&mut self) -> Result<(), Failure> {
        let Some(until) = self.unsaved_throttle else { return Ok(()) };
        let delay = milliseconds(until.saturating_duration_since(Instant::now()));
        let name = &self.limit.name;
        let saving = |client: Arc<Client>| async move {
            let sql = "select pushslots.throttle($1, $2 * interval '1 millisecond')";
            client.execute_typed(sql, &[(name, Type::TEXT), (&delay, Type::INT8)]).await?;
            Ok(())
        };
        self.link.pipeline(saving).await?;
        self.unsaved_throttle = None;
        Ok(())
    }

    async fn end_blocks(&mut self) -> Result<(), Failure> {
        if self.ended.is_empty() {
            return Ok(());
        }
        let (ids, left): (Vec<i64>, Vec<i32>) = self.ended.iter().copied().unzip();
        let window = milliseconds(self.limit.window);
        let (ids, left) = (&ids, &left);
        let ending = |client: Arc<Client>| async move {
            client
                .execute_typed(
                    "select pushslots.end_permits($1, $2, $3 * interval '1 millisecond')",
                    &[(ids, Type::INT8_ARRAY), (left, Type::INT4_ARRAY), (&window, Type::INT8)],
                )
                .await?;
            Ok(())
        };
        self.link.pipeline(ending).await?;
        self.ended.clear();
        Ok(())
    }

    /// Gives permits to waiting requests. Returns the time before the next try.
    async fn give(&mut self) -> Result<Duration, Failure> {
        self.waiting.retain(|wanted| !wanted.reply.is_closed());
        if self.waiting.is_empty()
            || self.throttled_until.is_some_and(|until| until > Instant::now())
        {
            return Ok(Duration::ZERO);
        }
        if self.spare.is_empty() {
            return self.take().await;
        }
        if let Some(delay) = self.throttle_of_others().await? {
            return Ok(delay.clamp(DELAYS.0, DELAYS.1));
        }
        while !self.waiting.is_empty()
            && let Some((block, _)) = self.spare.pop_front()
        {
            self.pass(block);
        }
        Ok(Duration::ZERO)
    }

    /// Returns the time for which other processes were throttled, which is checked before a spare
    /// permit is used.
    async fn throttle_of_others(&self) -> Result<Option<Duration>, Failure> {
        let name = &self.limit.name;
        let reading = |client: Arc<Client>| async move {
            let sql = "select (extract(epoch from throttled_until - pushslots.clock()) * 1000)::bigint \
                       from pushslots.rate_limit where name = $1";
            let row = client.query_typed_opt(sql, &[(name, Type::TEXT)]).await?;
            let held = row.map(|row| row.try_get::<_, i64>(0)).transpose()?;
            Ok(held.and_then(|held| u64::try_from(held).ok()).filter(|held| *held > 0))
        };
        Ok(self.link.pipeline(reading).await?.map(Duration::from_millis))
    }

    async fn take(&mut self) -> Result<Duration, Failure> {
        let Limit { name, requests, window } = &self.limit;
        let wanted = i32::try_from(self.waiting.len().min(MAX_WANTED)).unwrap_or(1);
        let (window, longest) = (milliseconds(*window), milliseconds(LONGEST));
        let taken = Instant::now();
        let taking = |client: Arc<Client>| async move {
            let row = client
                .query_typed_one(
                    "select granted, permit_id, \
                     (extract(epoch from retry_after) * 1000)::bigint from \
                     pushslots.take_permits($1, $2, $3, $4 * interval '1 millisecond', \
                     $5 * interval '1 millisecond')",
                    &[
                        (name, Type::TEXT),
                        (&wanted, Type::INT4),
                        (requests, Type::INT4),
                        (&window, Type::INT8),
                        (&longest, Type::INT8),
                    ],
                )
                .await?;
            let granted: i32 = row.try_get(0)?;
            let block: Option<i64> = row.try_get(1)?;
            let retry_after: Option<i64> = row.try_get(2)?;
            Ok((usize::try_from(granted).unwrap_or_default(), block, retry_after))
        };
        let (granted, block, retry_after) = self.link.pipeline(taking).await?;
        if let (Some(block), 1..) = (block, granted) {
            self.blocks.insert(block, Block { taken, outstanding: granted, left: 0 });
            for _ in 0..granted {
                self.pass(block);
            }
            return Ok(Duration::ZERO);
        }
        let delay = retry_after.and_then(|delay| u64::try_from(delay).ok()).unwrap_or_default();
        Ok(Duration::from_millis(delay).clamp(DELAYS.0, DELAYS.1))
    }

    /// Passes a permit to the first request that still waits, or keeps it.
    fn pass(&mut self, block: i64) {
        // The task continues until the last permit is back.
        let events = self.events.upgrade();
        let mut permit = Permit::new().on_release(move |has_left| {
            if let Some(events) = events {
                let _ = events.send(Event::Released { block, has_left });
            }
        });
        while let Some(wanted) = self.waiting.pop_front() {
            match wanted.reply.send(permit) {
                Ok(()) => return,
                Err(returned) => permit = returned,
            }
        }
        // It comes back as a spare one.
        drop(permit);
    }
}
