//! Counts the requests in what a client writes to a connection, as it comes and however it is cut.

use std::collections::BTreeSet;

use super::raw::{header, split};

/// The requests that begin on one connection. A request counts once a byte of its body came:
/// without one it is none to a service.
pub enum Requests {
    Http1(Http1),
    Http2(Http2),
}

impl Requests {
    /// Reads on; gives the message id of each request that begins to arrive, or nothing in its
    /// place where the protocol hides it.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Option<String>> {
        match self {
            Self::Http1(requests) => requests.read(bytes),
            Self::Http2(requests) => requests.read(bytes),
        }
    }
}

/// HTTP/1.1 with the length of each body told.
#[derive(Default)]
pub struct Http1 {
    head: Vec<u8>,
    /// What is missing of the body of the last request.
    missing: usize,
    /// The message id of a request whose body is still to come.
    announced: Option<String>,
}

impl Http1 {
    fn read(&mut self, mut bytes: &[u8]) -> Vec<Option<String>> {
        let mut begun = Vec::new();
        while let [first, rest @ ..] = bytes {
            if self.missing > 0 {
                begun.extend(self.announced.take().map(Some));
                let body = self.missing.min(bytes.len());
                self.missing -= body;
                bytes = &bytes[body..];
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if self.head.ends_with(b"\r\n\r\n") {
                let head = std::mem::take(&mut self.head);
                let (head, _) = split(&head);
                self.missing =
                    header(head, "content-length").map_or(0, |length| length.parse().unwrap());
                // A token request has none.
                self.announced = header(head, "idempotency-key").map(str::to_owned);
            }
        }
        begun
    }
}

/// HTTP/2 by its frames: RFC 9113, section 4.1. What is in them is not read.
#[derive(Default)]
pub struct Http2 {
    unread: Vec<u8>,
    has_begun: bool,
    streams: BTreeSet<u32>,
}

impl Http2 {
    fn read(&mut self, bytes: &[u8]) -> Vec<Option<String>> {
        const PREFACE: usize = 24;
        const DATA: u8 = 0;
        self.unread.extend_from_slice(bytes);
        let mut begun = Vec::new();
        if !self.has_begun {
            if self.unread.len() < PREFACE {
                return begun;
            }
            self.unread.drain(..PREFACE);
            self.has_begun = true;
        }
        while let [a, b, c, kind, _, d, e, f, g, ..] = self.unread[..] {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let stream = u32::from_be_bytes([d, e, f, g]);
            let arrived = self.unread.len() - 9;
            if kind == DATA && length.min(arrived) > 0 && self.streams.insert(stream) {
                begun.push(None);
            }
            if arrived < length {
                break;
            }
            self.unread.drain(..9 + length);
        }
        begun
    }
}
