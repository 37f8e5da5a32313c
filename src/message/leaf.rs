//! The leaves of the data model: how each kind is read from odd data, checked and written.

use chrono::{DateTime, Datelike, Timelike, Utc};
use serde::Serializer;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::json::{Misfit, text};
use super::problem::{Path, Problem};
use super::record::Value;
use super::timestamp;

impl Value for String {
    const EXPECTED: &'static str = "a text";

    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit> {
        Ok(Some(text(raw)?.into_owned()))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit> {
        match text(raw)?.trim() {
            value if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            value if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            _ => Err(Misfit),
        }
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self)
    }
}

impl Value for Uuid {
    const EXPECTED: &'static str = "a UUID, such as 7ce6f387-c33c-417d-8682-81e83628cbd9";

    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit> {
        Self::try_parse(text(raw)?.trim()).map(Some).map_err(|_| Misfit)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A time, always written in UTC.
impl Value for DateTime<Utc> {
    const EXPECTED: &'static str = "a date and time of day with its UTC offset, such as 2016-08-01T14:00:00Z";

    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit> {
        timestamp::read(&text(raw)?).map(Some).ok_or(Misfit)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&timestamp::Rfc3339(*self))
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        // RFC 3339, section 5.6: a year has four digits.
        if !(0..=9999).contains(&self.year()) {
            problems.push(at.problem("no real time: the year must be between 0 and 9999"));
        }
        if self.nanosecond() >= 1_000_000_000 {
            problems.push(at.problem("no real time: a leap second"));
        }
    }
}

/// A length in minutes.
impl Value for f64 {
    const EXPECTED: &'static str = "a number of minutes above 0";

    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit> {
        let text = text(raw)?;
        // Rust also reads names such as `inf` and `NaN`, which are no numbers in JSON.
        let digits = text.trim();
        if !digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
            return Err(Misfit);
        }
        let minutes: Self = digits.parse().map_err(|_| Misfit)?;
        minutes.is_finite().then_some(Some(minutes)).ok_or(Misfit)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Up to here every whole number has an f64 of its own, so that the cast changes nothing.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.fract() == 0.0 && self.abs() <= EXACT {
            #[allow(clippy::cast_possible_truncation)]
            return serializer.serialize_i64(*self as i64);
        }
        serializer.serialize_f64(*self)
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        if !self.is_finite() {
            problems.push(at.problem("not finite; give the number of minutes"));
        } else if *self <= 0.0 {
            problems.push(at.problem("not above 0; give the number of minutes"));
        }
    }
}

/// A place in a series, counted from 1; the model carries it as text.
impl Value for u64 {
    const EXPECTED: &'static str = "a whole number from 1, such as \"1\"";

    fn read(raw: &RawValue) -> Result<Option<Self>, Misfit> {
        let text = text(raw)?;
        let digits = text.trim();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Misfit);
        }
        digits.parse().map(Some).map_err(|_| Misfit)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        if *self == 0 {
            problems.push(at.problem("not a whole number from 1; the first is 1"));
        }
    }
}
