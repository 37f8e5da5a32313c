//! Settings from the environment.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use uuid::Uuid;

use super::ClientBuilder;
use crate::auth::{Credentials, SigningKey, check_audience};
use crate::message::{Problem, Validation};
use crate::text;

const BASE_URL: &str = "PUSHSLOTS_BASE_URL";
const TOKEN_URL: &str = "PUSHSLOTS_TOKEN_URL";
const CLIENT_ID: &str = "PUSHSLOTS_CLIENT_ID";
const KEY_ID: &str = "PUSHSLOTS_KEY_ID";
const PRIVATE_KEY_FILE: &str = "PUSHSLOTS_PRIVATE_KEY_FILE";
const SCOPE: &str = "PUSHSLOTS_SCOPE";
const TOKEN_AUDIENCE: &str = "PUSHSLOTS_TOKEN_AUDIENCE";
const API_KEY: &str = "PUSHSLOTS_API_KEY";
const API_SECRET: &str = "PUSHSLOTS_API_SECRET";
const SOURCE_ID: &str = "PUSHSLOTS_SOURCE_ID";
const DESTINATION_IDS: &str = "PUSHSLOTS_DESTINATION_IDS";
const MAX_ATTEMPTS: &str = "PUSHSLOTS_MAX_ATTEMPTS";
const ATTEMPT_TIMEOUT: &str = "PUSHSLOTS_ATTEMPT_TIMEOUT";
const DEADLINE: &str = "PUSHSLOTS_DEADLINE";
const MAX_IN_FLIGHT: &str = "PUSHSLOTS_MAX_IN_FLIGHT";
const RATE: &str = "PUSHSLOTS_RATE_LIMIT";
const SLOTS_PER_MESSAGE: &str = "PUSHSLOTS_SLOTS_PER_MESSAGE";
const BYTES_PER_MESSAGE: &str = "PUSHSLOTS_BYTES_PER_MESSAGE";
const VALIDATION: &str = "PUSHSLOTS_VALIDATION";

/// The variable that holds what the method `setting` of the builder sets.
pub(super) fn variable(setting: &str) -> String {
    match setting {
        // What operators call it.
        "rate_limit" => RATE.to_owned(),
        _ => format!("PUSHSLOTS_{}", setting.to_ascii_uppercase()),
    }
}

impl ClientBuilder {
    /// Takes the settings from the environment.
    ///
    /// White space and byte-order marks around a value don't count, and an empty variable is not set.
    ///
    /// | variable | meaning | default |
    /// | --- | --- | --- |
    /// | `PUSHSLOTS_BASE_URL` | [`base_url`](Self::base_url) | `https://api.redoxengine.com` |
    /// | `PUSHSLOTS_TOKEN_URL` | [`token_url`](Self::token_url) | `{base}/v2/auth/token` |
    /// | `PUSHSLOTS_CLIENT_ID` | the OAuth client | required, or an API key |
    /// | `PUSHSLOTS_KEY_ID` | what the service calls the public key | required with a client id |
    /// | `PUSHSLOTS_PRIVATE_KEY_FILE` | path of the private key, in [PEM](SigningKey::from_pem_file) | required with a client id |
    /// | `PUSHSLOTS_SCOPE` | [scope](Credentials::scope) of the tokens | none |
    /// | `PUSHSLOTS_TOKEN_AUDIENCE` | [audience](Credentials::audience) of assertions, a URI | the token URL |
    /// | `PUSHSLOTS_API_KEY`, `PUSHSLOTS_API_SECRET` | a [legacy key](Credentials::api_key) in place of a client id | none |
    /// | `PUSHSLOTS_SOURCE_ID` | [`source`](Self::source), a UUID | none |
    /// | `PUSHSLOTS_DESTINATION_IDS` | [`destination`](Self::destination)s, UUIDs separated by commas | none |
    /// | `PUSHSLOTS_MAX_ATTEMPTS` | [`max_attempts`](Self::max_attempts) | `4` |
    /// | `PUSHSLOTS_ATTEMPT_TIMEOUT` | [`attempt_timeout`](Self::attempt_timeout), such as `500ms` or `10s` | `125s` |
    /// | `PUSHSLOTS_DEADLINE` | [`deadline`](Self::deadline), such as `2m` | `300s` |
    /// | `PUSHSLOTS_SLOTS_PER_MESSAGE` | [`slots_per_message`](Self::slots_per_message) | `1000` |
    /// | `PUSHSLOTS_BYTES_PER_MESSAGE` | [`bytes_per_message`](Self::bytes_per_message) | `8388608` |
    /// | `PUSHSLOTS_MAX_IN_FLIGHT` | [`max_in_flight`](Self::max_in_flight) | `100` |
    /// | `PUSHSLOTS_RATE_LIMIT` | [`rate_limit`](Self::rate_limit): requests in any window of a length | `7500/300s` |
    /// | `PUSHSLOTS_VALIDATION` | [`validation`](Self::validation): `strict`, `drop_invalid_optional` or `lenient` | `strict` |
    ///
    /// [`build`](Self::build) reports the problems of all variables, except of settings that code gives afterwards:
    /// `ClientBuilder::from_env().credentials(..)` needs no credentials in the environment, and ignores the scope and the
    /// audience there. Destinations that code gives are added to those of the environment.
    #[must_use]
    pub fn from_env() -> Self {
        from_variables(|name| std::env::var_os(name))
    }
}

