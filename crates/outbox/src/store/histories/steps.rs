//! The steps of a history, each on the model and on the store.

use std::time::Duration;

use rand::Rng;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::{History, Pair, Step, record_changes, same};
use crate::state::{EntryRecord, Verdict};
use crate::store::{Enqueued, Lease, Leased, Settlement, Store};
use crate::time::Timestamp;

impl History {
    /// Takes a random step.
    pub(super) async fn step(&mut self) -> Step {
        self.now.0 += *[0, 0, 0, 0, 1, 500, 6_000, 70_000, 1_000_000, 40_000_000]
            .choose(&mut self.random)
            .expect("there are choices");
        let now = self.now;
        self.subject.set_time(now).await;
        match self.random.gen_range(0..100) {
            0..22 => self.enqueue().await,
            22..44 => self.lease().await,
            44..56 => self.begin().await,
            56..70 => self.settle().await,
            70..73 => {
                let Some(pair) = self.pair() else { return Ok(()) };
                let until = now.after(Duration::from_secs(self.random.gen_range(0..60)));
                let expected = self.model.renew(pair.model, now, until).await;
                same("renew", expected, self.store().renew(pair.store, now, until).await)
            }
            73..76 => {
                let Some(pair) = self.pair() else { return Ok(()) };
                let expected = self.model.hand_back(pair.model).await;
                same("hand_back", expected, self.store().hand_back(pair.store).await)
            }
            76..80 => {
                let id = self.id();
                let expected = self.model.replay(id, now).await;
                same("replay", expected, self.store().replay(id, now).await)?;
                let replayed = (self.model.entry(id).await, self.store().entry(id).await);
                if let (Ok(Some(model)), Ok(Some(store))) = replayed {
                    self.numbers.insert(model.record.position, store.record.position);
                }
                Ok(())
            }
            80..83 => {
                let id = self.id();
                let expected = self.model.cancel(id, now).await;
                same("cancel", expected, self.store().cancel(id, now).await)
            }
            83..86 => {
                let (lane, held) = (self.lane(), self.random.gen_bool(0.4));
                let expected = self.model.set_held(lane.clone(), held).await;
                same("set_held", expected, self.store().set_held(lane, held).await)
            }
            86..89 => {
                let mut age = Duration::from_millis(self.random.gen_range(0..2_000_000));
                let (dead, mut limit) = (self.random.gen_bool(0.5), self.random.gen_range(0..4));
                if self.subject.is_shared() && !dead {
                    let before = now.before(age);
                    age = now.since(Timestamp(before.0 - before.0 % 86_400_000));
                    limit = usize::MAX;
                }
                let expected = self.model.remove_final(now, age, dead, limit).await;
                same(
                    "remove_final",
                    expected,
                    self.store().remove_final(now, age, dead, limit).await,
                )
            }
            89..91 => {
                let filter = self.filter();
                let expected = self.model.erase_bodies(filter.clone()).await;
                same("erase_bodies", expected, self.store().erase_bodies(filter).await)
            }
            91..94 => {
                let (filter, after) = (self.filter(), self.random.gen_range(0..20));
                let is_known = self.numbers.contains_key(&after) || !self.subject.is_shared();
                let after = if is_known { after } else { 0 };
                let limit = self.random.gen_range(0..6);
                self.compare_page(filter, after, limit).await.map(drop)
            }
            94 => self.supersede_groups().await,
            95..97 => {
                let id = self.id();
                self.compare_entry(id).await
            }
            97 => self.compare_summary().await,
            98 if !self.subject.is_shared() => {
                let expected = self.model.recover(now).await;
                same("recover", expected, self.store().recover(now).await)
            }
            _ => self.restart().await,
        }
    }

    async fn enqueue(&mut self) -> Step {
        let entries = self.new_entries();
        let expected = self.model.enqueue(entries.clone()).await;
        let actual = self.store().enqueue(entries).await;
        if let (Ok(Enqueued::Entries(model)), Ok(Enqueued::Entries(store))) = (&expected, &actual) {
            for (model, store) in model.iter().zip(store) {
                self.numbers.entry(model.number).or_insert(store.number);
            }
        }
        let expected = expected.map(|enqueued| match enqueued {
            Enqueued::Entries(entries) => {
                Enqueued::Entries(entries.into_iter().map(|entry| self.translate(entry)).collect())
            }
            other => other,
        });
        same("enqueue", expected, actual)
    }

