//! Conversations and their messages. A message keeps where its sources stand, not their words,
//! and each piece of an answer keeps the source it came from, so that the words of a deleted
//! document can be taken out.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{OrNotFound, Result};
use crate::server::identity::Tenant;

/// What stands in the place of a sentence whose document was deleted.
pub(crate) const ERASED: &str = "[removed: the document was deleted]";

#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
}

/// A piece of a message's text, and the number of the source it cites, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) source: Option<usize>,
}

/// Where a source stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceRef {
    pub(crate) document: Uuid,
    pub(crate) chunk: u32,
    pub(crate) filename: String,
    pub(crate) page: Option<u32>,
    pub(crate) heading: Option<String>,
    pub(crate) score: f32,
    pub(crate) bytes: (usize, usize),
    pub(crate) utf16: (usize, usize),
    /// CRC of the quoted text: a document that was parsed anew may have moved it.
    pub(crate) check: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: Uuid,
    pub(crate) from_user: bool,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) sources: Vec<SourceRef>,
    pub(crate) abstained: bool,
    pub(crate) reason: Option<String>,
    pub(crate) created_ms: i64,
}

impl Message {
    /// The text as it was said, without what was deleted since.
    pub(crate) fn text(&self) -> String {
        self.pieces.iter().map(|p| p.text.as_str()).collect()
    }
}

/// Starts a conversation.
pub(crate) fn insert(
    c: &Connection,
    tenant: &Tenant,
    user: Uuid,
    id: Uuid,
    title: &str,
    now: i64,
) -> Result<()> {
    c.execute(
        "INSERT INTO conversations (organisation, id, user, title, created_ms, updated_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        params![tenant.id(), id, user, title, now],
    )?;
    Ok(())
}

/// A person's own conversation.
pub(crate) fn get(c: &Connection, tenant: &Tenant, user: Uuid, id: Uuid) -> Result<Conversation> {
    c.prepare_cached(
        "SELECT id, title, created_ms, updated_ms FROM conversations
         WHERE organisation = ?1 AND id = ?2 AND user = ?3",
    )?
    .query_row(params![tenant.id(), id, user], conversation)
    .or_not_found("conversation")
}

fn conversation(row: &rusqlite::Row<'_>) -> rusqlite::Result<Conversation> {
    Ok(Conversation {
        id: row.get(0)?,
        title: row.get(1)?,
        created_ms: row.get(2)?,
        updated_ms: row.get(3)?,
    })
}

/// A person's conversations, the one spoken in last first.
pub(crate) fn list(
    c: &Connection,
    tenant: &Tenant,
    user: Uuid,
    after: Option<(i64, Uuid)>,
    limit: usize,
) -> Result<Vec<Conversation>> {
    let (ms, id) = after.unwrap_or((i64::MAX, Uuid::max()));
    let conversations = c
        .prepare_cached(
            "SELECT id, title, created_ms, updated_ms FROM conversations
             WHERE organisation = ?1 AND user = ?2 AND (updated_ms, id) < (?3, ?4)
             ORDER BY updated_ms DESC, id DESC LIMIT ?5",
        )?
        .query_map(params![tenant.id(), user, ms, id, limit], conversation)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(conversations)
}

/// Number of a person's conversations.
pub(crate) fn count(c: &Connection, tenant: &Tenant, user: Uuid) -> Result<u64> {
    Ok(c.query_row(
        "SELECT count(*) FROM conversations WHERE organisation = ?1 AND user = ?2",
        params![tenant.id(), user],
        |row| row.get(0),
    )?)
}

/// Adds a message to a conversation, which must exist.
pub(crate) fn append(
    c: &Connection,
    tenant: &Tenant,
    conversation: Uuid,
    message: &Message,
) -> Result<()> {
    let position: i64 = c
        .prepare_cached(
            "SELECT ifnull(max(position), 0) + 1 FROM messages
             WHERE organisation = ?1 AND conversation = ?2",
        )?
        .query_row(params![tenant.id(), conversation], |row| row.get(0))?;
    c.prepare_cached(
        "INSERT INTO messages (organisation, conversation, position, id, role, pieces, sources,
                               abstained, reason, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        tenant.id(),
        conversation,
        position,
        message.id,
        if message.from_user {
            "user"
        } else {
            "assistant"
        },
        serde_json::to_string(&message.pieces)?,
        serde_json::to_string(&message.sources)?,
        message.abstained,
        message.reason,
        message.created_ms
    ])?;
    for source in &message.sources {
        c.prepare_cached(
            "INSERT INTO citations (organisation, document, conversation, position)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            tenant.id(),
            source.document,
            conversation,
            position
        ])?;
    }
    c.prepare_cached(
        "UPDATE conversations SET updated_ms = max(updated_ms, ?3)
         WHERE organisation = ?1 AND id = ?2",
    )?
    .execute(params![tenant.id(), conversation, message.created_ms])?;
    Ok(())
}

