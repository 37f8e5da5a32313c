//! Encoded messages with a message id, ready to be sent or stored.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest;
use crate::display::debug_as_display;
#[cfg(doc)]
use crate::message::Validation;
use crate::message::{PermittedProblems, Problem};

/// The first words of a stored message.
const NAME: &str = "pushslots prepared message";

/// The version of the stored form.
const VERSION: u32 = 1;

/// An encoded message with its message id, ready to be sent, or to be stored and sent later by any
/// process.
///
/// [`SendBuilder::prepare`](crate::SendBuilder::prepare) creates one.
/// [`PublishBuilder::prepare`](crate::PublishBuilder::prepare) creates one for each message of a
/// batch. Pass it to [`Client::send`](crate::Client::send): the same bytes are sent under the same
/// message id, whatever the settings of that client.
///
/// ```no_run
/// # use pushslots::{Client, PreparedMessage, PushSlots};
/// # async fn example(client: Client, message: PushSlots) -> Result<(), Box<dyn std::error::Error>> {
/// // Today:
/// let prepared = client.send(&message).prepare()?;
/// std::fs::write("message.prepared", prepared.to_bytes())?;
///
/// // Tomorrow, perhaps in another process:
/// let prepared = PreparedMessage::from_bytes(&std::fs::read("message.prepared")?)?;
/// let receipt = client.send(&prepared).await?;
/// assert_eq!(receipt.message_id(), prepared.message_id());
/// # Ok(()) }
/// ```
///
/// `Debug` shows neither slots nor destinations.
#[derive(Clone)]
pub struct PreparedMessage {
    pub(crate) message_id: Uuid,
    /// The range of its slots in the whole list of slots, including skipped ones.
    pub(crate) slots: Range<usize>,
    /// The number of slots in the message.
    pub(crate) slot_count: usize,
    pub(crate) destination_count: usize,
    pub(crate) batch: Option<BatchNumbers>,
    pub(crate) body: Bytes,
    /// The problems that didn't prevent sending. They aren't stored.
    pub(crate) problems: PermittedProblems,
}

/// Compares everything that is sent or stored, but not the problems.
impl PartialEq for PreparedMessage {
    fn eq(&self, other: &Self) -> bool {
        (
            self.message_id,
            &self.slots,
            self.slot_count,
            self.destination_count,
            &self.batch,
            &self.body,
        ) == (
            other.message_id,
            &other.slots,
            other.slot_count,
            other.destination_count,
            &other.batch,
            &other.body,
        )
    }
}

impl Eq for PreparedMessage {}

/// The place of a message in its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchNumbers {
    /// The id of the batch.
    pub id: String,
    /// The number of the message, starting at 1.
    pub number: u64,
    /// The number of messages in the batch; `None` if it wasn't known.
    pub total: Option<u64>,
}

/// The header: the line of JSON before the body.
#[derive(Serialize, Deserialize)]
struct PreparedHeader {
    message_id: Uuid,
    first_slot: usize,
    end_slot: usize,
    slot_count: usize,
    destination_count: usize,
    batch: Option<BatchNumbers>,
    body_bytes: usize,
}

