//! A model that `benches/peers/generate/peers.py` asks side by side with others.
//!
//! `generate_peer MODEL.gguf` reads lines from stdin and answers each with a line of JSON:
//! `tokens TEXT` with the token ids of a prompt that has TEXT in it, `read TEXT` with the time
//! until the first token, `write N TEXT` with the time for N further ones, and `together K N TEXT`
//! with the time of K conversations at once that write N each.

use std::io::{BufRead, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use faq_core::Control;
use faq_core::generate::{GenerateOptions, Generator, LocalModel, Message, Role};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which model?")?;
    let started = Instant::now();
    let model = LocalModel::open(path)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{{\"load_s\":{:.3}}}", started.elapsed().as_secs_f64())?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (what, rest) = line.split_once(' ').ok_or("what is asked?")?;
        match what {
            "tokens" => writeln!(out, "{:?}", model.prompt_tokens(&prompt(rest))?)?,
            "read" => {
                let (started, worked) = (Instant::now(), processor_seconds());
                generate(&model, rest, 1, |_| {})?;
                report(&mut out, started, worked)?;
            }
            "write" => {
                let (count, text) = rest.split_once(' ').ok_or("how many?")?;
                let mut first = None;
                let written = generate(&model, text, count.parse::<usize>()? + 1, |_| {
                    first.get_or_insert((Instant::now(), processor_seconds()));
                })?;
                if written != count.parse::<usize>()? + 1 {
                    return Err(format!("{written} tokens written of {count} and one").into());
                }
                let (started, worked) = first.ok_or("no token")?;
                report(&mut out, started, worked)?;
            }
            "together" => {
                let (conversations, rest) = rest.split_once(' ').ok_or("how many?")?;
                let (count, text) = rest.split_once(' ').ok_or("how many?")?;
                let (conversations, count) = (conversations.parse::<usize>()?, count.parse()?);
                let (started, worked) = (Instant::now(), processor_seconds());
                std::thread::scope(|scope| {
                    for _ in 0..conversations {
                        scope.spawn(|| generate(&model, text, count, |_| {}).is_ok());
                    }
                });
                report(&mut out, started, worked)?;
            }
            other => return Err(format!("{other:?} is not known").into()),
        }
        out.flush()?;
    }
    Ok(())
}

fn prompt(text: &str) -> [Message; 1] {
    [Message::new(Role::User, text)]
}

fn generate(
    model: &LocalModel,
    text: &str,
    max_tokens: usize,
    mut piece: impl FnMut(&str),
) -> Result<usize, Box<dyn std::error::Error>> {
    let options = GenerateOptions {
        max_tokens,
        ..GenerateOptions::default()
    };
    let generation = model.generate(&prompt(text), &options, &Control::new(), &mut |text| {
        piece(text);
        ControlFlow::Continue(())
    })?;
    Ok(generation.completion_tokens)
}

fn report(
    out: &mut impl Write,
    started: Instant,
    worked: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let (wall, cpu) = (
        started.elapsed().as_secs_f64(),
        processor_seconds() - worked,
    );
    writeln!(out, "{{\"wall_s\":{wall:.6},\"cpu_s\":{cpu:.6}}}")?;
    Ok(())
}

/// Processor time of all threads, in seconds; 0 where the system does not say.
fn processor_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let of_thread = |entry: std::fs::DirEntry| -> Option<f64> {
        let stat = std::fs::read_to_string(entry.path().join("schedstat")).ok()?;
        let nanoseconds: f64 = stat.split_whitespace().next()?.parse().ok()?;
        Some(nanoseconds / 1e9)
    };
    threads.flatten().filter_map(of_thread).sum()
}
