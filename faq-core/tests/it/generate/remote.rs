//! Remote models, against a small server on the loopback interface.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use faq_core::generate::{
    GenerateError, GenerateOptions, Generator, Grammar, Message, RemoteApi, RemoteModel,
    RemoteOptions, Role, StopReason,
};
use faq_core::{Control, Interrupted};
use serde_json::{Value, json};

use super::{at_most, conformance, run, user};

/// A request as it came.
struct Request {
    path: String,
    head: String,
    body: Value,
}

/// Answers every connection with `answer` until it is dropped.
struct Server {
    address: String,
    done: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn new(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let done = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicUsize::new(0));
        let (answer, flag, counter) = (Arc::new(answer), Arc::clone(&done), Arc::clone(&calls));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    if let Some(request) = read_request(&mut stream) {
                        counter.fetch_add(1, Ordering::SeqCst);
                        answer(&request, &mut stream);
                    }
                });
            }
        });
        Self {
            address,
            done,
            calls,
            thread: Some(thread),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line.to_lowercase());
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        head,
        body: serde_json::from_slice(&body).unwrap(),
    })
}

/// Writes a head; the body ends with the connection.
fn begin(stream: &mut TcpStream, status: &str) {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
}

fn words(text: &str, most: usize) -> (Vec<&str>, bool) {
    let all: Vec<&str> = text.split_inclusive(' ').collect();
    let cut = all.len() > most;
    (all.into_iter().take(most).collect(), cut)
}

const ANSWER: &str = "The capital of France is Paris, on the Seine – 🙂 of course.";

fn openai() -> Server {
    Server::new(|request, stream| {
        assert_eq!(request.path, "/v1/chat/completions");
        begin(stream, "200 OK");
        let most = request.body["max_tokens"].as_u64().unwrap() as usize;
        let (words, cut) = words(ANSWER, most);
        let mut send = |text: String| stream.write_all(text.as_bytes());
        let _ = send(": a comment\n\nevent: message\n".into());
        for word in &words {
            let delta = json!({"choices": [{"delta": {"content": word}, "finish_reason": null}]});
            if send(format!("data: {delta}\r\n\r\n")).is_err() {
                return;
            }
        }
        let reason = if cut { "length" } else { "stop" };
        let end = json!({"choices": [{"delta": {}, "finish_reason": reason}]});
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 21, "completion_tokens": words.len()}});
        let _ = send(format!("data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n"));
    })
}

fn ollama() -> Server {
    Server::new(|request, stream| {
        assert_eq!(request.path, "/api/chat");
        begin(stream, "200 OK");
        let most = request.body["options"]["num_predict"].as_u64().unwrap() as usize;
        let (words, cut) = words(ANSWER, most);
        for word in &words {
            let line = json!({"message": {"role": "assistant", "content": word}, "done": false});
            if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
                return;
            }
        }
        let reason = if cut { "length" } else { "stop" };
        let end = json!({"message": {"content": ""}, "done": true, "done_reason": reason,
            "prompt_eval_count": 21, "eval_count": words.len()});
        let _ = stream.write_all(format!("{end}\n").as_bytes());
    })
}

fn model(api: RemoteApi, server: &Server) -> RemoteModel {
    RemoteModel::new(RemoteOptions::new(api, server.url(), "some-model"))
}

#[test]
fn openai_conforms() {
    let server = openai();
    conformance::conforms(
        &model(RemoteApi::OpenAi, &server),
        "What is the capital of France?",
    );
}

#[test]
fn ollama_conforms() {
    let server = ollama();
    conformance::conforms(
        &model(RemoteApi::Ollama, &server),
        "What is the capital of France?",
    );
}

#[test]
fn answers_come_with_their_counts() {
    for (api, server) in [(RemoteApi::OpenAi, openai()), (RemoteApi::Ollama, ollama())] {
        let generation = run(&model(api, &server), &[user("Where?")], &at_most(50)).unwrap();
        assert_eq!(generation.text, ANSWER);
        assert_eq!(
            (generation.prompt_tokens, generation.completion_tokens),
            (21, 13)
        );
        assert_eq!(generation.stop, StopReason::End);
    }
}

