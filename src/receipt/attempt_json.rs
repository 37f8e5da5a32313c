//! The JSON form of an attempt.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::json::{logs, milliseconds, optional_milliseconds, status, whole_seconds};
use super::{Attempt, Delivery};
use crate::message::Log;
use crate::retry::NextStep;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Attempt")]
struct AttemptJson {
    number: u32,
    message_id: Uuid,
    started: DateTime<Utc>,
    #[serde(rename = "elapsed_ms", with = "milliseconds")]
    elapsed: Duration,
    #[serde(default, with = "status")]
    status: Option<StatusCode>,
    delivery: Delivery,
    error: Option<String>,
    #[serde(with = "logs")]
    logs: Vec<Log>,
    #[serde(rename = "token_age_ms", default, with = "optional_milliseconds")]
    token_age: Option<Duration>,
    #[serde(rename = "retry_after_s", default, with = "whole_seconds")]
    retry_after: Option<Duration>,
    #[serde(rename = "delay_ms", default, with = "optional_milliseconds")]
    delay: Option<Duration>,
    next_step: NextStep,
}

/// An attempt inside another record. The paths of its errors start at that record.
#[derive(Deserialize)]
pub(crate) struct StoredAttempt(#[serde(with = "AttemptJson")] pub(crate) Attempt);

impl Serialize for Attempt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AttemptJson::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Attempt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::read::<StoredAttempt, D>(deserializer).map(|stored| stored.0)
    }
}
