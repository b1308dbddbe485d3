//! Requests that nobody should send, and what the server says to them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::client::{Client, Request, now_ms};
use crate::server::{PASSWORD, Server};

const TEXT: &str = "text/plain";

#[test]
fn a_signature_is_right_or_tells_nothing() {
    let server = Server::start();
    let first = server.register("first");
    let other = server.register("other");
    let site = &server.site;
    let owner = &first.owner;
    let good = || owner.sign(Request::new("GET", "/v1/documents?status=failed"));
    good().send(site).ok();

    let signature = good().value("X-Signature").to_owned();
    let late = (now_ms() + 1).to_string();
    let mut wrong = vec![
        (
            "upper case",
            good().with("X-Signature", signature.to_uppercase()),
        ),
        ("short", good().with("X-Signature", &signature[..63])),
        ("long", good().with("X-Signature", format!("{signature}0"))),
        ("empty", good().with("X-Signature", "")),
        ("no hex", good().with("X-Signature", "z".repeat(64))),
        ("another time", good().with("X-Timestamp", &late)),
        ("a time with a zero", {
            let request = good();
            let padded = format!("0{}", request.value("X-Timestamp"));
            request.with("X-Timestamp", padded)
        }),
        ("no number", good().with("X-Timestamp", "now")),
        (
            "unknown client",
            good().with("X-Client-ID", format!("pk_{}", "0".repeat(48))),
        ),
        (
            "another's client",
            good().with("X-Client-ID", &other.app.id),
        ),
        (
            "no client",
            good().with("X-Client-ID", "'; DROP TABLE organisations;--"),
        ),
        (
            "another method",
            Request {
                method: "DELETE".into(),
                ..owner.sign(Request::new("GET", "/v1/admin/webhook"))
            },
        ),
        (
            "another target",
            Request {
                target: "/v1/documents?status=pending".into(),
                ..good()
            },
        ),
        (
            "no query",
            Request {
                target: "/v1/documents".into(),
                ..good()
            },
        ),
        (
            "another body",
            Request {
                body: b"{}".to_vec(),
                ..good()
            },
        ),
    ];
    for name in ["X-Client-ID", "X-Timestamp", "X-Signature"] {
        wrong.push(("missing", good().without(name)));
        let request = good();
        let again = request.value(name).to_owned();
        wrong.push(("doubled", request.header(name, again)));
    }
    for (what, request) in wrong {
        let response = request.send(site);
        assert_eq!((response.status, what), (401, what), "{}", response.text());
        assert_eq!(response.code(), "invalid_signature", "{what}");
        let mut body = response.json();
        body["request_id"].take();
        let told = json!({"error": "Invalid HMAC signature", "code": "invalid_signature",
                          "request_id": null});
        assert_eq!(body, told, "{what}");
    }

    // A client whose clock is wrong, but who is who they say, is told so.
    for minutes in [-6, 6] {
        let request = owner.sign_at(Request::new("GET", "/v1/user"), now_ms() + minutes * 60_000);
        let told = request.send(site).fails(401, "clock_skew");
        assert!(told.contains("the server's time is"), "{told}");
    }
}

/// The bytes that are signed for `GET /v1/user?a` with the body `T|` are those for
/// `GET /v1/user?a|T` without one.
#[test]
fn a_bar_in_the_target_makes_no_second_request_of_a_signature() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let time = now_ms();
    let mut signed = Request::new("GET", "/v1/user?a");
    signed.body = format!("{time}|").into_bytes();
    let mut forged = owner.sign_at(signed, time);
    forged.target = format!("/v1/user?a|{time}");
    forged.body.clear();
    let refused = forged.send(&server.site);
    assert!([400, 401].contains(&refused.status), "{}", refused.text());
}

#[test]
fn a_write_counts_once_even_over_a_restart() {
    let mut server = Server::start();
    let owner = server.register("first").owner;
    let invite = json!({"email": "guest@first.example"});
    let write = owner.sign(Request::new("POST", "/v1/admin/users/invite").json(&invite));
    let read = owner.sign(Request::new("GET", "/v1/user"));
    assert_eq!(write.send(&server.site).status, 201);
    write.send(&server.site).fails(409, "replayed");
    read.send(&server.site).ok();
    read.send(&server.site).ok();
    server.kill();
    server.restart();
    write.send(&server.site).fails(409, "replayed");
    read.send(&server.site).ok();
}

