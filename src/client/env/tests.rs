use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::message::Validation;

fn problems(
    variables: &[(Setting, OsString)],
    complete: fn(ClientBuilder) -> ClientBuilder,
) -> Vec<String> {
    let builder = from_variables(|name| {
        let found = variables.iter().find(|(variable, _)| variable.variable() == name);
        found.map(|(_, value)| value.clone())
    });
    let error = complete(builder).build().map(drop).err();
    error.map_or_else(Vec::new, |error| error.problems().iter().map(ToString::to_string).collect())
}

#[test]
fn certificates_of_the_environment_do_not_fit_a_given_transport() {
    let transport = crate::transport::HttpTransport::builder().build().unwrap();
    let builder = ClientBuilder {
        http: ClientBuilder::default().root_certificate("PEM").http,
        ..ClientBuilder::default()
    };
    let builder = ClientBuilder { from_environment: vec![Setting::RootCertificateFile], ..builder };
    let builder = builder.credentials(Credentials::api_key("key", "secret")).transport(transport);
    let error = builder.build().map(drop).unwrap_err();
    let paths: Vec<_> = error.problems().iter().map(Problem::path).collect();
    assert_eq!(paths, ["PUSHSLOTS_ROOT_CERTIFICATE_FILE"]);
}

#[test]
fn code_can_complete_what_the_environment_lacks() {
    let with_key =
        |builder: ClientBuilder| builder.credentials(Credentials::api_key("key", "secret"));
    assert_eq!(problems(&[], with_key), [""; 0]);
    let half = [(Setting::ClientId, "client".into()), (Setting::SourceId, "nobody".into())];
    assert_eq!(problems(&half, with_key), ["PUSHSLOTS_SOURCE_ID: not a UUID"]);
    let plain = [(Setting::BaseUrl, "http://mock.internal".into())];
    let allowed = |builder: ClientBuilder| {
        builder.credentials(Credentials::api_key("key", "secret")).allow_plain_http("mock.internal")
    };
    assert_eq!(problems(&plain, allowed), [""; 0]);
    assert!(problems(&plain, with_key)[0].starts_with("PUSHSLOTS_BASE_URL: plain http"));
    let wrong = [
        (Setting::SourceId, "nobody".into()),
        (Setting::MaxAttempts, "many".into()),
        (Setting::Deadline, "soon".into()),
    ];
    let right = |builder: ClientBuilder| {
        let builder = builder.credentials(Credentials::api_key("key", "secret"));
        builder.source(Uuid::nil()).max_attempts(0).deadline(Duration::from_secs(1))
    };
    assert_eq!(
        problems(&wrong, right),
        ["max_attempts: must be at least 1, because the first \
                                          attempt counts"]
    );
    let audience = [(Setting::TokenAudience, "nowhere".into())];
    assert_eq!(problems(&audience, with_key), [""; 0]);
    let problem =
        "PUSHSLOTS_TOKEN_AUDIENCE: not a URI, such as https://api.redoxengine.com/v2/auth/token";
    assert_eq!(problems(&audience, |builder| builder)[0], problem);
    let strictness = [(Setting::Validation, "loose".into())];
    let problem = "PUSHSLOTS_VALIDATION: expected strict, drop_invalid_optional or lenient";
    assert_eq!(problems(&strictness, with_key), [problem]);
    let given = |builder: ClientBuilder| {
        builder.credentials(Credentials::api_key("key", "secret")).validation(Validation::Strict)
    };
    assert_eq!(problems(&strictness, given), [""; 0]);
    let lenient =
        from_variables(|name| (name == Setting::Validation.variable()).then(|| "lenient".into()));
    assert_eq!(lenient.validation, Validation::Lenient);
    // Destinations in code extend those in the environment.
    let elsewhere = |builder: ClientBuilder| {
        builder.credentials(Credentials::api_key("key", "secret")).destination(Uuid::nil())
    };
    let nowhere = [(Setting::DestinationIds, "EMR".into())];
    assert_eq!(problems(&nowhere, elsewhere), ["PUSHSLOTS_DESTINATION_IDS: entry 1 is not a UUID"]);
    let there = from_variables(|name| {
        (name == Setting::DestinationIds.variable()).then(|| Uuid::max().to_string().into())
    });
    assert_eq!(elsewhere(there).destinations, [Uuid::max(), Uuid::nil()]);
}

#[test]
fn marks_and_white_space_around_a_value_do_not_count() {
    let values = [
        (Setting::BaseUrl, "http://localhost:1"),
        (Setting::TokenUrl, "http://localhost:1/token"),
        (Setting::ApiKey, "key"),
        (Setting::ApiSecret, "secret"),
        (Setting::SourceId, "af394f14-b34a-464f-8d24-895f370af4c9"),
        (Setting::MaxAttempts, "1"),
        (Setting::AttemptTimeout, "1s"),
        (Setting::Deadline, "1s"),
        (Setting::RateLimit, "7500/300s"),
        (Setting::SlotsPerMessage, "1"),
        (Setting::BytesPerMessage, "1"),
        (Setting::TokenAudience, "urn:example:token"),
    ];
    let around = |(name, value)| (name, OsString::from(format!("\u{feff} {value}\r\n")));
    let mut variables: Vec<_> = values.map(around).into();
    let ids = format!("\u{feff}{},\r\n\u{feff}{}\r\n", Uuid::nil(), Uuid::max());
    variables.push((Setting::DestinationIds, ids.into()));
    assert_eq!(problems(&variables, |builder| builder), [""; 0]);
    for (name, _) in values {
        let blank = [(name, "\u{feff}\r\n".into())];
        assert_eq!(
            problems(&blank, |builder| builder),
            problems(&[], |builder| builder),
            "{name:?}"
        );
    }
}

#[test]
fn limits_of_zero_are_reported_together_by_their_variables() {
    let zero = |name| (name, OsString::from("0"));
    let variables = [
        zero(Setting::MaxAttempts),
        (Setting::AttemptTimeout, "0s".into()),
        (Setting::Deadline, "0s".into()),
        (Setting::RateLimit, "0/300s".into()),
        zero(Setting::MaxInFlight),
        zero(Setting::SlotsPerMessage),
        zero(Setting::BytesPerMessage),
        (Setting::TokenAudience, "not a URI".into()),
    ];
    let problems =
        problems(&variables, |builder| builder.proxy("nowhere").root_certificate("no PEM"));
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
            "PUSHSLOTS_MAX_IN_FLIGHT",
            "PUSHSLOTS_SLOTS_PER_MESSAGE",
            "PUSHSLOTS_BYTES_PER_MESSAGE",
            "PUSHSLOTS_RATE_LIMIT",
            "root_certificate",
        ]
    );
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_utf8_is_reported_once() {
    use std::os::unix::ffi::OsStringExt;
    let variables = [
        (Setting::ApiKey, OsString::from_vec(vec![0xff])),
        (Setting::ApiSecret, "secret".into()),
        (Setting::DestinationIds, "af394f14-b34a-464f-8d24-895f370af4c9, ,EMR".into()),
    ];
    assert_eq!(
        problems(&variables, |builder| builder),
        ["PUSHSLOTS_API_KEY: not UTF-8", "PUSHSLOTS_DESTINATION_IDS: entry 3 is not a UUID"]
    );
}
