//! Paths in a message.

use std::fmt;

/// A segment of a path, which leads from a value to one inside it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PathSegment {
    Key(&'static str),
    Index(usize),
}

impl PathSegment {
    pub(crate) fn write(self, is_first: bool, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Index(index) => write!(out, "[{index}]"),
            Self::Key(key) => write!(out, "{}{key}", if is_first { "" } else { "." }),
        }
    }
}

/// A path that grows on the way into a message. It is formatted only if there is a problem at its
/// end.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a>(Option<(&'a Path<'a>, PathSegment)>);

impl Path<'_> {
    pub(crate) const ROOT: Path<'static> = Path(None);

    pub(crate) fn key(&self, key: &'static str) -> Path<'_> {
        Path(Some((self, PathSegment::Key(key))))
    }

    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path(Some((self, PathSegment::Index(index))))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((parent, segment)) = self.0 else { return Ok(()) };
        parent.fmt(f)?;
        segment.write(parent.0.is_none(), f)
    }
}
