//! A scanner that moves through JSON text from value to value.
//!
//! serde_json reads the values. The scanner itself handles the brackets, commas and colons around
//! them, because the list that contains them may be larger than memory. It also reads the usual
//! response of the service, faster than serde's derived code.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::codec::path::PathSegment;
use crate::message::codec::plain_prefix;
use crate::message::codec::raw::{Key, plain_string, whole_number};

pub(crate) type Parsed<T> = Result<T, Box<ParseError>>;

/// An error for text that isn't JSON, or for a value of the wrong type.
#[derive(Debug)]
pub(crate) struct ParseError {
    pub(crate) reason: Reason,
    /// The offset of the error in bytes.
    pub(crate) at: usize,
    /// The path to the value that contains the offset, last segment first.
    segments: Vec<PathSegment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The text ends before the value does.
    End,
    Wrong(Cow<'static, str>),
}

impl ParseError {
    pub(crate) fn new(at: usize, reason: Reason) -> Box<Self> {
        Box::new(Self { reason, at, segments: Vec::new() })
    }

    /// Creates the error for a value of the wrong type that starts at `at`.
    pub(crate) fn value(at: usize, reason: &'static str) -> Box<Self> {
        Self::new(at, Reason::Wrong(reason.into()))
    }

    /// Adds the segment of the value that contains the error.
    pub(crate) fn under(mut self: Box<Self>, segment: PathSegment) -> Box<Self> {
        self.segments.push(segment);
        self
    }

    /// Adapts the error to `line`, a complete line. More input can't complete the value.
    pub(crate) fn at_end_of_line(mut self: Box<Self>, line: &str) -> Box<Self> {
        if self.reason == Reason::End {
            self.at = line.trim_end().len();
            self.reason = Reason::Wrong("the line ends before the JSON does".into());
        }
        self
    }

    /// Adds the segments from the value that was read to the error, first segment first.
    fn inside(mut self: Box<Self>, segments: Vec<PathSegment>) -> Box<Self> {
        self.segments.extend(segments.into_iter().rev());
        self
    }

    /// Returns the path of the value that contains the error; empty at the top level.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for (number, segment) in self.segments.iter().rev().enumerate() {
            // Writing to memory can't fail.
            let _ = segment.write(number == 0, &mut path);
        }
        path
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "the input ends before the JSON does",
            Self::Wrong(reason) => reason,
        })
    }
}

/// A function that finds the path to the point at which a value stops being JSON. The text begins
/// with the value.
pub(crate) type Locate = fn(text: &str, path: &mut Vec<PathSegment>);

