//! `faq ask` and `faq demo`: answers with sources, or an honest "I don't know".

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use crate::support::{World, models};

#[test]
fn an_answer_cites_text_that_stands_where_it_says() {
    let world = World::with_handbook();
    let answer = world.ok(&[
        "ask",
        "--json",
        "How many days of annual leave does an employee have?",
    ]);
    assert_eq!(answer["abstained"], false, "{answer}");
    assert_eq!(answer["reason"], serde_json::Value::Null);
    assert_eq!(answer["model"], "extractive");
    let text = answer["answer"].as_str().unwrap();
    assert!(text.contains("28 days") && text.contains("[1]"), "{text}");
    assert!(answer["timings_ms"]["total"].as_f64().unwrap() > 0.0);

    let source = &answer["sources"][0];
    assert_eq!(source["filename"], "leave.md");
    let canonical = world.ok(&["inspect", "--json", &world.at("docs/leave.md")])["text"].take();
    let canonical = canonical.as_str().unwrap();
    let at = |end: &str| source["byte_range"][end].as_u64().unwrap() as usize;
    assert_eq!(source["text"], canonical[at("start")..at("end")]);
    let score = source["score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score), "{score}");
    assert!(source["utf16_range"]["end"].as_u64() > source["utf16_range"]["start"].as_u64());
}

#[test]
fn people_see_the_answer_its_sources_and_where_they_stand() {
    let world = World::with_handbook();
    let run = world.run(&["ask", "Who approves travel abroad?"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in [
        "department head",
        "[1]",
        "[1] travel.html, Travel expenses",
        "bytes ",
        "relevance ",
    ] {
        assert!(run.stdout.contains(part), "{part}: {run:?}");
    }
    assert!(!run.stdout.contains('\u{1b}'));
}

#[test]
fn it_says_when_it_does_not_know() {
    let world = World::with_handbook();
    let answer = world.ok(&["ask", "--json", "What is the capital of Mongolia?"]);
    assert_eq!(answer["abstained"], true, "{answer}");
    assert_eq!(answer["reason"], "below_threshold");
    assert_eq!(answer["sources"], serde_json::json!([]));
    assert!(
        answer["answer"]
            .as_str()
            .unwrap()
            .starts_with("I don't know")
    );

    let none = world.ok(&[
        "ask",
        "--json",
        "--filter",
        "tag=none",
        "Who approves travel abroad?",
    ]);
    assert_eq!(none["reason"], "no_hits");
    let strict = world.run(&[
        "ask",
        "--json",
        "--threshold",
        "0.99",
        "Who approves travel abroad?",
    ]);
    assert_eq!(strict.json()["reason"], "below_threshold");
    assert!(
        strict.stderr.contains("warning: a cosine of 0.99"),
        "{strict:?}"
    );
}

#[test]
fn settings_of_the_environment_count() {
    let world = World::with_handbook();
    let question = ["ask", "--json", "Who approves travel abroad?"];
    let mut command = world.command(&question);
    command.env("SIMILARITY_THRESHOLD", "0.99");
    let run = crate::support::run(&mut command, None);
    assert_eq!(run.json()["abstained"], true);
    let mut command = world.command(&question);
    command.env("SIMILARITY_THRESHOLD", "high");
    let run = crate::support::run(&mut command, None);
    run.failed(2, "usage");
}

#[test]
fn a_local_model_answers_from_the_passages() {
    if !models().join("smollm2-135m-instruct-q4_1").exists()
        && !models().join("smollm2-135m-instruct").exists()
    {
        eprintln!("skipped: the model smollm2-135m-instruct is not here; run scripts/fetch-models");
        return;
    }
    let world = World::with_handbook();
    let answer = world.ok(&[
        "ask",
        "--json",
        "--generator",
        "smollm2-135m-instruct",
        "--max-tokens",
        "40",
        "How many days of annual leave does an employee have?",
    ]);
    assert!(
        answer["usage"]["prompt_tokens"].as_u64().unwrap() > 100,
        "{answer}"
    );
    assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() <= 40);
    assert!(
        answer["model"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("smollm2")
    );
    assert!(!answer["answer"].as_str().unwrap().is_empty());
}

/// One answer of an endpoint that speaks as OpenAI's does; gives back the request it got.
fn endpoint(words: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        std::io::Read::read_exact(&mut reader, &mut body).unwrap();
        let delta = serde_json::json!({"choices": [{"delta": {"content": words}}]});
        let end = serde_json::json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
        let events = format!("data: {delta}\n\ndata: {end}\n\ndata: [DONE]\n\n");
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
            events.len()
        )
        .unwrap();
        format!("{head}\n{}", String::from_utf8(body).unwrap())
    });
    (url, served)
}

#[test]
fn an_endpoint_writes_the_answer_and_gets_the_key() {
    let world = World::with_handbook();
    let (url, served) = endpoint("The department head approves travel abroad [1].");
    let mut command = world.command(&[
        "ask",
        "--json",
        "--generator",
        &url,
        "--model",
        "some-model",
        "Who approves travel abroad?",
    ]);
    command.env("OPENAI_API_KEY", "sesame");
    let run = crate::support::run(&mut command, None);
    let request = served.join().unwrap();
    assert!(
        request.starts_with("POST /v1/chat/completions"),
        "{request}"
    );
    assert!(request.contains("Bearer sesame") && request.contains("some-model"));
    assert!(
        request.contains("department head approves"),
        "the passages are sent"
    );
    let answer = run.json();
    assert_eq!(answer["abstained"], false, "{answer}");
    assert_eq!(answer["sources"][0]["filename"], "travel.html");
    assert!(!run.stdout.contains("sesame") && !run.stderr.contains("sesame"));
}

#[test]
fn an_endpoint_that_is_not_there_is_named() {
    let world = World::with_handbook();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ask = [
        "ask",
        "--json",
        "--generator",
        &url,
        "--model",
        "m",
        "Who approves travel abroad?",
    ];
    let run = world.run(&ask);
    assert_eq!(run.code, Some(1));
    assert!(
        run.json()["error"].as_str().unwrap().contains(&url),
        "{run:?}"
    );
}

#[test]
fn a_demo_that_other_settings_made_is_made_again() {
    let world = World::new();
    for precision in ["f32", "int8"] {
        let run = world.run(&["demo", "--embedding-precision", precision]);
        assert_eq!(run.code, Some(0), "{precision}: {run:?}");
    }
}

#[test]
fn the_demo_answers_three_of_four_and_shows_the_place() {
    let world = World::new();
    let run = world.run(&["demo"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in [
        "Question 1 of 4",
        "Question 4 of 4",
        "31 March",
        "95 euros",
        "I don't know",
        "Where the first answer's source stands",
        "»",
        "faq ingest your.pdf",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let told = world.ok(&["demo", "--json"]);
    let abstained: Vec<bool> = told["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["abstained"].as_bool().unwrap())
        .collect();
    assert_eq!(abstained, [false, false, false, true]);
    for (i, said) in [(0, "31 March"), (1, "95 euros")] {
        let answer = told["answers"][i]["answer"].as_str().unwrap();
        assert!(answer.contains(said), "{said}: {answer}");
    }
    let third = told["answers"][2]["sources"].as_array().unwrap();
    assert!(
        third.iter().any(|s| s["filename"] == "travel-policy.docx"),
        "{third:?}"
    );
}
