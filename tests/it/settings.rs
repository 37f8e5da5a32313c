//! Client settings, and their effect on connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::{Client, Credentials, Delivery, Error, ErrorKind, HttpTransport};
use support::model::{Model, client_of, ok};
use support::raw::{Act, RawServer, read_request, split};
use support::tls::{Authority, TlsListener};
use support::{client, fixtures, key, message};
use tokio::io::AsyncWriteExt;

fn problems(error: &Error) -> Vec<&str> {
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Configuration, Delivery::NotSent));
    error.problems().iter().map(|problem| problem.path()).collect()
}

#[test]
fn only_credentials_are_required() {
    assert_eq!(problems(&Client::builder().build().unwrap_err()), ["credentials"]);
    Client::builder().credentials(Credentials::signed_jwt("client", key())).build().unwrap();
}

#[test]
fn all_invalid_settings_are_reported_at_once() {
    let error = Client::builder()
        .base_url("ftp://example.org")
        .token_url("nowhere")
        .max_attempts(0)
        .attempt_timeout(Duration::ZERO)
        .deadline(Duration::ZERO)
        .rate_limit(1, Duration::from_secs(25 * 60 * 60))
        .max_in_flight(0)
        .slots_per_message(0)
        .bytes_per_message(0)
        .connect_timeout(Duration::ZERO)
        .proxy(":: no proxy ::")
        .root_certificate("no PEM")
        .client_certificate("no PEM")
        .build()
        .unwrap_err();
    assert_eq!(
        problems(&error),
        [
            "base_url",
            "token_url",
            "proxy",
            "max_attempts",
            "attempt_timeout",
            "deadline",
            "max_in_flight",
            "slots_per_message",
            "bytes_per_message",
            "connect_timeout",
            "rate_limit",
            "rate_limit",
            "credentials",
            "root_certificate",
            "client_certificate",
        ]
    );
}

#[test]
fn connection_settings_with_a_transport_are_an_error() {
    let settings = client_of(&Model::scripted([ok()]));
    assert!(settings.clone().build().is_ok());
    for with in [
        settings.clone().connect_timeout(Duration::from_secs(1)),
        settings.clone().proxy("http://proxy.example.org:3128"),
        settings.clone().root_certificate("PEM"),
        settings.client_certificate("PEM"),
    ] {
        assert_eq!(problems(&with.build().unwrap_err()), ["transport"]);
    }
}

