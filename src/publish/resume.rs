//! The point at which an unfinished batch resumes.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::layout::{Fingerprint, Numbering, SlotPosition};
use crate::display::debug_as_display;
use crate::text;

/// The place where a publication resumes: the first message of its batch that isn't known to be
/// accepted.
///
/// A point from [a report](crate::PublishReport::resume_point) stays valid if the limits of a
/// message change. It records
/// * the number of slots before it, and a digest of them and of the destinations: resuming with
///   different ones is an error;
/// * the reduced limit on the size of a message, if the service found one too large;
/// * the messages that may have been accepted, and their slots: they are sent again with the same
///   bytes and the same id;
/// * with [concurrency](crate::client::PublishBuilder::concurrency), the slots after the first gap
///   that were accepted: they aren't sent again.
///
/// A point serializes to its text, such as `7@6000.1f2e3d4c5b6a7988`. [Parsing](str::parse) that
/// text returns the same point, and ignores white space or a byte-order mark around it. The text
/// has fewer than 100 characters if one message was in flight at a time.
///
/// # Points without a digest
///
/// A message number alone, starting at 1, is also a point. It skips the messages before that
/// number, as the slots and the current limits would split them. Nothing is checked in this case.
/// If the slots or limits differ, or if a message was too large, slots may be lost or sent again. A
/// point without its digest, such as `7@6000`, carries the same risk if the slots differ.
///
/// ```
/// use pushslots::ResumePoint;
///
/// let point: ResumePoint = "7@6000.1f2e3d4c5b6a7988".parse()?;
/// assert_eq!((point.number(), point.slots_before()), (7, Some(6000)));
/// assert_eq!(ResumePoint::from(7).slots_before(), None);
/// # Ok::<(), pushslots::ParseResumePointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePoint {
    number: u64,
    at: Option<At>,
}

/// The parts of a resume point in addition to its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// The number of slots before the point, including skipped ones.
    pub(super) slots: usize,
    /// The reduced limit of a message in bytes, if the service found one too large.
    pub(super) limit: Option<usize>,
    /// The digest of the destinations and of the slots before the point.
    pub(super) digest: Option<u64>,
    /// The slots after the point that belong to messages already begun, in order.
    pub(super) parts: Vec<PointPart>,
    /// The number of the first message that wasn't begun.
    pub(super) next: u64,
}

/// Consecutive slots after a resume point that belong to messages already begun.
///
/// `slots` includes skipped ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PointPart {
    /// Accepted slots. The digest covers the destinations and all slots up to the end of the part.
    Accepted { slots: usize, digest: u64 },
    /// Slots of a message that the service doesn't have. Without a number, the message gets the
    /// next free one.
    Open { slots: usize, number: Option<u64> },
    /// Slots of a message that the service may have.
    Unknown { slots: usize, number: u64, print: Fingerprint },
}

impl PointPart {
    pub(super) fn slots(&self) -> usize {
        match *self {
            Self::Accepted { slots, .. }
            | Self::Open { slots, .. }
            | Self::Unknown { slots, .. } => slots,
        }
    }

    pub(super) fn number(&self) -> Option<u64> {
        match *self {
            Self::Accepted { .. } => None,
            Self::Open { number, .. } => number,
            Self::Unknown { number, .. } => Some(number),
        }
    }
}

impl ResumePoint {
    pub(crate) const START: Self = Self {
        number: 1,
        at: Some(At { slots: 0, limit: None, digest: None, parts: Vec::new(), next: 1 }),
    };

    pub(super) fn new(
        number: u64,
        first: &SlotPosition,
        limit: Option<usize>,
        parts: Vec<PointPart>,
        next: u64,
    ) -> Self {
        let digest = Some(first.digest.to_u64());
        Self { number, at: Some(At { slots: first.index, limit, digest, parts, next }) }
    }

    /// Returns the number of the message within its batch, starting at 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the number of slots before the point, including skipped ones. It is `None` if the
    /// point is only a message number.
    #[must_use]
    pub fn slots_before(&self) -> Option<usize> {
        self.at.as_ref().map(|at| at.slots)
    }

    /// Returns whether messages of the batch were begun before this point was taken.
    pub(crate) fn is_begun(&self) -> bool {
        self.number > 1 || self.at.as_ref().is_some_and(|at| !at.parts.is_empty())
    }

    pub(super) fn at(&self) -> Option<&At> {
        self.at.as_ref()
    }
}

impl From<&ResumePoint> for ResumePoint {
    fn from(point: &ResumePoint) -> Self {
        point.clone()
    }
}

impl From<u64> for ResumePoint {
    fn from(number: u64) -> Self {
        Self { number, at: None }
    }
}

