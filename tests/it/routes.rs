//! Connections to the service: proxies, system certificates, and the environment variables of both.
//!
//! A test that needs another environment runs itself again in a separate process.

use std::future::IntoFuture;
use std::process::Command;

use pushslots::{Client, Delivery, Error, ErrorKind};
use support::http2::{Arrived, serve};
use support::raw::{Act, RawServer};
use support::tls::{Authority, TlsListener};
use support::{client, fixtures, message};
use tokio::net::TcpListener;
use tokio::sync::mpsc::unbounded_channel;

/// Runs the ignored test `name` with these variables, and without inherited proxy variables.
fn run_with(name: &str, variables: &[(&str, &str)]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("routes::{name}"), "--ignored", "--nocapture"]);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(variable).env_remove(variable.to_lowercase());
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns a loopback URL on which no server listens.
async fn unused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Sends a message with one attempt, and asserts that the error doesn't name `service`.
async fn failed_attempt(client: &Client, service: &str) -> (Error, String) {
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.delivery()),
        (ErrorKind::Connection, Delivery::NotSent),
        "{error}"
    );
    let text = error.attempts()[0].error.clone().unwrap();
    assert!(!text.contains(service), "{text}");
    (error, text)
}

#[tokio::test]
async fn error_names_a_failed_proxy_and_not_the_service() {
    let closed_port = unused_url().await;
    let rejects = RawServer::start([Act::response("403 Forbidden", "", "")]).await;
    for (base, proxy, reason) in [
        ("https://service.example", closed_port.as_str(), "Connection refused"),
        ("http://service.example", &closed_port, "Connection refused"),
        ("https://service.example", &rejects.url, "tunnel error"),
    ] {
        let with_password = proxy.replace("http://", "http://user:canary@");
        let builder =
            client(base, "plain").proxy(with_password).allow_plain_http("service.example");
        let client = builder.max_attempts(1).build().unwrap();
        let (error, text) = failed_attempt(&client, "service.example").await;
        let expected = format!("no access token: no connection could be made (the proxy {proxy}: ");
        assert!(text.starts_with(&expected) && text.contains(reason), "{text}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    rejects.finish().await;
}

#[tokio::test]
async fn error_names_a_failed_proxy_from_the_environment() {
    let proxy = unused_url().await;
    run_with("child_with_a_failing_proxy", &[("https_proxy", &proxy)]);
    run_with("child_with_a_failing_proxy", &[("ALL_PROXY", proxy.trim_start_matches("http://"))]);
}

#[tokio::test]
#[ignore = "needs a proxy in the environment"]
async fn child_with_a_failing_proxy() {
    let builder = client("https://service.example", "plain").max_attempts(1);
    let (_, text) = failed_attempt(&builder.build().unwrap(), "service.example").await;
    assert!(text.contains("(the proxy http://127.0.0.1:"), "{text}");
}

#[test]
fn unusable_proxy_from_the_environment_is_a_build_error() {
    for (name, url) in [
        ("HTTPS_PROXY", "socks5://proxy.example:1080"),
        ("https_proxy", "nonsense://user:canary@proxy"),
        ("ALL_PROXY", "http://"),
    ] {
        run_with("child_with_an_unusable_proxy", &[(name, url), ("PUSHSLOTS_TEST_NAME", name)]);
    }
    // No request uses these proxies.
    run_with("child_that_needs_no_proxy", &[("HTTP_PROXY", "socks5://proxy")]);
    run_with(
        "child_that_needs_no_proxy",
        &[("HTTPS_PROXY", "socks5://proxy"), ("NO_PROXY", "service.example")],
    );
}

#[test]
#[ignore = "needs a proxy in the environment"]
fn child_with_an_unusable_proxy() {
    let name = std::env::var("PUSHSLOTS_TEST_NAME").unwrap();
    let builder =
        client("https://service.example", "plain").max_attempts(0).root_certificate("no PEM");
    let error = builder.build().unwrap_err();
    let paths: Vec<_> = error.problems().iter().map(|problem| problem.path().to_owned()).collect();
    assert_eq!(paths, [name.as_str(), "max_attempts", "root_certificate"]);
    assert!(error.to_string().contains("isn't a proxy URL with http or https"), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
#[ignore = "needs a proxy in the environment"]
fn child_that_needs_no_proxy() {
    client("https://service.example", "plain").build().unwrap();
}

#[tokio::test]
async fn loopback_requests_bypass_the_environment_proxy_and_others_do_not() {
    let proxy = RawServer::start([Act::response("403 Forbidden", "", "")]).await;
    let url = proxy.url.clone();
    tokio::task::spawn_blocking(move || {
        run_with(
            "child_with_a_local_token_endpoint",
            &[("HTTPS_PROXY", &url), ("HTTP_PROXY", &url)],
        )
    })
    .await
    .unwrap();
    let requests = proxy.finish().await;
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].starts_with(b"CONNECT service.example:443 HTTP/1.1\r\n"),
        "{:?}",
        requests[0]
    );
}

#[tokio::test]
#[ignore = "needs a proxy in the environment"]
async fn child_with_a_local_token_endpoint() {
    let tokens = fixtures::serve();
    let builder = client("https://service.example", "plain").max_attempts(1);
    let client = builder.token_url(format!("{}/v2/auth/token", tokens.url())).build().unwrap();
    let (_, text) = failed_attempt(&client, "service.example").await;
    assert!(text.starts_with("no connection could be made (the proxy http://127.0.0.1:"), "{text}");
    assert_eq!(tokens.requests().len(), 1);
}

const NO_CERTIFICATES: [(&str, &str); 2] =
    [("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")];

#[cfg(target_os = "linux")]
#[test]
fn system_certificates_are_needed_only_for_https_without_other_certificates() {
    run_with("child_without_certificates", &NO_CERTIFICATES);
}

#[tokio::test]
#[ignore = "needs a system without certificates"]
async fn child_without_certificates() {
    let service = fixtures::serve();
    client(service.url(), "plain").build().unwrap().send(&message()).await.unwrap();

    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let (send, mut arrived) = unbounded_channel();
    let url = listener.url();
    tokio::spawn(serve(listener, 100, send));
    let trusting = client(&url, "plain").root_certificate(authority.pem.clone()).build().unwrap();
    let accept = async { drop(arrived.recv().await.unwrap().accept().await) };
    let message = message();
    let (receipt, ()) = tokio::join!(trusting.send(&message).into_future(), accept);
    receipt.unwrap();

    let error = client(&url, "plain").build().unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!(problem.path(), "SSL_CERT_FILE");
    assert!(
        error
            .to_string()
            .contains("install the system's root certificates, or set a root_certificate"),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn certificates_are_read_once() {
    let file = std::env::temp_dir().join(format!("pushslots-{}.pem", std::process::id()));
    let variables = [("SSL_CERT_FILE", file.to_str().unwrap()), ("SSL_CERT_DIR", "/nonexistent")];
    run_with("child_that_deletes_its_certificates", &variables);
}

#[tokio::test]
#[ignore = "needs certificates that it may delete"]
async fn child_that_deletes_its_certificates() {
    let authority = Authority::generate();
    let file = std::env::var("SSL_CERT_FILE").unwrap();
    std::fs::write(&file, &authority.pem).unwrap();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let (send, mut arrived) = unbounded_channel();
    let url = listener.url();
    tokio::spawn(serve(listener, 100, send));
    let client = client(&url, "plain").build().unwrap();
    std::fs::remove_file(&file).unwrap();
    let serve = async {
        // After a 421 the next request needs a new connection, which needs the certificates.
        for number in 0..3 {
            let mut message: Arrived = arrived.recv().await.unwrap();
            assert_eq!(message.connection, number);
            if number < 2 {
                message.reply(421).await;
            } else {
                message.accept().await;
            }
        }
    };
    let message = message();
    let (receipt, ()) = tokio::join!(client.send(&message).into_future(), serve);
    assert_eq!(receipt.unwrap().attempts().len(), 3);
}
