//! A language model behind HTTP: OpenAI-compatible endpoints and Ollama.
//!
//! Exists with the feature `remote` only. A call opens one connection on a thread of its own
//! and takes its lines from there, so that a cancel and a deadline act at once even while the
//! endpoint is silent. Nothing is retried here; errors say whether that could help.

use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stream::{Flow, TextStream};
use super::{GenerateError, GenerateOptions, Generation, Generator, Grammar, Message, StopReason};
use crate::Control;

/// How often a call looks at its control while the endpoint is silent.
const LOOK: Duration = Duration::from_millis(20);
/// Most bytes of one line of a stream.
const LINE_BYTES: u64 = 1 << 20;
/// Most bytes that are shown of an endpoint's complaint.
const COMPLAINT_BYTES: usize = 300;
/// Characters of a token, roughly, in languages with an alphabet.
const TOKEN_CHARS: usize = 4;
/// Most stop texts that such endpoints take; all of them are watched for here as well.
const STOPS: usize = 4;
/// An endpoint that writes this many characters for each token it may write ignores the limit.
const MOST_TOKEN_CHARS: usize = 16;

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteApi {
    /// `POST …/v1/chat/completions`, answered by server-sent events: OpenAI, vLLM, llama.cpp's
    /// server and many others.
    OpenAi,
    /// `POST …/api/chat`, answered by a JSON value a line.
    Ollama,
}

/// Where a [`RemoteModel`] is and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// What it speaks.
    pub api: RemoteApi,
    /// Its address: `https://api.openai.com/v1`, `http://localhost:11434`. The path of the
    /// call is added where it is missing.
    pub url: String,
    /// Name of the model there.
    pub model: String,
    /// Sent as a bearer token.
    pub key: Option<String>,
    /// Tokens that the model's context holds. Ollama is told to make room for as many.
    /// Default 8192.
    pub context_tokens: usize,
    /// Longest time to connect. Default 10 s.
    pub connect_timeout: Duration,
    /// Longest silence, the one before the first word included: a model may have to be loaded
    /// first. Default 120 s.
    pub silence_timeout: Duration,
}

impl RemoteOptions {
    /// The defaults for a model at an address.
    pub fn new(api: RemoteApi, url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            api,
            url: url.into(),
            model: model.into(),
            key: None,
            context_tokens: 8192,
            connect_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(120),
        }
    }

    fn call_url(&self) -> String {
        let base = self.url.trim_end_matches('/');
        match self.api {
            RemoteApi::OpenAi if base.ends_with("/chat/completions") => base.to_owned(),
            RemoteApi::OpenAi if base.ends_with("/v1") => format!("{base}/chat/completions"),
            RemoteApi::OpenAi => format!("{base}/v1/chat/completions"),
            RemoteApi::Ollama if base.ends_with("/api/chat") => base.to_owned(),
            RemoteApi::Ollama => format!("{base}/api/chat"),
        }
    }
}

impl std::fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteOptions")
            .field("api", &self.api)
            .field("url", &without_credentials(&self.url))
            .field("model", &self.model)
            .field("key", &self.key.as_ref().map(|_| "…"))
            .field("context_tokens", &self.context_tokens)
            .finish_non_exhaustive()
    }
}

/// A model behind an HTTP endpoint.
///
/// Its tokens are estimated, at four characters each, since its tokenizer is not at hand; a
/// prompt budget should leave some room, and more for languages without an alphabet.
#[derive(Debug)]
pub struct RemoteModel {
    options: RemoteOptions,
    call_url: String,
    agent: ureq::Agent,
}

/// What comes from the thread that reads.
enum Event {
    Line(String),
    End,
    Failed { detail: String, retryable: bool },
}

/// What a line of the stream says.
#[derive(Debug, Default, PartialEq)]
struct Delta {
    text: String,
    /// The endpoint said why it ended.
    stop: Option<StopReason>,
    /// Nothing comes after this.
    last: bool,
    prompt_tokens: Option<usize>,
    completion_tokens: Option<usize>,
}

