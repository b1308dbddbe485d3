//! Questions, conversations and their history.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::State;
use faq_core::{ByteRange, DocumentId, Filter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::MEMBER;
use crate::server::api::{AnswerView, ConversationView, MessageView, SourceView};
use crate::server::app::App;
use crate::server::body::{Body, Id, Params, after, page};
use crate::server::chat::{self, Event, Turn};
use crate::server::clock::rfc3339;
use crate::server::error::ApiError;
use crate::server::identity::{Caller, Member, Tenant};
use crate::server::store::conversations::{self, Message};

/// Conversations of one page of a list.
const PAGE: usize = 100;

/// Messages of a history, from its end.
const MESSAGES: usize = 1000;

/// Which documents may be answered from. Values of one field are joined by "or", fields by "and".
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Filters {
    pub(super) document_ids: Vec<Uuid>,
    pub(super) filenames: Vec<String>,
    /// `pdf`, `docx`, `html`, `markdown` or `text`.
    pub(super) formats: Vec<String>,
    pub(super) tags: Vec<String>,
    /// Only documents uploaded at or after this time, RFC 3339.
    pub(super) from: Option<String>,
    /// Only documents uploaded before this time, RFC 3339.
    pub(super) until: Option<String>,
}

#[derive(Debug, Clone, Deserialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct Query {
    #[schema(
        min_length = 1,
        max_length = 8192,
        example = "How many days of leave do I get?"
    )]
    pub(super) query: String,
    /// Goes on with this conversation; absent or null begins one.
    pub(super) conversation_id: Option<Uuid>,
    pub(super) filters: Option<Filters>,
}

impl Query {
    pub(super) fn turn(self) -> Result<Turn, ApiError> {
        if self.query.len() > faq_core::MAX_QUESTION_BYTES {
            return Err(faq_core::Error::QuestionTooLong {
                bytes: self.query.len(),
                allowed: faq_core::MAX_QUESTION_BYTES,
            }
            .into());
        }
        if !self.query.chars().any(char::is_alphanumeric) {
            return Err(faq_core::Error::EmptyQuestion.into());
        }
        Ok(Turn {
            query: self.query,
            conversation: self.conversation_id,
            filter: self.filters.unwrap_or_default().filter()?,
        })
    }
}

impl Filters {
    fn filter(self) -> Result<Filter, ApiError> {
        let time = |name: &str, text: Option<String>| {
            text.map(|text| {
                text.parse::<jiff::Timestamp>()
                    .map(jiff::Timestamp::as_millisecond)
                    .map_err(|_| {
                        ApiError::invalid_field(
                            name,
                            "is no RFC 3339 time, such as 2026-01-31T00:00:00Z",
                        )
                    })
            })
            .transpose()
        };
        let set = |values: Vec<String>| values.into_iter().collect::<BTreeSet<_>>();
        Ok(Filter {
            documents: self.document_ids.into_iter().map(DocumentId).collect(),
            filenames: set(self.filenames),
            formats: self
                .formats
                .into_iter()
                .map(|name| format(&name))
                .collect::<Result<_, _>>()?,
            tags: set(self.tags),
            from_ms: time("filters.from", self.from)?,
            until_ms: time("filters.until", self.until)?,
        })
    }
}

/// The name that a format has among documents, by any name that it has elsewhere.
fn format(name: &str) -> Result<String, ApiError> {
    let name = name.trim_start_matches('.').to_ascii_lowercase();
    let known = faq_core::Format::ALL
        .into_iter()
        .find(|format| format.name() == name || format.extensions().contains(&name.as_str()));
    known.map(|format| format.name().to_owned()).ok_or_else(|| {
        let names: Vec<_> = faq_core::Format::ALL.iter().map(|f| f.name()).collect();
        ApiError::invalid_field(
            "filters.formats",
            format_args!("names {name:?}; formats are {}", names.join(", ")),
        )
    })
}

