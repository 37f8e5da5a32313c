//! A stream of slots from a blocking or async input.

use std::fmt;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use futures_util::Stream;
use tokio::io::AsyncRead;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::async_input::AsyncInput;
use crate::message::{Meta, ReadError, Slot, SlotReader};

/// The maximum number of slots that are read ahead.
const AHEAD: usize = 128;

/// A stream of the slots in an input, for
/// [`Client::publish_stream`](crate::Client::publish_stream).
///
/// [`SlotReader::into_stream`] and [`SlotStream::from_async_read`] create one. It reads the same
/// formats as a [`SlotReader`], in constant memory, and yields each slot as soon as it is complete.
///
/// The items are `Result<Slot, ReadError>`. The stream continues after an error that [isn't the
/// last](ReadError::is_last). A publication ends at the first error, unless it [skips invalid
/// slots](crate::PublishBuilder::skip_invalid).
pub struct SlotStream {
    input: Input,
    line: usize,
    meta: Option<Meta>,
}

enum Input {
    /// Slots from a reading thread.
    Thread(Receiver<FromThread>),
    Async(Box<AsyncInput>),
    Ended,
}

/// A message from the reading thread.
enum FromThread {
    Meta(Box<Meta>),
    /// A slot, and the line on which it starts.
    Slot(Result<Slot, ReadError>, usize),
    End,
}

impl<R: Read + Send + 'static> SlotReader<R> {
    /// Reads the slots on a separate thread, so that an input that blocks doesn't delay messages in
    /// flight. Such inputs are files, pipes and blocking sockets.
    ///
    /// Up to 128 slots are read ahead. After the stream is dropped, the thread ends once it has
    /// read the next slot; if the input blocks, that is when more input arrives. The program can
    /// exit without waiting for the thread.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, SlotReader};
    /// # async fn example(client: Client, file: std::fs::File) -> Result<(), PublishError> {
    /// let report = client.publish_stream(SlotReader::new(file).into_stream()).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn into_stream(self) -> SlotStream {
        let (sender, receiver) = channel(AHEAD);
        let input = match thread::Builder::new()
            .name("slot-reader".to_owned())
            .spawn(move || read(self, &sender))
        {
            Ok(_) => receiver,
            Err(error) => failed(error),
        };
        SlotStream { input: Input::Thread(input), line: 1, meta: None }
    }
}

/// Creates the items of a stream that only reports why no thread could be started.
fn failed(error: io::Error) -> Receiver<FromThread> {
    let (sender, receiver) = channel(2);
    // The channel has room for both.
    let _ = sender.try_send(FromThread::Slot(Err(ReadError::after_line(1, error)), 1));
    let _ = sender.try_send(FromThread::End);
    receiver
}

/// Reads all slots of an input until it ends or the stream is dropped.
fn read<R: Read>(mut reader: SlotReader<R>, sender: &Sender<FromThread>) {
    let mut has_meta = false;
    loop {
        let next = catch_unwind(AssertUnwindSafe(|| reader.next()));
        let (next, is_last) = match next {
            Ok(next) => (next, false),
            // The panic's own text is left out, because it may contain part of the input.
            Err(_) => {
                let error = io::Error::other("the input panicked");
                (Some(Err(ReadError::after_line(reader.line(), error))), true)
            }
        };
        if let Some(meta) = reader.meta().filter(|_| !has_meta) {
            has_meta = true;
            if sender.blocking_send(FromThread::Meta(Box::new(meta.clone()))).is_err() {
                return;
            }
        }
        let is_last = is_last || next.is_none();
        if let Some(slot) = next {
            if sender.blocking_send(FromThread::Slot(slot, reader.line())).is_err() {
                return;
            }
        }
        if is_last {
            let _ = sender.blocking_send(FromThread::End);
            return;
        }
    }
}

impl SlotStream {
    /// Creates a stream of the slots in an async input, such as a
    /// [`tokio::net::TcpStream`](https://docs.rs/tokio/latest/tokio/net/struct.TcpStream.html) or
    /// the body of a request.
    ///
    /// ```no_run
    /// # use pushslots::{Client, PublishError, SlotStream};
    /// # async fn example(client: Client, input: impl tokio::io::AsyncRead + Send + 'static) -> Result<(), PublishError> {
    /// let report = client.publish_stream(SlotStream::from_async_read(input)).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn from_async_read(input: impl AsyncRead + Send + 'static) -> Self {
        Self { input: Input::Async(Box::new(AsyncInput::new(input))), line: 1, meta: None }
    }

    /// Returns the line on which the most recently yielded value starts. The first line of the
    /// input is 1.
    #[must_use]
    pub fn line(&self) -> usize {
        match &self.input {
            Input::Async(input) => input.reader.line(),
            Input::Thread(_) | Input::Ended => self.line,
        }
    }

    /// Returns the message's `Meta` if the input is a message, like [`SlotReader::meta`].
    #[must_use]
    pub fn meta(&self) -> Option<&Meta> {
        match &self.input {
            Input::Async(input) => input.reader.meta(),
            Input::Thread(_) | Input::Ended => self.meta.as_ref(),
        }
    }
}

impl Stream for SlotStream {
    type Item = Result<Slot, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let receiver = match &mut this.input {
                Input::Thread(receiver) => receiver,
                Input::Async(input) => return input.poll_next(context),
                Input::Ended => return Poll::Ready(None),
            };
            match receiver.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(FromThread::Meta(meta))) => this.meta = Some(*meta),
                Poll::Ready(Some(FromThread::Slot(slot, line))) => {
                    this.line = line;
                    return Poll::Ready(Some(slot));
                }
                Poll::Ready(Some(FromThread::End)) => this.input = Input::Ended,
                // The thread sends `End` when the input ends. Without it, slots may be missing.
                Poll::Ready(None) => {
                    this.input = Input::Ended;
                    let error = ReadError::after_line(
                        this.line,
                        io::Error::other("the reading thread ended"),
                    );
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for SlotStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotStream").field("line", &self.line()).finish_non_exhaustive()
    }
}
