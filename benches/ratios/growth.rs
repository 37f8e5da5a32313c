//! Measures how the time per slot grows with the number of slots.
//!
//! The slots are in messages of 1,000, and use 100 providers and 100 rooms. Each time is a median of
//! rounds, of which large numbers have fewer.
//!
//! * Encoding and reading are timed message by message, so that only one is held at a time.
//! * Publishing is a stream of slots from an iterator to a service on its own thread, and includes
//!   the time to build them.
//! * Resuming passes over all slots except those of the last message, which is sent.
//!
//! `growth_…` is the time per slot with 10,000,000 slots divided by that with 10,000. The table of
//! `docs/performance.md` follows, in microseconds. If the variable `PUSHSLOTS_PLOT` is an absolute
//! path, the plot is written there as SVG.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream;
use plotters::prelude::*;
use pushslots::{Client, PushSlots, ResumePoint};
use tokio::runtime::{Builder, Runtime};

use super::sending::{client, median};
use super::{service, slots};
use crate::print;

const SIZES: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const SLOTS_PER_MESSAGE: usize = 1_000;
const PEOPLE: usize = 100;
const WORK: [&str; 4] = ["encode", "read", "publish", "resume"];

pub fn run() {
    let stage = Stage {
        records: slots::Records::new(PEOPLE),
        runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        client: client(service::start(Duration::ZERO)),
    };
    let times = SIZES.map(|count| {
        let rounds = (3 * SIZES[3] / count).clamp(3, 101);
        let rounds: Vec<_> = (0..rounds).map(|_| stage.round(count)).collect();
        std::array::from_fn(|work| {
            let seconds = median(rounds.iter().map(|round| round[work]).collect());
            seconds * 1e6 / count as f64
        })
    });
    for (work, name) in WORK.iter().enumerate() {
        print(&format!("growth_{name}"), times[3][work] / times[0][work]);
    }
    println!("\n| slots | {} |\n| --- |{}", WORK.join(" | "), " --- |".repeat(WORK.len()));
    for (count, times) in SIZES.iter().zip(&times) {
        let cells: Vec<_> = times.iter().map(|time| format!("{time:.2}")).collect();
        println!("| {count} | {} |", cells.join(" | "));
    }
    if let Some(path) = std::env::var_os("PUSHSLOTS_PLOT") {
        plot(Path::new(&path), &times).unwrap();
    }
}

struct Stage {
    records: slots::Records,
    runtime: Runtime,
    client: Client,
}

impl Stage {
    /// Returns the seconds that each kind of work takes for this number of slots.
    fn round(&self, count: usize) -> [f64; WORK.len()] {
        let (mut encode, mut read) = (Duration::ZERO, Duration::ZERO);
        for first in (0..count).step_by(SLOTS_PER_MESSAGE) {
            let slots = self.records.slots(first..first + SLOTS_PER_MESSAGE);
            let message = PushSlots::builder().slots(slots).build().unwrap();
            let began = Instant::now();
            let json = message.to_json();
            encode += began.elapsed();
            let began = Instant::now();
            let message = PushSlots::from_json(&json).unwrap();
            read += began.elapsed();
            assert_eq!(message.slots().len(), SLOTS_PER_MESSAGE);
        }
        let (publish, before_last) = self.publish(count, None);
        let (resume, _) = self.publish(count, before_last);
        [encode.as_secs_f64(), read.as_secs_f64(), publish, resume]
    }

    /// Publishes this number of slots, from a resume point if there is one. Returns the time in
    /// seconds, and the resume point before the last message.
    fn publish(&self, count: usize, from: Option<ResumePoint>) -> (f64, Option<ResumePoint>) {
        let expected = if from.is_some() { SLOTS_PER_MESSAGE } else { count };
        let mut before_last = None;
        let began = Instant::now();
        let mut publication = self
            .client
            .publish_stream(stream::iter(self.records.slots(0..count)))
            .slots_per_message(SLOTS_PER_MESSAGE)
            .batch_id("growth")
            .on_progress(|progress| {
                if progress.run.accepted_slots + SLOTS_PER_MESSAGE == count {
                    before_last.clone_from(&progress.resume_point);
                }
            });
        if let Some(point) = from {
            publication = publication.resume_from(point);
        }
        let report = self.runtime.block_on(async { publication.await.unwrap() });
        let time = began.elapsed();
        assert_eq!(report.run().accepted_slots, expected);
        (time.as_secs_f64(), before_last)
    }
}

/// Draws a line for each kind of work: microseconds per slot by the number of slots.
fn plot(path: &Path, times: &[[f64; WORK.len()]; SIZES.len()]) -> Result<(), Box<dyn Error>> {
    let colors = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), BLACK];
    let slots = SIZES.map(|count| count as f64);
    let highest = times.iter().flatten().copied().fold(0.0, f64::max);
    let area = SVGBackend::new(path, (720, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d((slots[0]..slots[3]).log_scale(), 0.0..highest * 1.6)?;
    chart
        .configure_mesh()
        .x_desc("slots")
        .y_desc("microseconds per slot")
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|slots| format!("{slots:e}"))
        .draw()?;
    for (work, (name, color)) in WORK.iter().zip(colors).enumerate() {
        let points = slots.into_iter().zip(times.iter().map(|times| times[work]));
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