/// Writes `number@slots/limit.digest`, one term for each part, and `_next`.
///
/// `/limit` and `.digest` are optional. The terms are
/// * `,slots.digest` for accepted slots;
/// * `-slots:number` for open slots;
/// * `+slotsoftotal.id:number` for slots with an unknown outcome. `oftotal` is absent if the
///   message carries no batch numbers. A total of 0 means that the total is unknown.
///
/// The first part has no `:number`, because it has the number of the point. `_next` is left out if
/// it equals the number of the point, plus 1 if there are parts.
impl fmt::Display for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        let Some(At { slots, limit, digest, parts, next }) = &self.at else { return Ok(()) };
        write!(f, "@{slots}")?;
        if let Some(limit) = limit {
            write!(f, "/{limit}")?;
        }
        if let Some(digest) = digest {
            write!(f, ".{digest:016x}")?;
        }
        for (place, part) in parts.iter().enumerate() {
            match part {
                PointPart::Accepted { slots, digest } => write!(f, ",{slots}.{digest:016x}")?,
                PointPart::Open { slots, .. } => write!(f, "-{slots}")?,
                PointPart::Unknown { slots, print: Fingerprint { numbering, id }, .. } => {
                    write!(f, "+{slots}")?;
                    match numbering {
                        Numbering::None => {}
                        Numbering::Number => write!(f, "of0")?,
                        Numbering::NumberOf(total) => write!(f, "of{total}")?,
                    }
                    write!(f, ".{id:016x}")?;
                }
            }
            if let Some(number) = part.number().filter(|_| place > 0) {
                write!(f, ":{number}")?;
            }
        }
        match *next == usual_next(self.number, parts) {
            true => Ok(()),
            false => write!(f, "_{next}"),
        }
    }
}

/// Returns the number of the first message that wasn't begun if one message was in flight at a
/// time.
fn usual_next(number: u64, parts: &[PointPart]) -> u64 {
    number.saturating_add(u64::from(!parts.is_empty()))
}

impl Serialize for ResumePoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResumePoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An error from parsing text that isn't a [`ResumePoint`].
#[derive(Clone, PartialEq, Eq)]
pub struct ParseResumePointError(());

impl fmt::Display for ParseResumePointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a resume point, such as 7@6000 or 7@6000.1f2e3d4c5b6a7988, or a message number \
             of at least 1; pass the complete text from the report",
        )
    }
}

debug_as_display!(ParseResumePointError);

impl std::error::Error for ParseResumePointError {}

impl FromStr for ResumePoint {
    type Err = ParseResumePointError;

    fn from_str(text: &str) -> Result<Self, ParseResumePointError> {
        read(text::trimmed(text)).filter(|point| point.number > 0).ok_or(ParseResumePointError(()))
    }
}

fn read(text: &str) -> Option<ResumePoint> {
    let Some((number, rest)) = text.split_once('@') else {
        return Some(ResumePoint::from(decimal(text)?));
    };
    let number = decimal(number)?;
    let end = rest.find(is_sign).unwrap_or(rest.len());
    let (head, mut rest) = rest.split_at(end);
    let (head, digest) = split_optional(head, '.', hexadecimal)?;
    let (slots, limit) = split_optional(head, '/', usize_of)?;
    let mut parts = Vec::new();
    let mut next = None;
    while let Some(sign) = rest.chars().next() {
        // `_next` ends the text.
        if next.is_some() {
            return None;
        }
        let body = rest.get(1..)?;
        let (body, following) = body.split_at(body.find(is_sign).unwrap_or(body.len()));
        rest = following;
        if sign == '_' {
            next = Some(decimal(body)?);
            continue;
        }
        let (body, given) = split_optional(body, ':', decimal)?;
        let own = if parts.is_empty() { Some(number) } else { given };
        if given.is_some() && (parts.is_empty() || given == Some(0)) {
            return None;
        }
        parts.push(match sign {
            ',' if given.is_none() => {
                let (slots, digest) = body.split_once('.')?;
                PointPart::Accepted { slots: usize_of(slots)?, digest: hexadecimal(digest)? }
            }
            '-' => PointPart::Open { slots: usize_of(body)?, number: own },
            '+' => {
                let (body, id) = body.split_once('.')?;
                let (slots, numbering) = match body.split_once("of") {
                    None => (body, Numbering::None),
                    Some((slots, "0")) => (slots, Numbering::Number),
                    Some((slots, total)) => (slots, Numbering::NumberOf(decimal(total)?)),
                };
                let print = Fingerprint { numbering, id: hexadecimal(id)? };
                PointPart::Unknown { slots: usize_of(slots)?, number: own?, print }
            }
            _ => return None,
        });
    }
    // Accepted slots at the front would lie before the point, and no part is empty.
    if matches!(parts.first(), Some(PointPart::Accepted { .. }))
        || parts.iter().any(|part| part.slots() == 0)
    {
        return None;
    }
    let next = next.unwrap_or_else(|| usual_next(number, &parts));
    let is_begun = |part: &PointPart| part.number().is_none_or(|number| number <= next);
    if next < number || !parts.iter().all(is_begun) {
        return None;
    }
    Some(ResumePoint {
        number,
        at: Some(At { slots: usize_of(slots)?, limit, digest, parts, next }),
    })
}

fn is_sign(each: char) -> bool {
    matches!(each, ',' | '-' | '+' | '_')
}

/// Splits `text` at `separator` and reads the part after it. Returns `None` if `read` fails.
fn split_optional<T>(
    text: &str,
    separator: char,
    read: fn(&str) -> Option<T>,
) -> Option<(&str, Option<T>)> {
    match text.split_once(separator) {
        None => Some((text, None)),
        Some((before, after)) => Some((before, Some(read(after)?))),
    }
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn usize_of(text: &str) -> Option<usize> {
    decimal(text)?.try_into().ok()
}

fn hexadecimal(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 16 && text.bytes().all(is_digit)).then(|| u64::from_str_radix(text, 16).ok())?
}
