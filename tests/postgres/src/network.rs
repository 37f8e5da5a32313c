//! Free ports, random passwords and the encoding of URLs.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};

/// Returns a port of 127.0.0.1 that is free at the moment.
///
/// The port lies below those that systems give to outgoing connections. Otherwise a client that
/// retries while the server is down could take the port itself.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 16_384 + u16::from_le_bytes(random()) % 16_384;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Returns a random text of `2 * bytes` hexadecimal digits; `bytes` is at most 16.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut text = String::new();
    for byte in &random::<16>()[..bytes] {
        write!(text, "{byte:02x}").expect("writing to a string can't fail");
    }
    text
}

/// Encodes all characters of a URL's component except letters, digits and `-._~`.
pub(crate) fn percent_encoded(component: &str) -> String {
    let mut text = String::new();
    for byte in component.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a string can't fail");
        }
    }
    text
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("/dev/urandom can be read");
    bytes
}
