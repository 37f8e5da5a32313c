//! Which message carries which slots: pure data, without clock and I/O.

use std::collections::VecDeque;

use super::resume::{PointPart, ResumePoint};
use crate::digest::SlotsDigest;

/// A place between two slots.
#[derive(Clone, Debug)]
pub(super) struct SlotPosition {
    /// How many slots that can be published come before.
    pub(super) position: usize,
    /// How many slots come before, including those that were skipped.
    pub(super) index: usize,
    /// The digest of the slots that come before.
    pub(super) digest: SlotsDigest,
}

/// The batch numbers that a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// None, because it is the only message of a batch without a given id.
    None,
    /// Its own number, because the number of messages is unknown.
    Number,
    /// Its own number and this number of messages.
    NumberOf(u64),
}

/// The batch numbers and the id of a message, by which it is recognized when it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) numbering: Numbering,
    /// The first half of the message id.
    pub(super) id: u64,
}

/// A message to make.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) start: SlotPosition,
    /// Where its slots end at the latest; `None` if that is where they all end.
    pub(super) end: Option<SlotPosition>,
    /// The message that was sent before with exactly these slots, whose outcome is unknown.
    pub(super) repeat: Option<Fingerprint>,
}

/// Slots of one message, or of several that were accepted.
#[derive(Clone, Debug)]
struct Part {
    /// The number of the message; `None` if it gets the next one that is free.
    number: Option<u64>,
    start: SlotPosition,
    end: SlotPosition,
    state: PartState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartState {
    Accepted,
    /// To be split into messages.
    Open,
    /// To be made again, because the service may have it.
    Repeat(Fingerprint),
    /// Made, and whether the service may have it.
    Made(Fingerprint, bool),
}

impl PartState {
    /// The state before the message was made.
    fn set_back(self) -> Self {
        match self {
            Self::Made(print, true) => Self::Repeat(print),
            Self::Made(_, false) => Self::Open,
            state => state,
        }
    }
}

/// The messages of a batch, from the first slot that isn't known to be accepted.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// In the order of the slots, without a gap between them. The first isn't accepted.
    parts: VecDeque<Part>,
    /// The number of the first message that isn't begun, and where its slots begin.
    next: (u64, SlotPosition),
    /// The number of bytes to which the service limited messages, if it found one too large.
    pub(super) service_limit: Option<usize>,
}

impl Layout {
    pub(super) fn new(number: u64, start: SlotPosition, service_limit: Option<usize>) -> Self {
        Self { parts: VecDeque::new(), next: (number, start), service_limit }
    }

    /// Adds what a resume point reports of the slots up to `end`.
    pub(super) fn resume(&mut self, part: &PointPart, end: SlotPosition) {
        let state = match *part {
            PointPart::Accepted { .. } => PartState::Accepted,
            PointPart::Open { .. } => PartState::Open,
            PointPart::Unknown { print, .. } => PartState::Repeat(print),
        };
        let start = std::mem::replace(&mut self.next.1, end.clone());
        self.parts.push_back(Part { number: part.number(), start, end, state });
    }

    /// The first [task](Self::task) has no slots that can be published.
    pub(super) fn skip_task(&mut self) {
        let is_task =
            |part: &&mut Part| matches!(part.state, PartState::Open | PartState::Repeat(_));
        if let Some(part) = self.parts.iter_mut().find(is_task) {
            part.state = PartState::Accepted;
        }
        self.pop_accepted();
    }

    fn pop_accepted(&mut self) {
        while self.parts.front().is_some_and(|part| part.state == PartState::Accepted) {
            self.parts.pop_front();
        }
    }

    /// Sets the number of the first message that isn't begun.
    pub(super) fn resume_number(&mut self, number: u64) {
        self.next.0 = number;
    }

    /// The first message that isn't made.
    pub(super) fn task(&self) -> Task {
        match self
            .parts
            .iter()
            .find(|part| matches!(part.state, PartState::Open | PartState::Repeat(_)))
        {
            Some(part) => {
                let repeat = match part.state {
                    PartState::Repeat(print) => Some(print),
                    _ => None,
                };
                let number = part.number.unwrap_or(self.next.0);
                Task { number, start: part.start.clone(), end: Some(part.end.clone()), repeat }
            }
            None => {
                Task { number: self.next.0, start: self.next.1.clone(), end: None, repeat: None }
            }
        }
    }

    /// The message of the first [task](Self::task) was made, with the slots up to `end`.
    pub(super) fn made(&mut self, end: SlotPosition, print: Fingerprint) {
        let task = self.task();
        // Until it is sent, the message of an earlier run counts.
        let state = PartState::Made(task.repeat.unwrap_or(print), task.repeat.is_some());
        let made = Part { number: Some(task.number), start: task.start, end: end.clone(), state };
        if task.number == self.next.0 {
            self.next.0 = self.next.0.saturating_add(1);
        }
        match self
            .parts
            .iter()
            .position(|part| matches!(part.state, PartState::Open | PartState::Repeat(_)))
        {
            None => {
                self.next.1 = end;
                self.parts.push_back(made);
            }
            Some(place) => {
                let rest =
                    self.parts.get_mut(place).filter(|part| end.position < part.end.position);
                match rest {
                    Some(rest) => {
                        rest.number = None;
                        rest.start = end;
                        self.parts.insert(place, made);
                    }
                    None => {
                        if let Some(part) = self.parts.get_mut(place) {
                            *part = Part { end: part.end.clone(), ..made };
                        }
                    }
                }
            }
        }
    }