impl PreparedMessage {
    /// Returns the message id.
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }

    /// Returns the range of its slots in the whole list of slots, starting at 0 and including
    /// skipped ones.
    #[must_use]
    pub fn slots(&self) -> Range<usize> {
        self.slots.clone()
    }

    /// Returns the number of slots in the message.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// Returns the number of destinations.
    #[must_use]
    pub fn destination_count(&self) -> usize {
        self.destination_count
    }

    /// Returns the place of the message in its batch; `None` if it isn't part of a batch.
    #[must_use]
    pub fn batch(&self) -> Option<&BatchNumbers> {
        self.batch.as_ref()
    }

    /// Returns the JSON body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the first 1,000 problems that the client's [`Validation`] permitted. They include
    /// the problems of omitted values.
    ///
    /// They aren't part of the stored form. For messages of a batch, [`PreparedMessages::problems`]
    /// lists them instead, because messages share records.
    ///
    /// [`PreparedMessages::problems`]: crate::PreparedMessages::problems
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        self.problems.list()
    }

    /// Returns the number of problems beyond the first 1,000.
    #[must_use]
    pub fn omitted_problems(&self) -> usize {
        self.problems.omitted()
    }

    /// Returns the stored form of the message: a line of text, a line of JSON, and the JSON body.
    ///
    /// The stored form has a version and a digest, with which [`from_bytes`](Self::from_bytes)
    /// detects damage. It isn't encrypted and contains the names in the message.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = PreparedHeader {
            message_id: self.message_id,
            first_slot: self.slots.start,
            end_slot: self.slots.end,
            slot_count: self.slot_count,
            destination_count: self.destination_count,
            batch: self.batch.clone(),
            body_bytes: self.body.len(),
        };
        // Serializing numbers and strings can't fail.
        let header = serde_json::to_string(&header).unwrap_or_default();
        let title = title_of(&header, &self.body);
        let mut stored = format!("{title}\n{header}\n").into_bytes();
        stored.extend_from_slice(&self.body);
        stored
    }

    /// Reads a message from the bytes that [`to_bytes`](Self::to_bytes) returned.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes aren't a prepared message, are damaged, or were written by a
    /// newer version of this crate. The error doesn't quote them.
    pub fn from_bytes(stored: &[u8]) -> Result<Self, RestoreError> {
        let (title, rest) = split_line(stored).ok_or(RestoreError::Unrecognized)?;
        let mut words =
            title.strip_prefix(NAME).ok_or(RestoreError::Unrecognized)?.split_ascii_whitespace();
        match words.next().map(str::parse::<u32>) {
            Some(Ok(VERSION)) => {}
            Some(Ok(version)) if version > VERSION => return Err(RestoreError::Newer { version }),
            _ => return Err(RestoreError::Damaged),
        }
        let (header, body) = split_line(rest).ok_or(RestoreError::Damaged)?;
        if title != title_of(header, body) {
            return Err(RestoreError::Damaged);
        }
        let header: PreparedHeader =
            serde_json::from_str(header).map_err(|_| RestoreError::Damaged)?;
        if header.body_bytes != body.len() || header.first_slot > header.end_slot {
            return Err(RestoreError::Damaged);
        }
        Ok(Self {
            message_id: header.message_id,
            slots: header.first_slot..header.end_slot,
            slot_count: header.slot_count,
            destination_count: header.destination_count,
            batch: header.batch,
            body: Bytes::copy_from_slice(body),
            problems: PermittedProblems::default(),
        })
    }
}

/// Returns the first line of a stored message.
fn title_of(header: &str, body: &[u8]) -> String {
    format!("{NAME} {VERSION} {:032x}", digest::stored(header, body))
}

/// Splits off the first line. Returns `None` if the line has no end or isn't UTF-8.
fn split_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((std::str::from_utf8(line).ok()?, rest.get(1..)?))
}

impl fmt::Debug for PreparedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedMessage")
            .field("message_id", &self.message_id)
            .field("slots", &self.slots)
            .field("batch", &self.batch)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An error from restoring a [`PreparedMessage`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// The bytes aren't a prepared message of this crate, or their start is damaged.
    Unrecognized,
    /// A part of the message is missing or changed.
    Damaged,
    /// A newer version of this crate wrote the message.
    #[non_exhaustive]
    Newer {
        /// The version of the stored form.
        version: u32,
    },
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognized => f.write_str(
                "the stored bytes aren't a prepared message of pushslots, or their start is \
                 damaged",
            ),
            Self::Damaged => f.write_str(
                "the stored message is damaged: its digest, header or length has changed since it \
                 was stored; prepare it again",
            ),
            Self::Newer { version } => write!(
                f,
                "the stored message has format {version}, but this version of pushslots reads \
                 only format {VERSION}; update pushslots"
            ),
        }
    }
}

debug_as_display!(RestoreError);

impl std::error::Error for RestoreError {}
