//! One turn of a conversation: admitted, answered step by step, kept in the history.

use faq_core::{Answer, AnswerSource, CancelToken, Filter};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::answers::{Asked, Slot, Step, reason_name};
use super::app::App;
use super::clock::now_ms;
use super::error::ApiError;
use super::identity::Actor;
use super::store::conversations::{self, Message, Piece, SourceRef};
use super::store::organisations;

/// Steps that may wait for a slow reader before the model waits with them.
const BUFFER: usize = 64;

/// Earlier messages that a question is understood in the light of.
const REMEMBERED: usize = 8;

/// Longest title of a conversation, in characters.
const TITLE: usize = 80;

/// What a person says.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) query: String,
    pub(crate) conversation: Option<Uuid>,
    pub(crate) filter: Filter,
}

/// What comes of it, in order; the last is `Final` or `Failed`.
#[derive(Debug)]
pub(crate) enum Event {
    Step(Step),
    Final(Box<Finished>),
    Failed(ApiError),
}

/// An answer and where it is kept.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) answer: Answer,
    pub(crate) conversation: Uuid,
    pub(crate) message: Uuid,
}

/// Starts a turn. Refusals (another person's conversation, a full queue) come at once; the rest
/// comes through the channel. Whoever drops the channel stops the answer, and what was said
/// until then stays in the history.
pub(crate) async fn start(
    app: &App,
    actor: &Actor,
    turn: Turn,
) -> Result<mpsc::Receiver<Event>, ApiError> {
    let earlier = match turn.conversation {
        Some(id) => earlier_questions(app, actor, id).await?,
        None => Vec::new(),
    };
    let tenant = actor.tenant;
    let answering = app
        .store
        .read(move |c| organisations::answering(c, &tenant))
        .await?;
    let asked = Asked {
        question: turn.query.clone(),
        earlier,
        filter: turn.filter.clone(),
        tone: answering.tone,
        instructions: answering.instructions,
    };
    let slot = app.answers.admit(app).await?;
    let (events, receiver) = mpsc::channel(BUFFER);
    let (app, actor) = (app.clone(), actor.clone());
    let request_id = super::request::current_id();
    tokio::spawn(super::request::with_id(request_id, async move {
        run(&app, &actor, turn, asked, &events, slot).await;
    }));
    Ok(receiver)
}

async fn earlier_questions(app: &App, actor: &Actor, id: Uuid) -> Result<Vec<String>, ApiError> {
    let (tenant, user) = (actor.tenant, actor.user);
    let messages = app
        .store
        .read(move |c| {
            conversations::get(c, &tenant, user, id)?;
            conversations::messages(c, &tenant, id, REMEMBERED)
        })
        .await?;
    Ok(messages
        .iter()
        .filter(|m| m.from_user)
        .map(Message::text)
        .collect())
}

async fn run(
    app: &App,
    actor: &Actor,
    turn: Turn,
    asked: Asked,
    events: &mpsc::Sender<Event>,
    slot: Slot,
) {
    let asked_ms = now_ms();
    let cancel = CancelToken::new();
    let (tell, mut steps) = mpsc::channel(BUFFER);
    let mut work = {
        let (app, tenant, cancel) = (app.clone(), actor.tenant, cancel.clone());
        tokio::task::spawn_blocking(move || {
            app.answers.answer(&app, tenant, &asked, &cancel, &tell)
        })
    };
    let mut said = Said::default();
    loop {
        tokio::select! {
            step = steps.recv() => match step {
                Some(step) => {
                    said.note(&step);
                    if events.send(Event::Step(step)).await.is_err() {
                        cancel.cancel();
                    }
                }
                None => break,
            },
            () = events.closed(), if !cancel.is_cancelled() => cancel.cancel(),
        }
    }
    let result = match (&mut work).await {
        Ok(result) => result.map_err(ApiError::from),
        Err(e) => Err(ApiError::internal(e)),
    };
    // The model is free again before whoever waits for the answer hears of its end.
    drop(slot);
    let event = match result {
        Ok(answer) => match keep(app, actor, &turn, asked_ms, &said, Some(&answer)).await {
            Ok((conversation, message)) => Event::Final(Box::new(Finished {
                answer,
                conversation,
                message,
            })),
            Err(e) => Event::Failed(e),
        },
        Err(e) => {
            if !said.pieces.is_empty()
                && let Err(e) = keep(app, actor, &turn, asked_ms, &said, None).await
            {
                e.log();
            }
            Event::Failed(e)
        }
    };
    let _gone = events.send(event).await;
}

