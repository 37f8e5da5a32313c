//! Settings from environment variables.

use std::ffi::OsString;

use secrecy::zeroize::Zeroizing;

use super::ClientBuilder;
use super::builder::RateLimit;
use super::setting::{PREFIX, Setting};
use super::values::{audience, duration, hosts, number, pem_file, rate, uuid, uuids, validation};
use crate::auth::{Credentials, KeyError, SigningKey};
use crate::message::Problem;
use crate::text::trimmed;
use crate::transport::Rate;

impl ClientBuilder {
    /// Creates a builder with settings from environment variables.
    ///
    /// The method [`build`](Self::build) reports the problems of all variables at once, except
    /// those that you override in code. For example, `ClientBuilder::from_env().credentials(..)`
    /// needs no credentials in the environment, and ignores the scope and the audience there.
    /// Destinations that you add in code extend those in the environment.
    ///
    /// White space and byte-order marks around a value are ignored. An empty variable counts as
    /// unset. If a variable with the prefix `PUSHSLOTS_` isn't in the table, the client logs a
    /// warning with the most similar name.
    ///
    /// # Variables
    ///
    /// Durations have a unit, such as `500ms`, `30s` or `2m`. Counts are whole numbers of at least
    /// 1.
    ///
    /// | variable | setting | default |
    /// | --- | --- | --- |
    /// | `PUSHSLOTS_CLIENT_ID` | OAuth client id | required, unless there is an API key |
    /// | `PUSHSLOTS_KEY_ID` | key id of the public key at the service | required with a key in PEM form, not allowed with a JWK |
    /// | `PUSHSLOTS_PRIVATE_KEY_FILE` | path of the private key in [PEM form](SigningKey::from_pem_file) | this or one of the next two is required with a client id |
    /// | `PUSHSLOTS_PRIVATE_KEY` | private key in PEM form, instead of its path | unset |
    /// | `PUSHSLOTS_PRIVATE_JWK_FILE` | path of the private key as a [JWK](SigningKey::from_jwk_file) with its key id, instead of PEM | unset |
    /// | `PUSHSLOTS_SCOPE` | [scope](Credentials::scope) of the access tokens | unset |
    /// | `PUSHSLOTS_TOKEN_AUDIENCE` | [audience](Credentials::audience) of assertions, a URI | the token URL |
    /// | `PUSHSLOTS_API_KEY`, `PUSHSLOTS_API_SECRET` | [legacy API key](Credentials::api_key) and its secret, instead of a client id | unset |
    /// | `PUSHSLOTS_BASE_URL` | [`base_url`](Self::base_url); in Canada `https://api.ca.redoxengine.com` | `https://api.redoxengine.com` |
    /// | `PUSHSLOTS_TOKEN_URL` | [`token_url`](Self::token_url) | `{base}/v2/auth/token` |
    /// | `PUSHSLOTS_SOURCE_ID` | [`source`](Self::source), a UUID | unset |
    /// | `PUSHSLOTS_DESTINATION_IDS` | [`destination`](Self::destination)s, UUIDs separated by commas | unset; a message must have a destination |
    /// | `PUSHSLOTS_VALIDATION` | [`validation`](Self::validation) of messages and slots: `strict`, `drop_invalid_optional` or `lenient` | `strict` |
    /// | `PUSHSLOTS_MAX_ATTEMPTS` | [`max_attempts`](Self::max_attempts) per send, including the first | `4` |
    /// | `PUSHSLOTS_ATTEMPT_TIMEOUT` | [`attempt_timeout`](Self::attempt_timeout), above 0 | `125s` |
    /// | `PUSHSLOTS_DEADLINE` | [`deadline`](Self::deadline) of a send, above 0 | `300s` |
    /// | `PUSHSLOTS_RATE_LIMIT` | [`rate_limit`](Self::rate_limit) as `requests/window`: at least 2 requests, and a window above 0 and of at most a day | `7500/300s` |
    /// | `PUSHSLOTS_MAX_IN_FLIGHT` | [`max_in_flight`](Self::max_in_flight), the maximum number of messages in flight | `100` |
    /// | `PUSHSLOTS_SLOTS_PER_MESSAGE` | [`slots_per_message`](Self::slots_per_message) of a publication | `1000` |
    /// | `PUSHSLOTS_BYTES_PER_MESSAGE` | [`bytes_per_message`](Self::bytes_per_message) of a publication | `8388608` |
    /// | `PUSHSLOTS_ROOT_CERTIFICATE_FILE` | path of a PEM file of at most 1 MiB with [root certificates](Self::root_certificate), in addition to the system's | unset |
    /// | `PUSHSLOTS_PLAIN_HTTP_HOSTS` | hosts that [may use plain http](Self::allow_plain_http), separated by commas | this machine only |
    /// | `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | [proxies](Self::proxy), also used without `from_env` | no proxy |
    ///
    /// # Settings without a variable
    ///
    /// | setting | default |
    /// | --- | --- |
    /// | [`on_unknown`](Self::on_unknown): whether a send retries after an unknown outcome | [`OnUnknown::Retry`](crate::OnUnknown::Retry) |
    /// | [`retry_budget`](Self::retry_budget) in units, or [`without_retry_budget`](Self::without_retry_budget) | 500; a retry takes 14 |
    /// | [`without_rate_limit`](Self::without_rate_limit) | the rate limit applies |
    /// | [`rate_limiter`](Self::rate_limiter), shared between clients, instead of `rate_limit` | one limiter for each client that is built |
    /// | [`classifier`](Self::classifier) of responses and failures | [`Exchange::classification`](crate::Exchange::classification) |
    /// | [`attempt_observer`](Self::attempt_observer) | unset |
    /// | [`connect_timeout`](Self::connect_timeout), above 0 | 5 s |
    /// | [`client_certificate`](Self::client_certificate) in PEM form | unset |
    /// | [`transport`](Self::transport) | an [`HttpTransport`](crate::HttpTransport) with HTTP/1.1 and HTTP/2 over rustls |
    /// | [`jitter_seed`](Self::jitter_seed) of random delays | random |
    #[must_use]
    pub fn from_env() -> Self {
        warn_of_unknown(std::env::vars_os().filter_map(|(name, value)| {
            // The standard library copies the values too, and one may be a secret.
            drop(Zeroizing::new(value.into_encoded_bytes()));
            name.into_string().ok()
        }));
        from_variables(|name| std::env::var_os(name))
    }
}

