//! Where a batch goes on that was not published to its end.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::text;

/// Where a publication goes on: the first message of its batch that is not known to be accepted.
///
/// What [a report](crate::PublishReport::resume_point) gives knows how many slots come before, and holds whatever the limits
/// are. It serializes to its text, such as `7@6000`, which can be [parsed](str::parse) again, also with white space or a
/// byte-order mark around it. If the service found a message too large, the text also has the bytes to which messages were
/// limited by then, as in `7@5500/1048576`.
///
/// A message number alone, from 1, is a point too: what comes before is left out, as the same slots and the same limits split
/// it. With other limits, after a message that was too large, or with a slot corrected that was set aside, slots would be lost or
/// sent again.
///
/// ```
/// use pushslots::ResumePoint;
///
/// let point: ResumePoint = "7@6000".parse()?;
/// assert_eq!((point.number(), point.slots_before()), (7, Some(6000)));
/// assert_eq!(ResumePoint::from(7).slots_before(), None);
/// # Ok::<(), pushslots::ParseResumePointError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    number: u64,
    at: Option<At>,
}

/// What is known of a point beside its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    /// How many slots come before, those that were set aside among them.
    slots: usize,
    /// To how many bytes the service limited messages by then.
    limit: Option<usize>,
}

impl ResumePoint {
    pub(crate) const START: Self = Self { number: 1, at: Some(At { slots: 0, limit: None }) };

    pub(super) fn new(number: u64, slots: usize, limit: Option<usize>) -> Self {
        Self { number, at: Some(At { slots, limit }) }
    }

    /// The number of the message in its batch, from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// How many slots come before, those that were set aside among them, where that is known.
    #[must_use]
    pub fn slots_before(self) -> Option<usize> {
        self.at.map(|at| at.slots)
    }

    /// To how many bytes the service limited messages by then, where it found one too large.
    pub(super) fn limit(self) -> Option<usize> {
        self.at.and_then(|at| at.limit)
    }
}

impl From<u64> for ResumePoint {
    fn from(number: u64) -> Self {
        Self { number, at: None }
    }
}

impl fmt::Display for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            None => write!(f, "{}", self.number),
            Some(At { slots, limit: None }) => write!(f, "{}@{slots}", self.number),
            Some(At { slots, limit: Some(limit) }) => write!(f, "{}@{slots}/{limit}", self.number),
        }
    }
}

impl Serialize for ResumePoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no [`ResumePoint`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseResumePointError(());

impl fmt::Display for ParseResumePointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a point such as 7@6000 or 7@5500/1048576, nor a message number from 1")
    }
}

impl std::error::Error for ParseResumePointError {}

impl FromStr for ResumePoint {
    type Err = ParseResumePointError;

    fn from_str(text: &str) -> Result<Self, ParseResumePointError> {
        let text = text::trimmed(text);
        let read = || {
            let Some((number, rest)) = text.split_once('@') else {
                return Some(Self::from(text.parse::<u64>().ok()?));
            };
            let (slots, limit) = match rest.split_once('/') {
                Some((slots, limit)) => (slots, Some(limit.parse().ok()?)),
                None => (rest, None),
            };
            Some(Self::new(number.parse().ok()?, slots.parse().ok()?, limit))
        };
        read().filter(|point| point.number > 0).ok_or(ParseResumePointError(()))
    }
}
