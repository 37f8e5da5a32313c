//! A place in JSON text that moves over it once, from value to value.

use std::borrow::Cow;

use super::{Reason, Result, Stop, plain};

/// The key of a member.
#[derive(Clone, Copy)]
pub(crate) struct Key<'a> {
    /// As it is written, without its quotes.
    raw: &'a str,
    escaped: bool,
}

impl<'a> Key<'a> {
    /// A key that holds nothing to escape.
    pub(crate) const fn plain(name: &'a str) -> Self {
        Self { raw: name, escaped: false }
    }

    /// A key as it was written.
    pub(crate) fn written(raw: &'a str) -> Self {
        Self { raw, escaped: raw.contains('\\') }
    }

    pub(crate) fn raw(self) -> &'a str {
        self.raw
    }

    /// What it stands for. One that stands for no text, such as half a surrogate pair, is given as it is written.
    pub(crate) fn name(self) -> Cow<'a, str> {
        let decoded = self.escaped.then(|| decode(self.raw)).flatten();
        decoded.map_or(Cow::Borrowed(self.raw), Cow::Owned)
    }
}

/// A value read as a leaf.
pub(crate) enum Leaf<'a> {
    /// A string for what it stands for; a number or a boolean as it is written.
    Text(Cow<'a, str>),
    Null,
    /// An object, a list, or a string that stands for no text.
    Misfit,
}

#[derive(Clone, Copy)]
enum Container {
    Object,
    List,
}

/// Moves over JSON text (RFC 8259), however deep it is.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// The containers that are open while a value is passed over.
    open: Vec<Container>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new() }
    }

    /// Offset in bytes from the start of the text.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes back to a place it was at.
    pub(crate) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The text from `start` up to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The stop for text that is not what belongs here.
    #[cold]
    fn wrong(&self, reason: &'static str) -> Box<Stop> {
        let at_end = self.at >= self.text.len();
        Stop::at(self.at, if at_end { Reason::End } else { Reason::Wrong(reason) })
    }

    /// The next byte that is no space, left in its place.
    pub(crate) fn peek(&mut self) -> Result<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Ok(byte),
                None => return Err(Stop::at(self.at, Reason::End)),
            }
        }
    }

    /// Makes sure that nothing but space follows.
    pub(crate) fn end(&mut self) -> Result<()> {
        match self.peek() {
            Ok(_) => Err(self.wrong("something follows behind the end of the JSON")),
            Err(_) => Ok(()),
        }
    }

    /// Moves over `byte` if it comes next.
    pub(crate) fn take(&mut self, byte: u8) -> Result<bool> {
        let found = self.peek()? == byte;
        self.at += usize::from(found);
        Ok(found)
    }

    /// Moves on to the next member of an object, behind the colon; `None` behind the object's end. `first` is
    /// whether the opening bracket was the last thing passed.
    pub(crate) fn member(&mut self, first: bool) -> Result<Option<Key<'a>>> {
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !first => self.at += 1,
            _ if first => {}
            _ => return Err(self.wrong("expected a comma or the end of the object")),
        }
        self.key().map(Some)
    }

    /// Moves on to the next element of a list; `false` behind the list's end.
    pub(crate) fn element(&mut self, first: bool) -> Result<bool> {
        match self.peek()? {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b',' if !first => {
                self.at += 1;
                Ok(true)
            }
            _ if first => Ok(true),
            _ => Err(self.wrong("expected a comma or the end of the list")),
        }
    }

    fn key(&mut self) -> Result<Key<'a>> {
        if self.peek()? != b'"' {
            return Err(self.wrong("expected a key in quotes"));
        }
        let (raw, escaped) = self.string()?;
        if !self.take(b':')? {
            return Err(self.wrong("expected a colon"));
        }
        Ok(Key { raw, escaped })
    }

    /// Reads a value as a leaf.
    pub(crate) fn leaf(&mut self) -> Result<Leaf<'a>> {
        match self.peek()? {
            b'"' => {
                let (raw, escaped) = self.string()?;
                if !escaped {
                    return Ok(Leaf::Text(Cow::Borrowed(raw)));
                }
                Ok(decode(raw).map_or(Leaf::Misfit, |text| Leaf::Text(Cow::Owned(text))))
            }
            b'{' | b'[' => {
                self.skip()?;
                Ok(Leaf::Misfit)
            }
            _ => Ok(match self.skip()? {
                "null" => Leaf::Null,
                raw => Leaf::Text(Cow::Borrowed(raw)),
            }),
        }
    }

    /// Moves over a value of any kind and gives it as it is written.
    pub(crate) fn skip(&mut self) -> Result<&'a str> {
        self.peek()?;
        let start = self.at;
        self.open.clear();
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    if !self.take(b'}')? {
                        self.open.push(Container::Object);
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if !self.take(b']')? {
                        self.open.push(Container::List);
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => return Err(self.wrong("expected a value")),
            }
            if !self.close()? {
                return Ok(self.since(start));
            }
        }
    }

    /// Moves from a value's end to the next value, over every container that ends in between; `false` when none
    /// is open.
    fn close(&mut self) -> Result<bool> {
        while let Some(container) = self.open.last() {
            let more = match container {
                Container::Object => self.member(false)?.is_some(),
                Container::List => self.element(false)?,
            };
            if more {
                return Ok(true);
            }
            self.open.pop();
        }
        Ok(false)
    }

    /// Moves over a string, from quote to quote; what is between them, and whether it holds escapes.
    fn string(&mut self) -> Result<(&'a str, bool)> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain::prefix(self.rest());
            match self.byte() {
                Some(b'"') => {
                    let raw = self.since(start);
                    self.at += 1;
                    return Ok((raw, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.wrong("control character in a text; write it as an escape")),
            }
        }
    }

    /// Moves over a backslash and what it escapes.
    fn escape(&mut self) -> Result<()> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.wrong("expected four hexadecimal digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.wrong("unknown escape")),
        }
        Ok(())
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Result<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// Moves over at least one digit.
    fn digits(&mut self) -> Result<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.wrong("expected a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<()> {
        for expected in word.bytes() {
            if self.byte() != Some(expected) {
                return Err(self.wrong("expected a value"));
            }
            self.at += 1;
        }
        Ok(())
    }
}

/// The text that a string stands for; `None` where its escapes stand for none.
fn decode(raw: &str) -> Option<String> {
    serde_json::from_str(&format!("\"{raw}\"")).ok()
}