#[test]
fn bodies_that_are_wrong_are_told_what_is_wrong() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let query = |kind: &str, body: Vec<u8>| {
        let request = Request::new("POST", "/v1/chat/query");
        owner.send(request.bytes(kind, body))
    };
    let nested = |open: &str, depth| open.repeat(depth);
    for body in [
        "{",
        "{\"query\":",
        "nul",
        "{\"query\":\"\u{1}\"}",
        "{\"query\":\"\\ud800\"}",
        "{'query':'a'}",
        "{\"query\":\"a\"} x",
        &nested("[", 100_000),
        &nested("{\"a\":", 40_000),
    ] {
        query("application/json", body.into()).fails(400, "malformed_json");
    }
    query("application/json", b"{\"query\":\"\xff\"}".to_vec()).fails(400, "malformed_json");
    query("application/json", Vec::new()).fails(422, "missing_field");
    for (body, code, name) in [
        (json!([]), "invalid_field", "object"),
        (json!("a"), "invalid_field", "object"),
        (json!({}), "missing_field", "query"),
        (json!({"query": null}), "missing_field", "query"),
        (json!({"query": 7}), "invalid_field", "query"),
        (json!({"query": ["a"]}), "invalid_field", "query"),
        (json!({"query": ""}), "invalid_field", "query"),
        (json!({"query": " ?! \u{200b}"}), "invalid_field", "query"),
        (
            json!({"query": "x".repeat(100_000)}),
            "question_too_long",
            "query",
        ),
        (
            json!({"query": "a", "conversation_id": "x"}),
            "invalid_field",
            "conversation_id",
        ),
        (
            json!({"query": "a", "filters": {"tags": "x"}}),
            "invalid_field",
            "filters.tags",
        ),
        (
            json!({"query": "a", "filters": {"from": "today"}}),
            "invalid_field",
            "filters.from",
        ),
    ] {
        let told = query("application/json", body.to_string().into()).fails(422, code);
        assert!(told.contains(name), "{body}: {told}");
    }
    query("text/plain", b"{\"query\":\"a\"}".to_vec()).fails(415, "unsupported_type");
    query("application/json", vec![b' '; 300_000]).fails(413, "too_large");
    // Fields that nobody knows, and null for absent ones, are no mistake.
    let fine = json!({"query": "a\u{0}b", "conversation_id": null, "more": [1]});
    query("application/json; charset=utf-8", fine.to_string().into()).ok();
}

#[test]
fn addresses_that_are_wrong_are_errors_like_any_other() {
    let server = Server::start();
    let owner = server.register("first").owner;
    for target in [
        "/v1/documents/7",
        "/v1/documents/%00",
        "/v1/documents/..%2f..%2fetc%2fpasswd/content",
        "/v1/documents/00000000-0000-0000-0000-000000000000",
        "/v1/chat/history/x",
        "/v1/nothing",
    ] {
        owner.get(target).fails(404, "not_found");
    }
    owner
        .get("/v1/documents?cursor=x")
        .fails(422, "invalid_field");
    owner
        .get("/v1/documents?status=lost")
        .fails(422, "invalid_field");
    owner
        .get("/v1/chat/conversations?cursor=ff.x")
        .fails(422, "invalid_field");
    let anybody = |method, target| Request::new(method, target).send(&server.site);
    anybody("GET", "/").fails(404, "not_found");
    anybody("PATCH", "/v1/user").fails(405, "method_not_allowed");
    anybody("TRACE", "/health").fails(405, "method_not_allowed");

    // What no HTTP server reads is refused before it has a request to answer.
    let long = "x".repeat(200_000);
    let headers = (0..500).fold(Request::new("GET", "/health"), |request, n| {
        request.header(&format!("X-{n}"), n.to_string())
    });
    for request in [
        Request::new("GET", "/health").header("X-Long", &long),
        Request::new("GET", &format!("/health?{long}")),
        headers,
    ] {
        let refused = request.send(&server.site).status;
        assert!([400, 414, 431].contains(&refused), "{refused}");
    }
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x00\x00\r\n\r\n",
    ] {
        let status = server.site.exchange(bytes).map_or(400, |r| r.status);
        assert_eq!(status, 400);
    }
    anybody("GET", "/health").ok();
}