#[test]
fn plain_http_is_allowed_to_this_machine_and_to_named_hosts() {
    let with = |url: &str| client(url, "plain");
    for url in [
        "https://api.redoxengine.com",
        "https://api.ca.redoxengine.com/",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://127.9.9.9:1",
        "http://2130706433",
        "http://[::1]:8080/base/",
    ] {
        with(url).build().unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    for url in [
        "http://api.redoxengine.com",
        "http://10.0.0.1",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "http://localhost@example.org",
        "https://user:password@example.org",
        "https://example.org/?query",
        "https://example.org/#fragment",
        "https://256.256.256.256",
        "http://168430081",
        "//example.org",
        "example.org",
        "",
    ] {
        let error = with(url).build().unwrap_err();
        assert_eq!(problems(&error), ["base_url"], "{url}");
        assert!(!error.to_string().contains("user:"), "{error}");
    }
    let token_elsewhere = with("http://localhost").token_url("http://example.org/token");
    assert_eq!(problems(&token_elsewhere.build().unwrap_err()), ["token_url"]);

    with("http://mock.internal").allow_plain_http("MOCK.internal").build().unwrap();
    let other = with("http://example.org").allow_plain_http("mock.internal");
    assert_eq!(problems(&other.build().unwrap_err()), ["base_url"]);
}

#[test]
fn debug_of_settings_and_client_contains_no_secret() {
    let builder = client("http://localhost", "plain")
        .credentials(Credentials::api_key("canary", "canary"))
        .proxy("http://user:canary@localhost:3128")
        .client_certificate("canary");
    let builder = builder.token_url("https://user:canary@example.org");
    let shown = format!("{builder:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let client =
        client("http://localhost", "plain").proxy("http://user:canary@localhost:3128").build();
    let shown = format!("{:?}", client.unwrap());
    assert!(!shown.contains("canary"), "{shown}");
    let shown = builder.build().unwrap_err();
    assert!(!format!("{shown} {shown:?}").contains("canary"), "{shown}");
}

#[test]
fn plain_http_does_not_leave_this_machine_through_a_proxy() {
    let through = |base: &str, proxy: &str| client(base, "plain").proxy(proxy).build();
    let error = through("http://localhost", "http://proxy.example.org:3128").unwrap_err();
    assert_eq!(problems(&error), ["proxy"]);
    through("http://localhost", "http://127.0.0.1:3128").unwrap();
    for proxy in [
        "10.0.0.1:3128",
        ":: no proxy ::",
        "localhost:3128",
        "ftp://proxy:3128",
        "htp://proxy",
        "socks5://proxy",
        "",
    ] {
        for base in ["http://localhost", "https://api.redoxengine.com"] {
            let error = through(base, proxy).unwrap_err();
            assert_eq!(problems(&error), ["proxy"], "{proxy}");
        }
        let error = through("nowhere", proxy).unwrap_err();
        assert_eq!(problems(&error), ["base_url", "proxy"], "{proxy}");
    }
    through("https://api.redoxengine.com", "http://proxy.example.org:3128").unwrap();
}

#[test]
fn empty_credentials_are_an_error() {
    for credentials in [
        Credentials::signed_jwt("", key()),
        Credentials::api_key("", "secret"),
        Credentials::api_key("key", ""),
    ] {
        let error = Client::builder().credentials(credentials).build().unwrap_err();
        assert_eq!(problems(&error), ["credentials"]);
    }
}

#[tokio::test]
async fn audience_must_be_a_uri() {
    let signed = |audience: &str| Credentials::signed_jwt("client", key()).audience(audience);
    for audience in
        ["https://api.redoxengine.com/v2/auth/token", "urn:example:token", "api://9d1b?x=%20#y"]
    {
        Client::builder().credentials(signed(audience)).build().unwrap();
    }
    let model = Model::scripted([]);
    let client = client_of(&model).build().unwrap();
    for audience in [
        "",
        " ",
        "api.redoxengine.com",
        "/v2/auth/token",
        "//api.redoxengine.com",
        "{base}/v2/auth/token",
        "https://",
        "https://api.redoxengine.com/v2 auth",
        "https://api.redoxengine.com/\u{7}",
        "https://api.redoxengine.com/\ntoken",
        "https://api.redoxengine.com/ä",
        "https://api.redoxengine.com/<id>",
    ] {
        let error = Client::builder().credentials(signed(audience)).build().unwrap_err();
        assert_eq!(problems(&error), ["audience"], "{audience:?}");
        assert!(error.to_string().contains("audience: not a URI, such as https://"), "{error}");
        let error = client.rotate_credentials(signed(audience)).await.unwrap_err();
        assert_eq!(problems(&error), ["audience"], "{audience:?}");
        // Other credentials ignore the audience.
        let legacy = Credentials::api_key("key", "secret").audience(audience);
        Client::builder().credentials(legacy).build().unwrap();
    }
    let credentials = Credentials::signed_jwt("", key()).audience("nowhere");
    let error =
        Client::builder().max_attempts(0).credentials(credentials.clone()).build().unwrap_err();
    assert_eq!(problems(&error), ["max_attempts", "credentials", "audience"]);
    let error = client.rotate_credentials(credentials).await.unwrap_err();
    assert_eq!(problems(&error), ["credentials", "audience"]);
}

#[tokio::test]
async fn configured_proxy_is_used() {
    let tokens = fixtures::serve();
    let proxy = RawServer::start([
        Act::response(
            "200 OK",
            "Content-Type: application/json\r\n",
            r#"{"access_token":"proxied","token_type":"Bearer"}"#,
        ),
        Act::response("200 OK", "", ""),
    ])
    .await;
    let client = client(tokens.url(), "plain").proxy(&proxy.url).build().unwrap();
    client.send(&message()).await.unwrap();
    let requests = proxy.finish().await;
    let first_line = |request: &Vec<u8>| split(request).0.lines().next().unwrap().to_owned();
    assert_eq!(
        requests.iter().map(first_line).collect::<Vec<_>>(),
        [
            format!("POST {}/v2/auth/token HTTP/1.1", tokens.url()),
            format!("POST {}/endpoint HTTP/1.1", tokens.url())
        ]
    );
    assert!(tokens.requests().is_empty());
}

/// Starts a TLS service with a certificate of `authority` that requests client certificates of
/// `clients`.
///
/// It responds to every request with a token and an acceptance in one. It stops with the runtime of
/// the test.
async fn tls_service(authority: &Authority, clients: Option<&Authority>) -> String {
    recording_tls_service(authority, clients).await.0
}

/// The client certificate of each connection.
type PresentedCertificates = Arc<Mutex<Vec<Vec<u8>>>>;

async fn recording_tls_service(
    authority: &Authority,
    clients: Option<&Authority>,
) -> (String, PresentedCertificates) {
    let listener = TlsListener::bind(authority, clients, &[]).await;
    let url = listener.url();
    let presented = PresentedCertificates::default();
    let recorded = presented.clone();
    tokio::spawn(async move {
        loop {
            let Some(mut stream) = listener.accept().await else { continue };
            let certificate =
                stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            recorded.lock().unwrap().extend(certificate.map(|certificate| certificate.to_vec()));
            // The body is both a token response and the response to a message.
            let body = r#"{"access_token":"tls","Meta":{"Logs":[{"ID":"1"}]}}"#;
            let response = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            read_request(&mut stream).await;
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, presented)
}

#[tokio::test]
async fn extra_root_certificate_is_trusted_and_without_it_nothing_is_sent() {
    let authority = Authority::generate();
    let url = tls_service(&authority, None).await;
    let trusting = client(&url, "plain").root_certificate(authority.pem.clone()).build().unwrap();
    trusting.send(&message()).await.unwrap();

    let strict = client(&url, "plain").max_attempts(1).build().unwrap();
    let error = strict.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Connection, Delivery::NotSent));
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn client_certificate_is_presented() {
    let authority = Authority::generate();
    let clients = Authority::generate();
    let url = tls_service(&authority, Some(&clients)).await;
    let (certificate, key) = clients.vouch("vendor");
    let builder = || client(&url, "plain").root_certificate(authority.pem.clone()).max_attempts(1);
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    builder().client_certificate(pem).build().unwrap().send(&message()).await.unwrap();

    builder().build().unwrap().send(&message()).await.unwrap_err();
}

#[tokio::test]
async fn new_connections_present_a_rotated_client_certificate() {
    let authority = Authority::generate();
    let clients = Authority::generate();
    let (url, presented) = recording_tls_service(&authority, Some(&clients)).await;
    let [first, second] = ["first", "second"].map(|name| clients.vouch(name));
    let pem = |(certificate, key): &(rcgen::Certificate, rcgen::KeyPair)| {
        format!("{}{}", certificate.pem(), key.serialize_pem())
    };
    let transport = HttpTransport::builder().root_certificate(authority.pem.clone());
    let transport = transport.client_certificate(pem(&first)).build().unwrap();
    let client =
        client(&url, "plain").transport(transport.clone()).max_attempts(1).build().unwrap();
    client.send(&message()).await.unwrap();

    let error = transport.rotate_client_certificate("no PEM").unwrap_err();
    assert_eq!(
        (error.kind(), problems(&error)),
        (ErrorKind::Configuration, vec!["client_certificate"])
    );
    client.send(&message()).await.unwrap();
    let before = presented.lock().unwrap().len();
    assert!(
        presented.lock().unwrap().iter().all(|each| each == first.0.der().as_ref()),
        "the first certificate stays in use"
    );

    transport.rotate_client_certificate(pem(&second)).unwrap();
    client.send(&message()).await.unwrap();
    let presented = presented.lock().unwrap();
    assert!(presented.len() > before, "every connection is closed after its response");
    assert!(presented[before..].iter().all(|each| each == second.0.der().as_ref()));

    let without = HttpTransport::builder().build().unwrap();
    let error = without.rotate_client_certificate(pem(&first)).unwrap_err();
    assert!(
        error.to_string().contains("the transport was built without a client certificate"),
        "{error}"
    );
}

#[test]
fn error_for_certificates_with_escaped_line_breaks_names_the_fix() {
    let escaped = Authority::generate().pem.replace('\n', "\\n");
    let builder = client("https://localhost", "plain").root_certificate(escaped.clone());
    let error = builder.client_certificate(escaped).build().unwrap_err();
    assert_eq!(problems(&error), ["root_certificate", "client_certificate"]);
    assert_eq!(
        error.to_string().matches("the two characters `\\n`; replace each by a line break").count(),
        2,
        "{error}"
    );
}