#[test]
fn requests_carry_what_was_asked() {
    let server = Server::new(|request, stream| {
        assert!(
            request.head.contains("authorization: bearer sk-123\r\n"),
            "{}",
            request.head
        );
        assert_eq!(
            request.body["messages"],
            json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
        );
        assert_eq!(request.body["model"], "some-model");
        assert_eq!(request.body["stream"], true);
        assert_eq!(request.body["temperature"], 0.0);
        assert_eq!(request.body["stop"], json!(["\n\n"]));
        begin(stream, "200 OK");
        let _ = stream.write_all(
            b"data: {\"choices\":[{\"delta\":{\"content\":\"ok\"}}]}\n\ndata: [DONE]\n\n",
        );
    });
    let mut options = RemoteOptions::new(RemoteApi::OpenAi, server.url(), "some-model");
    options.key = Some("sk-123".into());
    let messages = [Message::new(Role::System, "Be brief."), user("Hi")];
    let asked = GenerateOptions {
        stop: vec!["\n\n".into()],
        ..at_most(5)
    };
    let generation = run(&RemoteModel::new(options), &messages, &asked).unwrap();
    assert_eq!(generation.text, "ok");
}

#[test]
fn a_schema_is_sent_as_each_kind_of_endpoint_takes_it() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let held = |grammar| GenerateOptions {
        grammar: Some(grammar),
        ..at_most(5)
    };
    for api in [RemoteApi::OpenAi, RemoteApi::Ollama] {
        let sent = schema.clone();
        let server = Server::new(move |request, stream| {
            let wanted = match api {
                RemoteApi::OpenAi => {
                    let format = &request.body["response_format"];
                    assert_eq!(format["type"], "json_schema");
                    assert_eq!(format["json_schema"]["strict"], true);
                    &format["json_schema"]["schema"]
                }
                RemoteApi::Ollama => &request.body["format"],
            };
            assert_eq!(*wanted, sent);
            begin(stream, "200 OK");
            let _ = stream.write_all(match api {
                RemoteApi::OpenAi => {
                    b"data: {\"choices\":[{\"delta\":{\"content\":\"{}\"}}]}\n\ndata: [DONE]\n\n"
                        .as_slice()
                }
                RemoteApi::Ollama => b"{\"message\":{\"content\":\"{}\"},\"done\":true}\n",
            });
        });
        let model = RemoteModel::new(RemoteOptions::new(api, server.url(), "m"));
        let options = held(Grammar::JsonSchema(schema.clone()));
        assert_eq!(run(&model, &[user("Hi")], &options).unwrap().text, "{}");
        let refused = run(&model, &[user("Hi")], &held(Grammar::Regex("a".into())));
        assert!(
            matches!(
                refused,
                Err(GenerateError::InvalidOption {
                    field: "grammar",
                    ..
                })
            ),
            "{refused:?}"
        );
    }
}

#[test]
fn only_what_was_asked_for_is_sent() {
    let asked = GenerateOptions {
        top_k: 40,
        min_p: 0.05,
        repetition_penalty: 1.1,
        presence_penalty: 0.5,
        penalty_tokens: 32,
        ..at_most(5)
    };
    for (api, options) in [
        (RemoteApi::OpenAi, at_most(5)),
        (RemoteApi::OpenAi, asked.clone()),
        (RemoteApi::Ollama, asked),
    ] {
        let plain = options == at_most(5);
        let server = Server::new(move |request, stream| {
            let (body, repetition) = match api {
                RemoteApi::OpenAi => (&request.body, "repetition_penalty"),
                RemoteApi::Ollama => (&request.body["options"], "repeat_penalty"),
            };
            let expected = |value: Value| if plain { Value::Null } else { value };
            assert_eq!(body["top_k"], expected(json!(40)));
            assert_eq!(body["min_p"], expected(json!(0.05)));
            assert_eq!(body[repetition], expected(json!(1.1)));
            assert_eq!(body["presence_penalty"], expected(json!(0.5)));
            assert_eq!(body["frequency_penalty"], Value::Null);
            let last = (api == RemoteApi::Ollama).then_some(32);
            assert_eq!(body["repeat_last_n"], json!(last));
            begin(stream, "200 OK");
            let _ = stream.write_all(match api {
                RemoteApi::OpenAi => {
                    b"data: {\"choices\":[{\"delta\":{\"content\":\"ok\"}}]}\n\ndata: [DONE]\n\n"
                        .as_slice()
                }
                RemoteApi::Ollama => b"{\"message\":{\"content\":\"ok\"},\"done\":true}\n",
            });
        });
        let model = RemoteModel::new(RemoteOptions::new(api, server.url(), "some-model"));
        assert_eq!(run(&model, &[user("Hi")], &options).unwrap().text, "ok");
    }
}

