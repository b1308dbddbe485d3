//! Ctrl-C: the first asks the work to end and keep what is done, the second ends the process.

use faq_core::{CancelToken, Control};

use super::error::Result;
use super::output;

/// Exit code of a process that SIGINT ended, as shells give it.
const KILLED_BY_INTERRUPT: i32 = 130;

/// A control that Ctrl-C cancels. `what` is said at the first one.
pub(super) fn control(what: &'static str) -> Result<Control> {
    let cancel = CancelToken::new();
    let asked = cancel.clone();
    ctrlc::set_handler(move || {
        if asked.is_cancelled() {
            std::process::exit(KILLED_BY_INTERRUPT);
        }
        output::note(what);
        asked.cancel();
    })?;
    Ok(Control {
        cancel,
        deadline: None,
    })
}