    /// Message `number` goes out.
    pub(super) fn sent(&mut self, number: u64, print: Fingerprint) {
        if let Some(part) = self.part(number) {
            part.state = PartState::Made(print, true);
        }
    }

    /// The service doesn't have message `number`.
    pub(super) fn not_accepted(&mut self, number: u64) {
        if let Some(PartState::Made(_, may_be_accepted)) =
            self.part(number).map(|part| &mut part.state)
        {
            *may_be_accepted = false;
        }
    }

    /// Message `number` was accepted.
    pub(super) fn accepted(&mut self, number: u64) {
        if let Some(part) = self.part(number) {
            part.state = PartState::Accepted;
        }
        self.pop_accepted();
    }

    /// Opens the slots of message `number` again, to be split anew.
    pub(super) fn reopen(&mut self, number: u64) {
        if let Some(part) = self.part(number) {
            part.state = PartState::Open;
        }
    }

    /// Message `number` is to be made again: with the same slots if the service may have it.
    pub(super) fn set_back(&mut self, number: u64) {
        if let Some(part) = self.part(number) {
            part.state = part.state.set_back();
        }
    }

    /// Gives back the numbers of the last messages, as far as all their slots are open.
    pub(super) fn close_up(&mut self) {
        while let Some(last) = self.parts.back().filter(|part| part.state == PartState::Open) {
            match last.number {
                None => {}
                Some(number) if number.checked_add(1) == Some(self.next.0) => self.next.0 = number,
                Some(_) => break,
            }
            self.next.1 = last.start.clone();
            self.parts.pop_back();
        }
    }

    fn part(&mut self, number: u64) -> Option<&mut Part> {
        self.parts
            .iter_mut()
            .find(|part| part.number == Some(number) && part.state != PartState::Accepted)
    }

    /// Where the first slot is that isn't known to be accepted.
    pub(super) fn first(&self) -> &SlotPosition {
        self.parts.front().map_or(&self.next.1, |part| &part.start)
    }

    /// Whether every message that was begun is accepted.
    pub(super) fn is_accepted(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many messages have a number, and how many of them aren't accepted.
    pub(super) fn counts(&self) -> (u64, u64) {
        let numbered = self.next.0.saturating_sub(1);
        let missing = self
            .parts
            .iter()
            .filter(|part| part.state != PartState::Accepted && part.number.is_some());
        (numbered, missing.count() as u64)
    }

    /// How many slots were accepted.
    pub(super) fn accepted_slots(&self) -> usize {
        let accepted = self.parts.iter().filter(|part| part.state == PartState::Accepted);
        self.first().position
            + accepted.map(|part| part.end.position - part.start.position).sum::<usize>()
    }

    /// How many messages have a number from the first on that isn't accepted.
    pub(super) fn span(&self) -> u64 {
        let first = self
            .parts
            .iter()
            .find_map(|part| part.number.filter(|_| part.state != PartState::Accepted));
        first.map_or(0, |first| self.next.0.saturating_sub(first))
    }

    /// The positions of slots that are to be split into messages, and whether the first message of
    /// each has its number.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, Option<usize>, bool)> {
        let open = self.parts.iter().filter(|part| part.state == PartState::Open);
        let range =
            |part: &Part| (part.start.position, Some(part.end.position), part.number.is_some());
        open.map(range).chain([(self.next.1.position, None, false)])
    }

    /// The point from which the batch resumes.
    pub(super) fn point(&self) -> ResumePoint {
        let mut layout = self.clone();
        for part in &mut layout.parts {
            part.state = part.state.set_back();
        }
        layout.close_up();
        let number = layout.parts.front().and_then(|part| part.number).unwrap_or(layout.next.0);
        if let Some(front) = layout.parts.front_mut().filter(|front| front.number.is_none()) {
            front.number = Some(number);
            layout.next.0 = layout.next.0.saturating_add(1);
        }
        let first = layout.first();
        let mut parts = Vec::<PointPart>::new();
        for part in &layout.parts {
            let slots = part.end.index.saturating_sub(part.start.index);
            match (part.state, parts.last_mut()) {
                (PartState::Accepted, Some(PointPart::Accepted { slots: before, digest })) => {
                    *before += slots;
                    *digest = part.end.digest.to_u64();
                }
                (PartState::Accepted, _) => {
                    parts.push(PointPart::Accepted { slots, digest: part.end.digest.to_u64() });
                }
                (PartState::Repeat(print), _) => {
                    parts.push(PointPart::Unknown {
                        slots,
                        number: part.number.unwrap_or(number),
                        print,
                    });
                }
                _ => parts.push(PointPart::Open { slots, number: part.number }),
            }
        }
        ResumePoint::new(number, first, layout.service_limit, parts, layout.next.0)
    }
}