/// Runs against a server that writes `answer` and closes.
fn against(status: &'static str, answer: &'static str) -> GenerateError {
    let server = Server::new(move |_, stream| {
        begin(stream, status);
        let _ = stream.write_all(answer.as_bytes());
    });
    let mut options = RemoteOptions::new(RemoteApi::OpenAi, server.url(), "m");
    options.key = Some("sk-topsecret".into());
    run(&RemoteModel::new(options), &[user("Hi")], &at_most(5)).unwrap_err()
}

#[test]
fn failures_say_what_and_whether_to_try_again() {
    for (status, answer, words, again) in [
        (
            "401 Unauthorized",
            r#"{"error":{"message":"bad key sk-topsecret"}}"#,
            "bad key …",
            false,
        ),
        (
            "404 Not Found",
            r#"{"error":"model 'm' not found"}"#,
            "model 'm' not found",
            false,
        ),
        ("429 Too Many Requests", "slow down", "429", true),
        ("503 Service Unavailable", "", "503", true),
        ("302 Found", "", "302", false),
        ("200 OK", "", "broke off", true),
        (
            "200 OK",
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
            "broke off",
            true,
        ),
        ("200 OK", "data: {broken\n\n", "no JSON", true),
        (
            "200 OK",
            "data: {\"error\":{\"message\":\"out of memory\"}}\n\n",
            "out of memory",
            true,
        ),
        ("200 OK", "data: \u{1}\n", "no JSON", true),
    ] {
        match against(status, answer) {
            GenerateError::Remote {
                url,
                detail,
                retryable,
            } => {
                assert!(url.ends_with("/v1/chat/completions"), "{url}");
                assert!(detail.contains(words), "{status}: {detail}");
                assert!(!detail.contains("topsecret"), "{detail}");
                assert_eq!(retryable, again, "{status}: {detail}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_an_error() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = RemoteOptions::new(RemoteApi::Ollama, format!("http://u:pw@{address}"), "m");
    match run(&RemoteModel::new(options), &[user("Hi")], &at_most(5)) {
        Err(
            e @ GenerateError::Remote {
                retryable: true, ..
            },
        ) => {
            assert!(!e.to_string().contains("pw"), "{e}");
        }
        other => panic!("{other:?}"),
    }
}

/// A server that sends one word and then says nothing until the test is over.
fn silent() -> (Server, Arc<AtomicBool>) {
    let over = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&over);
    let server = Server::new(move |_, stream| {
        begin(stream, "200 OK");
        let _ = stream.write_all(b"{\"message\":{\"content\":\"Well\"},\"done\":false}\n");
        while !flag.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    (server, over)
}

#[test]
fn silence_ends_a_call_and_so_do_cancel_and_deadline() {
    let (server, over) = silent();
    let patient = model(RemoteApi::Ollama, &server);
    let control = Control::new();
    let result = patient.generate(&[user("Hi")], &at_most(5), &control, &mut |piece| {
        assert_eq!(piece, "Well");
        control.cancel.cancel();
        ControlFlow::Continue(())
    });
    assert!(matches!(
        result,
        Err(GenerateError::Interrupted(Interrupted::Cancelled))
    ));

    let hurried = Control::new().with_timeout(Duration::from_millis(100));
    let result = patient.generate(&[user("Hi")], &at_most(5), &hurried, &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(
        result,
        Err(GenerateError::Interrupted(Interrupted::Deadline))
    ));

    let mut options = RemoteOptions::new(RemoteApi::Ollama, server.url(), "m");
    options.silence_timeout = Duration::from_millis(50);
    match run(&RemoteModel::new(options), &[user("Hi")], &at_most(5)) {
        Err(GenerateError::Remote {
            detail,
            retryable: true,
            ..
        }) => {
            assert!(detail.contains("silent"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        server.calls.load(Ordering::SeqCst),
        3,
        "nothing is tried again by itself"
    );
    over.store(true, Ordering::SeqCst);
}

#[test]
fn an_endpoint_without_an_end_is_stopped() {
    let endless = Server::new(|_, stream| {
        begin(stream, "200 OK");
        let line = b"{\"message\":{\"content\":\"and so on \"},\"done\":false}\n";
        while stream.write_all(line).is_ok() {}
    });
    let generation = run(
        &model(RemoteApi::Ollama, &endless),
        &[user("Hi")],
        &at_most(10),
    )
    .unwrap();
    assert_eq!(generation.stop, StopReason::Length);
    assert!(generation.text.len() < 200);

    let one_line = Server::new(|_, stream| {
        begin(stream, "200 OK");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let result = run(
        &model(RemoteApi::Ollama, &one_line),
        &[user("Hi")],
        &at_most(10),
    );
    match result {
        Err(GenerateError::Remote { detail, .. }) => {
            assert!(detail.contains("endless"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}
