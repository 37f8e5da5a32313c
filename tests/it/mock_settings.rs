//! Settings of the mock that describe an organization's environment (address, destinations, source,
//! clocks), and requests that aren't API requests.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::time::Duration;

use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, Delivery};
use support::any::{Any, token};
use support::{DESTINATION, MESSAGE, any_http, message, skip};

#[tokio::test]
async fn only_known_destinations_are_accepted() {
    let service = MockService::builder().known_destinations([DESTINATION]).start().unwrap();
    let client = Client::builder().mock(&service).build().unwrap();
    client.send(&message()).await.unwrap();
    client.with_destinations([DESTINATION]).send(&message()).await.unwrap();
    let other = pushslots::uuid::Uuid::nil();
    let error = client.with_destinations([DESTINATION, other]).send(&message()).await.unwrap_err();
    assert_eq!(
        (error.delivery(), error.attempts()[0].status.map(u16::from)),
        (Delivery::Rejected, Some(403))
    );
    assert_eq!(error.service_text(), Some("Meta.Destinations[1].ID: there is no such destination"));
    assert_eq!(service.received().len(), 2);
}

#[tokio::test]
async fn response_to_any_number_of_destinations_is_short() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = format!("Bearer {}", token(&service, &any).await);
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    let destination = format!(r#"{{"ID":"{DESTINATION}"}}"#);
    for (count, status) in [(1_000, 200), (1_001, 400), (100_000, 400)] {
        let destinations = vec![&*destination; count].join(",");
        let body = format!(
            r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots","Destinations":[{destinations}]}},"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15}}]}}"#
        );
        let (found, response) = any.post("/endpoint", &headers, body).await;
        assert_eq!(found, status);
        assert!(response.len() < 200_000, "{}", response.len());
        assert_eq!(response.contains("Meta.Destinations: more than 1000"), status == 400);
    }
}

#[tokio::test]
async fn source_is_required_in_the_message_or_in_a_header() {
    let service = MockService::builder().require_source().start().unwrap();
    let any = Any::of(&service);
    let token = format!("Bearer {}", token(&service, &any).await);
    let without = MESSAGE
        .split_once(r#""Source":"#)
        .map(|(before, after)| format!("{before}{}", after.split_once("},").unwrap().1));
    let without = without.unwrap_or_else(|| MESSAGE.to_owned());
    let headers = [("authorization", &*token), ("content-type", "application/json")];
    assert_eq!(any.post("/endpoint", &headers, without.clone()).await.0, 401);
    let with_header =
        [&headers[..], &[("redox-source-id", "7ce6f387-c33c-417d-8682-81e83628cbd9")]].concat();
    assert_eq!(any.post("/endpoint", &with_header, without.clone()).await.0, 200);
    let meta = r#""Meta":{"Source":{"ID":"7ce6f387-c33c-417d-8682-81e83628cbd9"},"#;
    assert_eq!(any.post("/endpoint", &headers, without.replace(r#""Meta":{"#, meta)).await.0, 200);
}

#[tokio::test]
async fn assertion_with_a_too_long_lifetime_gets_no_token() {
    let longest =
        |seconds| MockService::builder().max_assertion_lifetime(Duration::from_secs(seconds));
    let service = longest(300).start().unwrap();
    Client::builder().mock(&service).build().unwrap().send(&message()).await.unwrap();
    let service = longest(299).start().unwrap();
    let error =
        Client::builder().mock(&service).build().unwrap().send(&message()).await.unwrap_err();
    let rejection = error.oauth_error().unwrap();
    assert_eq!(rejection.error_description.as_deref(), Some("Unexpected exp claim value"));
}

#[tokio::test]
async fn mock_binds_to_loopback_unless_an_address_is_set() {
    let service = MockService::start().unwrap();
    assert!(service.url().starts_with("http://127.0.0.1:"));
    // Binds to all addresses of this machine. The client uses loopback.
    let service = MockService::builder().address(Ipv4Addr::UNSPECIFIED).start().unwrap();
    assert!(service.url().starts_with("http://127.0.0.1:"));
    Client::builder().mock(&service).build().unwrap().send(&message()).await.unwrap();
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let service = MockService::builder().address(other).start().unwrap();
    assert!(service.url().starts_with("http://127.0.0.2:"));
    Client::builder().mock(&service).build().unwrap().send(&message()).await.unwrap();
    let port = service.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let error = MockService::builder().address(other).port(port).start().unwrap_err();
    assert!(error.to_string().starts_with(&format!("port {port} of 127.0.0.2:")), "{error}");
}

#[tokio::test]
async fn mock_on_all_ipv6_addresses_is_reached_over_loopback() {
    if let Err(error) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        return skip(&format!("this machine has no IPv6: {error}"));
    }
    let service = MockService::builder().address(Ipv6Addr::UNSPECIFIED).start().unwrap();
    assert!(service.url().starts_with("http://[::1]:"), "{}", service.url());
    Client::builder().mock(&service).build().unwrap().send(&message()).await.unwrap();
}

#[tokio::test]
async fn browser_requests_do_not_use_up_scripted_responses() {
    let service = MockService::start().unwrap();
    service.respond_next(MockResponse::throttled());
    let http = any_http();
    for method in ["GET", "OPTIONS", "HEAD", "PUT"] {
        let method = method.parse().unwrap();
        let response =
            http.request(method, format!("{}/endpoint", service.url())).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 404);
    }
    let client = Client::builder().mock(&service).max_attempts(1).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!(error.attempts()[0].status.map(u16::from), Some(429));
}

#[tokio::test]
async fn media_type_of_a_message_must_be_json() {
    let service = MockService::start().unwrap();
    let any = Any::of(&service);
    let token = format!("Bearer {}", token(&service, &any).await);
    for (kind, status) in [
        ("application/json", 200),
        ("Application/JSON ; charset=utf-8", 200),
        ("application/jsonp", 400),
        ("application/json-seq", 400),
        ("text/plain", 400),
    ] {
        let headers = [("authorization", &*token), ("content-type", kind)];
        assert_eq!(any.post("/endpoint", &headers, MESSAGE).await.0, status, "{kind}");
    }
}

#[tokio::test]
async fn page_is_served_only_under_names_of_this_machine() {
    let service = MockService::start().unwrap();
    let http = any_http();
    let port = service.url().rsplit_once(':').unwrap().1;
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("LOCALHOST:{port}"), 200),
        ("localhost".to_owned(), 200),
        ("[::1]".to_owned(), 200),
        (format!("[::1]:{port}"), 200),
        ("127.0.0.1.example.org".to_owned(), 403),
        (format!("example.org:{port}"), 403),
        (format!("192.0.2.1:{port}"), 403),
        ("::1".to_owned(), 403),
        (String::new(), 403),
    ] {
        let url = format!("{}/page/state?limit=18446744073709551615", service.url());
        let response = http.get(url).header("host", &host).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
}
