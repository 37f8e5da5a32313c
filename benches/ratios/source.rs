//! A generated input of any length.

use std::io::{self, Read};
use std::ops::Range;

use super::owned;

/// A list of slots that is generated while it is read.
pub struct Source {
    slots: Range<usize>,
    people: usize,
    /// The bytes that were generated and not read yet.
    made: Vec<u8>,
    read: usize,
}

impl Source {
    pub fn new(count: usize, people: usize) -> Self {
        Self { slots: 0..count, people, made: b"[".to_vec(), read: 0 }
    }

    /// Generates the next slot. Returns whether there was one.
    fn make(&mut self) -> bool {
        self.made.clear();
        self.read = 0;
        let Some(index) = self.slots.next() else { return false };
        serde_json::to_writer(&mut self.made, &owned::slot(index, self.people)).unwrap();
        self.made.push(if self.slots.is_empty() { b']' } else { b',' });
        true
    }
}

impl Read for Source {
    /// Fills the buffer completely, as a file does.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && (self.read < self.made.len() || self.make()) {
            let count = (&self.made[self.read..]).read(&mut buffer[filled..])?;
            self.read += count;
            filled += count;
        }
        Ok(filled)
    }
}
