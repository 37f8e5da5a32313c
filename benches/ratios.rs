//! Compares the message layer with handwritten code: owned structs, serde derive and
//! `serde_json::to_vec`. `cargo bench --bench ratios` prints one line `name: value` for each
//! figure.
//!
//! Both sides hold the same 200,000 slots in 20 messages of 6.2 MB, because the service may reject
//! messages of 10 MB. The slots use 100 providers and 100 rooms in no particular order. Both sides
//! must write the same bytes and read them back.
//!
//! * A time is a median of rounds. In each round, every side processes all messages, one after the
//!   other. Results are dropped between messages, outside the measured time. The JSON of shared
//!   records is encoded before the first round.
//! * Heap is the memory still allocated after the work, by requested size and without spare
//!   capacity of the slot list. Counting adds one atomic addition to each allocation, and the owned
//!   side has more allocations.
//! * `read_vs_simd_json` and `read_vs_sonic_rs` compare with the structs read by these crates.
//! * `validate_vs_encode` is the time to check messages in ratio to encoding them.
//! * `one_document_…` is all slots in one message of 125 MB. Here both sides spend more time on
//!   fresh memory from the system than on writing to it.
//! * `ratios/sending.rs` explains `publish_vs_…` and `send_…`, `ratios/publishing.rs` explains
//!   `publish_latency_…` and `checkpoint_…`, `ratios/mock.rs` explains `mock_…`,
//!   `ratios/rate_limit.rs` explains `rate_limit_…`, and `ratios/growth.rs` explains `growth_…`.
//! * `cores_busy_with_others` is the load under which all this was measured: the CPU time that other
//!   processes used, and that the hypervisor gave to other machines, per second.
//! * `many_records_…` has as many providers and rooms as slots, chosen at random, so hardly any are
//!   shared.
//! * `empty_slots_…` is a message of 10 MB in which every slot is empty and therefore has problems.

mod ratios {
    pub mod growth;
    pub mod load;
    pub mod mock;
    pub mod owned;
    pub mod publishing;
    pub mod rate_limit;
    pub mod sending;
    pub mod service;
    pub mod slots;
    pub mod source;
}

use std::alloc::System;
use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, Read};
use std::time::Instant;

use cap::Cap;
use pushslots::{Error, PushSlots, SlotReader};
use ratios::load::Load;
use ratios::{growth, mock, owned, publishing, rate_limit, sending, slots, source};

#[global_allocator]
pub static HEAP: Cap<System> = Cap::new(System, usize::MAX);

const SLOTS: usize = 200_000;
const SLOTS_PER_MESSAGE: usize = 10_000;
const PEOPLE: usize = 100;
const STREAMED_SLOTS: usize = 2_000_000;
const ROUNDS: usize = 11;

fn main() {
    // `cargo test --all-targets` runs this binary too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let selected: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let parts: [(&str, fn()); 9] = [
        ("shared_records", shared_records),
        ("one_document", || document("one_document", SLOTS, PEOPLE)),
        ("many_records", || document("many_records", SLOTS_PER_MESSAGE, SLOTS)),
        ("empty_slots", empty_slots),
        ("sending", sending::run),
        ("publishing", publishing::run),
        ("rate_limit", rate_limit::run),
        ("mock", mock::run),
        ("growth", growth::run),
    ];
    let load = Load::start();
    for (name, run) in parts {
        if selected.is_empty() || selected.iter().any(|word| word == name) {
            run();
        }
    }
    load.print();
}

fn shared_records() {
    let (messages, messages_heap) = held(|| slots::messages(SLOTS, SLOTS_PER_MESSAGE, PEOPLE));
    let (owned, owned_heap) = held(|| owned::messages(SLOTS, SLOTS_PER_MESSAGE, PEOPLE));
    let documents = all(&messages, PushSlots::to_json);
    assert!(documents == all(&owned, owned::to_json), "both sides write the same bytes");
    let (read, read_heap) = held(|| all(&documents, self::read));
    let (owned_read, owned_read_heap) =
        held(|| all(&documents, |json| owned::shrunk(owned::read(json))));
    assert!(read == messages && owned_read == owned, "both sides read what they wrote");
    drop((read, owned_read));

    let times = Times::of(&messages, &owned, &documents);
    print("encode_vs_serde_json", times.encode / times.encode_owned);
    print("encode_vs_memcpy", times.encode / times.copy);
    print("bytes_per_slot_vs_owned", messages_heap as f64 / owned_heap as f64);
    print("read_vs_serde_json", times.read / times.read_owned);
    print("read_vs_simd_json", times.read / times.read_simd_json);
    print("read_vs_sonic_rs", times.read / times.read_sonic_rs);
    print("validate_vs_encode", times.validate / times.encode);
    print("read_bytes_per_slot_vs_owned", read_heap as f64 / owned_read_heap as f64);
    drop((messages, owned, documents));
    print("stream_read_peak_mib", stream_peak_mib(PEOPLE));
}