/// Whether a problem is one of credentials, which code may give in place of the environment.
pub(super) fn is_of_credentials(problem: &Problem) -> bool {
    [CLIENT_ID, KEY_ID, PRIVATE_KEY_FILE, SCOPE, TOKEN_AUDIENCE, API_KEY, API_SECRET]
        .contains(&problem.path())
}

fn from_variables(read: impl Fn(&str) -> Option<OsString>) -> ClientBuilder {
    let mut variables = Variables { read, problems: Vec::new() };
    let mut builder = ClientBuilder::default();
    if let Some(url) = variables.text(BASE_URL) {
        builder = builder.base_url(url.as_str());
    }
    if let Some(url) = variables.text(TOKEN_URL) {
        builder = builder.token_url(url.as_str());
    }
    if let Some(credentials) = variables.credentials() {
        builder = builder.credentials(credentials);
    }
    if let Some(source) = variables.value(SOURCE_ID, uuid) {
        builder = builder.source(source);
    }
    for destination in variables.value(DESTINATION_IDS, uuids).unwrap_or_default() {
        builder = builder.destination(destination);
    }
    if let Some(max_attempts) = variables.value(MAX_ATTEMPTS, number) {
        builder = builder.max_attempts(max_attempts);
    }
    if let Some(timeout) = variables.value(ATTEMPT_TIMEOUT, duration) {
        builder = builder.attempt_timeout(timeout);
    }
    if let Some(deadline) = variables.value(DEADLINE, duration) {
        builder = builder.deadline(deadline);
    }
    if let Some(slots) = variables.value(SLOTS_PER_MESSAGE, number) {
        builder = builder.slots_per_message(slots);
    }
    if let Some(bytes) = variables.value(BYTES_PER_MESSAGE, number) {
        builder = builder.bytes_per_message(bytes);
    }
    if let Some(max_in_flight) = variables.value(MAX_IN_FLIGHT, number) {
        builder = builder.max_in_flight(max_in_flight);
    }
    if let Some((requests, window)) = variables.value(RATE, rate) {
        builder = builder.rate_limit(requests, window);
    }
    if let Some(validation) = variables.value(VALIDATION, validation) {
        builder = builder.validation(validation);
    }
    builder.from_environment = vec![
        "base_url",
        "token_url",
        "max_attempts",
        "attempt_timeout",
        "deadline",
        "max_in_flight",
        "rate_limit",
        "slots_per_message",
        "bytes_per_message",
    ];
    builder.environment_problems = variables.problems;
    builder
}

