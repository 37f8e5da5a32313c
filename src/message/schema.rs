//! Strict checks of a body against the service's schema.

use super::codec::field::Field;
use super::codec::path::Path;
use super::codec::problems::Problems;
use super::codec::raw::Object;
use super::codec::strict;
use super::{Extensions, List, Meta, ProblemCode, PushSlots, Slot};

impl PushSlots {
    /// Collects the deviations of a valid message's body from the service's schema.
    pub(crate) fn judge(body: &str, problems: &mut Problems) {
        let at = Path::ROOT;
        let mut has_meta = false;
        strict::object(body, at, problems, |key, raw, problems| match key {
            "Meta" => {
                has_meta = true;
                judge_meta(raw, at.key("Meta"), problems);
            }
            "Slots" => <List<Slot> as Field>::judge(raw, at.key("Slots"), problems),
            "Extensions" => <Extensions as Field>::judge(raw, at.key("Extensions"), problems),
            _ => {}
        });
        if !has_meta {
            judge_meta("{}", at.key("Meta"), problems);
        }
    }
}

fn judge_meta(raw: &str, at: Path<'_>, problems: &mut Problems) {
    <Option<Meta> as Field>::judge(raw, at, problems);
    let meta = Object::read(raw).unwrap_or_default();
    // Reading fills in these keys, but the schema requires them.
    for key in ["DataModel", "EventType"] {
        if !meta.get(key).is_some_and(|raw| raw.starts_with('"')) {
            problems.add(at.key(key), ProblemCode::Missing, "missing");
        }
    }
    // The schema defines these keys, but the reference doesn't.
    for key in ["Message", "Transmission"] {
        let Some(raw) = meta.get(key) else { continue };
        strict::object(raw, at.key(key), problems, |name, raw, problems| {
            if name == "ID" {
                strict::leaf(raw, at.key(key).key("ID"), "a number", problems, strict::is_number);
            }
        });
    }
}
