//! What reading a record needs: a place in the text, and the records read so far.

use super::extensions::Extensions;
use super::json::{Cursor, Key, Result, Step, Stop};
use super::pool::Pools;
use super::record::Field;
use super::rest::Rest;

/// What a JSON value turned out to be.
pub(crate) enum Read<T> {
    Value(T),
    /// `null` or an object of which nothing is said.
    Nothing,
    /// JSON, but not what belongs in its place.
    Misfit,
}

/// Reads the values of one text, and shares those that are alike.
pub(crate) struct Reader<'a, 'p> {
    pub(super) cursor: Cursor<'a>,
    pub(super) pools: &'p mut Pools,
}

impl<'a, 'p> Reader<'a, 'p> {
    pub(super) fn new(text: &'a str, pools: &'p mut Pools) -> Self {
        Self { cursor: Cursor::new(text), pools }
    }

    /// Reads `raw` alone.
    pub(super) fn of<T>(raw: &str, read: impl FnOnce(&mut Reader<'_, '_>) -> Result<T>) -> Result<T> {
        read(&mut Reader::new(raw, &mut Pools::unlimited()))
    }

    /// Passes over a value in the place of an object.
    pub(super) fn no_object<T>(&mut self) -> Result<Read<T>> {
        Ok(if self.cursor.skip()? == "null" { Read::Nothing } else { Read::Misfit })
    }

    /// Reads the value of `Extensions` into `rest`.
    pub(super) fn extensions(&mut self, seen: &mut Seen<'a>, rest: &mut Rest) -> Result<()> {
        let mut extensions = Extensions::default();
        self.field("Extensions", &mut extensions, seen, rest)?;
        rest.set_extensions(extensions);
        Ok(())
    }

    /// Reads the value of `key` into `field`. One that does not fit, or whose key is given more than once so that
    /// nobody can tell which is meant, goes among the others as it is written.
    pub(super) fn field<F: Field>(
        &mut self,
        key: &'static str,
        field: &mut F,
        seen: &mut Seen<'a>,
        rest: &mut Rest,
    ) -> Result<()> {
        let under = |stop: Box<Stop>| stop.under(Step::Key(key));
        self.cursor.peek().map_err(under)?;
        let start = self.cursor.at();
        if let Seen::Not = seen {
            let value = F::read(self).map_err(under)?;
            let raw = self.cursor.since(start);
            *seen = match value {
                Some(value) => {
                    *field = value;
                    Seen::Read(raw)
                }
                None => {
                    rest.add(Key::plain(key), raw);
                    Seen::Kept
                }
            };
            return Ok(());
        }
        let raw = self.cursor.skip().map_err(under)?;
        if let Seen::Read(first) = std::mem::replace(seen, Seen::Kept) {
            *field = F::default();
            rest.add(Key::plain(key), first);
        }
        rest.add(Key::plain(key), raw);
        Ok(())
    }
}

/// What became of a key of a record so far.
#[derive(Default)]
pub(crate) enum Seen<'a> {
    /// It was not given.
    #[default]
    Not,
    /// This was read into its field.
    Read(&'a str),
    /// What was given is among the others.
    Kept,
}
