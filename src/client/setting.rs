//! The settings that can come from the environment: a table of their names in code and in the
//! environment.

use crate::message::Problem;

/// The prefix of all variables.
pub(super) const PREFIX: &str = "PUSHSLOTS_";

/// A setting that has an environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    BaseUrl,
    TokenUrl,
    ClientId,
    KeyId,
    PrivateKey,
    PrivateKeyFile,
    PrivateJwkFile,
    Scope,
    TokenAudience,
    ApiKey,
    ApiSecret,
    SourceId,
    DestinationIds,
    MaxAttempts,
    AttemptTimeout,
    Deadline,
    MaxInFlight,
    RateLimit,
    SlotsPerMessage,
    BytesPerMessage,
    Validation,
    RootCertificateFile,
    PlainHttpHosts,
}

impl Setting {
    pub(super) const ALL: [Self; 23] = [
        Self::BaseUrl,
        Self::TokenUrl,
        Self::ClientId,
        Self::KeyId,
        Self::PrivateKey,
        Self::PrivateKeyFile,
        Self::PrivateJwkFile,
        Self::Scope,
        Self::TokenAudience,
        Self::ApiKey,
        Self::ApiSecret,
        Self::SourceId,
        Self::DestinationIds,
        Self::MaxAttempts,
        Self::AttemptTimeout,
        Self::Deadline,
        Self::MaxInFlight,
        Self::RateLimit,
        Self::SlotsPerMessage,
        Self::BytesPerMessage,
        Self::Validation,
        Self::RootCertificateFile,
        Self::PlainHttpHosts,
    ];

    /// Returns the name of the variable.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::BaseUrl => "PUSHSLOTS_BASE_URL",
            Self::TokenUrl => "PUSHSLOTS_TOKEN_URL",
            Self::ClientId => "PUSHSLOTS_CLIENT_ID",
            Self::KeyId => "PUSHSLOTS_KEY_ID",
            Self::PrivateKey => "PUSHSLOTS_PRIVATE_KEY",
            Self::PrivateKeyFile => "PUSHSLOTS_PRIVATE_KEY_FILE",
            Self::PrivateJwkFile => "PUSHSLOTS_PRIVATE_JWK_FILE",
            Self::Scope => "PUSHSLOTS_SCOPE",
            Self::TokenAudience => "PUSHSLOTS_TOKEN_AUDIENCE",
            Self::ApiKey => "PUSHSLOTS_API_KEY",
            Self::ApiSecret => "PUSHSLOTS_API_SECRET",
            Self::SourceId => "PUSHSLOTS_SOURCE_ID",
            Self::DestinationIds => "PUSHSLOTS_DESTINATION_IDS",
            Self::MaxAttempts => "PUSHSLOTS_MAX_ATTEMPTS",
            Self::AttemptTimeout => "PUSHSLOTS_ATTEMPT_TIMEOUT",
            Self::Deadline => "PUSHSLOTS_DEADLINE",
            Self::MaxInFlight => "PUSHSLOTS_MAX_IN_FLIGHT",
            Self::RateLimit => "PUSHSLOTS_RATE_LIMIT",
            Self::SlotsPerMessage => "PUSHSLOTS_SLOTS_PER_MESSAGE",
            Self::BytesPerMessage => "PUSHSLOTS_BYTES_PER_MESSAGE",
            Self::Validation => "PUSHSLOTS_VALIDATION",
            Self::RootCertificateFile => "PUSHSLOTS_ROOT_CERTIFICATE_FILE",
            Self::PlainHttpHosts => "PUSHSLOTS_PLAIN_HTTP_HOSTS",
        }
    }

    /// Returns the name of the builder method for the setting.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::BaseUrl => "base_url",
            Self::TokenUrl => "token_url",
            Self::ClientId
            | Self::KeyId
            | Self::PrivateKey
            | Self::PrivateKeyFile
            | Self::PrivateJwkFile
            | Self::Scope
            | Self::TokenAudience
            | Self::ApiKey
            | Self::ApiSecret => "credentials",
            Self::SourceId => "source",
            Self::DestinationIds => "destination",
            Self::MaxAttempts => "max_attempts",
            Self::AttemptTimeout => "attempt_timeout",
            Self::Deadline => "deadline",
            Self::MaxInFlight => "max_in_flight",
            Self::RateLimit => "rate_limit",
            Self::SlotsPerMessage => "slots_per_message",
            Self::BytesPerMessage => "bytes_per_message",
            Self::Validation => "validation",
            Self::RootCertificateFile => "root_certificate",
            Self::PlainHttpHosts => "allow_plain_http",
        }
    }

    /// Returns whether a problem concerns the variable of this setting.
    pub(super) fn is_of(self, problem: &Problem) -> bool {
        problem.path() == self.variable()
    }

    /// Returns whether the setting is a part of the credentials.
    pub(super) fn is_credential(self) -> bool {
        self.method() == "credentials"
    }

    /// Returns whether a problem concerns a credentials variable, which code can override.
    pub(super) fn is_of_credentials(problem: &Problem) -> bool {
        Self::ALL.iter().any(|setting| setting.is_credential() && setting.is_of(problem))
    }

    /// Returns the known variable most similar to `name`; `None` if none is similar.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        let names = Self::ALL.map(Self::variable);
        let begins =
            |known: &&str| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'));
        if let (true, Some(longer)) = (name.len() > PREFIX.len(), names.into_iter().find(begins)) {
            return Some(longer);
        }
        let nearest = names.into_iter().min_by_key(|known| distance(known, name))?;
        // At most half of the characters after the prefix may differ.
        let unlike = name.len().saturating_sub(PREFIX.len()) / 2;
        (distance(nearest, name) <= unlike).then_some(nearest)
    }
}

/// Returns the edit distance of two names, which is the number of bytes to insert, remove or
/// replace.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        let mut diagonal = index;
        let mut left = index.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(other.bytes()) {
            let replaced = diagonal.saturating_add(usize::from(byte != other));
            diagonal = *cell;
            left = replaced.min(left.saturating_add(1)).min(diagonal.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_variable_is_suggested() {
        for (name, nearest) in [
            ("PUSHSLOTS_RATE", Some("PUSHSLOTS_RATE_LIMIT")),
            ("PUSHSLOTS_DESTINATION_ID", Some("PUSHSLOTS_DESTINATION_IDS")),
            ("PUSHSLOTS_CLIENTID", Some("PUSHSLOTS_CLIENT_ID")),
            ("PUSHSLOTS_TIMEOUT", None),
            ("PUSHSLOTS_COLOUR_OF_THE_SKY", None),
            ("PUSHSLOTS_", None),
        ] {
            assert_eq!(Setting::nearest(name), nearest, "{name}");
        }
    }

    #[test]
    fn distance_counts_changes() {
        for (one, other, changes) in
            [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(one, other), changes, "{one} {other}");
        }
    }
}
