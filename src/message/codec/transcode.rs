//! Between the JSON text of a value and the formats that serde has.

use std::any::type_name;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::Value as Tree;
use serde_json::value::RawValue;

use super::interner::Interner;
use super::json_writer as write;
use super::raw::kind;
use super::record::{Read, Value};

/// The name by which serde_json hands out a value as it is written.
const RAW: &str = "$serde_json::private::RawValue";

/// The name by which serde_json hands out a number, if a program turns on its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// The largest whole number up to which each has an `f64` of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The JSON of the value that a deserializer has: as it is written if serde_json reads it, and else the same value written as
/// JSON.
pub(crate) struct Json(pub(crate) String);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut out = Vec::new();
        deserializer.deserialize_newtype_struct(RAW, JsonWriter(&mut out))?;
        String::from_utf8(out).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a record; an object without content is the `blank` one.
pub(crate) fn deserialize<'de, T: Value, D: Deserializer<'de>>(
    deserializer: D,
    blank: fn() -> T,
) -> Result<T, D::Error> {
    let Json(json) = Json::deserialize(deserializer)?;
    match T::read(&json, &mut Interner::unlimited()) {
        Read::Value(value) => Ok(value),
        Read::Nothing if json != "null" => Ok(blank()),
        Read::Nothing | Read::WrongKind => {
            let kind = kind(&json);
            Err(D::Error::custom(format_args!("expected {}; this {kind} is not one", T::EXPECTED)))
        }
    }
}

/// Writes the value that it visits as JSON.
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
        f.write_str("a value that has a JSON form")
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
            return Err(E::custom("a number that is not finite has no JSON form"));
        }
        // An identifier must not lose its last digits.
        if value.abs() > EXACT {
            return Err(E::custom("a number of more than 15 digits came as a float; give it as a text"));
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
        while let Some(key) = map.next_key::<String>()? {
            if key == RAW || key == NUMBER {
                // Any sender can write such a key: only one whole value may come from it.
                let json = map.next_value::<String>()?;
                let json: &RawValue = serde_json::from_str(&json).map_err(A::Error::custom)?;
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

/// JSON text that serde_json writes as it is, and any other serializer as the value that it stands for.
pub(crate) struct Raw<'a>(pub(crate) &'a str);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The serializers of serde_json, and nobody else's, fail with its error. It may not live for ever as far as the compiler
        // knows, so that only its name can be compared.
        if type_name::<S::Error>() == type_name::<serde_json::Error>() {
            return serde_json::from_str::<&RawValue>(self.0)
                .map_err(S::Error::custom)?
                .serialize(serializer);
        }
        let tree: Tree = serde_json::from_str(self.0)
            .map_err(|_| S::Error::custom("a value that was read as JSON has no form in this format"))?;
        Structure(&tree).serialize(serializer)
    }
}

/// Serializes a tree whatever the features of serde_json are.
struct Structure<'a>(&'a Tree);

impl Serialize for Structure<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Tree::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => serializer.serialize_i64(number),
                (_, Some(number), _) => serializer.serialize_u64(number),
                (.., Some(number)) if number.abs() <= EXACT => serializer.serialize_f64(number),
                _ => Err(S::Error::custom(
                    "a number that was read as JSON has more digits than this format has room for",
                )),
            },
            Tree::Array(elements) => serializer.collect_seq(elements.iter().map(Structure)),
            Tree::Object(members) => {
                serializer.collect_map(members.iter().map(|(key, value)| (key, Structure(value))))
            }
            Tree::Null | Tree::Bool(_) | Tree::String(_) => self.0.serialize(serializer),
        }
    }
}
