//! What an object holds beside the keys that its table names.

use super::extensions::Extensions;
use super::json::{Key, Members};
use super::path::Path;
use super::problem::Problem;
use super::record::Field;

/// The extensions of an object, and its others: members that the model does not name, or whose value does not fit.
///
/// Most objects have neither, and pay for one pointer.
#[derive(Clone, Default)]
pub(crate) struct Rest(Option<Box<Held>>);

#[derive(Clone, Default)]
struct Held {
    extensions: Extensions,
    others: Members,
}

impl Held {
    /// Whether nothing took the place of what could not be read under `key`.
    fn is_open(&self, key: &str, open: impl Fn(&str) -> bool) -> bool {
        if key == "Extensions" { self.extensions.is_empty() } else { open(key) }
    }
}

impl Rest {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|held| held.extensions.is_empty() && held.others.is_empty())
    }

    pub(super) fn extensions(&self) -> &Extensions {
        static NONE: Extensions = Extensions::NONE;
        self.0.as_ref().map_or(&NONE, |held| &held.extensions)
    }

    pub(super) fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.0.get_or_insert_default().extensions
    }

    /// Puts `extensions` in place of those that are there.
    pub(super) fn set_extensions(&mut self, extensions: Extensions) {
        if !extensions.is_empty() || self.0.is_some() {
            *self.extensions_mut() = extensions;
        }
    }

    /// Adds a member to the others, whose value is the JSON `value`.
    pub(super) fn add(&mut self, key: Key<'_>, value: &str) {
        self.0.get_or_insert_default().others.add(key, value);
    }

    fn others(&self) -> &Members {
        static NONE: Members = Members::NONE;
        self.0.as_ref().map_or(&NONE, |held| &held.others)
    }

    /// Whether `key` is among the others.
    pub(super) fn has(&self, key: &str) -> bool {
        self.others().all(key).next().is_some()
    }

    /// Removes what stands under `key` among the others.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(held) = &mut self.0 {
            held.others.remove(key);
        }
    }

    /// Says what is wrong with the values left under a key that the model names.
    pub(super) fn explain<F: Field>(&self, key: &'static str, at: Path<'_>, problems: &mut Vec<Problem>) {
        let at = at.key(key);
        match *self.others().all(key).collect::<Vec<_>>() {
            [] => {}
            [raw] => F::explain(raw, at, problems),
            _ => problems.push(at.problem("given more than once; keep one of them")),
        }
    }

    pub(super) fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        if self.extensions().is_empty() {
            self.explain::<Extensions>("Extensions", at, problems);
        }
    }

    /// Writes the extensions, and of the others those whose key is `open`.
    pub(super) fn write(&self, out: &mut Vec<u8>, open: impl Fn(&str) -> bool) {
        let Some(held) = &self.0 else { return };
        held.extensions.write_member(EXTENSIONS, out);
        held.others.write(out, |key| held.is_open(key, &open));
    }

    /// How many bytes [`write`](Self::write) takes.
    pub(super) fn length(&self, open: impl Fn(&str) -> bool) -> usize {
        let Some(held) = &self.0 else { return 0 };
        held.extensions.length::<true>(EXTENSIONS) + held.others.length(|key| held.is_open(key, &open))
    }
}

const EXTENSIONS: &str = r#","Extensions":"#;

impl PartialEq for Rest {
    fn eq(&self, other: &Self) -> bool {
        self.extensions() == other.extensions() && self.others() == other.others()
    }
}
