//! How the message layer compares with what one would write by hand: owned structs, serde derive and
//! `serde_json::to_vec`. `cargo bench --bench ratios` prints one `name: value` line a figure.
//!
//! Both sides hold the same 200,000 slots, which name 100 providers and 100 rooms in no order, as 20 messages of
//! 6.2 MB: one of 10 MB the service may refuse. They must write the same bytes and read them back.
//!
//! * A time is the median of the rounds, in each of which every side has its turn with all messages, one after the
//!   other. What is made of one is dropped before the next, outside the clock.
//! * Heap is what is still held when the work is done, by the sizes asked of the allocator. Counting costs one atomic
//!   addition for each allocation, of which the owned side has more.
//! * `one_document_…` is all slots in one message of 125 MB. Memory fresh from the system then takes more time than
//!   what is written to it, on every side.

mod ratios {
    pub mod owned;
    pub mod slots;
}

use std::alloc::System;
use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use cap::Cap;
use pushslots::{PushSlots, SlotReader};
use ratios::{owned, slots};

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const SLOTS: usize = 200_000;
const SLOTS_PER_MESSAGE: usize = 10_000;
const STREAMED_SLOTS: usize = 2_000_000;
const ROUNDS: usize = 11;

fn main() {
    let (messages, messages_heap) = held(|| slots::messages(SLOTS, SLOTS_PER_MESSAGE));
    let (owned, owned_heap) = held(|| owned::messages(SLOTS, SLOTS_PER_MESSAGE));
    let documents = all(&messages, PushSlots::to_json);
    assert!(documents == all(&owned, owned::to_json), "both sides write the same bytes");

    let (read, read_heap) = held(|| all(&documents, read));
    let (owned_read, owned_read_heap) = held(|| all(&documents, owned::read));
    assert!(read == messages && owned_read == owned, "both sides read what they wrote");
    drop((read, owned_read));

    let [encode, encode_owned, copy, read, read_owned] = medians(|| {
        [
            time(&messages, PushSlots::to_json),
            time(&owned, owned::to_json),
            time(&documents, Vec::clone),
            time(&documents, self::read),
            time(&documents, owned::read),
        ]
    });
    print("encode_vs_serde_json", ratio(encode, encode_owned));
    print("encode_vs_memcpy", ratio(encode, copy));
    print("bytes_per_slot_vs_owned", messages_heap as f64 / owned_heap as f64);
    print("read_vs_serde_json", ratio(read, read_owned));
    print("read_bytes_per_slot_vs_owned", read_heap as f64 / owned_read_heap as f64);
    drop((messages, owned, documents));

    print("stream_read_peak_mib", stream_peak() as f64 / f64::from(1 << 20));

    let (messages, owned) = (slots::messages(SLOTS, SLOTS), owned::messages(SLOTS, SLOTS));
    let documents = all(&messages, PushSlots::to_json);
    let [encode, encode_owned, copy] = medians(|| {
        [time(&messages, PushSlots::to_json), time(&owned, owned::to_json), time(&documents, Vec::clone)]
    });
    print("one_document_encode_vs_serde_json", ratio(encode, encode_owned));
    print("one_document_encode_vs_memcpy", ratio(encode, copy));
}

fn read(json: &Vec<u8>) -> PushSlots {
    PushSlots::from_json(json).unwrap()
}

fn all<T, U>(items: &[T], work: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(work).collect()
}

fn print(name: &str, value: f64) {
    println!("{name}: {value:.3}");
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}

/// What `make` makes, and the heap that it holds.
fn held<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = HEAP.allocated();
    let made = make();
    (made, HEAP.allocated() - before)
}

/// How long `work` takes with all items, one after the other.
fn time<T, U>(items: &[T], work: impl Fn(&T) -> U) -> Duration {
    let time = |item| {
        let start = Instant::now();
        let made = black_box(work(black_box(item)));
        let time = start.elapsed();
        drop(made);
        time
    };
    items.iter().map(time).sum()
}

fn medians<const N: usize>(round: impl Fn() -> [Duration; N]) -> [Duration; N] {
    let rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    std::array::from_fn(|side| {
        let mut times: Vec<_> = rounds.iter().map(|round| round[side]).collect();
        times.sort();
        times[ROUNDS / 2]
    })
}

/// The most heap that is held while slots are read from a source that makes them up, as seen whenever the reader asks
/// for more and whenever it gives a slot.
fn stream_peak() -> usize {
    let (before, peak) = (HEAP.allocated(), Cell::new(0));
    let look = || peak.set(peak.get().max(HEAP.allocated() - before));
    let source = Watched { source: slots::Source::new(STREAMED_SLOTS), look };
    let mut count = 0;
    for slot in SlotReader::new(source) {
        let slot = slot.unwrap();
        assert!(slot.provider.is_some() && slot.location.is_some());
        count += 1;
        look();
    }
    assert_eq!(count, STREAMED_SLOTS);
    peak.get()
}

struct Watched<R, F> {
    source: R,
    look: F,
}

impl<R: Read, F: Fn()> Read for Watched<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.look)();
        self.source.read(buffer)
    }
}