#[test]
fn announcements_that_mislead_are_refused() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let announce = |body: &Value| owner.post("/v1/documents/upload", body);
    let long = format!("{}.txt", "x".repeat(296));
    for name in [
        "",
        " ",
        ".",
        "..",
        "../x.txt",
        "a/b.txt",
        "a\\b.txt",
        "a\u{0}.txt",
        "a\nb.txt",
        "gpj.\u{202e}txt.exe",
        "\u{2066}a.txt",
        &long,
    ] {
        let told = announce(&json!({"filename": name, "content_type": TEXT}));
        let told = told.fails(422, "invalid_field");
        assert!(told.contains("filename"), "{told}");
    }
    for kind in ["application/x-msdownload", "", "text", "image/svg+xml"] {
        announce(&json!({"filename": "a.txt", "content_type": kind}))
            .fails(415, "unsupported_type");
    }
    let with = |name: &str, value: Value| {
        let mut body = json!({"filename": "a.txt", "content_type": TEXT});
        body[name] = value;
        announce(&body)
    };
    with("size", json!(0)).fails(422, "invalid_field");
    with("size", json!(-1)).fails(422, "invalid_field");
    with("size", json!(1.5)).fails(422, "invalid_field");
    with("size", json!(u64::MAX)).fails(413, "too_large");
    with("tags", json!([""])).fails(422, "invalid_field");
    with(
        "tags",
        json!(
            vec!["x".repeat(9); 51]
                .iter()
                .enumerate()
                .map(|(n, t)| format!("{t}{n}"))
                .collect::<Vec<_>>()
        ),
    )
    .fails(422, "invalid_field");
    let nothing = owner.get("/v1/documents").ok();
    assert_eq!(nothing["documents"], json!([]));
}

#[test]
fn an_upload_address_takes_what_was_announced_once() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let site = &server.site;
    let put = |target: &str, kind: &str, body: &[u8]| {
        Request::new("PUT", target).bytes(kind, body).send(site)
    };
    let text = b"Ten bytes.";
    let (id, target) =
        owner.announce(&json!({"filename": "a.txt", "content_type": TEXT, "size": text.len()}));
    let (_, open) = owner.announce(&json!({"filename": "b.txt", "content_type": TEXT}));

    put(&target, TEXT, &text[..9]).fails(422, "size_mismatch");
    put(&target, TEXT, b"Eleven byte").code();
    put(&target, "application/pdf", text).fails(415, "unsupported_type");
    put(&open, TEXT, b"").fails(422, "size_mismatch");
    put(&open, TEXT, &vec![b'a'; (1 << 20) + 1]).fails(413, "too_large");

    let (path, ticket) = target.split_once("?ticket=").unwrap();
    let last = if ticket.ends_with('0') { "1" } else { "0" };
    let foreign = open.split_once("?ticket=").unwrap().1;
    for forged in [
        format!("{path}?ticket={}{last}", &ticket[..ticket.len() - 1]),
        format!("{path}?ticket={foreign}"),
        format!("{path}?ticket="),
    ] {
        put(&forged, TEXT, text).fails(404, "not_found");
    }
    put(path, TEXT, text).fails(422, "invalid_field");
    Request::new("GET", &target)
        .send(site)
        .fails(405, "method_not_allowed");

    for half in [&target, &open] {
        break_off(
            &Request::new("PUT", half).bytes(TEXT, &text[..5]),
            text.len(),
            &owner,
        );
    }
    assert_eq!(owner.status(&id)["status"], "pending");
    // The server may notice a moment later that nobody sends any more.
    let mut sent = put(&target, TEXT, text);
    for _ in 0..100 {
        if sent.status != 409 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        sent = put(&target, TEXT, text);
    }
    assert_eq!(sent.status, 202, "{}", sent.text());
    put(&target, TEXT, text).fails(409, "upload_used");
    owner.completed(&id);
    let original = owner.get(&format!("/v1/documents/{id}/original"));
    assert_eq!(original.body, text);
}

