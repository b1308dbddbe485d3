//! Deliveries to endpoints on this machine, and the ones that are refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ureq::config::Config;
use ureq::unversioned::resolver::ResolvedSocketAddrs;
use ureq::unversioned::transport::NextTimeout;

use super::*;

const EVENT: Event<'_> = Event {
    id: "5e0c1f7e-6f0d-4f55-9f6b-1f2b3c4d5e6f",
    timestamp: 1_767_225_600_000,
    body: br#"{"event":"document.processed"}"#,
    signature: "ab12",
};

/// Endpoints on this machine may be called.
fn here() -> Policy {
    Policy {
        allow_private: true,
        ..Policy::default()
    }
}

/// What an endpoint was sent.
#[derive(Debug)]
struct Received {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{}:", name.to_ascii_lowercase());
        self.headers
            .iter()
            .find(|h| h.to_ascii_lowercase().starts_with(&prefix))
            .map(|h| h[prefix.len()..].trim())
    }
}

fn receive(stream: &TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first = line();
    let headers: Vec<String> = std::iter::repeat_with(&mut line)
        .take_while(|l| !l.is_empty())
        .collect();
    let mut received = Received {
        line: first,
        headers,
        body: Vec::new(),
    };
    let length: usize = received.header("content-length").unwrap().parse().unwrap();
    received.body.resize(length, 0);
    reader.read_exact(&mut received.body).unwrap();
    received
}

/// An endpoint that takes one event and answers `response`.
fn endpoint(response: impl Into<Vec<u8>>) -> (u16, JoinHandle<Received>) {
    let response = response.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let received = receive(&stream);
        // The sender may have read enough of a long answer.
        let _sent = stream.write_all(&response);
        received
    });
    (port, serve)
}

fn answer(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
}

/// Names lead to these addresses, whatever they are.
#[derive(Debug, Clone)]
struct Names {
    addresses: Vec<SocketAddr>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    fn new(addresses: &[&str], port: u16) -> Self {
        let addresses = addresses
            .iter()
            .map(|a| SocketAddr::new(a.parse().unwrap(), port))
            .collect();
        Self {
            addresses,
            asked: Arc::default(),
        }
    }
}

impl Resolver for Names {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut found = self.empty();
        for address in &self.addresses {
            found.push(*address);
        }
        Ok(found)
    }
}

#[test]
fn an_event_arrives_as_it_was_signed() {
    let (port, serve) = endpoint(answer("204 No Content"));
    let url = format!("http://127.0.0.1:{port}/hooks/faq?tenant=7");
    let delivered = deliver(&url, &EVENT, &here()).unwrap();
    assert_eq!(delivered.status, 204);

    let received = serve.join().unwrap();
    assert_eq!(received.line, "POST /hooks/faq?tenant=7 HTTP/1.1");
    assert_eq!(received.body, EVENT.body);
    for (name, value) in [
        ("Content-Type", "application/json"),
        ("X-Webhook-Id", EVENT.id),
        ("X-Webhook-Timestamp", "1767225600000"),
        ("X-Webhook-Signature", "ab12"),
        ("Host", &format!("127.0.0.1:{port}")),
    ] {
        assert_eq!(received.header(name), Some(value), "{name}");
    }
}

#[test]
fn the_answer_decides_whether_to_try_again() {
    for (status, retryable) in [
        ("301 Moved Permanently", false),
        ("400 Bad Request", false),
        ("401 Unauthorized", false),
        ("404 Not Found", false),
        ("410 Gone", false),
        ("408 Request Timeout", true),
        ("425 Too Early", true),
        ("429 Too Many Requests", true),
        ("500 Internal Server Error", true),
        ("503 Service Unavailable", true),
    ] {
        let (port, serve) = endpoint(answer(status));
        let error = deliver(&format!("http://127.0.0.1:{port}/"), &EVENT, &here()).unwrap_err();
        serve.join().unwrap();
        let WebhookError::Status { status: code } = error else {
            panic!("{status}: {error:?}");
        };
        assert!(status.starts_with(&code.to_string()));
        assert_eq!(error.is_retryable(), retryable, "{status}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let to = elsewhere.local_addr().unwrap();
    for status in [
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let (port, serve) = endpoint(format!(
            "HTTP/1.1 {status}\r\nLocation: http://{to}/\r\nContent-Length: 0\r\n\r\n"
        ));
        let error = deliver(&format!("http://127.0.0.1:{port}/"), &EVENT, &here()).unwrap_err();
        serve.join().unwrap();
        assert!(
            matches!(
                error,
                WebhookError::Status {
                    status: 302 | 307 | 308
                }
            ),
            "{error:?}"
        );
    }
    assert!(elsewhere.accept().is_err(), "somebody came");
}

#[test]
fn a_long_answer_is_cut_off() {
    let mut response = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    response.resize(response.len() + (64 << 20), b'x');
    let (port, serve) = endpoint(response);
    let delivered = deliver(&format!("http://127.0.0.1:{port}/"), &EVENT, &here());
    assert_eq!(delivered.unwrap().status, 200);
    serve.join().unwrap();
}

#[test]
fn a_head_without_end_is_refused() {
    let mut response = b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec();
    response.resize(response.len() + (1 << 20), b'x');
    let (port, serve) = endpoint(response);
    let error = deliver(&format!("http://127.0.0.1:{port}/"), &EVENT, &here()).unwrap_err();
    assert!(
        matches!(error, WebhookError::Connection { .. }),
        "{error:?}"
    );
    serve.join().unwrap();
}

#[test]
fn an_endpoint_that_keeps_silent_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let policy = Policy {
        timeout: Duration::from_millis(50),
        ..here()
    };
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = deliver(&url, &EVENT, &policy).unwrap_err();
    assert!(matches!(error, WebhookError::Timeout), "{error:?}");
    assert!(error.is_retryable());
}

#[test]
fn an_endpoint_that_is_down_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = deliver(&url, &EVENT, &here()).unwrap_err();
    assert!(
        matches!(error, WebhookError::Connection { .. }),
        "{error:?}"
    );
    assert!(error.is_retryable());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hang_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let error = deliver(&url, &EVENT, &here()).unwrap_err();
    hang_up.join().unwrap();
    assert!(
        matches!(error, WebhookError::Connection { .. }),
        "{error:?}"
    );
}