/// A scanner of JSON text (RFC 8259).
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the offset in the text in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes a value of `length` bytes that is known to be JSON.
    pub(crate) fn pass(&mut self, length: usize) {
        self.at += length;
    }

    /// Moves back to an earlier offset.
    pub(crate) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Returns the text from `start` to the current offset.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Returns the text after the current offset.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Returns whether only whitespace follows.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.pass_space();
        self.at >= self.text.len()
    }

    fn pass_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    /// Returns the next byte that isn't whitespace, without consuming it.
    pub(crate) fn peek(&mut self) -> Parsed<u8> {
        self.pass_space();
        let byte = self.text.as_bytes().get(self.at).copied();
        byte.ok_or_else(|| ParseError::new(self.at, Reason::End))
    }

    /// Consumes `byte` if it comes next. Returns whether it did.
    pub(crate) fn take(&mut self, byte: u8) -> Parsed<bool> {
        let is_next = self.peek()? == byte;
        self.at += usize::from(is_next);
        Ok(is_next)
    }

    /// Returns an error unless only whitespace follows.
    pub(crate) fn end(&mut self) -> Parsed<()> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(self.wrong("unexpected text after the end of the JSON"))
        }
    }

    #[cold]
    fn wrong(&self, reason: &'static str) -> Box<ParseError> {
        ParseError::value(self.at, reason)
    }

    /// Consumes the next key of an object and its colon, and returns the key. Returns `None` after
    /// the end of the object. `is_first` is true directly after the opening bracket.
    #[inline]
    pub(crate) fn member(&mut self, is_first: bool) -> Parsed<Option<Key<'a>>> {
        match self.plain_member(is_first) {
            Some(key) => Ok(Some(key)),
            None => self.any_member(is_first),
        }
    }

    /// Consumes the next key like [`member`](Self::member), if the key is written without escapes,
    /// and without whitespace around it. Otherwise consumes nothing.
    #[inline]
    fn plain_member(&mut self, is_first: bool) -> Option<Key<'a>> {
        let before: &[u8] = if is_first { b"\"" } else { b",\"" };
        if !self.text.as_bytes().get(self.at..)?.starts_with(before) {
            return None;
        }
        self.plain_until(self.at + before.len(), b"\":").map(Key::written)
    }

    /// Consumes plain text from `start` on and `end` directly after it, and returns the text. If
    /// anything else follows, consumes nothing and returns `None`.
    #[inline]
    fn plain_until<const N: usize>(&mut self, start: usize, end: &[u8; N]) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(start..)?;
        let stop = start + plain_prefix::prefix(rest);
        if self.text.as_bytes().get(stop..)?.first_chunk() != Some(end) {
            return None;
        }
        let plain = self.text.get(start..stop)?;
        self.at = stop + N;
        Some(plain)
    }

    fn any_member(&mut self, is_first: bool) -> Parsed<Option<Key<'a>>> {
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return Ok(None);
            }
            b',' if !is_first => self.at += 1,
            _ if is_first => {}
            _ => return Err(self.wrong("expected a comma or the end of the object")),
        }
        if self.peek()? != b'"' {
            return Err(self.wrong("expected a key in quotes"));
        }
        let key = self.raw()?;
        if !self.take(b':')? {
            return Err(self.wrong("expected a colon"));
        }
        Ok(Some(Key::quoted(key)))
    }

    /// Moves to the next element of a list. Returns `false` after the end of the list. `is_first`
    /// is true directly after the opening bracket.
    pub(crate) fn element(&mut self, is_first: bool) -> Parsed<bool> {
        match self.peek()? {
            b']' => {
                self.at += 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.wrong("expected a comma or the end of the list")),
        }
    }

    /// Consumes a value of any type and returns its JSON as written.
    pub(crate) fn raw(&mut self) -> Parsed<&'a str> {
        self.pass_space();
        let rest = self.rest();
        if let Some(simple) = plain_string(rest).or_else(|| whole_number(rest)) {
            self.at += simple.len();
            return Ok(simple);
        }
        Ok(self.value::<&RawValue>()?.map_or("", RawValue::get))
    }

    /// Consumes a string without escapes, and returns its content. Returns `None` for any other value.
    #[inline]
    pub(crate) fn plain_text(&mut self) -> Option<&'a str> {
        self.pass_space();
        if self.text.as_bytes().get(self.at) != Some(&b'"') {
            return None;
        }
        self.plain_until(self.at + 1, b"\"")
    }

    /// Consumes a value like [`raw`](Self::raw). Adds the path that `locate` finds to an error.
    pub(crate) fn located(&mut self, locate: Locate) -> Parsed<&'a str> {
        self.raw().map_err(|error| self.locate(error, locate))
    }

    /// Reads and consumes the next value. If it is JSON of another type, returns `None` and doesn't
    /// consume it.
    pub(crate) fn value<T: Deserialize<'a>>(&mut self) -> Parsed<Option<T>> {
        self.pass_space();
        let rest = self.rest();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(Some(value))
            }
            Some(Err(error)) if error.is_data() => Ok(None),
            Some(Err(error)) => Err(self.error(&error)),
            None => Err(ParseError::new(self.at, Reason::End)),
        }
    }

    /// Adds the path to the error of a value that begins here.
    #[cold]
    pub(crate) fn locate(&self, error: Box<ParseError>, locate: Locate) -> Box<ParseError> {
        let mut path = Vec::new();
        locate(self.rest(), &mut path);
        error.inside(path)
    }

    /// Converts the error that serde_json returned for a value that begins here.
    #[cold]
    fn error(&self, error: &serde_json::Error) -> Box<ParseError> {
        let rest = self.rest();
        let before: usize =
            rest.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let mut at = (before + error.column()).saturating_sub(1);
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
        // serde_json reports a number that is cut off as an invalid number. The error text isn't
        // checked for that, because it may change.
        let is_cut = at + 1 >= rest.len() && rest.ends_with(['-', '+', '.', 'e', 'E']);
        if error.is_eof() || is_cut {
            return ParseError::new(self.text.len(), Reason::End);
        }
        if text.starts_with(CONTROL_CHARACTER) {
            // serde_json reports a position before the control character.
            at += rest.as_bytes().iter().skip(at).take_while(|&&byte| byte >= b' ').count();
        }
        ParseError::new(self.at + at, Reason::Wrong(in_plain_words(text)))
    }
}

const CONTROL_CHARACTER: &str = "control character";

/// Returns the message of serde_json in words that don't require knowledge of its source code.
fn in_plain_words(text: &str) -> Cow<'static, str> {
    Cow::Borrowed(match text {
        "expected value" | "expected ident" | "trailing comma" => "expected a value",
        "expected `:`" => "expected a colon",
        "expected `,` or `}`" => "expected a comma or the end of the object",
        "expected `,` or `]`" => "expected a comma or the end of the list",
        "key must be a string" => "expected a key in quotes",
        "invalid number" => "not a JSON number",
        "invalid escape" => "unknown escape",
        "trailing characters" => "unexpected text after the value",
        _ if text.starts_with(CONTROL_CHARACTER) => {
            "control character in a string; write it as an escape"
        }
        other => return Cow::Owned(other.to_owned()),
    })
}

/// Finds the member of an object that isn't complete, valid JSON. Returns its key, and the text
/// from its value on.
pub(crate) fn locate_member(text: &str) -> Option<(Key<'_>, &str)> {
    let mut scanner = Scanner::new(text);
    if !scanner.take(b'{').ok()? {
        return None;
    }
    let mut is_first = true;
    while let Some(key) = scanner.member(is_first).ok()? {
        is_first = false;
        let value = scanner.rest();
        if scanner.raw().is_err() {
            return Some((key, value));
        }
    }
    None
}

/// Finds the element of a list that isn't complete, valid JSON. Returns its index, and the text
/// from the element on.
pub(crate) fn locate_element(text: &str) -> Option<(usize, &str)> {
    let mut scanner = Scanner::new(text);
    if !scanner.take(b'[').ok()? {
        return None;
    }
    let mut index = 0;
    while scanner.element(index == 0).ok()? {
        let element = scanner.rest();
        if scanner.raw().is_err() {
            return Some((index, element));
        }
        index += 1;
    }
    None
}
