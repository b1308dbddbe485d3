//! The shapes of the wire: what goes out, as clients read it.

use faq_core::AnswerSource;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::clock::rfc3339;
use super::store::conversations::{Conversation, SourceRef};
use super::store::documents::{Document, Status};
use super::store::users::{User, UserStatus};

/// A person, as people of the organisation see them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    /// `owner`, `admin` or `user`.
    #[schema(value_type = String, example = "user")]
    pub(crate) role: faq_auth::Role,
    pub(crate) org_id: Uuid,
    pub(crate) is_active: bool,
    pub(crate) status: UserStatus,
    pub(crate) last_login_at: Option<String>,
    pub(crate) created_at: String,
}

impl UserView {
    pub(crate) fn new(user: &User, organisation: Uuid) -> Self {
        Self {
            id: user.id,
            email: user.email.clone(),
            role: user.role,
            org_id: organisation,
            is_active: user.status == UserStatus::Active,
            status: user.status,
            last_login_at: user.last_login_ms.map(rfc3339),
            created_at: rfc3339(user.created_ms),
        }
    }
}

/// A person, where the response is about nothing else.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserResponse {
    pub(crate) user: UserView,
}

/// How far the work on a document is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgressView {
    /// `parse`, `chunk`, `embed` or `commit`; absent where no work is going on.
    pub(crate) stage: Option<String>,
    pub(crate) done: u64,
    /// 0 where it is not known yet.
    pub(crate) total: u64,
}

/// A document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentView {
    pub(crate) document_id: Uuid,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) tags: Vec<String>,
    pub(crate) file_size_bytes: u64,
    /// SHA-256 of the file, in hex, once it was uploaded.
    pub(crate) sha256: Option<String>,
    pub(crate) status: Status,
    pub(crate) chunks_count: u64,
    pub(crate) attempts: u32,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) progress: ProgressView,
    pub(crate) uploaded_by: Uuid,
    /// When it was uploaded, or announced where that has not happened yet.
    pub(crate) uploaded_at: String,
    pub(crate) processed_at: Option<String>,
}

impl From<Document> for DocumentView {
    fn from(d: Document) -> Self {
        Self {
            document_id: d.id,
            filename: d.filename,
            content_type: d.content_type,
            tags: d.tags,
            file_size_bytes: if d.status == Status::Pending {
                d.declared_bytes.unwrap_or(0)
            } else {
                d.bytes
            },
            sha256: d.sha256,
            status: d.status,
            chunks_count: d.chunks,
            attempts: d.attempts,
            error_code: d.error_code,
            error_message: d.error_message,
            progress: ProgressView {
                stage: d.stage,
                done: d.stage_done,
                total: d.stage_total,
            },
            uploaded_by: d.uploaded_by,
            uploaded_at: rfc3339(d.uploaded_ms.unwrap_or(d.created_ms)),
            processed_at: d.processed_ms.map(rfc3339),
        }
    }
}

/// A half-open range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RangeView {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A place in a document that supports an answer. `[1]` in the answer is the first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct SourceView {
    pub(crate) document_id: Uuid,
    /// `{document_id}_{chunk_index}`.
    pub(crate) chunk_id: String,
    pub(crate) chunk_index: u32,
    pub(crate) filename: String,
    pub(crate) page: Option<u32>,
    pub(crate) heading: Option<String>,
    /// The quoted text; empty where the document was deleted since.
    pub(crate) text: String,
    /// Calibrated relevance, 0 to 1.
    pub(crate) score: f32,
    pub(crate) dense_score: Option<f32>,
    pub(crate) keyword_score: Option<f32>,
    /// Where the text stands in the document's canonical text, in UTF-8 bytes.
    pub(crate) byte_range: RangeView,
    /// The same in UTF-16 code units, as JavaScript counts.
    pub(crate) utf16_range: RangeView,
    /// Whether the document was deleted since.
    pub(crate) deleted: bool,
}

impl From<&AnswerSource> for SourceView {
    fn from(s: &AnswerSource) -> Self {
        Self {
            document_id: s.document_id.0,
            chunk_id: s.chunk_id.clone(),
            chunk_index: s.chunk_index,
            filename: s.filename.clone(),
            page: s.page,
            heading: s.heading.clone(),
            text: s.text.clone(),
            score: s.score,
            dense_score: s.dense_score,
            keyword_score: s.keyword_score,
            byte_range: RangeView {
                start: s.byte_range.start,
                end: s.byte_range.end,
            },
            utf16_range: RangeView {
                start: s.utf16_range.start,
                end: s.utf16_range.end,
            },
            deleted: false,
        }
    }
}

impl SourceView {
    /// A source of an earlier answer; `text` is what stands there today, `None` where the
    /// document is gone.
    pub(crate) fn resolved(source: &SourceRef, text: Option<String>) -> Self {
        let deleted = text.is_none();
        let place = |(start, end)| RangeView { start, end };
        Self {
            document_id: source.document,
            chunk_id: format!("{}_{}", source.document, source.chunk),
            chunk_index: source.chunk,
            filename: if deleted {
                "[deleted]".to_owned()
            } else {
                source.filename.clone()
            },
            page: source.page,
            heading: source.heading.clone().filter(|_| !deleted),
            text: text.unwrap_or_default(),
            score: source.score,
            dense_score: None,
            keyword_score: None,
            byte_range: place(source.bytes),
            utf16_range: place(source.utf16),
            deleted,
        }
    }
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerView {
    /// With markers such as `[1]`, which point into `sources`; never empty.
    pub(crate) answer: String,
    pub(crate) sources: Vec<SourceView>,
    pub(crate) conversation_id: Uuid,
    pub(crate) message_id: Uuid,
    /// Whether this is an "I don't know".
    pub(crate) abstained: bool,
    /// Why: `no_hits`, `below_threshold` or `unsupported`.
    pub(crate) reason: Option<&'static str>,
    /// Whose words it is in: a model's name, or `extractive` where the documents are quoted.
    pub(crate) model: String,
    /// The model that read the passages and decided whether they answer, where one did.
    pub(crate) read_by: Option<String>,
    /// The question that a follow-up or one with misspelled words was understood as.
    pub(crate) understood_as: Option<String>,
}

impl From<&super::chat::Finished> for AnswerView {
    fn from(finished: &super::chat::Finished) -> Self {
        let answer = &finished.answer;
        Self {
            answer: answer.answer.clone(),
            sources: answer.sources.iter().map(SourceView::from).collect(),
            conversation_id: finished.conversation,
            message_id: finished.message,
            abstained: answer.abstained,
            reason: answer.reason.map(super::answers::reason_name),
            model: answer.model.clone(),
            read_by: answer.read_by.clone(),
            understood_as: answer.understood_as.clone(),
        }
    }
}

/// A conversation, without its messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationView {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

impl From<&Conversation> for ConversationView {
    fn from(c: &Conversation) -> Self {
        Self {
            id: c.id,
            title: c.title.clone(),
            created_at: rfc3339(c.created_ms),
            updated_at: rfc3339(c.updated_ms),
        }
    }
}

/// A message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    pub(crate) id: Uuid,
    /// `user` or `assistant`.
    pub(crate) role: &'static str,
    pub(crate) content: String,
    pub(crate) sources: Vec<SourceView>,
    pub(crate) abstained: bool,
    pub(crate) reason: Option<String>,
    pub(crate) created_at: String,
}