impl RemoteModel {
    /// A client of the endpoint. Nothing is sent before the first call.
    pub fn new(options: RemoteOptions) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(options.connect_timeout))
            // The call watches for silence itself; this only ends an abandoned thread.
            .timeout_global(Some(Duration::from_secs(3600)))
            .http_status_as_error(false)
            // The key goes to the address that was given and nowhere else.
            .max_redirects(0)
            .user_agent(concat!("faq/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            call_url: options.call_url(),
            options,
            agent,
        }
    }

    fn failed(&self, detail: &str, retryable: bool) -> GenerateError {
        let mut detail = detail.to_owned();
        if let Some(key) = self.options.key.as_deref().filter(|key| !key.is_empty()) {
            detail = detail.replace(key, "…");
        }
        GenerateError::Remote {
            url: without_credentials(&self.call_url),
            detail,
            retryable,
        }
    }

    fn body(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
    ) -> Result<Value, GenerateError> {
        let turns: Vec<Value> = messages
            .iter()
            .map(|m| json!({"role": m.role.name(), "content": m.content}))
            .collect();
        let stops: Vec<&String> = options.stop.iter().take(STOPS).collect();
        let mut body = json!({"model": self.options.model, "messages": turns, "stream": true});
        let mut knobs = json!({
            "temperature": options.temperature,
            "top_p": options.top_p,
            "seed": options.seed,
        });
        if !stops.is_empty() {
            knobs["stop"] = json!(stops);
        }
        // What only some endpoints know is sent where it is asked for.
        let usual = GenerateOptions::default();
        let ollama = self.options.api == RemoteApi::Ollama;
        let repetition = if ollama {
            "repeat_penalty"
        } else {
            "repetition_penalty"
        };
        for (name, value, usual) in [
            ("min_p", options.min_p, usual.min_p),
            (
                repetition,
                options.repetition_penalty,
                usual.repetition_penalty,
            ),
            (
                "frequency_penalty",
                options.frequency_penalty,
                usual.frequency_penalty,
            ),
            (
                "presence_penalty",
                options.presence_penalty,
                usual.presence_penalty,
            ),
        ] {
            if value != usual {
                knobs[name] = json!(value);
            }
        }
        if options.top_k > 0 {
            knobs["top_k"] = json!(options.top_k);
        }
        if ollama && options.penalty_tokens != usual.penalty_tokens {
            knobs["repeat_last_n"] = json!(options.penalty_tokens);
        }
        let schema = match &options.grammar {
            None => None,
            Some(Grammar::JsonSchema(schema)) => Some(schema),
            Some(other) => {
                return Err(GenerateError::InvalidOption {
                    field: "grammar",
                    value: format!("a {}", other.kind()),
                    wanted: "a JSON schema for a model behind an endpoint",
                });
            }
        };
        match self.options.api {
            RemoteApi::OpenAi => {
                if let Some(schema) = schema {
                    let named = json!({"name": "answer", "strict": true, "schema": schema});
                    body["response_format"] = json!({"type": "json_schema", "json_schema": named});
                }
                knobs["max_tokens"] = json!(options.max_tokens);
                knobs["stream_options"] = json!({"include_usage": true});
                if let (Some(body), Some(knobs)) = (body.as_object_mut(), knobs.as_object_mut()) {
                    body.append(knobs);
                }
            }
            RemoteApi::Ollama => {
                if let Some(schema) = schema {
                    body["format"] = schema.clone();
                }
                knobs["num_predict"] = json!(options.max_tokens);
                // Without it Ollama cuts a longer prompt off and says nothing.
                knobs["num_ctx"] = json!(self.options.context_tokens);
                body["options"] = knobs;
            }
        }
        Ok(body)
    }

    /// Sends the call, and hands the lines of the answer to a channel.
    fn call(&self, body: &Value) -> Result<mpsc::Receiver<Event>, GenerateError> {
        let (sender, receiver) = mpsc::sync_channel(64);
        let mut request = self
            .agent
            .post(&self.call_url)
            .header("content-type", "application/json");
        if let Some(key) = &self.options.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let body = body.to_string();
        std::thread::Builder::new()
            .name("faq-remote".into())
            .spawn(move || {
                let last = match request.send(body) {
                    Ok(response) => read_lines(response, &sender),
                    Err(e) => Event::Failed {
                        detail: e.to_string(),
                        retryable: true,
                    },
                };
                // A caller that is gone needs no end.
                let _ = sender.send(last);
            })
            .map_err(|e| self.failed(&format!("no thread for the call: {e}"), true))?;
        Ok(receiver)
    }

    /// The next line, as soon as there is one.
    fn next(
        &self,
        events: &mpsc::Receiver<Event>,
        control: &Control,
    ) -> Result<Option<String>, GenerateError> {
        let asked = Instant::now();
        loop {
            control.check()?;
            match events.recv_timeout(LOOK) {
                Ok(Event::Line(line)) => return Ok(Some(line)),
                Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Ok(Event::Failed { detail, retryable }) => {
                    return Err(self.failed(&detail, retryable));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if asked.elapsed() > self.options.silence_timeout {
                let seconds = self.options.silence_timeout.as_secs_f32();
                return Err(self.failed(&format!("it was silent for {seconds} s"), true));
            }
        }
    }

    fn delta(&self, line: &str) -> Result<Delta, GenerateError> {
        let data = match self.options.api {
            RemoteApi::Ollama => line.trim(),
            RemoteApi::OpenAi => match line.strip_prefix("data:") {
                Some(data) => data.trim(),
                // Names of events, comments and blank lines carry nothing.
                None => return Ok(Delta::default()),
            },
        };
        if data.is_empty() {
            return Ok(Delta::default());
        }
        if data == "[DONE]" {
            return Ok(Delta {
                last: true,
                ..Delta::default()
            });
        }
        let value: Value = serde_json::from_str(data)
            .map_err(|e| self.failed(&format!("a line of its answer is no JSON: {e}"), true))?;
        if value.get("error").is_some_and(|e| !e.is_null()) {
            return Err(self.failed(&complaint(data), true));
        }
        let count = |at: &str| {
            value
                .pointer(at)
                .and_then(Value::as_u64)
                .map(|n| n as usize)
        };
        let text = |at: &str| value.pointer(at).and_then(Value::as_str);
        let stop = |at: &str| {
            text(at).map(|reason| match reason {
                "length" => StopReason::Length,
                _ => StopReason::End,
            })
        };
        Ok(match self.options.api {
            RemoteApi::OpenAi => Delta {
                text: text("/choices/0/delta/content").unwrap_or_default().into(),
                stop: stop("/choices/0/finish_reason"),
                last: false,
                prompt_tokens: count("/usage/prompt_tokens"),
                completion_tokens: count("/usage/completion_tokens"),
            },
            RemoteApi::Ollama => {
                let last = value["done"] == true;
                Delta {
                    text: text("/message/content").unwrap_or_default().into(),
                    stop: last.then(|| stop("/done_reason").unwrap_or(StopReason::End)),
                    last,
                    prompt_tokens: count("/prompt_eval_count"),
                    completion_tokens: count("/eval_count"),
                }
            }
        })
    }
}

/// Tokens of a text, roughly.
fn estimate(text: &str) -> usize {
    text.chars().count().div_ceil(TOKEN_CHARS)
}

impl Generator for RemoteModel {
    fn name(&self) -> &str {
        &self.options.model
    }

    fn context_tokens(&self) -> usize {
        self.options.context_tokens
    }

    fn count_tokens(&self, text: &str) -> Result<usize, GenerateError> {
        Ok(estimate(text))
    }

    fn generate(
        &self,
        messages: &[Message],
        options: &GenerateOptions,
        control: &Control,
        sink: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, GenerateError> {
        let started = Instant::now();
        control.check()?;
        options.check()?;
        let estimated = messages.iter().map(|m| estimate(&m.content)).sum();
        if estimated >= self.options.context_tokens {
            return Err(GenerateError::PromptTooLong {
                tokens: estimated,
                context: self.options.context_tokens,
            });
        }
        let mut generation = Generation {
            text: String::new(),
            prompt_tokens: estimated,
            completion_tokens: 0,
            first_token_ms: 0,
            stop: StopReason::Length,
        };
        if options.max_tokens == 0 {
            return Ok(generation);
        }
        let events = self.call(&self.body(messages, options)?)?;
        let mut stream = TextStream::new(&options.stop, sink);
        let mut stop = None;
        let mut counted = None;
        let mut chars = 0;
        while let Some(line) = self.next(&events, control)? {
            let delta = self.delta(&line)?;
            generation.prompt_tokens = delta.prompt_tokens.unwrap_or(generation.prompt_tokens);
            counted = delta.completion_tokens.or(counted);
            stop = delta.stop.or(stop);
            if !delta.text.is_empty() {
                if generation.completion_tokens == 0 {
                    generation.first_token_ms = started.elapsed().as_millis() as u64;
                }
                generation.completion_tokens += 1;
                chars += delta.text.chars().count();
                let flow = stream.push(delta.text.as_bytes());
                if flow != Flow::Open {
                    generation.stop = flow.reason();
                    generation.text = stream.into_text();
                    return Ok(generation);
                }
            }
            if chars > options.max_tokens.saturating_mul(MOST_TOKEN_CHARS) {
                stop = Some(StopReason::Length);
                break;
            }
            if delta.last {
                stop = stop.or(Some(StopReason::End));
                break;
            }
        }
        generation.stop = stop.ok_or_else(|| self.failed("its answer broke off", true))?;
        generation.completion_tokens = counted.unwrap_or(generation.completion_tokens);
        let (text, flow) = stream.finish();
        generation.text = text;
        if flow != Flow::Open {
            generation.stop = flow.reason();
        }
        Ok(generation)
    }
}

fn read_lines(response: ureq::http::Response<ureq::Body>, sender: &SyncSender<Event>) -> Event {
    let status = response.status();
    let mut reader = BufReader::new(response.into_body().into_reader());
    if !status.is_success() {
        let mut body = Vec::new();
        // What can be had of the explanation; the status alone is enough of an error.
        let _ = reader.take(16 << 10).read_to_end(&mut body);
        let body = String::from_utf8_lossy(&body);
        return Event::Failed {
            detail: format!("HTTP {status}: {}", complaint(&body)),
            retryable: status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429),
        };
    }
    loop {
        let mut line = Vec::new();
        let detail = match (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => return Event::End,
            Ok(_) if line.last() != Some(&b'\n') && line.len() as u64 == LINE_BYTES => {
                "a line of its answer is endless".to_owned()
            }
            Ok(_) => match String::from_utf8(line) {
                Ok(line) => {
                    if sender.send(Event::Line(line)).is_err() {
                        return Event::End;
                    }
                    continue;
                }
                Err(_) => "a line of its answer is no UTF-8".to_owned(),
            },
            Err(e) => format!("its answer broke off: {e}"),
        };
        return Event::Failed {
            detail,
            retryable: true,
        };
    }
}

/// The sentence in an error body: `{"error": {"message": …}}`, `{"error": …}`, or its beginning.
fn complaint(body: &str) -> String {
    let value: Option<Value> = serde_json::from_str(body).ok();
    let sentence = value.as_ref().and_then(|value| {
        let error = value.get("error")?;
        error.as_str().or_else(|| error.get("message")?.as_str())
    });
    let text = sentence.unwrap_or(body).trim();
    let end = (0..=COMPLAINT_BYTES.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text[..end].to_owned()
}

/// The address without `name:password@`.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{RemoteApi, RemoteOptions, complaint, without_credentials};

    #[test]
    fn the_path_is_added_where_it_is_missing() {
        let url = |api, url: &str| RemoteOptions::new(api, url, "m").call_url();
        let whole = "https://a.example/v1/chat/completions";
        for given in ["https://a.example", "https://a.example/v1/", whole] {
            assert_eq!(url(RemoteApi::OpenAi, given), whole);
        }
        for given in [
            "http://b:11434",
            "http://b:11434/",
            "http://b:11434/api/chat",
        ] {
            assert_eq!(url(RemoteApi::Ollama, given), "http://b:11434/api/chat");
        }
    }

    #[test]
    fn secrets_stay_inside() {
        assert_eq!(
            without_credentials("http://me:pw@h:1/p@q"),
            "http://h:1/p@q"
        );
        let mut options = RemoteOptions::new(RemoteApi::OpenAi, "https://u:pw@h", "m");
        options.key = Some("sk-secret".into());
        let shown = format!("{options:?}");
        assert!(
            !shown.contains("sk-secret") && !shown.contains("pw"),
            "{shown}"
        );
    }

    #[test]
    fn complaints_are_one_sentence() {
        assert_eq!(
            complaint(r#"{"error":{"message":"no such model"}}"#),
            "no such model"
        );
        assert_eq!(complaint(r#"{"error":"busy"}"#), "busy");
        assert_eq!(complaint(&"ä".repeat(400)).len(), 300);
    }
}
