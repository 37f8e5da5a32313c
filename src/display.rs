//! Implementations of `Display` and `Debug` by other methods.

/// Implements `Debug` like `Display`, because an error that `main` returns is printed with `Debug`.
macro_rules! debug_as_display {
    ($type:ty) => {
        impl ::std::fmt::Debug for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }
    };
}

/// Implements `Display` by `as_str`, with the width and alignment of the format.
macro_rules! display_as_str {
    ($type:ty) => {
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use {debug_as_display, display_as_str};
