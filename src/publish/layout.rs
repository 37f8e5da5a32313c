//! The assignment of slots to messages: pure data, without clock or I/O.

use std::collections::VecDeque;

use super::resume::{PointPart, ResumePoint};
use crate::digest::SlotsDigest;

/// A position between two slots.
#[derive(Clone, Debug)]
pub(super) struct SlotPosition {
    /// The number of slots before it that can be published.
    pub(super) position: usize,
    /// The number of slots before it, including skipped ones.
    pub(super) index: usize,
    /// The digest of the destinations and of the slots before it.
    pub(super) digest: SlotsDigest,
}

/// The batch numbers in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbering {
    /// No numbers, because it is the only message of a batch without a given id.
    None,
    /// The message's own number, because the number of messages is unknown.
    Number,
    /// The message's own number and the number of messages.
    NumberOf(u64),
}

/// The batch numbers and the id of a message, which identify it when it is made again.
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
    /// The limit of the message's slots. `None` if it is the end of all slots.
    pub(super) end: Option<SlotPosition>,
    /// The earlier message with exactly these slots and an unknown outcome.
    pub(super) repeat: Option<Fingerprint>,
}

/// Consecutive slots of one message, or of several accepted messages.
#[derive(Clone, Debug)]
struct Part {
    /// The number of the message. `None` if the message gets the next free one.
    number: Option<u64>,
    start: SlotPosition,
    end: SlotPosition,
    state: PartState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartState {
    Accepted,
    /// The slots are to be split into messages.
    Open,
    /// The message is to be made again, because the service may have it.
    Repeat(Fingerprint),
    /// The message is made. The flag is set if the service may have it.
    Made(Fingerprint, bool),
}

impl PartState {
    /// Returns the state before the message was made.
    fn set_back(self) -> Self {
        match self {
            Self::Made(print, true) => Self::Repeat(print),
            Self::Made(_, false) => Self::Open,
            state => state,
        }
    }
}

/// The messages of a batch, starting at the first slot that isn't known to be accepted.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The parts in the order of their slots, without gaps. The first isn't accepted.
    parts: VecDeque<Part>,
    /// The number of the first message that isn't begun, and the start of its slots.
    next: (u64, SlotPosition),
    /// The reduced limit of a message in bytes, if the service found one too large.
    pub(super) service_limit: Option<usize>,
}

impl Layout {
    pub(super) fn new(number: u64, start: SlotPosition, service_limit: Option<usize>) -> Self {
        Self { parts: VecDeque::new(), next: (number, start), service_limit }
    }

    /// Adds a part of a resume point, with the slots up to `end`.
    pub(super) fn resume(&mut self, part: &PointPart, end: SlotPosition) {
        let state = match *part {
            PointPart::Accepted { .. } => PartState::Accepted,
            PointPart::Open { .. } => PartState::Open,
            PointPart::Unknown { print, .. } => PartState::Repeat(print),
        };
        let start = std::mem::replace(&mut self.next.1, end.clone());
        self.parts.push_back(Part { number: part.number(), start, end, state });
    }

    /// Skips the first [task](Self::task), because none of its slots can be published.
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

    /// Returns the first message that isn't made.
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

    /// Records that the first [task](Self::task) was made into a message with the slots up to
    /// `end`.
    pub(super) fn made(&mut self, end: SlotPosition, print: Fingerprint) {
        let task = self.task();
        // Until this message is sent, the service can only have the earlier one.
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

    /// Records that message `number` is sent. The service may have it from now on.
    pub(super) fn sent(&mut self, number: u64, print: Fingerprint) {
        if let Some(part) = self.part(number) {
            part.state = PartState::Made(print, true);
        }
    }

    /// Records that the service doesn't have message `number`.
    pub(super) fn not_accepted(&mut self, number: u64) {
        if let Some(PartState::Made(_, may_be_accepted)) =
            self.part(number).map(|part| &mut part.state)
        {
            *may_be_accepted = false;
        }
    }

    /// Records that message `number` was accepted.
    pub(super) fn accepted(&mut self, number: u64) {
        if let Some(part) = self.part(number) {
            part.state = PartState::Accepted;
        }
        self.pop_accepted();
    }

    /// Opens the slots of message `number` again, so that they are split differently.
    pub(super) fn reopen(&mut self, number: u64) {
        if let Some(part) = self.part(number) {
            part.state = PartState::Open;
        }
    }

    /// Returns message `number` to its state before it was made. It gets the same slots again if
    /// the service may have it.
    pub(super) fn set_back(&mut self, number: u64) {
        if let Some(part) = self.part(number) {
            part.state = part.state.set_back();
        }
    }

    /// Removes open parts from the end and frees their numbers, if these are the highest.
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

    /// Returns the position of the first slot that isn't known to be accepted.
    pub(super) fn first(&self) -> &SlotPosition {
        self.parts.front().map_or(&self.next.1, |part| &part.start)
    }

    /// Returns whether every message that was begun is accepted.
    pub(super) fn is_accepted(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns how many messages have a number, and how many of them aren't accepted.
    pub(super) fn counts(&self) -> (u64, u64) {
        let numbered = self.next.0.saturating_sub(1);
        let missing = self
            .parts
            .iter()
            .filter(|part| part.state != PartState::Accepted && part.number.is_some());
        (numbered, missing.count() as u64)
    }

    /// Returns the number of accepted slots.
    pub(super) fn accepted_slots(&self) -> usize {
        let accepted = self.parts.iter().filter(|part| part.state == PartState::Accepted);
        self.first().position
            + accepted.map(|part| part.end.position - part.start.position).sum::<usize>()
    }

    /// Returns the number of numbered messages, starting at the first that isn't accepted.
    pub(super) fn span(&self) -> u64 {
        let first = self
            .parts
            .iter()
            .find_map(|part| part.number.filter(|_| part.state != PartState::Accepted));
        first.map_or(0, |first| self.next.0.saturating_sub(first))
    }

    /// Returns the ranges of positions with slots that are to be split into messages. The flag of a
    /// range is set if its first message has a number.
    pub(super) fn open(&self) -> impl Iterator<Item = (usize, Option<usize>, bool)> {
        let open = self.parts.iter().filter(|part| part.state == PartState::Open);
        let range =
            |part: &Part| (part.start.position, Some(part.end.position), part.number.is_some());
        open.map(range).chain([(self.next.1.position, None, false)])
    }

    /// Returns the point at which the batch resumes.
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
