//! Reading a message from JSON.

use std::fmt;

use serde_json::error::Category;
use serde_json::value::RawValue;

use super::json::Object;
use super::record::Field;
use super::{Meta, PushSlots, Slot};

/// Input that is no JSON object, so that there is no message to speak of.
///
/// It tells where the input goes wrong and never repeats any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    reason: String,
    line: usize,
    column: usize,
}

impl ReadError {
    fn new(reason: impl Into<String>, line: usize, column: usize) -> Self {
        Self { reason: reason.into(), line, column }
    }

    /// Line at which the input goes wrong, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column at which the input goes wrong, in bytes from 1; 0 where it goes wrong at a line's end.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, line, column } = self;
        write!(f, "no PushSlots message: {reason} at line {line} column {column}")
    }
}

impl std::error::Error for ReadError {}

impl PushSlots {
    /// Reads a message from JSON; a leading byte-order mark is passed over.
    ///
    /// Reading is tolerant, as [the module](crate::message) says. What is wrong with the message itself
    /// is told by [`validate`](Self::validate), and by the client before it sends anything.
    ///
    /// ```
    /// use pushslots::PushSlots;
    ///
    /// let odd = br#"{"Slots": [{"DateTime": "2016-08-01 14:00:00Z", "Duration": "30", "Provider": {}}]}"#;
    /// let message = PushSlots::from_json(odd)?;
    /// assert_eq!(message.slots()[0].duration, Some(30.0));
    ///
    /// let wrong = PushSlots::from_json(br#"{"Slots": [{"Duration": "soon"}]}"#)?;
    /// let problems: Vec<_> = wrong.validate().unwrap_err().problems().iter().map(|p| p.path().to_owned()).collect();
    /// assert_eq!(problems, ["Slots[0].Duration", "Slots[0].DateTime"]);
    /// # Ok::<(), pushslots::ReadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Input that is not UTF-8, no JSON, or JSON but no object, with line and column.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, ReadError> {
        let text = utf8(json.as_ref())?;
        let text = text.trim_start_matches('\u{feff}');
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| syntax(text, &error))?;
        let Ok(mut object) = Object::read(raw) else {
            return Err(ReadError::new("the input is JSON but no object", 1, 1));
        };
        // Where `Meta` can't be read it stays among the others, and validation names it.
        let meta = object.take("Meta", <Option<Meta> as Field>::read);
        let mut meta = meta.unwrap_or_default();
        meta.name_event();
        let slots = object.take("Slots", <Vec<Slot> as Field>::read);
        Ok(Self { meta, slots, others: object.into_others() })
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, ReadError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, _) = bytes.split_at(error.valid_up_to());
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |place| place + 1);
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        ReadError::new("the input is not UTF-8", line, before.len() - line_start + 1)
    })
}

fn syntax(text: &str, error: &serde_json::Error) -> ReadError {
    let reason = match error.classify() {
        Category::Eof if text.trim().is_empty() => "the input is empty".to_owned(),
        Category::Eof => "the input ends before the JSON does".to_owned(),
        // The words of a syntax error are fixed; those of any other may repeat the input.
        Category::Syntax => {
            let text = error.to_string();
            let end = text.rfind(" at line ").unwrap_or(text.len());
            text.get(..end).unwrap_or_default().to_owned()
        }
        Category::Data | Category::Io => "the input is no JSON".to_owned(),
    };
    ReadError::new(reason, error.line(), error.column())
}