#[test]
fn of_two_who_use_an_upload_address_the_second_is_refused() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let (id, target) = owner.announce(&json!({"filename": "a.txt", "content_type": TEXT}));
    let whole = Request::new("PUT", &target).bytes(TEXT, "Ten bytes.");
    let bytes = whole.wire(10);
    let mut first = TcpStream::connect(server.site.address()).unwrap();
    first.write_all(&bytes[..bytes.len() - 5]).unwrap();
    // It has begun once there is a file for its bytes.
    while server.blobs().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for _ in 0..8 {
        whole.send(&server.site).fails(409, "upload_used");
    }
    first.write_all(&bytes[bytes.len() - 5..]).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    owner.completed(&id);
}

/// Sends less than was said, and goes.
fn break_off(request: &Request, length: usize, owner: &Client) {
    let mut stream = TcpStream::connect(owner.site.address()).unwrap();
    stream.write_all(&request.wire(length)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _gone = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{answer:?}");
}

#[test]
fn of_many_who_sign_up_with_one_address_one_wins() {
    let server = Server::start();
    let first = server.register("first");
    let asked = json!({"email": "a@first.example", "password": PASSWORD, "org_id": first.id});
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|n| {
                let mut asked = asked.clone();
                if n % 2 == 1 {
                    asked["email"] = json!(" A@FIRST.example");
                }
                let app = &first.app;
                scope.spawn(move || app.post("/v1/auth/signup", &asked).status)
            })
            .collect();
        tries.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let won = statuses.iter().filter(|s| **s == 201).count();
    assert_eq!(won, 1, "{statuses:?}");
    first.app.log_in("a@first.example");
}

#[test]
fn guessing_locks_signing_in_and_nobody_out() {
    let server = Server::start();
    let first = server.register("first");
    let user = first.user("victim");
    for _ in 0..5 {
        let guess = user.try_log_in("victim@first.example", "a wrong guess");
        guess.fails(401, "invalid_credentials");
    }
    let locked = user.try_log_in("victim@first.example", PASSWORD);
    locked.fails(429, "account_locked");
    assert!(locked.header("retry-after").is_some());
    user.get("/v1/user").ok();
    first.user("another").get("/v1/user").ok();
    // Who is not there is locked as well: the lock tells nobody who is.
    for _ in 0..5 {
        let unknown = user.try_log_in("nobody@first.example", PASSWORD);
        unknown.fails(401, "invalid_credentials");
    }
    let unknown = user.try_log_in("nobody@first.example", PASSWORD);
    unknown.fails(429, "account_locked");
}

#[test]
fn what_clients_invent_makes_no_metrics_and_hosts_are_named_once() {
    let server = Server::start_with(&[("METRICS_ADDR", "main"), ("RATE_LIMIT_PER_MINUTE", "10")]);
    let anybody = |method: &str, target: &str| Request::new(method, target).send(&server.site);
    for method in ["FOO", "BAR", "get"] {
        anybody(method, "/nope").fails(404, "not_found");
        anybody(method, "/health").fails(405, "method_not_allowed");
    }
    let metrics = anybody("GET", "/metrics").text();
    assert!(
        !metrics.contains("FOO") && !metrics.contains("BAR"),
        "{metrics}"
    );
    assert!(metrics.contains("method=\"other\""), "{metrics}");
    for (head, status) in [
        ("GET /health HTTP/1.1\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\n", 200),
        ("GET /health HTTP/1.0\r\n", 200),
    ] {
        let bytes = format!("{head}Connection: close\r\n\r\n");
        let answer = server.site.exchange(bytes.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{head}");
    }
    // An address that asks for what is not there is limited like any other.
    let mut statuses = (0..200).map(|_| anybody("GET", "/nope").status);
    assert!(statuses.any(|status| status == 429));
}

#[test]
fn what_was_not_announced_counts_when_it_comes() {
    let server = Server::start_with(&[("MAX_STORAGE_MB", "1")]);
    let owner = server.register("first").owner;
    let text = "Three quarters of what there is room for.\n".repeat(18_000);
    let asked = json!({"filename": "a.txt", "content_type": TEXT});
    let (first, second) = (owner.announce(&asked).1, owner.announce(&asked).1);
    let put = |target: &str| {
        let put = Request::new("PUT", target).bytes(TEXT, text.clone());
        put.send(&server.site)
    };
    assert_eq!(put(&first).status, 202);
    put(&second).fails(403, "quota_exceeded");
    assert_eq!(server.blobs().len(), 1, "{:?}", server.blobs());
}

#[test]
fn a_filter_that_means_nothing_is_no_filter_for_everything() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let ask = |filters: Value| {
        let asked = json!({"query": "When does the office open?", "filters": filters});
        owner.post("/v1/chat/query", &asked)
    };
    for filters in [json!({"tag": ["a"]}), json!({"formats": ["exe"]})] {
        ask(filters).fails(422, "invalid_field");
    }
    ask(json!({"formats": ["md", "TXT", "pdf"], "tags": null})).ok();
}

