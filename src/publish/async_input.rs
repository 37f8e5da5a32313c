//! Reads slots from an async input.

use std::io::{self, ErrorKind, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::message::{ReadError, ReadOutcome, Slot, SlotReader};

/// The number of bytes to read from the input at a time.
const PIECE: usize = 64 * 1024;

/// Reads slots from an async input.
pub(super) struct AsyncInput {
    input: Pin<Box<dyn AsyncRead + Send>>,
    pub(super) reader: SlotReader<Buffer>,
}

/// The bytes that were last read from the input.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// The number of bytes that the slot reader has taken.
    read: usize,
    has_ended: bool,
    failure: Option<io::Error>,
}

impl AsyncInput {
    pub(super) fn new(input: impl AsyncRead + Send + 'static) -> Self {
        Self { input: Box::pin(input), reader: SlotReader::new(Buffer::default()) }
    }

    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Slot, ReadError>>> {
        loop {
            match self.reader.read_next() {
                Ok(ReadOutcome::Slot(slot)) => return Poll::Ready(Some(Ok(slot))),
                Ok(ReadOutcome::End) => return Poll::Ready(None),
                Ok(ReadOutcome::Nothing) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let buffer = self.reader.input_mut();
            buffer.bytes.resize(PIECE, 0);
            let mut free = ReadBuf::new(&mut buffer.bytes);
            let came = self.input.as_mut().poll_read(context, &mut free);
            let length = if matches!(came, Poll::Ready(Ok(()))) { free.filled().len() } else { 0 };
            buffer.bytes.truncate(length);
            buffer.read = 0;
            match ready!(came) {
                Ok(()) => buffer.has_ended = length == 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => buffer.failure = Some(error),
            }
        }
    }
}

impl Read for Buffer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.read..).unwrap_or_default();
        if rest.is_empty() && !self.has_ended {
            return Err(self.failure.take().unwrap_or_else(|| ErrorKind::WouldBlock.into()));
        }
        let count = rest.read(into)?;
        self.read += count;
        Ok(count)
    }
}
