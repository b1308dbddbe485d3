//! The parent's side: start the child, feed it, watch it, and tell how it ended.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use faq_core::{Control, Document};

use super::message::{Answer, Header};
use super::{Input, SandboxConfig, SandboxError, VERB};

/// How often the parent looks at the clock and at the caller's wishes.
const WATCH: Duration = Duration::from_millis(20);

/// What is kept of a child's stderr, in bytes.
const SAID_BYTES: u64 = 8 << 10;

/// Exit code of a child that could not begin.
const NOT_BEGUN: i32 = 1;

/// How the standard library's last words begin when an allocation fails.
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// The signal of a process that aborts itself.
const SIGABRT: i32 = 6;

/// The signal of a process that used up its processor time.
const SIGXCPU: i32 = 24;

/// A child that does not outlive this value, and leaves no zombie.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a child that was waited for.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Everything a child left behind.
struct Ended {
    status: ExitStatus,
    /// Its answer, or at least the part that may be read.
    output: Vec<u8>,
    said: String,
}

/// Runs one child to its end.
pub(super) fn run(
    program: &Path,
    header: &Header,
    input: Input<'_>,
    config: &SandboxConfig,
    control: &Control,
) -> Result<Document, SandboxError> {
    let ended = supervise(program, header, input, config, control)?;
    if ended.output.len() as u64 > config.output_bytes {
        return Err(SandboxError::Output {
            allowed: config.output_bytes,
        });
    }
    if !ended.status.success() {
        return Err(failure(ended, header));
    }
    match Answer::read(&ended.output) {
        Ok(Answer::Document(document)) => Ok(document),
        Ok(Answer::Error(e)) => Err(SandboxError::Parse(e)),
        Err(detail) => Err(SandboxError::Crashed {
            how: format!("its answer cannot be read: {detail}"),
            said: ended.said,
        }),
    }
}

/// What a child that did not answer died of.
fn failure(ended: Ended, header: &Header) -> SandboxError {
    let Ended { status, said, .. } = ended;
    match signal(status) {
        Some(SIGABRT) if said.contains(OUT_OF_MEMORY) => SandboxError::Memory {
            allowed: header.memory_bytes,
        },
        Some(SIGXCPU) => SandboxError::Time {
            allowed: header.limits.time,
        },
        _ if status.code() == Some(NOT_BEGUN) => {
            SandboxError::Start(io::Error::other(said.trim().to_owned()))
        }
        _ => SandboxError::Crashed {
            how: status.to_string(),
            said,
        },
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// Starts the child and stays with it. Three threads serve its pipes meanwhile; all of them end
/// with the child, since it alone holds the other ends.
fn supervise(
    program: &Path,
    header: &Header,
    input: Input<'_>,
    config: &SandboxConfig,
    control: &Control,
) -> Result<Ended, SandboxError> {
    let end = Instant::now().checked_add(header.limits.time.saturating_add(config.grace));
    let cap = config.output_bytes;
    std::thread::scope(|scope| {
        let (stdin, bytes) = match input {
            Input::File(file) => (Stdio::from(file), None),
            Input::Bytes(bytes) => (Stdio::piped(), Some(bytes)),
        };
        // Dropped, and thereby ended, before the scope waits for the threads.
        let mut child = Running(start(program, header, stdin)?);
        if let (Some(pipe), Some(bytes)) = (child.0.stdin.take(), bytes) {
            spawn(scope, move || feed(pipe, bytes))?;
        }
        let (answered, answer) = mpsc::channel();
        let stdout = child.0.stdout.take();
        let output = spawn(scope, move || {
            let output = read_at_most(stdout, cap.saturating_add(1));
            let _waiting = answered.send(());
            output
        })?;
        let stderr = child.0.stderr.take();
        let said = spawn(scope, move || beginning(stderr))?;
        let status = watch(&mut child.0, &answer, end, header, control)?;
        Ok(Ended {
            status,
            output: output.join().unwrap_or_default(),
            said: String::from_utf8_lossy(&said.join().unwrap_or_default()).into_owned(),
        })
    })
}

fn start(program: &Path, header: &Header, stdin: Stdio) -> Result<Child, SandboxError> {
    let header = serde_json::to_string(header).map_err(|e| SandboxError::Start(e.into()))?;
    let mut command = Command::new(program);
    command
        .arg(VERB)
        .arg(header)
        .env_clear()
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // A group of its own: Ctrl-C in a terminal is for the parent to act on.
        command.current_dir("/").process_group(0);
    }
    // Programs on Windows do not start without knowing where the system lies.
    #[cfg(windows)]
    command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
    command.spawn().map_err(SandboxError::Start)
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, SandboxError> {
    Builder::new()
        .name("parse-pipe".to_owned())
        .spawn_scoped(scope, work)
        .map_err(SandboxError::Start)
}

/// A child that ends before it has read everything says why itself.
fn feed(mut pipe: ChildStdin, bytes: &[u8]) {
    let _until_it_ends = pipe.write_all(bytes);
}

/// At most `most` bytes; the pipe is closed then.
fn read_at_most(pipe: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _until_it_ends = pipe.take(most).read_to_end(&mut bytes);
    }
    bytes
}

/// The first bytes of a pipe, which is read to its end so that the child never waits.
fn beginning(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _until_it_ends = pipe.by_ref().take(SAID_BYTES).read_to_end(&mut bytes);
        let _ignored = io::copy(&mut pipe, &mut io::sink());
    }
    bytes
}

/// Waits until the child has ended, or until it has to. An error leaves it to be killed.
fn watch(
    child: &mut Child,
    answer: &Receiver<()>,
    end: Option<Instant>,
    header: &Header,
    control: &Control,
) -> Result<ExitStatus, SandboxError> {
    let in_time = || {
        control.check()?;
        if end.is_some_and(|end| Instant::now() >= end) {
            return Err(SandboxError::Time {
                allowed: header.limits.time,
            });
        }
        Ok(())
    };
    while answer.recv_timeout(WATCH) == Err(RecvTimeoutError::Timeout) {
        in_time()?;
    }
    // Its stdout is closed, so it is about to end.
    let mut pause = Duration::from_micros(100);
    loop {
        if let Some(status) = child.try_wait().map_err(SandboxError::Start)? {
            return Ok(status);
        }
        in_time()?;
        std::thread::sleep(pause);
        pause = (pause * 2).min(WATCH);
    }
}
