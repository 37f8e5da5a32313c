//! Private keys in their stored forms. This crate wipes every copy of a key that it makes.

mod pem;
mod pkcs8;
mod wiped;

pub(crate) use pem::{Pem, escaped_line_breaks, lines};
pub(crate) use wiped::{Wiped, decode, read_file};
