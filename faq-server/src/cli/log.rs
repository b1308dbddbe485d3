//! What the engine's own events become: one line each on stderr.
//!
//! `LOG_LEVEL` (`error`, `warn`, `info`, `debug`, `trace` or `off`; default `warn`) says which.

use std::fmt::Write;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::output;

/// Starts handing events on.
pub(super) fn install() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_default();
    if level.eq_ignore_ascii_case("off") {
        return;
    }
    let most = level.parse().unwrap_or(Level::WARN);
    // Only a second call could fail, and there is none.
    let _first = tracing::subscriber::set_global_default(Lines { most });
}

/// Writes the events of this workspace's crates; other libraries speak to their own authors.
struct Lines {
    most: Level,
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= self.most
            && metadata.target().starts_with("faq")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = event.metadata().level().as_str().to_lowercase();
        let level = if level == "warn" { "warning" } else { &level };
        output::note(format_args!("{level}: {}{}", line.message, line.fields));
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ok = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
