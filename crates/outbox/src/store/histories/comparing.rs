//! Compares all that can be read from the model and the store.

use uuid::Uuid;

use super::choices::KINDS;
use super::{History, Step, same};
use crate::filter::Filter;
use crate::state::EntryRecord;
use crate::store::Store;

impl History {
    pub(super) async fn compare_all(&mut self) -> Step {
        let entries = self.compare_page(Filter::default(), 0, usize::MAX).await?;
        let mut after = 0;
        for page in entries.chunks(7) {
            let same_page = self.compare_page(Filter::default(), after, 7).await?;
            same("page", Ok(page.to_vec()), Ok(same_page))?;
            after = self.model_number(page.last().map_or(after, |entry| entry.number));
        }
        for kind in KINDS {
            let filter = Filter { kind: Some(kind), ..Filter::default() };
            self.compare_page(filter, 0, usize::MAX).await?;
        }
        for entry in entries {
            self.compare_entry(entry.message_id).await?;
        }
        self.compare_summary().await
    }

    /// Compares a page, and returns it.
    pub(super) async fn compare_page(
        &self,
        filter: Filter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<EntryRecord>, String> {
        let expected = self.model.list(filter.clone(), after, limit).await;
        let expected = expected
            .map(|page| page.into_iter().map(|entry| self.translate(entry)).collect::<Vec<_>>());
        let page = self.store().list(filter, self.number(after), limit).await;
        same("list", expected, page.clone())?;
        page.map_err(|error| error.0)
    }

    pub(super) async fn compare_entry(&self, id: Uuid) -> Step {
        let expected = self.model.entry(id).await.map(|stored| {
            stored.map(|mut stored| {
                stored.record = self.translate(stored.record);
                stored
            })
        });
        same("entry", expected, self.store().entry(id).await)
    }

    pub(super) async fn compare_summary(&self) -> Step {
        same("summary", self.model.summary().await, self.store().summary().await)?;
        if self.subject.is_shared() {
            return Ok(());
        }
        let expected = self.model.recent_requests().await;
        same("recent_requests", expected, self.store().recent_requests().await)
    }

    /// Returns the model's number for a number of the store.
    fn model_number(&self, number: u64) -> u64 {
        let found = self.numbers.iter().find(|(_, store)| **store == number);
        found.map_or(number, |(model, _)| *model)
    }
}
