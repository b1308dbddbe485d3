//! How far a long verb is, on stderr: a bar, a line now and then, or JSON lines.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use faq_core::{DownloadProgress, Progress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;

use super::args::ProgressKind;
use super::output::{count, failed, note, size};

/// Time between two lines where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows the progress of an ingest.
pub(super) enum IngestProgress {
    Bar(ProgressBar),
    Lines { last: Instant, started: Instant },
    Json,
    Silent,
}

impl IngestProgress {
    pub(super) fn new(kind: ProgressKind) -> Self {
        let lines = || Self::Lines {
            last: Instant::now(),
            started: Instant::now(),
        };
        match kind {
            ProgressKind::Auto if std::io::stderr().is_terminal() => {
                Self::Bar(bar("{bar:32} {percent:>3}%  {msg}  {rate}  {eta} left"))
            }
            ProgressKind::Auto | ProgressKind::Plain => lines(),
            ProgressKind::Json => Self::Json,
            ProgressKind::None => Self::Silent,
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_length(progress.bytes_total);
                bar.set_position(progress.bytes_done);
                bar.set_message(files(progress));
                for failure in &progress.failed {
                    bar.suspend(|| note(failed(failure)));
                }
                if progress.stage == Stage::Done {
                    bar.finish_and_clear();
                }
            }
            Self::Lines { last, started } => {
                if last.elapsed() >= LINE_EVERY && progress.stage == Stage::Working {
                    *last = Instant::now();
                    note(format_args!("{}", line(progress, started.elapsed())));
                }
            }
            Self::Json => note(event(progress)),
            Self::Silent => {}
        }
    }
}

impl Drop for IngestProgress {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn files(progress: &Progress) -> String {
    format!(
        "{} of {}, {}",
        progress.files_done,
        count(progress.files_total, "file"),
        count(progress.chunks, "chunk"),
    )
}

fn line(progress: &Progress, spent: Duration) -> String {
    let rate = progress.bytes_done as f64 / spent.as_secs_f64().max(0.001);
    let left = progress.bytes_total.saturating_sub(progress.bytes_done);
    let left = if rate > 0.0 {
        format!(", {:.0} s left", left as f64 / rate)
    } else {
        String::new()
    };
    format!("{}, {}/s{left}", files(progress), size(rate as u64))
}

fn event(progress: &Progress) -> serde_json::Value {
    let failed: Vec<_> = progress
        .failed
        .iter()
        .map(|f| json!({ "path": f.path.to_string_lossy(), "code": f.code, "error": f.error }))
        .collect();
    json!({
        "stage": progress.stage,
        "files_done": progress.files_done,
        "files_total": progress.files_total,
        "bytes_done": progress.bytes_done,
        "bytes_total": progress.bytes_total,
        "chunks": progress.chunks,
        "committed": progress.committed,
        "failed": failed,
    })
}

fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Nothing can be done about a terminal that does not take text.
        let _shown = write!(out, "{}/s", size(state.per_sec() as u64));
    };
    let done = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let all = state.len().unwrap_or(0);
        let _shown = write!(out, "{} of {}", size(state.pos()), size(all));
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(
            style
                .with_key("rate", rate)
                .with_key("done", done)
                .progress_chars("━╸ "),
        );
    }
    bar
}

/// A bar over a number of documents.
pub(super) fn documents() -> ProgressBar {
    hidden_unless_terminal(bar("{bar:32} {pos} of {len} documents  {eta} left"))
}

/// A spinner with a message that says what is happening.
pub(super) fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    hidden_unless_terminal(bar)
}

fn hidden_unless_terminal(bar: ProgressBar) -> ProgressBar {
    if std::io::stderr().is_terminal() {
        bar
    } else {
        ProgressBar::hidden()
    }
}

/// Shows downloads: a bar a file, or a line a file.
#[derive(Default)]
pub(super) struct Downloads {
    shown: Option<(String, ProgressBar)>,
}

impl Downloads {
    pub(super) fn show(&mut self, progress: &DownloadProgress) {
        let bar = match &self.shown {
            Some((file, bar)) if *file == progress.file => bar,
            _ => {
                if !std::io::stderr().is_terminal() {
                    note(format_args!("fetching {}", progress.file));
                }
                let new = hidden_unless_terminal(bar(
                    "{bar:32} {percent:>3}%  {msg}  {done}  {rate}  {eta} left",
                ));
                new.set_message(progress.file.clone());
                &self.shown.insert((progress.file.clone(), new)).1
            }
        };
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        if progress.total > 0 && progress.done >= progress.total {
            bar.finish_and_clear();
        }
    }
}
