//! An appointment slot.

use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};

use super::{Location, Minutes, Provider, Shared};
use crate::message::codec::path::Path;
use crate::message::codec::problems::Problems;
use crate::message::codec::record::{Rules, record};
use crate::message::codec::value::Value;
use crate::message::{InvalidMessage, ProblemCode};

record! {
    /// An appointment slot: `Slots[]` in the reference.
    ///
    /// ```
    /// use pushslots::{Location, Provider, Slot};
    /// use pushslots::chrono::{TimeZone, Utc};
    ///
    /// let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
    /// let slot = Slot::new(nine_o_clock, 15)
    ///     .id("1")
    ///     .reason("Office Visit")
    ///     .provider(Provider::new().id("4356789876", "NPI"))
    ///     .location(Location::new().facility("RES General Hospital").room("136"));
    /// assert_eq!(slot.duration, Some(15.into()));
    /// ```
    pub struct Slot {
        /// The ID of the slot in the sender's system.
        "ID" => pub id: Option<Box<str>>,
        /// The start of the appointment; required. Written in UTC in RFC 3339 form.
        "DateTime" => pub date_time: Option<DateTime<Utc>>,
        /// The duration of the appointment in minutes, above 0; required.
        "Duration" => pub duration: Option<Minutes>,
        /// The reason for the visit or the availability of the slot, as free text.
        ///
        /// Slots can share a reason.
        "Reason" => pub reason: Option<Arc<str>>,
        /// The provider of the appointment.
        "Provider" => pub provider: Option<Shared<Provider>>,
        /// The location of the appointment.
        "Location" => pub location: Option<Shared<Location>>,
    }
    shown: date_time, duration;
    // An empty element is a slot without a time. Dropping it would hide that problem.
    empty element: Slot::blank;
    one pass;
}

impl Slot {
    /// Creates a slot that starts at `date_time` and takes `duration` minutes.
    ///
    /// The time can be in any time zone. The duration is a number of [minutes](Minutes) above 0, or
    /// a [`TimeDelta`](chrono::TimeDelta). It is validated when the message is built.
    #[must_use]
    pub fn new<Z: TimeZone>(date_time: DateTime<Z>, duration: impl Into<Minutes>) -> Self {
        Self {
            date_time: Some(date_time.to_utc()),
            duration: Some(duration.into()),
            ..Self::blank()
        }
    }

    /// Sets the ID of the slot in the sender's system.
    #[must_use]
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the reason for the visit or the availability of the slot.
    ///
    /// Clones of an `Arc<str>` share its memory.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Sets the provider: a [`Provider`], or one that many slots [share](Provider::share).
    #[must_use]
    pub fn provider(mut self, provider: impl Into<Shared<Provider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Sets the location: a [`Location`], or one that many slots [share](Location::share).
    #[must_use]
    pub fn location(mut self, location: impl Into<Shared<Location>>) -> Self {
        self.location = Some(location.into());
        self
    }
}

impl Slot {
    /// Validates only this slot, as [`PushSlots::validate`](crate::PushSlots::validate) does for a
    /// whole message.
    ///
    /// ```
    /// use pushslots::Slot;
    /// use pushslots::chrono::{TimeZone, Utc};
    ///
    /// let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
    /// let wrong = Slot::new(nine_o_clock, 0).validate().unwrap_err();
    /// assert_eq!(wrong.problems()[0].path(), "Duration");
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the problems, each with its path in the slot.
    pub fn validate(&self) -> Result<(), InvalidMessage> {
        let mut problems = Problems::default();
        self.check(Path::ROOT, &mut problems);
        problems.into_result()
    }

    /// Returns the slot as JSON, as written in a message and on a line of a file for
    /// [`SlotReader`](crate::SlotReader).
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length::<true>());
        self.write(&mut out);
        out
    }
}

impl Rules for Slot {
    const REQUIRED: &'static [&'static str] = &["DateTime", "Duration"];

    #[inline]
    fn rules(&self, at: Path<'_>, problems: &mut Problems) {
        if self.date_time.is_none() && !self.extras.has("DateTime") {
            problems.add(
                at.key("DateTime"),
                ProblemCode::Missing,
                "missing; set the start of the slot",
            );
        }
        if self.duration.is_none() && !self.extras.has("Duration") {
            problems.add(
                at.key("Duration"),
                ProblemCode::Missing,
                "missing; set the number of minutes",
            );
        }
    }
}
