//! Who answers, and how: a model behind an endpoint, told what the organisation wants, and whoever
//! answers where it fails.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::client::Request;
use crate::server::Server;

/// An OpenAI-compatible endpoint that says one sentence, as long as it is not broken.
struct Endpoint {
    url: String,
    /// What it was told last, as JSON.
    told: Arc<Mutex<Value>>,
    broken: Arc<AtomicBool>,
    calls: Arc<Mutex<usize>>,
}

impl Endpoint {
    fn start(sentence: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1#parrot", listener.local_addr().unwrap());
        let endpoint = Self {
            url,
            told: Arc::default(),
            broken: Arc::default(),
            calls: Arc::default(),
        };
        let (told, calls) = (Arc::clone(&endpoint.told), Arc::clone(&endpoint.calls));
        let broken = Arc::clone(&endpoint.broken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let body = read_body(&mut stream);
                *calls.lock().unwrap() += 1;
                if broken.load(Ordering::SeqCst) {
                    let no = "HTTP/1.1 503 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _gone = stream.write_all(no.as_bytes());
                    continue;
                }
                *told.lock().unwrap() = serde_json::from_slice(&body).unwrap();
                let delta = json!({"choices": [{"delta": {"content": sentence}}]});
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
                     data: {delta}\n\ndata: [DONE]\n\n"
                );
                let _gone = stream.write_all(answer.as_bytes());
            }
        });
        endpoint
    }

    fn rules(&self) -> String {
        let told = self.told.lock().unwrap();
        told["messages"][0]["content"].as_str().unwrap().to_owned()
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

fn read_body(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let head = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = head {
            let text = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |n| n.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return bytes[end + 4..].to_vec();
            }
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return Vec::new(),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

#[test]
fn a_model_is_told_what_the_organisation_wants_and_answered_for_where_it_fails() {
    let endpoint = Endpoint::start("Every employee has 28 days of annual leave [1].");
    let server = Server::start_with(&[
        ("LLM_MODEL", &endpoint.url),
        ("LLM_TONE", "plain"),
        ("LLM_CACHE_TTL", "3600"),
    ]);
    let house = server.register("house");
    let text = "Every employee has 28 days of annual leave.\n\nDogs are welcome on Fridays.\n";
    house
        .owner
        .completed(&house.owner.upload_text("handbook.txt", text));
    let ask = |query: &str| {
        house
            .owner
            .post("/v1/chat/query", &json!({"query": query}))
            .ok()
    };
    let question = "How many days of annual leave does an employee have?";

    let first = ask(question);
    assert_eq!(first["model"], "parrot", "{first}");
    assert!(first["answer"].as_str().unwrap().contains("28 days"));
    assert!(endpoint.rules().contains("Tone: plain"));

    let set = json!({"tone": "like a pirate", "instructions": "Name the form.\nBe kind."});
    let put = |set: &Value| {
        let request = Request::new("PUT", "/v1/admin/answering").json(set);
        house.owner.send(request)
    };
    assert_eq!(put(&set).ok(), set);
    assert_eq!(house.owner.get("/v1/admin/answering").ok(), set);
    let calls = endpoint.calls();
    ask(question);
    assert_eq!(
        endpoint.calls(),
        calls + 1,
        "another tone is another answer"
    );
    let rules = endpoint.rules();
    assert!(rules.contains("Tone: like a pirate"), "{rules}");
    assert!(rules.contains("- Name the form.\n- Be kind."), "{rules}");
    ask(question);
    assert_eq!(endpoint.calls(), calls + 1, "an answer is kept");
    put(&json!({"tone": "x".repeat(201)})).fails(422, "invalid_field");

    endpoint.broken.store(true, Ordering::SeqCst);
    let other = "On which day are dogs welcome?";
    let fallen = ask(other);
    assert_eq!(fallen["model"], "extractive", "{fallen}");
    assert!(fallen["answer"].as_str().unwrap().contains("Fridays"));
    endpoint.broken.store(false, Ordering::SeqCst);
    let calls = endpoint.calls();
    ask(other);
    assert!(
        endpoint.calls() > calls,
        "who answered for a model is not kept in its place"
    );
}
