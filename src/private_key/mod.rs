//! Private keys as they are stored. Every copy of a key that this crate makes is wiped.

mod pem;
mod pkcs8;
mod wiped;

pub(crate) use pem::{Pem, escaped_line_breaks, lines};
pub(crate) use wiped::{Wiped, decode, read_file};