    async fn lease(&mut self) -> Step {
        let until = self.now.after(Duration::from_secs(self.random.gen_range(1..100)));
        let avoid = self.random.gen_bool(0.3).then(|| self.lane());
        let expected = self.model.lease(self.now.into(), until, avoid.clone()).await;
        let leased = self.store().lease(self.now.into(), until, avoid).await;
        let (expected, leased) = match (expected, leased) {
            (Ok(expected), Ok(leased)) => (expected, leased),
            (_, Err(error)) => return Err(format!("lease failed: {}", error.0)),
            (Err(error), _) => return Err(format!("the model failed: {}", error.0)),
        };
        let (Leased::Entry { lease: model, entry, body }, Leased::Entry { lease: store, .. }) =
            (&expected, &leased)
        else {
            return same("lease", Ok(expected), Ok(leased));
        };
        let message_id = entry.message_id;
        self.leases.insert(model.number, store.number);
        self.pairs.push(Pair { model: model.clone(), store: store.clone(), message_id });
        let expected = Leased::Entry {
            lease: Lease { lane: model.lane.clone(), number: store.number },
            entry: Box::new(self.translate(EntryRecord::clone(entry))),
            body: body.clone(),
        };
        same("lease", Ok(expected), Ok(leased))
    }

    async fn begin(&mut self) -> Step {
        let Some(pair) = self.pair() else { return Ok(()) };
        let id = self.entry_of(&pair);
        let expected = self.model.begin(pair.model, id, self.now).await;
        same("begin", expected, self.store().begin(pair.store, id, self.now).await)
    }

    async fn settle(&mut self) -> Step {
        let Some(pair) = self.pair() else { return Ok(()) };
        let outcome = self.outcome();
        let attempts = (0..outcome.attempts).map(|_| self.random.r#gen::<u16>().to_string());
        let settlement = Settlement {
            attempts: attempts.collect(),
            requests: outcome.attempts,
            lease: pair.model.clone(),
            message_id: self.entry_of(&pair),
            outcome,
            receipt: (outcome.verdict == Verdict::Accepted)
                .then(|| format!("\"{}\"", self.random.r#gen::<u16>())),
            random: self.random.r#gen(),
        };
        let expected = self.model.settle(settlement.clone(), self.now).await;
        let expected = expected.map(|entry| entry.map(|entry| self.translate(entry)));
        let of_store = Settlement { lease: pair.store, ..settlement.clone() };
        same("settle", expected, self.store().settle(of_store.clone(), self.now).await)?;
        if self.random.gen_bool(0.8) || settlement.attempts.is_empty() {
            return Ok(());
        }
        // A worker repeats it if it doesn't know whether it was stored.
        let before = self.store().entry(settlement.message_id).await;
        let expected = self.model.settle(settlement.clone(), self.now).await;
        let expected = expected.map(|entry| entry.map(|entry| self.translate(entry)));
        same("settle again", expected, self.store().settle(of_store, self.now).await)?;
        same("repeated settle", before, self.store().entry(settlement.message_id).await)
    }

    /// Supersedes the older entries of all groups.
    async fn supersede_groups(&mut self) -> Step {
        let mut after = None;
        loop {
            let group = self.model.next_group(after.clone()).await;
            same("next_group", group.clone(), self.store().next_group(after).await)?;
            let Ok(Some(group)) = group else { return Ok(()) };
            let expected = self.model.supersede_group(group.clone(), self.now).await;
            same(
                "supersede_group",
                expected,
                self.store().supersede_group(group.clone(), self.now).await,
            )?;
            after = Some(group);
        }
    }

    /// Opens the store again. Workers with leases are gone, too.
    async fn restart(&mut self) -> Step {
        // Wild histories leave entries that only a restart finds.
        if self.is_wild {
            return Ok(());
        }
        self.subject.reopen().await?;
        record_changes(self.subject.store(), &self.changes[1]);
        if self.subject.is_shared() {
            return Ok(());
        }
        self.pairs.clear();
        let expected = self.model.recover(self.now).await;
        same("recover", expected, self.store().recover(self.now).await)
    }

    fn pair(&mut self) -> Option<Pair> {
        // Mostly one of the last, so that leases are used before their end.
        let recent = self.pairs.len().saturating_sub(3);
        let pairs = if self.random.gen_bool(0.8) { &self.pairs[recent..] } else { &self.pairs[..] };
        pairs.choose(&mut self.random).cloned()
    }

    fn entry_of(&mut self, pair: &Pair) -> Uuid {
        if self.is_wild && self.random.gen_bool(0.2) { self.id() } else { pair.message_id }
    }

    fn id(&mut self) -> Uuid {
        let known = self.enqueued.choose(&mut self.random);
        known.filter(|_| self.random.gen_bool(0.95)).map_or(Uuid::nil(), |entry| entry.message_id)
    }
}
