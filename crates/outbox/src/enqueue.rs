//! Adds one message to an outbox.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use pushslots::chrono::{DateTime, Utc};
use pushslots::{PreparedMessage, SendBuilder};
use tokio::sync::Notify;
use tracing::Instrument;
use tracing::field::display;
use uuid::Uuid;

use crate::body;
use crate::body_keys::BodyKeys;
use crate::entry::Entry;
use crate::error::OutboxError;
use crate::outbox::Outbox;
use crate::preparer::lane_and_last_start;
use crate::state::{BatchPart, OnDead};
use crate::store::{Enqueued, NewEntry};
use crate::time::Timestamp;

/// The maximum length of a lane and of a key in bytes.
pub(crate) const MAX_NAME: usize = 200;

/// The options that a message and a batch share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) lane: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) not_before: Option<DateTime<Utc>>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) on_dead: OnDead,
}

/// A message to add to the outbox, created by [`Outbox::enqueue`]. Await it to store the message.
#[must_use = "nothing is stored until this is awaited"]
pub struct EnqueueBuilder<'a> {
    outbox: &'a Outbox,
    message: SendBuilder<'a>,
    options: Options,
}

impl<'a> EnqueueBuilder<'a> {
    pub(crate) fn new(outbox: &'a Outbox, message: SendBuilder<'a>) -> Self {
        Self { outbox, message, options: Options::default() }
    }

    /// Sets the message id. Defaults to a fresh UUID, or the id of a
    /// [`PreparedMessage`](pushslots::PreparedMessage).
    ///
    /// With an id of your own, you can repeat the call after an error, and wait for the entry after
    /// a restart.
    pub fn message_id(mut self, message_id: Uuid) -> Self {
        self.message = self.message.message_id(message_id);
        self
    }

    /// Sets the lane, at most 200 bytes. Defaults to the message's destinations.
    ///
    /// The entries of a lane are sent one after the other, in the order in which they were
    /// enqueued. Entries of other lanes don't wait for them. Don't use names of persons.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.options.lane = Some(lane.into());
        self
    }

    /// Sets a key, at most 200 bytes. An older entry of the lane with the same key isn't sent any
    /// more if it still waits. This entry then takes its position.
    ///
    /// Use it if a message replaces all earlier ones with the same content, such as the
    /// availability of one provider on one day. Don't use names of persons.
    pub fn supersedes(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// Sets the earliest time at which the message is sent. Later entries of the lane wait for it.
    pub fn not_before(mut self, time: DateTime<Utc>) -> Self {
        self.options.not_before = Some(time);
        self
    }

    /// Sets the time after which the message isn't sent any more. Defaults to the start of its last
    /// slot. An expired entry is a dead letter.
    pub fn expires_at(mut self, time: DateTime<Utc>) -> Self {
        self.options.expires_at = Some(time);
        self
    }

    /// Sets the effect of a dead letter on the lane. Defaults to
    /// [`OnDead::Continue`].
    pub fn on_dead(mut self, on_dead: OnDead) -> Self {
        self.options.on_dead = on_dead;
        self
    }

    fn prepared(self) -> Result<(&'a Outbox, PreparedMessage, Options), OutboxError> {
        let Self { outbox, message, options } = self;
        let prepared = message.prepare().map_err(OutboxError::Message)?;
        let is_part = prepared.batch().is_some_and(|batch| batch.total != Some(1));
        if is_part && options.key.is_some() {
            let text = "supersedes isn't possible for one message of a batch, because the others \
                        would be lost; pass all slots to Outbox::publish";
            return Err(OutboxError::Configuration(text.to_owned()));
        }
        check_names(&options)?;
        Ok((outbox, prepared, options))
    }

    /// Returns the entry without adding it.
    #[cfg(feature = "postgres")]
    pub(crate) fn into_new_entry(self) -> Result<NewEntry, OutboxError> {
        let (outbox, prepared, options) = self.prepared()?;
        new_entry(&prepared, &options, None, outbox.0.now(), outbox.0.keys.as_ref())
    }

    async fn enqueue(self) -> Result<Entry, OutboxError> {
        let (outbox, prepared, options) = self.prepared()?;
        let entries = add(outbox, vec![prepared], &options, None).await?;
        let missing = || OutboxError::Storage("it returned no entry".to_owned());
        entries.into_iter().next().ok_or_else(missing)
    }
}

