//! Settings from the environment.

use std::ffi::OsString;

use secrecy::zeroize::Zeroizing;

use super::ClientBuilder;
use super::setting::{PREFIX, Setting};
use super::values::{
    audience, duration, hosts, number, pem_file, rate, text, uuid, uuids, validation,
};
use crate::auth::{Credentials, KeyError, SigningKey};
use crate::message::Problem;
use crate::text::trimmed;

impl ClientBuilder {
    /// Takes the settings from the environment.
    ///
    /// White space and byte-order marks around a value don't count, and an empty variable is not
    /// set.
    ///
    /// | variable | meaning | default |
    /// | --- | --- | --- |
    /// | `PUSHSLOTS_BASE_URL` | [`base_url`](Self::base_url) | `https://api.redoxengine.com` |
    /// | `PUSHSLOTS_TOKEN_URL` | [`token_url`](Self::token_url) | `{base}/v2/auth/token` |
    /// | `PUSHSLOTS_CLIENT_ID` | the OAuth client | required, or an API key |
    /// | `PUSHSLOTS_KEY_ID` | the service's name for the public key | required with a key in PEM |
    /// | `PUSHSLOTS_PRIVATE_KEY_FILE` | path of the private key, in [PEM](SigningKey::from_pem_file) | required with a client id |
    /// | `PUSHSLOTS_PRIVATE_KEY` | the private key itself, in PEM, instead of its path | none |
    /// | `PUSHSLOTS_PRIVATE_JWK_FILE` | path of the private key as a [JWK](SigningKey::from_jwk_file) with its key id, instead | none |
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
    /// | `PUSHSLOTS_ROOT_CERTIFICATE_FILE` | path of a PEM with [root certificates](Self::root_certificate) | those of the system |
    /// | `PUSHSLOTS_PLAIN_HTTP_HOSTS` | hosts that [may use plain http](Self::allow_plain_http), separated by commas | this machine |
    /// | `PUSHSLOTS_VALIDATION` | [`validation`](Self::validation): `strict`, `drop_invalid_optional` or `lenient` | `strict` |
    ///
    /// [`build`](Self::build) reports the problems of all variables, except of settings that code
    /// gives afterwards: `ClientBuilder::from_env().credentials(..)` needs no credentials in the
    /// environment, and ignores the scope and the audience there. Destinations that code gives are
    /// added to those of the environment.
    ///
    /// A variable that begins with `PUSHSLOTS_` and isn't in the table is logged as a warning, with
    /// the nearest name of the table.
    #[must_use]
    pub fn from_env() -> Self {
        warn_of_unknown(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
        from_variables(|name| std::env::var_os(name))
    }
}

/// Logs the names that begin like a variable of ours and aren't one.
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
                    "the environment has an unknown setting; is another one meant?"
                );
            }
            None => tracing::warn!(
                "pushslots.variable" = variable,
                "the environment has an unknown setting"
            ),
        }
    }
}

fn from_variables(read: impl Fn(&str) -> Option<OsString>) -> ClientBuilder {
    let mut variables = Variables { read, builder: ClientBuilder::default(), problems: Vec::new() };
    variables.set(Setting::BaseUrl, text, ClientBuilder::base_url);
    variables.set(Setting::TokenUrl, text, ClientBuilder::token_url);
    if let Some(credentials) = variables.credentials() {
        variables.change(|builder| builder.credentials(credentials));
    }
    variables.set(Setting::SourceId, uuid, ClientBuilder::source);
    variables.set(Setting::DestinationIds, uuids, |builder, ids| {
        ids.into_iter().fold(builder, ClientBuilder::destination)
    });
    variables.set(Setting::MaxAttempts, number, ClientBuilder::max_attempts);
    variables.set(Setting::AttemptTimeout, duration, ClientBuilder::attempt_timeout);
    variables.set(Setting::Deadline, duration, ClientBuilder::deadline);
    variables.set(Setting::SlotsPerMessage, number, ClientBuilder::slots_per_message);
    variables.set(Setting::BytesPerMessage, number, ClientBuilder::bytes_per_message);
    variables.set(Setting::MaxInFlight, number, ClientBuilder::max_in_flight);
    variables.set(Setting::RateLimit, rate, |builder, (requests, window)| {
        builder.rate_limit(requests, window)
    });
    variables.set(Setting::Validation, validation, ClientBuilder::validation);
    variables.set(Setting::RootCertificateFile, pem_file, ClientBuilder::root_certificate);
    variables.set(Setting::PlainHttpHosts, hosts, |builder, hosts| {
        hosts.into_iter().fold(builder, ClientBuilder::allow_plain_http)
    });
    let Variables { mut builder, problems, .. } = variables;
    builder.environment_problems = problems;
    builder
}

/// The settings read so far, and what is wrong with them.
struct Variables<F> {
    read: F,
    builder: ClientBuilder,
    problems: Vec<Problem>,
}

impl<F: Fn(&str) -> Option<OsString>> Variables<F> {
    fn problem(&mut self, setting: Setting, text: impl Into<String>) {
        self.problems.push(Problem::new(setting.variable(), text.into()));
    }

    fn change(&mut self, set: impl FnOnce(ClientBuilder) -> ClientBuilder) {
        self.builder = set(std::mem::take(&mut self.builder));
    }

    /// Sets what the variable holds, if it is there.
    fn set<T>(
        &mut self,
        setting: Setting,
        read: fn(&str) -> Result<T, String>,
        set: impl FnOnce(ClientBuilder, T) -> ClientBuilder,
    ) {
        if let Some(value) = self.value(setting, read) {
            self.change(|builder| set(builder, value));
            self.builder.from_environment.push(setting);
        }
    }

    /// Returns the value of a variable. All are wiped, because any may hold a secret by mistake.
    fn text(&mut self, setting: Setting) -> Option<Zeroizing<String>> {
        let bytes = Zeroizing::new((self.read)(setting.variable())?.into_encoded_bytes());
        let text =
            std::str::from_utf8(&bytes).map_err(|_| self.problem(setting, "not UTF-8")).ok()?;
        Some(trimmed(text))
            .filter(|text| !text.is_empty())
            .map(|text| Zeroizing::new(text.to_owned()))
    }

    fn value<T>(&mut self, setting: Setting, read: fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(setting)?;
        read(&text).map_err(|text| self.problem(setting, text)).ok()
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
        let audience = self.value(Setting::TokenAudience, audience);

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
            let text =
                format!("given as well as {}; keep one kind of credentials", client.join(" and "));
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
                format!("given as well as {}; keep one of them", first.variable()),
            );
            return None;
        }
        let is_jwk = matches!(&key, Some((Setting::PrivateJwkFile, _)));
        if is_jwk && key_id.is_some() {
            self.problem(Setting::KeyId, "leave it out; a JWK holds its key id");
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
            let text = format!("missing; or give {key} and {secret}");
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

    /// Reports settings that are missing, unless their variables have problems of their own.
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
