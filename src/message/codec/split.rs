//! Splits JSON that is known to be valid into members or elements.
//!
//! Reading a record level by level looks at its text once for each level. Only the first look has to
//! check it, so the others can be faster. For text that isn't JSON, the parts are arbitrary.

use super::plain_prefix;

/// Calls `found` with each key, in quotes, and value of the object `json`.
pub(super) fn members<'a>(json: &'a str, mut found: impl FnMut(&'a str, &'a str)) {
    let mut splitter = Splitter { json, at: 0 };
    splitter.enter();
    while splitter.peek() == Some(b'"') {
        let key = splitter.value();
        splitter.pass(b':');
        found(key, splitter.value());
        splitter.pass(b',');
    }
}

/// Calls `found` with each element of the list `json`.
pub(super) fn elements<'a>(json: &'a str, mut found: impl FnMut(&'a str)) {
    let mut splitter = Splitter { json, at: 0 };
    splitter.enter();
    while !matches!(splitter.peek(), Some(b']') | None) {
        found(splitter.value());
        splitter.pass(b',');
    }
}

struct Splitter<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Splitter<'a> {
    fn rest(&self) -> &'a [u8] {
        self.json.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Returns the next byte that isn't whitespace, without passing it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.rest().first() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                next => return next.copied(),
            }
        }
    }

    /// Passes the opening bracket.
    fn enter(&mut self) {
        if self.peek().is_some() {
            self.at += 1;
        }
    }

    /// Passes `byte` if it comes next, and the whitespace around it.
    fn pass(&mut self, byte: u8) {
        if self.peek() == Some(byte) {
            self.at += 1;
            self.peek();
        }
    }

    /// Passes a value and returns it.
    #[inline]
    fn value(&mut self) -> &'a str {
        let start = self.at;
        match self.rest().first() {
            Some(b'"') => self.pass_string(),
            Some(b'{' | b'[') => self.pass_nested(),
            _ => {
                let is_end =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
                let rest = self.rest();
                // At least one byte, so that text that isn't JSON has an end, too.
                self.at += rest.iter().position(is_end).unwrap_or(rest.len()).max(1);
            }
        }
        self.json.get(start..self.at).unwrap_or_default()
    }

    /// Passes a string with its quotes.
    #[inline]
    fn pass_string(&mut self) {
        self.at += 1;
        loop {
            let rest = self.rest();
            let plain = plain_prefix::prefix(rest);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => return self.at += 1,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => return,
            }
        }
    }

    /// Passes an object or a list.
    fn pass_nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.rest().first() {
            match byte {
                b'"' => {
                    self.pass_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}