#[test]
fn a_token_that_was_stolen_or_taken_away_ends() {
    let server = Server::start();
    let first = server.register("first");
    let other = server.register("other");
    let user = first.user("user");
    let refresh = |client: &Client| {
        let asked = json!({"refresh_token": client.refresh_token});
        client.nobody().post("/v1/auth/refresh", &asked)
    };
    // With another organisation's signature it is worth nothing, and is not used up.
    let stranger = Client {
        refresh_token: user.refresh_token.clone(),
        ..other.app.clone()
    };
    refresh(&stranger).fails(401, "invalid_refresh_token");
    let told = refresh(&user).ok();
    let text = |name: &str| Some(told[name].as_str().unwrap().to_owned());
    let next = Client {
        token: text("access_token"),
        refresh_token: text("refresh_token"),
        ..user.clone()
    };
    next.get("/v1/user").ok();
    refresh(&user).fails(401, "invalid_refresh_token");
    next.get("/v1/user").fails(401, "invalid_token");
    refresh(&next).fails(401, "invalid_refresh_token");

    let again = first.app.log_in("user@first.example");
    let borrowed = Client {
        token: again.token.clone(),
        ..other.app.clone()
    };
    borrowed.get("/v1/user").fails(401, "invalid_token");
    let token = again.token.clone().unwrap();
    let (head, rest) = token.split_once('.').unwrap();
    let payload = rest.split_once('.').unwrap().0;
    for forged in [
        "x".to_owned(),
        format!("{head}.{payload}."),
        format!("eyJhbGciOiJub25lIn0.{payload}."),
    ] {
        let forger = Client {
            token: Some(forged),
            ..again.clone()
        };
        forger.get("/v1/user").fails(401, "invalid_token");
    }
    // Old clients send a stale token with everything, signing in included.
    let stale = Client {
        token: Some("stale".into()),
        ..again.clone()
    };
    let asked = json!({"email": "user@first.example", "password": PASSWORD});
    stale.post("/v1/auth/login", &asked).ok();

    let id = again.get("/v1/user").ok()["id"].clone();
    first
        .owner
        .post("/v1/revoke-access", &json!({"user_id": id}))
        .ok();
    again.get("/v1/user").fails(401, "invalid_token");
    refresh(&again).fails(401, "invalid_refresh_token");
    let refused = again.try_log_in("user@first.example", PASSWORD);
    refused.fails(403, "account_inactive");
    let last = json!({"user_id": first.owner_id});
    first
        .owner
        .post("/v1/revoke-access", &last)
        .fails(409, "last_owner");
}

#[test]
fn too_many_requests_are_told_to_wait() {
    let server = Server::start_with(&[("RATE_LIMIT_PER_MINUTE", "40")]);
    let owner = server.register("first").owner;
    let refused = (0..60)
        .map(|_| owner.get("/v1/user"))
        .find(|response| response.status != 200)
        .unwrap();
    refused.fails(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    server.register("other").owner.get("/v1/user").ok();
}