#[test]
fn a_name_is_looked_up_once_and_its_address_called() {
    let (port, serve) = endpoint(answer("200 OK"));
    let names = Names::new(&["127.0.0.1"], port);
    // Were the name looked up again to connect, it would lead nowhere.
    let url = "http://hooks.invalid/";
    deliver_through(names.clone(), url, &EVENT, &here()).unwrap();
    assert_eq!(serve.join().unwrap().header("host"), Some("hooks.invalid"));
    assert_eq!(names.asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_name_that_leads_inside_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for addresses in [
        &["127.0.0.1"][..],
        &["::ffff:127.0.0.1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["64:ff9b::7f00:1"],
        &["0.0.0.0"],
        // One that is fine does not make up for one that is not.
        &["93.184.216.34", "127.0.0.1"],
        &["127.0.0.1", "93.184.216.34"],
    ] {
        let names = Names::new(addresses, port);
        let error =
            deliver_through(names, "http://example.org/", &EVENT, &Policy::default()).unwrap_err();
        assert!(
            matches!(&error, WebhookError::Address { host } if host == "example.org"),
            "{addresses:?}: {error:?}"
        );
        assert!(!error.is_retryable());
    }
    assert!(listener.accept().is_err(), "somebody came");
}

#[test]
fn a_name_that_leads_nowhere_is_tried_again() {
    let error = deliver("http://hooks.invalid/", &EVENT, &Policy::default()).unwrap_err();
    assert!(
        matches!(&error, WebhookError::Unresolved { host } if host == "hooks.invalid"),
        "{error:?}"
    );
    assert!(error.is_retryable());
}

/// Other spellings of 127.0.0.1 that a system's look-up may know.
#[test]
fn a_number_in_disguise_is_refused_when_it_is_called() {
    for host in [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
    ] {
        let url = format!("http://{host}:9/");
        let error = deliver(&url, &EVENT, &Policy::default()).unwrap_err();
        assert!(
            matches!(
                error,
                WebhookError::Address { .. } | WebhookError::Unresolved { .. }
            ),
            "{url}: {error:?}"
        );
    }
}

#[test]
fn urls_are_checked_when_they_are_set() {
    let default = Policy::default();
    for url in [
        "https://example.org",
        "https://example.org/hooks?a=b",
        "http://example.org:8080/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:8443/",
        "HTTPS://EXAMPLE.ORG/",
    ] {
        validate_url(url, &default).unwrap_or_else(|e| panic!("{url}: {e}"));
    }
    let long = format!("https://example.org/{}", "a".repeat(MAX_URL_BYTES));
    for url in [
        "",
        "example.org",
        "/hooks",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://:443/",
        "https://user@example.org/",
        "https://user:password@example.org/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://example.org:/",
        "https://exa mple.org/",
        "https://example.org/\r\nX: y",
        &long,
    ] {
        let error = validate_url(url, &default).unwrap_err();
        assert!(
            matches!(error, WebhookError::Url { .. }),
            "{url}: {error:?}"
        );
        assert!(!error.is_retryable());
    }
}

#[test]
fn inner_addresses_are_refused_when_they_are_set() {
    let inner = [
        "http://127.0.0.1/",
        "http://10.1.2.3/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fd00::1]/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://anything.localhost/",
    ];
    let never = [
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[fe80::1]/",
        "http://[64:ff9b::a00:1]/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://192.0.2.1/",
    ];
    for url in inner.iter().chain(&never) {
        let error = validate_url(url, &Policy::default()).unwrap_err();
        assert!(
            matches!(error, WebhookError::Address { .. }),
            "{url}: {error:?}"
        );
    }
    for url in inner {
        validate_url(url, &here()).unwrap_or_else(|e| panic!("{url}: {e}"));
    }
    for url in never {
        assert!(validate_url(url, &here()).is_err(), "{url}");
    }
}

#[test]
fn an_inner_address_is_not_called_even_if_it_was_set_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(address.ip(), IpAddr::V4(_)));
    let error = deliver(&format!("http://{address}/"), &EVENT, &Policy::default()).unwrap_err();
    assert!(matches!(error, WebhookError::Address { .. }), "{error:?}");
    assert!(listener.accept().is_err(), "somebody came");
}
