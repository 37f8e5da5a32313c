//! Counts the requests in the bytes that a client writes to a connection. The bytes may be split
//! anywhere.

use std::collections::BTreeSet;

use super::raw::{header, split};

/// The requests that begin on one connection. A request counts from the first byte of its body,
/// because a service ignores it until then.
pub enum Requests {
    Http1(Http1),
    Http2(Http2),
}

impl Requests {
    /// Reads more bytes. Returns the message id of each request that begins to arrive, or `None` if
    /// the protocol hides it.
    pub fn read(&mut self, bytes: &[u8]) -> Vec<Option<String>> {
        match self {
            Self::Http1(requests) => requests.read(bytes),
            Self::Http2(requests) => requests.read(bytes),
        }
    }
}

/// HTTP/1.1 with `Content-Length`.
#[derive(Default)]
pub struct Http1 {
    head: Vec<u8>,
    /// The number of body bytes of the last request that are still missing.
    missing: usize,
    /// The message id of a request that has no body bytes yet.
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
                // Token requests have no message id.
                self.announced = header(head, "idempotency-key").map(str::to_owned);
            }
        }
        begun
    }
}

/// HTTP/2 frames (RFC 9113, section 4.1). Their contents aren't read.
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
