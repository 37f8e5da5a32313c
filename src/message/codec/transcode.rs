//! Conversion between the JSON text of a value and other serde formats.

use std::any::type_name;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

use super::interner::Interner;
use super::json_writer as write;
use super::raw::{Leaf, Object, kind, list};
use super::value::{Read, Value};

/// The name with which serde_json passes on a value as written.
const RAW: &str = "$serde_json::private::RawValue";

/// The name with which serde_json passes on a number if a program enables its feature
/// `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// The JSON of a deserialized value. The JSON is as written if serde_json reads it; otherwise the
/// value is converted to JSON.
pub(crate) struct Json(pub(crate) String);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut out = Vec::new();
        deserializer.deserialize_newtype_struct(RAW, JsonWriter(&mut out))?;
        String::from_utf8(out).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a record. An empty object becomes the `blank` record.
pub(crate) fn deserialize<'de, T: Value, D: Deserializer<'de>>(
    deserializer: D,
    blank: fn() -> T,
) -> Result<T, D::Error> {
    let Json(json) = Json::deserialize(deserializer)?;
    match T::read(&json, &mut Interner::of(&json)) {
        Read::Value(value) => Ok(value),
        Read::Nothing if json != "null" => Ok(blank()),
        Read::Nothing | Read::WrongType => Err(wrong_type(T::EXPECTED, &json)),
    }
}

/// Creates the error for `json` of an unexpected type.
pub(crate) fn wrong_type<E: serde::de::Error>(expected: &str, json: &str) -> E {
    E::custom(format_args!("expected {expected}; this {} isn't one", kind(json)))
}

/// A visitor that writes the visited value as JSON.
struct JsonWriter<'a>(&'a mut Vec<u8>);

impl JsonWriter<'_> {
    fn by_serde_json<E: serde::de::Error>(self, value: impl Serialize) -> Result<(), E> {
        serde_json::to_writer(self.0, &value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for JsonWriter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonWriter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can represent")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.by_serde_json(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.by_serde_json(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.by_serde_json(value)
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<(), E> {
        self.by_serde_json(value)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<(), E> {
        self.by_serde_json(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("a number that isn't finite can't be written as JSON"));
        }
        // An identifier must not lose its last digits.
        if value.abs() >= write::EXACT {
            return Err(E::custom(
                "a number above 9007199254740991 was given as a float; write it as a string",
            ));
        }
        write::number(value, self.0);
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        write::string(value, self.0);
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let start = self.0.len();
        self.0.push(b',');
        while seq.next_element_seed(JsonWriter(self.0))?.is_some() {
            self.0.push(b',');
        }
        self.0.pop();
        write::enclose(*b"[]", start, self.0);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let start = self.0.len();
        while let Some(key) = map.next_key_seed(TextKey)? {
            if key == RAW || key == NUMBER {
                // Any sender can write such a key. It must therefore be alone, and its value must
                // be one complete JSON value.
                let no_json = || A::Error::custom("a value that isn't JSON");
                // The error for a value of another type would contain the value.
                let json = map.next_value::<String>().map_err(|_| no_json())?;
                let json: &RawValue = serde_json::from_str(&json).map_err(|_| no_json())?;
                let is_alone = self.0.len() == start && map.next_key_seed(TextKey)?.is_none();
                if !is_alone {
                    return Err(A::Error::custom(
                        "a key that serde_json keeps for itself stands next to others",
                    ));
                }
                self.0.extend_from_slice(json.get().as_bytes());
                return Ok(());
            }
            self.0.push(b',');
            write::string(&key, self.0);
            self.0.push(b':');
            map.next_value_seed(JsonWriter(self.0))?;
        }
        write::enclose(*b"{}", start, self.0);
        Ok(())
    }
}

/// The key of a map, which must be a string.
struct TextKey;

impl<'de> DeserializeSeed<'de> for TextKey {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Returns the error for a key that isn't a string. The error doesn't contain the key.
fn no_text<T, E: serde::de::Error>() -> Result<T, E> {
    Err(E::custom("a key that isn't a string can't be written as JSON"))
}

impl Visitor<'_> for TextKey {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<String, E> {
        no_text()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<String, E> {
        no_text()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<String, E> {
        no_text()
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<String, E> {
        no_text()
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<String, E> {
        no_text()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<String, E> {
        no_text()
    }
}

/// JSON text that serde_json writes unchanged. Other serializers write the value that it
/// represents.
pub(crate) struct Raw<'a>(pub(crate) &'a str);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Only the serializers of serde_json have its error type. `TypeId` can't compare types with
        // lifetimes, so their names are compared.
        if type_name::<S::Error>() == type_name::<serde_json::Error>() {
            return serde_json::from_str::<&RawValue>(self.0)
                .map_err(S::Error::custom)?
                .serialize(serializer);
        }
        Structure { raw: self.0, depth: 0 }.serialize(serializer)
    }
}

/// The maximum depth of a value that is written in another format.
const DEEPEST: usize = 128;

/// A JSON value that is serialized part by part.
struct Structure<'a> {
    raw: &'a str,
    depth: usize,
}

impl<'a> Structure<'a> {
    fn inside(&self, raw: &'a str) -> Self {
        Self { raw, depth: self.depth + 1 }
    }
}

impl Serialize for Structure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.depth > DEEPEST {
            return Err(S::Error::custom(
                "a value read from JSON is nested too deeply for this format",
            ));
        }
        if let Some(object) = Object::read(self.raw) {
            return serializer
                .collect_map(object.iter().map(|(key, raw)| (key.name(), self.inside(raw))));
        }
        if let Some(elements) = list(self.raw) {
            return serializer.collect_seq(elements.into_iter().map(|raw| self.inside(raw)));
        }
        match Leaf::read(self.raw) {
            Leaf::Text(text) => serializer.serialize_str(&text),
            Leaf::Literal("true") => serializer.serialize_bool(true),
            Leaf::Literal("false") => serializer.serialize_bool(false),
            Leaf::Literal(number) => serialize_number(number, serializer),
            Leaf::Nothing => serializer.serialize_unit(),
            Leaf::Unreadable => Err(S::Error::custom(
                "a string with half of a surrogate pair can't be written in this format",
            )),
        }
    }
}

/// Serializes a number if it loses no digit. Returns an error otherwise.
fn serialize_number<S: Serializer>(number: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(whole) = number.parse::<i64>() {
        return serializer.serialize_i64(whole);
    }
    if let Ok(whole) = number.parse::<u64>() {
        return serializer.serialize_u64(whole);
    }
    // Up to this number of digits, every number has its own `f64`.
    let (digits, _) = number.split_once(['e', 'E']).unwrap_or((number, ""));
    let digits = digits.bytes().filter(u8::is_ascii_digit).count();
    match number.parse::<f64>() {
        Ok(float) if float.is_finite() && digits <= 15 => serializer.serialize_f64(float),
        _ => Err(S::Error::custom(
            "a number read from JSON has more digits than this format can hold",
        )),
    }
}