/// What was handed on until now.
#[derive(Default)]
struct Said {
    pieces: Vec<Piece>,
    sources: Vec<SourceRef>,
}

impl Said {
    fn note(&mut self, step: &Step) {
        match step {
            Step::Stage(_) => {}
            Step::Source(source) => self.sources.push(reference(source)),
            Step::Piece(text, source) => self.pieces.push(Piece {
                text: text.clone(),
                source: *source,
            }),
        }
    }
}

fn reference(source: &AnswerSource) -> SourceRef {
    SourceRef {
        document: source.document_id.0,
        chunk: source.chunk_index,
        filename: source.filename.clone(),
        page: source.page,
        heading: source.heading.clone(),
        score: source.score,
        bytes: (source.byte_range.start, source.byte_range.end),
        utf16: (source.utf16_range.start, source.utf16_range.end),
        check: crc32fast::hash(source.text.as_bytes()),
    }
}

/// Keeps the question and what was answered, together. A document that was deleted meanwhile
/// leaves no words behind.
async fn keep(
    app: &App,
    actor: &Actor,
    turn: &Turn,
    asked_ms: i64,
    said: &Said,
    answer: Option<&Answer>,
) -> Result<(Uuid, Uuid), ApiError> {
    let (tenant, user) = (actor.tenant, actor.user);
    let message_id = Uuid::new_v4();
    let question = Message {
        id: Uuid::new_v4(),
        from_user: true,
        pieces: vec![Piece {
            text: turn.query.clone(),
            source: None,
        }],
        sources: Vec::new(),
        abstained: false,
        reason: None,
        created_ms: asked_ms,
    };
    let reply = Message {
        id: message_id,
        from_user: false,
        pieces: said.pieces.clone(),
        sources: said.sources.clone(),
        abstained: answer.is_some_and(|a| a.abstained),
        reason: answer
            .and_then(|a| a.reason)
            .map(|r| reason_name(r).to_owned()),
        created_ms: now_ms(),
    };
    let (known, title) = (turn.conversation, title(&turn.query));
    let conversation = app
        .store
        .write(move |c| {
            let id = known.unwrap_or_else(Uuid::new_v4);
            if known.is_some() {
                // Deleted while it was being answered: then there is nothing to keep it in.
                conversations::get(c, &tenant, user, id)?;
            } else {
                conversations::insert(c, &tenant, user, id, &title, asked_ms)?;
            }
            conversations::append(c, &tenant, id, &question)?;
            conversations::append(c, &tenant, id, &reply)?;
            for source in &reply.sources {
                let there = super::store::documents::get(c, &tenant, source.document);
                if matches!(there, Err(super::store::StoreError::NotFound(_))) {
                    conversations::forget_document(c, &tenant, source.document)?;
                }
            }
            Ok(id)
        })
        .await?;
    Ok((conversation, message_id))
}

/// The beginning of the first question.
fn title(question: &str) -> String {
    let line = question.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TITLE {
        return line;
    }
    let mut title: String = line.chars().take(TITLE - 1).collect();
    title.push('…');
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_short_and_on_one_line() {
        assert_eq!(title("  What\nis it? "), "What is it?");
        assert_eq!(title(&"wörter ".repeat(50)).chars().count(), TITLE);
    }
}