struct Variables<F> {
    read: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&str) -> Option<OsString>> Variables<F> {
    fn problem(&mut self, name: &str, text: impl Into<String>) {
        self.problems.push(Problem::new(name, text.into()));
    }

    /// Returns the value of a variable. All are wiped, because any may hold a secret by mistake.
    fn text(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let bytes = Zeroizing::new((self.read)(name)?.into_encoded_bytes());
        let text = std::str::from_utf8(&bytes).map_err(|_| self.problem(name, "not UTF-8")).ok()?;
        Some(text::trimmed(text)).filter(|text| !text.is_empty()).map(|text| Zeroizing::new(text.to_owned()))
    }

    fn value<T>(&mut self, name: &str, read: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(name)?;
        read(&text).map_err(|text| self.problem(name, text)).ok()
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let client = [CLIENT_ID, KEY_ID, PRIVATE_KEY_FILE].map(|name| self.text(name));
        let api_key = [API_KEY, API_SECRET].map(|name| self.text(name));
        let scope = self.text(SCOPE);
        let audience = self.value(TOKEN_AUDIENCE, audience);
        match (client, api_key) {
            ([None, None, None], [Some(key), Some(secret)]) => {
                Some(Credentials::api_key(key.as_str(), secret.as_str()))
            }
            ([Some(client_id), Some(key_id), Some(file)], [None, None]) => {
                let key = SigningKey::from_pem_file(file.as_str(), key_id.as_str());
                let key = key.map_err(|error| self.problem(PRIVATE_KEY_FILE, error.to_string())).ok()?;
                let mut credentials = Credentials::signed_jwt(client_id.as_str(), key);
                if let Some(scope) = scope {
                    credentials = credentials.scope(scope.as_str());
                }
                if let Some(audience) = audience {
                    credentials = credentials.audience(audience);
                }
                Some(credentials)
            }
            ([None, None, None], api_key) if api_key.iter().any(Option::is_some) => {
                self.missing([API_KEY, API_SECRET].into_iter().zip(&api_key), "missing");
                None
            }
            (client, [None, None]) => {
                let pairs = [CLIENT_ID, KEY_ID, PRIVATE_KEY_FILE].into_iter().zip(&client);
                let text = format!("missing; or give {API_KEY} and {API_SECRET}");
                let all = client.iter().all(Option::is_none);
                self.missing(pairs, if all { &text } else { "missing" });
                None
            }
            _ => {
                let text = format!(
                    "given beside {CLIENT_ID}, {KEY_ID} or {PRIVATE_KEY_FILE}; keep one kind of credentials"
                );
                self.problem(API_KEY, text);
                None
            }
        }
    }

    fn missing<'a>(
        &mut self,
        pairs: impl Iterator<Item = (&'static str, &'a Option<Zeroizing<String>>)>,
        text: &str,
    ) {
        for (name, value) in pairs {
            let told = self.problems.iter().any(|problem| problem.path() == name);
            if value.is_none() && !told {
                self.problem(name, text);
            }
        }
    }
}

fn audience(text: &str) -> Result<String, String> {
    check_audience(text)?;
    Ok(text.to_owned())
}

fn validation(text: &str) -> Result<Validation, String> {
    match text {
        "strict" => Ok(Validation::Strict),
        "drop_invalid_optional" => Ok(Validation::DropInvalidOptional),
        "lenient" => Ok(Validation::Lenient),
        _ => Err("expected strict, drop_invalid_optional or lenient".to_owned()),
    }
}

fn uuid(text: &str) -> Result<Uuid, String> {
    Uuid::try_parse(text::trimmed(text)).map_err(|_| "not a UUID".to_owned())
}

