//! Parsers for values of environment variables. Their error texts omit the value, because it may be
//! a secret. Only the path of a file that was read is shown.

use std::fs::File;
use std::io::Read;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use crate::auth::check_audience;
use crate::message::Validation;
use crate::text;

/// The maximum size of a file of root certificates, in bytes. The file of a whole system has a
/// fifth of it.
const LARGEST_PEM: u64 = 1 << 20;

pub(super) fn hosts(text: &str) -> Result<Vec<String>, String> {
    let entries = text.split(',').map(text::trimmed).filter(|host| !host.is_empty());
    let read = |(index, entry)| {
        host(entry).ok_or_else(|| {
            format!("entry {} isn't a host name; remove the scheme and port", index + 1)
        })
    };
    entries.enumerate().map(read).collect()
}

/// Returns a host in the form that it has in a URL, with brackets around an IPv6 address.
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
    read.map_err(|error| format!("can't read the file: {error}"))?;
    if pem.len() as u64 > LARGEST_PEM {
        return Err(format!(
            "{path} is larger than 1 MiB; use a file that contains only root certificates"
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
    N::from_str(text).map_err(|_| format!("not a whole number between 1 and {}", u32::MAX))
}

pub(super) fn rate(text: &str) -> Result<(u32, Duration), String> {
    let parts = text.split_once('/').ok_or(());
    let read = parts.and_then(|(requests, window)| {
        Ok((
            number(text::trimmed(requests)).map_err(drop)?,
            duration(text::trimmed(window)).map_err(drop)?,
        ))
    });
    read.map_err(|()| "not a rate, such as 7500/300s".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    // humantime adds up parts of any size, so it would overflow on absurdly long numbers.
    let sensible = Some(text).filter(|text| text.len() <= 16);
    let duration = sensible.and_then(|text| humantime::parse_duration(text).ok());
    duration.ok_or_else(|| "not a duration, such as 10s or 500ms".to_owned())
}