/// Answers a question from the organisation's documents, or says that it does not know.
#[utoipa::path(
    post, path = "/v1/chat/query", tag = "chat", request_body = Query,
    responses((status = 200, body = AnswerView)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn query(
    State(app): State<App>,
    who: Caller<Member>,
    Body(asked): Body<Query>,
) -> Result<Json<AnswerView>, ApiError> {
    let mut events = chat::start(&app, &who, asked.turn()?).await?;
    while let Some(event) = events.recv().await {
        match event {
            Event::Step(_) => {}
            Event::Final(finished) => return Ok(Json(AnswerView::from(&*finished))),
            Event::Failed(e) => return Err(e),
        }
    }
    Err(ApiError::internal("an answer ended without an end"))
}

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct ListParams {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationList {
    conversations: Vec<ConversationView>,
    next_cursor: Option<String>,
}

/// The person's own conversations, the one spoken in last first.
#[utoipa::path(
    get, path = "/v1/chat/conversations", tag = "chat", params(ListParams),
    responses((status = 200, body = ConversationList)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn list(
    State(app): State<App>,
    who: Caller<Member>,
    Params(params): Params<ListParams>,
) -> Result<Json<ConversationList>, ApiError> {
    let (tenant, user) = (who.tenant, who.user);
    let after = after(params.cursor.as_deref())?;
    let found = app
        .store
        .read(move |c| conversations::list(c, &tenant, user, after, PAGE + 1))
        .await?;
    let (found, next_cursor) = page(found, PAGE, |c| (c.updated_ms, c.id));
    Ok(Json(ConversationList {
        conversations: found.iter().map(ConversationView::from).collect(),
        next_cursor,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    conversation: ConversationView,
    messages: Vec<MessageView>,
}

/// A conversation of one's own with its messages. Sources are read from the documents as they
/// are now; one that was deleted says so and quotes nothing.
#[utoipa::path(
    get, path = "/v1/chat/history/{id}", tag = "chat", params(("id" = Uuid, Path)),
    responses((status = 200, body = History)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn history(
    State(app): State<App>,
    who: Caller<Member>,
    Id(id): Id,
) -> Result<Json<History>, ApiError> {
    let (tenant, user) = (who.tenant, who.user);
    let (conversation, messages) = app
        .store
        .read(move |c| {
            let conversation = conversations::get(c, &tenant, user, id)?;
            Ok((
                conversation,
                conversations::messages(c, &tenant, id, MESSAGES)?,
            ))
        })
        .await?;
    let messages = resolve(&app, tenant, messages).await?;
    Ok(Json(History {
        conversation: ConversationView::from(&conversation),
        messages,
    }))
}

/// Messages with the words of their sources, as the documents have them today.
pub(super) async fn resolve(
    app: &App,
    tenant: Tenant,
    messages: Vec<Message>,
) -> Result<Vec<MessageView>, ApiError> {
    app.with_collection(tenant, move |collection| {
        let mut texts: HashMap<Uuid, Option<String>> = HashMap::new();
        for source in messages.iter().flat_map(|m| &m.sources) {
            if let std::collections::hash_map::Entry::Vacant(unread) = texts.entry(source.document)
            {
                let document = collection.document(DocumentId(source.document))?;
                unread.insert(document.map(|d| d.text));
            }
        }
        Ok(messages.iter().map(|m| message_view(m, &texts)).collect())
    })
    .await
}

fn message_view(message: &Message, texts: &HashMap<Uuid, Option<String>>) -> MessageView {
    let sources = message.sources.iter().map(|source| {
        let text = texts.get(&source.document).and_then(Option::as_deref);
        let quoted = text.map(|text| {
            let range = ByteRange {
                start: source.bytes.0,
                end: source.bytes.1,
            };
            // A document that was read anew may have moved the words; then none are shown.
            range
                .slice(text)
                .filter(|quoted| crc32fast::hash(quoted.as_bytes()) == source.check)
                .unwrap_or_default()
                .to_owned()
        });
        SourceView::resolved(source, quoted)
    });
    MessageView {
        id: message.id,
        role: if message.from_user {
            "user"
        } else {
            "assistant"
        },
        content: message.text(),
        sources: sources.collect(),
        abstained: message.abstained,
        reason: message.reason.clone(),
        created_at: rfc3339(message.created_ms),
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedConversation {
    conversation_id: Uuid,
    messages: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationDeleted {
    deleted: DeletedConversation,
}

/// Deletes a conversation of one's own.
#[utoipa::path(
    delete, path = "/v1/chat/conversations/{id}", tag = "chat", params(("id" = Uuid, Path)),
    responses((status = 200, body = ConversationDeleted)), extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn delete(
    State(app): State<App>,
    who: Caller<Member>,
    Id(id): Id,
) -> Result<Json<ConversationDeleted>, ApiError> {
    let (tenant, user) = (who.tenant, who.user);
    let messages = app
        .store
        .write(move |c| conversations::delete(c, &tenant, user, id))
        .await?;
    let deleted = DeletedConversation {
        conversation_id: id,
        messages,
    };
    Ok(Json(ConversationDeleted { deleted }))
}
