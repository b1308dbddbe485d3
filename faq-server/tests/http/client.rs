//! Requests as bytes on a socket. Nothing is normalised or checked on the way, so that wrong
//! requests can be sent as well as right ones.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use faq_auth::{ClientSecret, SignedRequest, Timestamp};
use serde_json::Value;

/// Where the server is; a restart moves it.
#[derive(Clone)]
pub(crate) struct Site(Arc<Mutex<SocketAddr>>);

impl Site {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(address)))
    }

    pub(crate) fn moved(&self, address: SocketAddr) {
        *self.0.lock().unwrap() = address;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        *self.0.lock().unwrap()
    }

    /// Sends bytes and reads until the server closes the connection.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> io::Result<Response> {
        let mut stream = TcpStream::connect(self.address())?;
        // Only a server that hangs takes so long.
        stream.set_read_timeout(Some(Duration::from_secs(100)))?;
        // A server that refuses early closes before everything is sent; its answer counts.
        let sent = stream.write_all(bytes);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        if let Some(response) = Response::parse(&answer) {
            return Ok(response);
        }
        sent?;
        read?;
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("no whole response: {:?}", String::from_utf8_lossy(&answer)),
        ))
    }
}

/// A request, with exactly these headers besides `Host` (where it has none), `Connection` and `Content-Length`.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The request with another value of a header that it has.
    pub(crate) fn with(self, name: &str, value: impl Into<String>) -> Self {
        self.without(name).header(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        &self.headers.iter().find(|(n, _)| n == name).unwrap().1
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    pub(crate) fn bytes(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// The request's bytes; `length` is what `Content-Length` says.
    pub(crate) fn wire(&self, length: usize) -> Vec<u8> {
        use std::fmt::Write;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nConnection: close\r\n",
            self.method, self.target
        );
        if self.headers.iter().all(|(name, _)| name != "Host") {
            head.push_str("Host: faq.example\r\n");
        }
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if length > 0 || self.method != "GET" {
            write!(head, "Content-Length: {length}\r\n").unwrap();
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend(&self.body);
        bytes
    }

    pub(crate) fn try_send(&self, site: &Site) -> io::Result<Response> {
        site.exchange(&self.wire(self.body.len()))
    }

    pub(crate) fn send(&self, site: &Site) -> Response {
        self.try_send(site)
            .unwrap_or_else(|e| panic!("{} {}: {e}", self.method, self.target))
    }

    /// Comes from an address of its own, through the proxy that the server trusts: limits by
    /// address are not what most tests are about.
    pub(crate) fn anywhere(self) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let [_, a, b, c] = n.to_be_bytes();
        self.header("X-Forwarded-For", format!("10.{a}.{b}.{c}"))
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// `None` where the response is not whole.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
            .collect();
        let mut response = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let rest = &bytes[end + 4..];
        response.body = if response.header("transfer-encoding") == Some("chunked") {
            dechunked(rest)?
        } else if let Some(length) = response.header("content-length") {
            rest.get(..length.parse().ok()?)?.to_vec()
        } else {
            rest.to_vec()
        };
        Some(response)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{}: {}",
            self.status,
            self.text()
        );
        self.json()
    }

    /// The code of an error, whose body has the shape that every error has.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        assert!(self.status >= 400, "{}: {}", self.status, self.text());
        let body = self.json();
        for name in ["error", "code", "request_id"] {
            let text = body[name].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{}: no {name} in {body}", self.status);
        }
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body["code"].as_str().unwrap().to_owned()
    }

    /// An error with this status and code; the sentence it says.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16, code: &str) -> String {
        assert_eq!(
            (self.status, self.code().as_str()),
            (status, code),
            "{}",
            self.text()
        );
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|w| w == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Unix milliseconds, never the same twice: two equal writes in one would be a replay.
pub(crate) fn now_ms() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let before = LAST
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            Some(now.max(last + 1))
        })
        .unwrap();
    now.max(before + 1)
}

/// An app of an organisation: signs what it sends, for the person who is signed in, if any.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) site: Site,
    /// The organisation's `client_id`.
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) refresh_token: Option<String>,
}

impl Client {
    /// The same app without a person.
    pub(crate) fn nobody(&self) -> Self {
        Self {
            token: None,
            refresh_token: None,
            ..self.clone()
        }
    }

    /// Signs a request as it is, at a time.
    pub(crate) fn sign_at(&self, request: Request, ms: i64) -> Request {
        let timestamp = Timestamp::from_ms(ms).unwrap();
        let secret: ClientSecret = self.secret.parse().unwrap();
        let signature = SignedRequest {
            method: &request.method,
            target: &request.target,
            timestamp,
            body: &request.body,
        }
        .sign(&secret.signing_key())
        .unwrap();
        let request = request
            .header("X-Client-ID", &self.id)
            .header("X-Timestamp", timestamp.to_string())
            .header("X-Signature", signature.to_string());
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    pub(crate) fn sign(&self, request: Request) -> Request {
        self.sign_at(request, now_ms())
    }

    pub(crate) fn send(&self, request: Request) -> Response {
        self.sign(request.anywhere()).send(&self.site)
    }

    pub(crate) fn get(&self, target: &str) -> Response {
        self.send(Request::new("GET", target))
    }

    pub(crate) fn delete(&self, target: &str) -> Response {
        self.send(Request::new("DELETE", target))
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Response {
        self.send(Request::new("POST", target).json(body))
    }
}
