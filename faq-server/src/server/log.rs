//! The server's log: one JSON object a line on stderr.
//!
//! Nothing here can leak what is not logged: questions, answers, documents, tokens and secrets
//! are never given to the log at the default level, and their types do not print themselves.

use std::io::Write;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::clock::{now_ms, rfc3339};
use super::metrics::SERVICE;

/// Starts the log. A second call changes nothing.
pub(crate) fn install(level: &str, environment: &str) {
    let most = level.parse().unwrap_or(Level::INFO);
    let environment = environment.to_owned();
    let _first = tracing::subscriber::set_global_default(JsonLines { most, environment });
}

struct JsonLines {
    most: Level,
    environment: String,
}

impl Subscriber for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= self.most
            && metadata.target().starts_with("faq")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Map::new();
        let level = event.metadata().level().as_str().to_lowercase();
        line.insert("timestamp".into(), rfc3339(now_ms()).into());
        line.insert("level".into(), level.into());
        line.insert("service".into(), SERVICE.into());
        line.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        line.insert("environment".into(), self.environment.clone().into());
        let request_id = super::request::current_id();
        if !request_id.is_empty() {
            line.insert("request_id".into(), request_id.into());
        }
        event.record(&mut Fields(&mut line));
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // Where stderr is closed there is nobody to tell.
        let _unheard = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}