/// Logs variables that have the prefix of this crate but aren't known.
fn warn_of_unknown(names: impl Iterator<Item = String>) {
    let is_unknown = |name: &String| {
        name.starts_with(PREFIX) && Setting::ALL.iter().all(|setting| setting.variable() != name)
    };
    for variable in names.filter(is_unknown) {
        match Setting::nearest(&variable) {
            Some(nearest) => {
                tracing::warn!(
                    "pushslots.variable" = variable,
                    "pushslots.nearest" = nearest,
                    "unknown environment variable; did you mean the nearest one?"
                );
            }
            None => tracing::warn!("pushslots.variable" = variable, "unknown environment variable"),
        }
    }
}

fn from_variables(read: impl Fn(&str) -> Option<OsString>) -> ClientBuilder {
    let mut variables = Variables { read, problems: Vec::new() };
    let mut builder = ClientBuilder { credentials: variables.credentials(), ..Default::default() };
    for setting in Setting::ALL.into_iter().filter(|setting| !setting.is_credential()) {
        let Some(value) = variables.text(setting) else { continue };
        match set(&mut builder, setting, &value) {
            Ok(()) => builder.from_environment.push(setting),
            Err(text) => variables.problem(setting, text),
        }
    }
    builder.environment_problems = variables.problems;
    builder
}

/// Sets `setting` to the value of its variable.
fn set(builder: &mut ClientBuilder, setting: Setting, value: &str) -> Result<(), String> {
    match setting {
        Setting::BaseUrl => value.clone_into(&mut builder.base_url),
        Setting::TokenUrl => builder.token_url = Some(value.to_owned()),
        // The caller skips these, because `credentials` reads them together.
        Setting::ClientId
        | Setting::KeyId
        | Setting::PrivateKey
        | Setting::PrivateKeyFile
        | Setting::PrivateJwkFile
        | Setting::Scope
        | Setting::TokenAudience
        | Setting::ApiKey
        | Setting::ApiSecret => {}
        Setting::SourceId => builder.source = Some(uuid(value)?),
        Setting::DestinationIds => builder.destinations = uuids(value)?,
        Setting::MaxAttempts => builder.policy.max_attempts = number(value)?,
        Setting::AttemptTimeout => builder.policy.attempt_timeout = duration(value)?,
        Setting::Deadline => builder.policy.deadline = duration(value)?,
        Setting::MaxInFlight => builder.max_in_flight = number(value)?,
        Setting::RateLimit => {
            let (requests, window) = rate(value)?;
            builder.rate_limit = Some(RateLimit::Rate(Rate { requests, window }));
        }
        Setting::SlotsPerMessage => builder.limits.slots = number(value)?,
        Setting::BytesPerMessage => builder.limits.bytes = number(value)?,
        Setting::Validation => builder.validation = validation(value)?,
        Setting::RootCertificateFile => builder.http.root_certificates.push(pem_file(value)?),
        Setting::PlainHttpHosts => builder.plain_http_hosts = hosts(value)?,
    }
    Ok(())
}

