//! The forms of values in the environment. Each reader returns an error text without the value,
//! which may be a secret.

use std::fs::File;
use std::io::Read;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use crate::auth::check_audience;
use crate::message::Validation;
use crate::text;

/// The largest file of root certificates, in bytes; that of a whole system has a fifth of it.
const LARGEST_PEM: u64 = 1 << 20;

#[expect(clippy::unnecessary_wraps, reason = "it has the form of the other readers")]
pub(super) fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    let entries = text.split(',').map(text::trimmed).filter(|host| !host.is_empty());
    let read = |(index, entry)| {
        host(entry).ok_or_else(|| {
            format!("entry {} must be a host alone, without scheme and port", index + 1)
        })
    };
    entries.enumerate().map(read).collect()
}

/// A host as it is in a URL, where an IPv6 address has brackets.
fn host(entry: &str) -> Option<String> {
    let host = match entry.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => entry.to_owned(),
    };
    url::Host::parse(&host).ok().map(|host| host.to_string())
}

pub(super) fn pem_file(path: &str) -> Result<Vec<u8>, String> {
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_PEM + 1).read_to_end(&mut pem));
    read.map_err(|error| format!("the file can't be read: {error}"))?;
    if pem.len() as u64 > LARGEST_PEM {
        return Err(format!(
            "{path} has more than 1 MiB; name a file with root certificates alone"
        ));
    }
    Ok(pem)
}

pub(super) fn audience(text: &str) -> Result<String, String> {
    check_audience(text)?;
    Ok(text.to_owned())
}

pub(super) fn validation(text: &str) -> Result<Validation, String> {
    match text {
        "strict" => Ok(Validation::Strict),
        "drop_invalid_optional" => Ok(Validation::DropInvalidOptional),
        "lenient" => Ok(Validation::Lenient),
        _ => Err("expected strict, drop_invalid_optional or lenient".to_owned()),
    }
}

pub(super) fn uuid(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text::trimmed(text)).map_err(|_| "not a UUID".to_owned())
}

pub(super) fn uuids(text: &str) -> Result<Vec<Uuid>, String> {
    let entries = text.split(',').enumerate().filter(|(_, entry)| !text::trimmed(entry).is_empty());
    let read =
        |(index, entry)| uuid(entry).map_err(|error| format!("entry {} is {error}", index + 1));
    entries.map(read).collect()
}

pub(super) fn number<N: FromStr>(text: &str) -> Result<N, String> {
    N::from_str(text).map_err(|_| format!("not a whole number from 1 to {}", u32::MAX))
}

pub(super) fn rate(text: &str) -> Result<(u32, Duration), String> {
    let parts = text.split_once('/').ok_or(());
    let read = parts.and_then(|(requests, window)| {
        Ok((
            number(text::trimmed(requests)).map_err(drop)?,
            duration(text::trimmed(window)).map_err(drop)?,
        ))
    });
    read.map_err(|()| "not a number of requests in a time, such as 7500/300s".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    // humantime adds up parts of any size, and would overflow on numbers that are no settings.
    let sensible = Some(text).filter(|text| text.len() <= 16);
    let duration = sensible.and_then(|text| humantime::parse_duration(text).ok());
    duration.ok_or_else(|| "not a duration, such as 10s or 500ms".to_owned())
}