fn uuids(text: &str) -> Result<Vec<Uuid>, String> {
    let entries = text.split(',').enumerate().filter(|(_, entry)| !text::trimmed(entry).is_empty());
    let read = |(index, entry)| uuid(entry).map_err(|error| format!("entry {} is {error}", index + 1));
    entries.map(read).collect()
}

fn number<N: FromStr>(text: &str) -> Result<N, String> {
    N::from_str(text).map_err(|_| format!("not a whole number from 1 to {}", u32::MAX))
}

fn rate(text: &str) -> Result<(u32, Duration), String> {
    let parts = text.split_once('/').ok_or(());
    let read = parts.and_then(|(requests, window)| {
        Ok((number(text::trimmed(requests)).map_err(drop)?, duration(text::trimmed(window)).map_err(drop)?))
    });
    read.map_err(|()| "not a number of requests in a time, such as 7500/300s".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    // humantime adds up parts of any size, and would overflow on numbers that are no settings.
    let sensible = Some(text).filter(|text| text.len() <= 16);
    let duration = sensible.and_then(|text| humantime::parse_duration(text).ok());
    duration.ok_or_else(|| "not a duration, such as 10s or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(variables: &[(&str, OsString)], complete: fn(ClientBuilder) -> ClientBuilder) -> Vec<String> {
        let builder = from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.clone())
        });
        let error = complete(builder).build().map(drop).err();
        error.map_or_else(Vec::new, |error| error.problems().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn code_can_complete_what_the_environment_lacks() {
        let with_key = |builder: ClientBuilder| builder.credentials(Credentials::api_key("key", "secret"));
        assert_eq!(problems(&[], with_key), [""; 0]);
        let half = [(CLIENT_ID, "client".into()), (SOURCE_ID, "nobody".into())];
        assert_eq!(problems(&half, with_key), ["PUSHSLOTS_SOURCE_ID: not a UUID"]);
        let plain = [(BASE_URL, "http://mock.internal".into())];
        let allowed = |builder: ClientBuilder| {
            builder.credentials(Credentials::api_key("key", "secret")).allow_plain_http("mock.internal")
        };
        assert_eq!(problems(&plain, allowed), [""; 0]);
        assert!(problems(&plain, with_key)[0].starts_with("PUSHSLOTS_BASE_URL: plain http"));
        let wrong = [(SOURCE_ID, "nobody".into()), (MAX_ATTEMPTS, "many".into()), (DEADLINE, "soon".into())];
        let right = |builder: ClientBuilder| {
            let builder = builder.credentials(Credentials::api_key("key", "secret"));
            builder.source(Uuid::nil()).max_attempts(0).deadline(Duration::from_secs(1))
        };
        assert_eq!(problems(&wrong, right), ["max_attempts: must be at least 1, the first attempt"]);
        let audience = [(TOKEN_AUDIENCE, "nowhere".into())];
        assert_eq!(problems(&audience, with_key), [""; 0]);
        let problem =
            "PUSHSLOTS_TOKEN_AUDIENCE: not a URI, such as https://api.redoxengine.com/v2/auth/token";
        assert_eq!(problems(&audience, |builder| builder)[0], problem);
        let strictness = [(VALIDATION, "loose".into())];
        let problem = "PUSHSLOTS_VALIDATION: expected strict, drop_invalid_optional or lenient";
        assert_eq!(problems(&strictness, with_key), [problem]);
        let given = |builder: ClientBuilder| {
            builder.credentials(Credentials::api_key("key", "secret")).validation(Validation::Strict)
        };
        assert_eq!(problems(&strictness, given), [""; 0]);
        let lenient = from_variables(|name| (name == VALIDATION).then(|| "lenient".into()));
        assert_eq!(lenient.validation, Validation::Lenient);
        // Destinations are added to those of the environment.
        let elsewhere = |builder: ClientBuilder| {
            builder.credentials(Credentials::api_key("key", "secret")).destination(Uuid::nil())
        };
        let nowhere = [(DESTINATION_IDS, "EMR".into())];
        assert_eq!(problems(&nowhere, elsewhere), ["PUSHSLOTS_DESTINATION_IDS: entry 1 is not a UUID"]);
        let there = from_variables(|name| (name == DESTINATION_IDS).then(|| Uuid::max().to_string().into()));
        assert_eq!(elsewhere(there).destinations, [Uuid::max(), Uuid::nil()]);
    }

    #[test]
    fn marks_and_white_space_around_a_value_do_not_count() {
        let values = [
            (BASE_URL, "http://localhost:1"),
            (TOKEN_URL, "http://localhost:1/token"),
            (API_KEY, "key"),
            (API_SECRET, "secret"),
            (SOURCE_ID, "af394f14-b34a-464f-8d24-895f370af4c9"),
            (MAX_ATTEMPTS, "1"),
            (ATTEMPT_TIMEOUT, "1s"),
            (DEADLINE, "1s"),
            (RATE, "7500/300s"),
            (SLOTS_PER_MESSAGE, "1"),
            (BYTES_PER_MESSAGE, "1"),
            (TOKEN_AUDIENCE, "urn:example:token"),
        ];
        let around = |(name, value)| (name, OsString::from(format!("\u{feff} {value}\r\n")));
        let mut variables: Vec<_> = values.map(around).into();
        let ids = format!("\u{feff}{},\r\n\u{feff}{}\r\n", Uuid::nil(), Uuid::max());
        variables.push((DESTINATION_IDS, ids.into()));
        assert_eq!(problems(&variables, |builder| builder), [""; 0]);
        for (name, _) in values {
            let blank = [(name, "\u{feff}\r\n".into())];
            assert_eq!(problems(&blank, |builder| builder), problems(&[], |builder| builder), "{name}");
        }
    }

    #[test]
    fn limits_of_zero_are_reported_together_by_their_variables() {
        let zero = |name| (name, OsString::from("0"));
        let variables = [
            zero(MAX_ATTEMPTS),
            (ATTEMPT_TIMEOUT, "0s".into()),
            (DEADLINE, "0s".into()),
            (RATE, "0/300s".into()),
            zero(MAX_IN_FLIGHT),
            zero(SLOTS_PER_MESSAGE),
            zero(BYTES_PER_MESSAGE),
            (TOKEN_AUDIENCE, "not a URI".into()),
        ];
        let problems = problems(&variables, |builder| builder.proxy("nowhere").root_certificate("no PEM"));
        let names: Vec<_> = problems.iter().filter_map(|problem| problem.split(':').next()).collect();
        assert_eq!(
            names,
            [
                "PUSHSLOTS_TOKEN_AUDIENCE",
                "PUSHSLOTS_CLIENT_ID",
                "PUSHSLOTS_KEY_ID",
                "PUSHSLOTS_PRIVATE_KEY_FILE",
                "proxy",
                "PUSHSLOTS_MAX_ATTEMPTS",
                "PUSHSLOTS_ATTEMPT_TIMEOUT",
                "PUSHSLOTS_DEADLINE",
                "PUSHSLOTS_RATE_LIMIT",
                "PUSHSLOTS_MAX_IN_FLIGHT",
                "PUSHSLOTS_SLOTS_PER_MESSAGE",
                "PUSHSLOTS_BYTES_PER_MESSAGE",
                "root_certificate",
            ]
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf8_is_told_once() {
        use std::os::unix::ffi::OsStringExt;
        let variables = [
            (API_KEY, OsString::from_vec(vec![0xff])),
            (API_SECRET, "secret".into()),
            (DESTINATION_IDS, "af394f14-b34a-464f-8d24-895f370af4c9, ,EMR".into()),
        ];
        assert_eq!(
            problems(&variables, |builder| builder),
            ["PUSHSLOTS_API_KEY: not UTF-8", "PUSHSLOTS_DESTINATION_IDS: entry 3 is not a UUID"]
        );
    }
}
