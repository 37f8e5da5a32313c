//! Slots from blocking and async inputs, and the callback of a publication for accepted messages.

use std::future::IntoFuture;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, ErrorKind, Meta, PushSlots, Slot, SlotReader, SlotStream};
use support::batch::{arrived, serve, slots};
use support::model::{Reply, ScriptedOutcome, ok};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, duplex};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Returns slots as lines of JSON.
fn lines(slots: &[Slot]) -> String {
    slots.iter().map(line).collect()
}

fn line(slot: &Slot) -> String {
    String::from_utf8(slot.to_json()).unwrap() + "\n"
}

/// An input that blocks before each line, and returns one line at a time.
struct Blocking {
    lines: Vec<String>,
    delay: Duration,
    /// Receives a message when the input is dropped.
    dropped: Option<Sender<()>>,
}

impl Read for Blocking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.lines.is_empty() {
            return Ok(0);
        }
        thread::sleep(self.delay);
        let line = self.lines.remove(0);
        buffer[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            let _ = dropped.send(());
        }
    }
}

fn blocking(slots: &[Slot], delay: Duration) -> Blocking {
    Blocking { lines: slots.iter().map(line).collect(), delay, dropped: None }
}

/// One thread runs the client, and the input blocks for longer than an attempt may take.
#[tokio::test]
async fn blocking_input_does_not_delay_responses() {
    let service = MockService::builder()
        .respond_with(|request| {
            let is_message = request.path() == "/endpoint";
            is_message.then(|| MockResponse::usual().delay(Duration::from_millis(50)))
        })
        .start()
        .unwrap();
    let client = Client::builder().mock(&service).attempt_timeout(SECOND).build().unwrap();
    let slots = slots(0..4);
    let source = SlotReader::new(blocking(&slots, Duration::from_millis(1_500))).into_stream();
    let report = client.publish_stream(source).slots_per_message(1).await.unwrap();
    assert!(report.receipts().iter().all(|receipt| receipt.attempts().len() == 1));
    assert_eq!((report.run().accepted_messages, service.slots()), (4, slots));
}