/// The environment, and the problems found so far.
struct Variables<F> {
    read: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&str) -> Option<OsString>> Variables<F> {
    fn problem(&mut self, setting: Setting, text: impl Into<String>) {
        self.problems.push(Problem::new(setting.variable(), text.into()));
    }

    /// Returns the value of a variable. The copies are wiped, because any variable may contain a
    /// secret by mistake.
    fn text(&mut self, setting: Setting) -> Option<Zeroizing<String>> {
        let bytes = Zeroizing::new((self.read)(setting.variable())?.into_encoded_bytes());
        let text =
            std::str::from_utf8(&bytes).map_err(|_| self.problem(setting, "not UTF-8")).ok()?;
        Some(trimmed(text))
            .filter(|text| !text.is_empty())
            .map(|text| Zeroizing::new(text.to_owned()))
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let client_id = self.text(Setting::ClientId);
        let key_id = self.text(Setting::KeyId);
        let key_settings = [Setting::PrivateKey, Setting::PrivateKeyFile, Setting::PrivateJwkFile];
        let keys = key_settings.map(|setting| self.text(setting).map(|text| (setting, text)));
        let mut keys = keys.into_iter().flatten();
        let key = keys.next();
        let second_key = keys.next();
        let api_key =
            [Setting::ApiKey, Setting::ApiSecret].map(|setting| (setting, self.text(setting)));
        let scope = self.text(Setting::Scope);
        let audience = self.text(Setting::TokenAudience).and_then(|text| {
            audience(&text).map_err(|text| self.problem(Setting::TokenAudience, text)).ok()
        });

        let has_client = client_id.is_some() || key_id.is_some() || key.is_some();
        let has_api_key = api_key.iter().any(|(_, value)| value.is_some());
        if has_client && has_api_key {
            let client = [
                (Setting::ClientId, client_id.is_some()),
                (Setting::KeyId, key_id.is_some()),
                (
                    key.as_ref().map_or(Setting::PrivateKeyFile, |(setting, _)| *setting),
                    key.is_some(),
                ),
            ];
            let client = client.iter().filter(|(_, is_given)| *is_given);
            let client: Vec<_> = client.map(|(setting, _)| setting.variable()).collect();
            let text = format!(
                "set together with {}; keep only one kind of credentials",
                client.join(" and ")
            );
            self.problem(Setting::ApiKey, text);
            return None;
        }
        if has_api_key {
            if let [(_, Some(key)), (_, Some(secret))] = &api_key {
                return Some(Credentials::api_key(key.as_str(), secret.as_str()));
            }
            self.missing(
                api_key.iter().filter(|(_, value)| value.is_none()).map(|(setting, _)| *setting),
                "missing",
            );
            return None;
        }
        if let (Some((first, _)), Some((second, _))) = (&key, &second_key) {
            self.problem(
                *second,
                format!("set together with {}; keep only one of them", first.variable()),
            );
            return None;
        }
        let is_jwk = matches!(&key, Some((Setting::PrivateJwkFile, _)));
        if is_jwk && key_id.is_some() {
            self.problem(
                Setting::KeyId,
                "not allowed with a JWK, which contains its key id; \
                                          unset it",
            );
            return None;
        }
        let (Some(client_id), Some((setting, key))) =
            (&client_id, key.as_ref().filter(|_| is_jwk || key_id.is_some()))
        else {
            let needed = [
                (Setting::ClientId, client_id.is_some()),
                (Setting::KeyId, is_jwk || key_id.is_some()),
                (Setting::PrivateKeyFile, key.is_some()),
            ];
            let key = Setting::ApiKey.variable();
            let secret = Setting::ApiSecret.variable();
            let text = format!("missing; set it, or set {key} and {secret}");
            let missing =
                needed.iter().filter(|(_, is_given)| !is_given).map(|(setting, _)| *setting);
            self.missing(missing, if has_client { "missing" } else { &text });
            return None;
        };
        let key = signing_key(*setting, key, key_id.as_deref().map_or("", String::as_str));
        let key = key.map_err(|error| self.problem(*setting, error.to_string())).ok()?;
        let mut credentials = Credentials::signed_jwt(client_id.as_str(), key);
        if let Some(scope) = scope {
            credentials = credentials.scope(scope.as_str());
        }
        if let Some(audience) = audience {
            credentials = credentials.audience(audience);
        }
        Some(credentials)
    }

    /// Reports settings that are missing, unless their variables already have problems.
    fn missing(&mut self, settings: impl Iterator<Item = Setting>, text: &str) {
        for setting in settings {
            if !self.problems.iter().any(|problem| setting.is_of(problem)) {
                self.problem(setting, text);
            }
        }
    }
}

fn signing_key(setting: Setting, text: &str, key_id: &str) -> Result<SigningKey, KeyError> {
    match setting {
        Setting::PrivateKey => SigningKey::from_pem(text, key_id),
        Setting::PrivateJwkFile => SigningKey::from_jwk_file(text),
        _ => SigningKey::from_pem_file(text, key_id),
    }
}

#[cfg(test)]
mod tests;