impl<'a> IntoFuture for EnqueueBuilder<'a> {
    type Output = Result<Entry, OutboxError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.enqueue())
    }
}

impl fmt::Debug for EnqueueBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Checks the name of a lane or a key.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), OutboxError> {
    if name.is_empty() || name.len() > MAX_NAME {
        let text = format!("{what} must have 1 to {MAX_NAME} bytes");
        return Err(OutboxError::Configuration(text));
    }
    // PostgreSQL can't store it.
    if name.contains('\0') {
        let text = format!("{what} must not contain NUL");
        return Err(OutboxError::Configuration(text));
    }
    Ok(())
}

fn check_names(options: &Options) -> Result<(), OutboxError> {
    for (what, name) in [("lane", &options.lane), ("supersedes", &options.key)] {
        name.as_deref().map_or(Ok(()), |name| check_name(what, name))?;
    }
    Ok(())
}

/// Wakes a worker when it is dropped.
struct WakeOnDrop<'a>(&'a Notify);

impl Drop for WakeOnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Adds messages, all or none.
pub(crate) async fn add(
    outbox: &Outbox,
    messages: Vec<PreparedMessage>,
    options: &Options,
    batch: Option<&BatchPart>,
) -> Result<Vec<Entry>, OutboxError> {
    check_names(options)?;
    let single = match &*messages {
        [message] => Some(display(message.message_id())),
        _ => None,
    };
    let span = tracing::info_span!(
        "enqueue",
        pushslots.message_id = single,
        pushslots.batch_id = batch.map(|batch| &*batch.id),
        pushslots.messages = messages.len(),
    );
    add_in_span(outbox, messages, options, batch).instrument(span).await
}

async fn add_in_span(
    outbox: &Outbox,
    messages: Vec<PreparedMessage>,
    options: &Options,
    batch: Option<&BatchPart>,
) -> Result<Vec<Entry>, OutboxError> {
    let now = outbox.0.now();
    let keys = outbox.0.keys.as_ref();
    let new = messages.iter().map(|message| new_entry(message, options, batch, now, keys));
    let new = new.collect::<Result<_, _>>()?;
    // Even if this future is dropped, the entries may be stored.
    let _wake = WakeOnDrop(&outbox.0.wake);
    let entries = match outbox.0.store.enqueue(new).await? {
        Enqueued::Entries(entries) => entries,
        Enqueued::OtherBytes(id) => return Err(OutboxError::OtherBytes(id)),
    };
    for entry in &entries {
        tracing::debug!(
            pushslots.message_id = %entry.message_id,
            pushslots.lane = entry.lane,
            state = ?entry.state,
            "entry enqueued"
        );
    }
    Ok(entries.into_iter().map(Entry).collect())
}

fn new_entry(
    message: &PreparedMessage,
    options: &Options,
    batch: Option<&BatchPart>,
    now: Timestamp,
    keys: Option<&BodyKeys>,
) -> Result<NewEntry, OutboxError> {
    let bytes = message.to_bytes();
    let (lane, last_start) = lane_and_last_start(message.body());
    Ok(NewEntry {
        message_id: message.message_id(),
        lane: options.lane.clone().unwrap_or(lane),
        key: options.key.clone(),
        batch: batch.cloned(),
        digest: body::digest_of(&bytes),
        slots: message.slot_count(),
        on_dead: options.on_dead,
        enqueued: now,
        due: options.not_before.map_or(now, |time| Timestamp::from(time).max(now)),
        expires: options.expires_at.map(Timestamp::from).or(last_start),
        body: body::encode(message.message_id(), &bytes, keys)?,
    })
}