#[tokio::test]
async fn slot_stream_returns_the_items_of_slot_reader() {
    let slots = slots(0..300);
    let text = lines(&slots).replacen("\"ID\":\"7\"", "\"ID\":\"7\"\"", 1) + "[]\n";
    let read: Vec<_> = SlotReader::new(text.as_bytes()).collect();
    let owned = io::Cursor::new(text.clone());
    let mut streams =
        [SlotReader::new(owned.clone()).into_stream(), SlotStream::from_async_read(owned)];
    for stream in &mut streams {
        let mut reader = SlotReader::new(text.as_bytes());
        let mut items = Vec::new();
        while let Some(item) = stream.next().await {
            reader.next();
            assert_eq!(stream.line(), reader.line());
            items.push(item);
        }
        assert_eq!(format!("{items:?}"), format!("{read:?}"));
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn meta_of_a_message_is_available() {
    let mut meta = Meta::new();
    meta.facility_code = Some("RES".to_owned());
    let message = PushSlots::builder().meta(meta).slots(slots(0..2)).build().unwrap();
    let json = io::Cursor::new(message.to_json());
    for mut stream in
        [SlotReader::new(json.clone()).into_stream(), SlotStream::from_async_read(json)]
    {
        assert!(stream.meta().is_none());
        stream.next().await.unwrap().unwrap();
        assert_eq!(stream.meta().and_then(|meta| meta.facility_code.as_deref()), Some("RES"));
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn slot_longer_than_a_piece_is_read_whole() {
    let mut long = slots(0..3);
    long[1] = long[1].clone().reason("ä".repeat(300_000).as_str());
    let text = lines(&long);
    for length in [1_009, 60_000] {
        let (mut writer, reader) = duplex(length);
        let bytes = text.clone().into_bytes();
        tokio::spawn(async move {
            for piece in bytes.chunks(length) {
                writer.write_all(piece).await.unwrap();
            }
        });
        let read: Vec<_> = SlotStream::from_async_read(reader).try_collect().await.unwrap();
        assert_eq!(lines(&read), text);
    }
}

/// An input that panics after one slot.
struct Panicking(Option<String>);

impl Read for Panicking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.0.take().expect("a panic of the input");
        buffer[..line.len()].copy_from_slice(line.as_bytes());
        Ok(line.len())
    }
}

#[tokio::test]
async fn input_that_panics_is_an_error_and_not_the_end() {
    let mut stream = SlotReader::new(Panicking(Some(lines(&slots(0..1))))).into_stream();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(error.is_last());
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn reader_thread_ends_when_its_stream_is_dropped() {
    let (dropped, is_dropped) = channel();
    let mut input = blocking(&slots(0..2_000), Duration::ZERO);
    input.dropped = Some(dropped);
    let mut stream = SlotReader::new(input).into_stream();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    is_dropped.recv_timeout(Duration::from_secs(30)).expect("the thread drops its input");
}

/// An input that fails after some bytes, like a cut connection.
struct Cut(io::Cursor<Vec<u8>>);

impl AsyncRead for Cut {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = std::pin::Pin::new(&mut self.0).poll_read(context, buffer);
        if buffer.filled().len() == before {
            return std::task::Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        read
    }
}

#[tokio::test(start_paused = true)]
async fn failed_async_input_ends_the_publication_after_the_earlier_messages() {
    let (model, client) = serve([ok()]);
    let source =
        SlotStream::from_async_read(Cut(io::Cursor::new(lines(&slots(0..5)).into_bytes())));
    let error = client.publish_stream(source).slots_per_message(2).await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Input);
    let source = std::error::Error::source(&error).unwrap();
    let cause = std::error::Error::source(source).unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(
        arrived(&model).len(),
        2,
        "the last slot is in no message, because more may have followed"
    );
}

#[tokio::test(start_paused = true)]
async fn slow_async_input_gives_the_same_messages_as_slots_in_memory() {
    let slots = slots(0..2_000);
    let (model, client) = serve([ok()]);
    client
        .publish_stream(futures_util::stream::iter(slots.clone()))
        .batch_id("b")
        .slots_per_message(300)
        .await
        .unwrap();
    let from_memory = arrived(&model);

    let (slow, client) = serve([ok()]);
    let (mut writer, reader) = duplex(1_000);
    let text = lines(&slots);
    let writing = tokio::spawn(async move {
        for piece in text.as_bytes().chunks(777) {
            sleep(Duration::from_millis(5)).await;
            writer.write_all(piece).await.unwrap();
        }
    });
    let source = SlotStream::from_async_read(reader);
    client.publish_stream(source).batch_id("b").slots_per_message(300).await.unwrap();
    writing.await.unwrap();
    let from_input = arrived(&slow);
    assert_eq!(from_input.len(), from_memory.len());
    for (one, other) in from_input.iter().zip(&from_memory) {
        assert_eq!((one.message_id, &one.body), (other.message_id, &other.body));
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_input_is_read_ahead_by_two_messages_at_most() {
    const MESSAGE: usize = 500_000;
    let hanging = ScriptedOutcome::Response(Reply { after: 3_600 * SECOND, ..Reply::accepted() });
    let (model, client) = serve([hanging]);
    let (mut writer, reader) = duplex(1_000);
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let text = lines(&slots(0..20_000));
    assert!(text.len() > 5 * MESSAGE);
    let writing = tokio::spawn(async move {
        for piece in text.as_bytes().chunks(1_000) {
            writer.write_all(piece).await.unwrap();
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    let client = client.clone();
    let publishing = tokio::spawn(async move {
        let source = SlotStream::from_async_read(reader);
        client
            .publish_stream(source)
            .slots_per_message(100_000)
            .bytes_per_message(MESSAGE)
            .deadline(7_200 * SECOND)
            .await
    });
    // The client reads as far ahead as it can while the first message is in flight.
    sleep(60 * SECOND).await;
    assert_eq!(model.calls().len(), 1);
    let ahead = written.load(Ordering::Relaxed);
    assert!((MESSAGE..=2 * MESSAGE + 2 * 64 * 1024).contains(&ahead), "{ahead} bytes were read");
    println!("{ahead} bytes were read while the first message of {MESSAGE} was in flight");
    publishing.abort();
    writing.abort();
}

#[tokio::test(start_paused = true)]
async fn receipts_report_the_range_of_their_slots() {
    let (_, client) = serve([ok()]);
    let mut slots = slots(0..9);
    slots[3] = Slot::new(pushslots::chrono::Utc::now(), -5);
    for concurrency in [1, 4] {
        let publication = client.publish(&slots).slots_per_message(2).concurrency(concurrency);
        let report = publication.skip_invalid(|_, _| ()).await.unwrap();
        let mut ranges: Vec<_> = report.receipts().iter().map(pushslots::Receipt::slots).collect();
        ranges.sort_by_key(|range| range.start);
        assert_eq!(ranges, [0..2, 2..5, 5..7, 7..9]);
        let json = serde_json::to_value(&report.receipts()[0]).unwrap();
        assert_eq!(json["slots"], serde_json::json!({"start": 0, "end": 2}));
    }
}

#[tokio::test(start_paused = true)]
async fn send_options_apply_to_the_messages_of_a_publication() {
    let (model, client) = serve([ScriptedOutcome::Hangs { accepted: false }]);
    let slots = slots(0..1);
    let began = Instant::now();
    let publication = client.publish(&slots).patience(Duration::ZERO).max_attempts(2);
    publication.await.unwrap_err();
    assert_eq!(model.calls().len(), 2);
    let publication = client.publish(&slots).patience(Duration::ZERO).deadline(3 * SECOND);
    let before = Instant::now();
    publication.await.unwrap_err();
    assert!(before.elapsed() <= 4 * SECOND, "{:?}", before.elapsed());
    let publication = client.publish(&slots).on_unknown(pushslots::OnUnknown::Stop);
    let error = publication.await.unwrap_err();
    assert_eq!(
        (error.delivery(), error.error().attempts().len()),
        (pushslots::Delivery::Unknown, 1)
    );
    assert!(began.elapsed() < 3_600 * SECOND);
    let publication = client.publish(&slots).patience(Duration::ZERO).max_attempts(1);
    let before = Instant::now();
    publication.attempt_timeout(2 * SECOND).await.unwrap_err();
    assert!(before.elapsed() <= 3 * SECOND, "{:?}", before.elapsed());
    let wrong = client
        .publish(&slots)
        .max_attempts(0)
        .deadline(Duration::ZERO)
        .attempt_timeout(Duration::ZERO);
    let error = wrong.await.unwrap_err();
    let paths: Vec<_> = error.error().problems().iter().map(pushslots::Problem::path).collect();
    assert_eq!(paths, ["max_attempts", "attempt_timeout", "deadline"]);
}

/// The events of a test, in order.
type Events = Arc<Mutex<Vec<String>>>;

fn event(events: &Events, text: impl Into<String>) {
    events.lock().unwrap().push(text.into());
}

#[tokio::test(start_paused = true)]
async fn on_accepted_completes_before_the_next_message_is_sent() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..6);
    let done = Arc::new(Mutex::new(Vec::new()));
    let publication = client.publish(&slots).batch_id("batch").slots_per_message(2);
    let report = publication
        .on_accepted(|accepted| {
            let done = done.clone();
            async move {
                sleep(10 * SECOND).await;
                done.lock().unwrap().push((
                    accepted.receipt.slots(),
                    accepted.resume_point,
                    Instant::now(),
                ));
                Ok::<_, io::Error>(())
            }
        })
        .await
        .unwrap();
    let done = done.lock().unwrap().clone();
    assert_eq!(
        done.iter().map(|(range, ..)| range.clone()).collect::<Vec<_>>(),
        [0..2, 2..4, 4..6]
    );
    let calls = model.calls();
    assert!(calls[1].began >= done[0].2 && calls[2].began >= done[1].2);
    assert_eq!(report.run().accepted_messages, 3, "the last call has completed too");
    // Each resume point is after its message.
    let again =
        client.publish(&slots).batch_id("batch").slots_per_message(2).resume_from(&done[1].1);
    assert_eq!(again.await.unwrap().run().accepted_slots, 2);
}

#[tokio::test(start_paused = true)]
async fn on_accepted_delays_only_messages_not_yet_in_flight() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..20);
    let calling = Arc::new(AtomicUsize::new(0));
    let spans = Arc::new(Mutex::new(Vec::new()));
    let publication = client.publish(&slots).slots_per_message(1).concurrency(4);
    publication
        .on_accepted(|_| {
            let calling = calling.clone();
            let spans = spans.clone();
            async move {
                assert_eq!(calling.fetch_add(1, Ordering::SeqCst), 0, "one call at a time");
                let began = Instant::now();
                sleep(SECOND).await;
                spans.lock().unwrap().push(began..Instant::now());
                calling.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, io::Error>(())
            }
        })
        .await
        .unwrap();
    let spans = spans.lock().unwrap();
    assert_eq!(spans.len(), 20);
    for call in model.calls() {
        assert!(!spans.iter().any(|span| span.start < call.began && call.began < span.end));
    }
}

#[tokio::test(start_paused = true)]
async fn on_accepted_that_fails_ends_the_publication_and_the_message_stays_accepted() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..6);
    let publication = client.publish(&slots).batch_id("batch").slots_per_message(2);
    let error = publication
        .on_accepted(|accepted| async move {
            match accepted.receipt.slots().start {
                2 => Err(io::Error::other("the database is full")),
                _ => Ok(()),
            }
        })
        .await
        .unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Callback);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the database is full");
    assert!(!error.to_string().contains("database"), "{error}");
    assert_eq!(error.report().receipts().len(), 2);
    let point = error.report().resume_point().unwrap().clone();
    client.publish(&slots).batch_id("batch").slots_per_message(2).resume_from(point).await.unwrap();
    assert_eq!(
        arrived(&model).iter().flat_map(|one| one.slots.clone()).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
}

#[tokio::test(start_paused = true)]
async fn on_accepted_that_fails_is_still_called_for_the_messages_in_flight() {
    let (_, client) = serve([ok()]);
    let slots = slots(0..20);
    let called = AtomicUsize::new(0);
    let publication = client.publish(&slots).slots_per_message(1).concurrency(3);
    let error = publication
        .on_accepted(|_| async {
            let number = called.fetch_add(1, Ordering::Relaxed);
            sleep(SECOND).await;
            if number == 0 {
                Err(io::Error::other("first"))
            } else {
                Err(io::Error::other("later"))
            }
        })
        .await
        .unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "first");
    assert_eq!((called.load(Ordering::Relaxed), error.report().receipts().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn on_accepted_that_fails_after_a_stop_is_an_error() {
    let (_, client) = serve([ok()]);
    let slots = slots(0..4);
    let publication = client.publish(&slots).slots_per_message(1);
    let handle = publication.handle();
    let failing = publication.on_accepted(|_| {
        handle.stop();
        async { Err(io::Error::other("the database is full")) }
    });
    assert_eq!(failing.await.unwrap_err().error().kind(), ErrorKind::Callback);
}

/// A loop that doesn't wait would stop the paused clock, and the test would never end.
#[tokio::test(start_paused = true)]
async fn on_accepted_may_take_longer_than_an_outage() {
    let outage = ScriptedOutcome::Response(Reply::new(503).retry_after("1"));
    let (_, client) = serve([ok(), outage.clone(), outage.clone(), outage.clone(), outage, ok()]);
    let slots = slots(0..8);
    let publication = client.publish(&slots).slots_per_message(1).concurrency(2);
    let slow = publication.on_accepted(|_| async {
        sleep(300 * SECOND).await;
        Ok::<_, io::Error>(())
    });
    let report = tokio::time::timeout(36_000 * SECOND, slow.into_future()).await.unwrap().unwrap();
    assert_eq!(report.run().accepted_messages, 8);
}

#[tokio::test(start_paused = true)]
async fn idle_time_of_a_stream_does_not_count_against_patience() {
    let (_, client) =
        serve([ok(), ScriptedOutcome::Response(Reply::new(429).retry_after("1")), ok()]);
    let idle = 3_600 * SECOND;
    let slots = slots(0..2);
    let stream = futures_util::stream::iter(slots).then(move |slot| async move {
        sleep(idle).await;
        slot
    });
    let publication = client.publish_stream(stream).slots_per_message(1).max_attempts(1);
    assert_eq!(publication.patience(2 * SECOND).await.unwrap().run().accepted_slots, 2);
}

#[tokio::test(start_paused = true)]
async fn on_accepted_that_panics_loses_no_message() {
    for panics_later in [false, true] {
        let (model, client) = serve([ok()]);
        let handle = tokio::spawn(async move {
            let slots = slots(0..8);
            let publication = client.publish(&slots).slots_per_message(1).concurrency(3);
            let call = move |_| {
                assert!(panics_later, "at once");
                async move { if panics_later { panic!("later") } else { Ok::<_, io::Error>(()) } }
            };
            publication.on_accepted(call).await.map(drop)
        });
        assert!(handle.await.unwrap_err().is_panic());
        let arrived = arrived(&model);
        assert!(arrived.len() == 3 && arrived.iter().all(|one| one.accepted), "{arrived:?}");
    }
}

/// A checkpoint in memory that records each write.
#[derive(Clone, Default)]
struct Memory {
    text: Arc<Mutex<Option<String>>>,
    events: Events,
}

impl pushslots::Checkpoint for Memory {
    async fn load(&self) -> Result<Option<String>, pushslots::CheckpointError> {
        Ok(self.text.lock().unwrap().clone())
    }

    async fn save(&self, text: &str) -> Result<(), pushslots::CheckpointError> {
        event(&self.events, "saved");
        *self.text.lock().unwrap() = Some(text.to_owned());
        Ok(())
    }

    async fn remove(&self) -> Result<(), pushslots::CheckpointError> {
        *self.text.lock().unwrap() = None;
        Ok(())
    }

    async fn archive(&self) -> Result<String, pushslots::CheckpointError> {
        unreachable!("the slots stay the same")
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_written_after_on_accepted() {
    let (model, client) = serve([ok()]);
    let slots = slots(0..3);
    let memory = Memory::default();
    let publish = |stops_at: Option<usize>| {
        let events = memory.events.clone();
        let publication = client.publish(&slots).slots_per_message(1).checkpoint_in(memory.clone());
        publication.on_accepted(move |accepted| {
            let events = events.clone();
            let number = accepted.receipt.slots().start;
            async move {
                event(&events, format!("called for {number}"));
                if stops_at == Some(number) {
                    std::future::pending::<()>().await;
                }
                Ok::<_, io::Error>(())
            }
        })
    };
    // The process ends while the callback handles the second message.
    let publication = publish(Some(1)).into_future();
    assert!(tokio::time::timeout(60 * SECOND, publication).await.is_err());
    publish(None).await.unwrap();
    assert_eq!(
        *memory.events.lock().unwrap(),
        [
            "saved",
            "called for 0",
            "saved",
            "called for 1", // The process ends here.
            "saved",
            "called for 1",
            "saved",
            "called for 2",
        ]
    );
    let arrived = arrived(&model);
    assert_eq!(arrived.iter().map(|one| one.slots[0]).collect::<Vec<_>>(), [0, 1, 1, 2]);
    assert_eq!(arrived[1].message_id, arrived[2].message_id);
}