/// Compares messages of `per_message` slots with as many providers and rooms as `people`.
fn document(name: &str, per_message: usize, people: usize) {
    let messages = slots::messages(SLOTS, per_message, people);
    let owned = owned::messages(SLOTS, per_message, people);
    let documents = all(&messages, PushSlots::to_json);
    let times = Times::of(&messages, &owned, &documents);
    print(&format!("{name}_encode_vs_serde_json"), times.encode / times.encode_owned);
    print(&format!("{name}_encode_vs_memcpy"), times.encode / times.copy);
    print(&format!("{name}_read_vs_serde_json"), times.read / times.read_owned);
    print(&format!("{name}_read_vs_simd_json"), times.read / times.read_simd_json);
    print(&format!("{name}_read_vs_sonic_rs"), times.read / times.read_sonic_rs);
    if people > PEOPLE {
        drop((messages, owned, documents));
        print(&format!("{name}_stream_read_peak_mib"), stream_peak_mib(STREAMED_SLOTS));
    }
}

/// Medians, in seconds.
struct Times {
    encode: f64,
    encode_owned: f64,
    copy: f64,
    read: f64,
    read_owned: f64,
    read_simd_json: f64,
    read_sonic_rs: f64,
    validate: f64,
}

impl Times {
    fn of(messages: &[PushSlots], owned: &[owned::Message], documents: &[Vec<u8>]) -> Self {
        let rounds: Vec<[f64; 8]> = (0..ROUNDS)
            .map(|_| {
                [
                    seconds(messages, PushSlots::to_json),
                    seconds(owned, owned::to_json),
                    seconds(documents, Vec::clone),
                    seconds(documents, read),
                    seconds(documents, owned::read),
                    simd_json_seconds(documents),
                    seconds(documents, |json| {
                        sonic_rs::from_slice::<owned::Message>(json).unwrap()
                    }),
                    seconds(messages, |message| message.validate().unwrap()),
                ]
            })
            .collect();
        let [encode, encode_owned, copy, read, read_owned, read_simd_json, read_sonic_rs, validate] =
            std::array::from_fn(|side| {
                let mut times: Vec<_> = rounds.iter().map(|round| round[side]).collect();
                times.sort_by(f64::total_cmp);
                times[ROUNDS / 2]
            });
        Self {
            encode,
            encode_owned,
            copy,
            read,
            read_owned,
            read_simd_json,
            read_sonic_rs,
            validate,
        }
    }
}

/// Measures 10 MB of empty slots. Prints the time to check them, build the error and format it, and
/// the total heap in ratio to the heap of the message.
fn empty_slots() {
    let json = format!("{{\"Slots\":[{}{{}}]}}", "{},".repeat(10_000_000 / 3)).into_bytes();
    let (message, message_heap) = held(|| read(&json));
    let mut heap = 0;
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let (error, error_heap) = held(|| {
                let error = Error::from(message.validate().unwrap_err());
                (error.to_string(), error)
            });
            heap = heap.max(error_heap);
            drop(error);
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    print("empty_slots_check_seconds", times[ROUNDS / 2]);
    print("empty_slots_check_heap_vs_read", (message_heap + heap) as f64 / message_heap as f64);
}

fn read(json: &Vec<u8>) -> PushSlots {
    PushSlots::from_json(json).unwrap()
}

fn all<T, U>(items: &[T], work: impl Fn(&T) -> U) -> Vec<U> {
    items.iter().map(work).collect()
}

pub fn print(name: &str, value: f64) {
    println!("{name}: {value:.3}");
}

/// Returns the result of `make`, and the heap that it holds.
fn held<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = HEAP.allocated();
    let result = make();
    (result, HEAP.allocated() - before)
}

/// Returns the time that `work` takes with all items, one after the other.
fn seconds<T, U>(items: &[T], work: impl Fn(&T) -> U) -> f64 {
    let time = |item| {
        let start = Instant::now();
        let result = black_box(work(black_box(item)));
        let time = start.elapsed();
        drop(result);
        time.as_secs_f64()
    };
    items.iter().map(time).sum()
}

/// Returns the time that simd-json takes to read all documents. It changes its input, and the time to
/// copy that doesn't count.
fn simd_json_seconds(documents: &[Vec<u8>]) -> f64 {
    let time = |json: &Vec<u8>| {
        let mut json = json.clone();
        let start = Instant::now();
        let message = black_box(simd_json::from_slice::<owned::Message>(&mut json).unwrap());
        let time = start.elapsed();
        drop(message);
        time.as_secs_f64()
    };
    documents.iter().map(time).sum()
}

/// Returns the most heap in use while slots are read from a generated source. Samples the heap
/// whenever the reader reads from the source or returns a slot.
fn stream_peak_mib(people: usize) -> f64 {
    let before = HEAP.allocated();
    let peak = Cell::new(0);
    let sample = || peak.set(peak.get().max(HEAP.allocated() - before));
    let source = SampledSource { source: source::Source::new(STREAMED_SLOTS, people), sample };
    let mut count = 0;
    for slot in SlotReader::new(source) {
        let slot = slot.unwrap();
        assert!(slot.provider.is_some() && slot.location.is_some());
        count += 1;
        sample();
    }
    assert_eq!(count, STREAMED_SLOTS);
    peak.get() as f64 / f64::from(1 << 20)
}

/// A source that samples the heap before each read.
struct SampledSource<R, F> {
    source: R,
    sample: F,
}

impl<R: Read, F: Fn()> Read for SampledSource<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (self.sample)();
        self.source.read(buffer)
    }
}