/// The last `limit` messages, oldest first.
pub(crate) fn messages(
    c: &Connection,
    tenant: &Tenant,
    conversation: Uuid,
    limit: usize,
) -> Result<Vec<Message>> {
    let mut statement = c.prepare_cached(
        "SELECT id, role, pieces, sources, abstained, reason, created_ms FROM messages
         WHERE organisation = ?1 AND conversation = ?2
         ORDER BY position DESC LIMIT ?3",
    )?;
    let mut rows = statement.query(params![tenant.id(), conversation, limit])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(Message {
            id: row.get(0)?,
            from_user: row.get::<_, String>(1)? == "user",
            pieces: serde_json::from_str(&row.get::<_, String>(2)?)?,
            sources: serde_json::from_str(&row.get::<_, String>(3)?)?,
            abstained: row.get(4)?,
            reason: row.get(5)?,
            created_ms: row.get(6)?,
        });
    }
    messages.reverse();
    Ok(messages)
}

/// Deletes a person's own conversation and everything in it.
pub(crate) fn delete(c: &Connection, tenant: &Tenant, user: Uuid, id: Uuid) -> Result<u64> {
    get(c, tenant, user, id)?;
    let messages = c.query_row(
        "SELECT count(*) FROM messages WHERE organisation = ?1 AND conversation = ?2",
        params![tenant.id(), id],
        |row| row.get(0),
    )?;
    c.execute(
        "DELETE FROM conversations WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id],
    )?;
    Ok(messages)
}

/// Takes the words of a document out of every answer that cites it.
pub(crate) fn forget_document(c: &Connection, tenant: &Tenant, document: Uuid) -> Result<()> {
    let cited: Vec<(Uuid, i64)> = c
        .prepare_cached(
            "SELECT conversation, position FROM citations
             WHERE organisation = ?1 AND document = ?2",
        )?
        .query_map(params![tenant.id(), document], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (conversation, position) in cited {
        let row: Option<(String, String)> = c
            .prepare_cached(
                "SELECT pieces, sources FROM messages
                 WHERE organisation = ?1 AND conversation = ?2 AND position = ?3",
            )?
            .query_row(params![tenant.id(), conversation, position], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((pieces, sources)) = row else {
            continue;
        };
        let sources: Vec<SourceRef> = serde_json::from_str(&sources)?;
        let pieces = without(serde_json::from_str(&pieces)?, &sources, document);
        c.prepare_cached(
            "UPDATE messages SET pieces = ?4
             WHERE organisation = ?1 AND conversation = ?2 AND position = ?3",
        )?
        .execute(params![
            tenant.id(),
            conversation,
            position,
            serde_json::to_string(&pieces)?
        ])?;
    }
    c.execute(
        "DELETE FROM citations WHERE organisation = ?1 AND document = ?2",
        params![tenant.id(), document],
    )?;
    Ok(())
}

fn without(pieces: Vec<Piece>, sources: &[SourceRef], document: Uuid) -> Vec<Piece> {
    let gone = |piece: &Piece| {
        piece
            .source
            .and_then(|n| sources.get(n.checked_sub(1)?))
            .is_some_and(|s| s.document == document)
    };
    pieces
        .into_iter()
        .enumerate()
        .map(|(i, piece)| {
            if !gone(&piece) {
                return piece;
            }
            let between = if i == 0 { "" } else { " " };
            Piece {
                text: format!("{between}{ERASED}"),
                source: piece.source,
            }
        })
        .collect()
}

/// Erases conversations in which nobody spoke since `before`.
pub(crate) fn sweep(c: &Connection, before: i64) -> Result<usize> {
    Ok(c.execute("DELETE FROM conversations WHERE updated_ms < ?1", [before])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(document: Uuid) -> SourceRef {
        SourceRef {
            document,
            chunk: 0,
            filename: "a.txt".into(),
            page: None,
            heading: None,
            score: 1.0,
            bytes: (0, 1),
            utf16: (0, 1),
            check: 0,
        }
    }

    #[test]
    fn the_words_of_a_deleted_document_are_gone_and_the_others_stay() {
        let (kept, gone) = (Uuid::new_v4(), Uuid::new_v4());
        let pieces = vec![
            Piece {
                text: "Kept words [1].".into(),
                source: Some(1),
            },
            Piece {
                text: " Secret words [2].".into(),
                source: Some(2),
            },
        ];
        let left = without(pieces, &[source(kept), source(gone)], gone);
        let text: String = left.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(text, format!("Kept words [1]. {ERASED}"));
    }
}
