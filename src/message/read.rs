//! Reading a whole message from JSON.

use super::json::{Result, Stop};
use super::pool::Pools;
use super::read_error::{Place, ReadError};
use super::reader::{Reader, Seen};
use super::rest::Rest;
use super::{Meta, PushSlots};
use crate::text;

impl PushSlots {
    /// Reads a message from JSON, after any byte-order mark.
    ///
    /// Reading is tolerant: see [the module](crate::message). [`validate`](Self::validate) reports the problems of the message
    /// itself, and so does the client before it sends anything. Equal providers,
    /// locations and reasons are [shared](crate::Shared). For more slots than memory holds there is
    /// [`SlotReader`](crate::SlotReader).
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
    ///
    /// let cut = PushSlots::from_json(br#"{"Slots": [{"Duration": "#).unwrap_err();
    /// assert_eq!((cut.path(), cut.line(), cut.column()), ("Slots[0].Duration", 1, 25));
    /// # Ok::<(), pushslots::ReadError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Input that is not UTF-8, no JSON, or JSON but no object, with path, line and column.
    pub fn from_json(json: impl AsRef<[u8]>) -> std::result::Result<Self, ReadError> {
        let bytes = json.as_ref();
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (before, _) = bytes.split_at(error.valid_up_to());
            ReadError::at(Place::START.after(before), "the input is not UTF-8")
        })?;
        let json = text.trim_start_matches(text::is_blank);
        let (before, _) = bytes.split_at(bytes.len() - json.len());
        let start = Place::START.after(before);
        if json.is_empty() {
            return Err(ReadError::at(start, "the input is empty"));
        }
        let mut pools = Pools::unlimited();
        let message = Self::read(&mut Reader::new(json, &mut pools));
        message.map_err(|stop| ReadError::stopped(&stop, json, start))
    }

    fn read(reader: &mut Reader<'_, '_>) -> Result<Self> {
        if !reader.cursor.take(b'{')? {
            let start = reader.cursor.at();
            reader.cursor.skip()?;
            reader.cursor.end()?;
            return Err(Stop::value(start, "the input is JSON but no object"));
        }
        let (mut meta, mut slots, mut rest) = (None::<Meta>, Vec::new(), Rest::default());
        let mut seen: [Seen<'_>; 3] = Default::default();
        let [meta_seen, slots_seen, extensions_seen] = &mut seen;
        let mut first = true;
        while let Some(key) = reader.cursor.member(first)? {
            first = false;
            match &*key.name() {
                "Meta" => reader.field("Meta", &mut meta, meta_seen, &mut rest)?,
                "Slots" => reader.field("Slots", &mut slots, slots_seen, &mut rest)?,
                "Extensions" => reader.extensions(extensions_seen, &mut rest)?,
                _ => rest.add(key, reader.cursor.skip()?),
            }
        }
        reader.cursor.end()?;
        // Where `Meta` can't be read it stays in the rest, and validation names it.
        let mut meta = meta.unwrap_or_default();
        meta.name_event();
        Ok(Self { meta, slots, rest })
    }
}
