//! Which format a file is, from its content first and its name second.

use serde::{Deserialize, Serialize};

/// A document format that can be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Portable Document Format.
    Pdf,
    /// Office Open XML text document.
    Docx,
    /// HTML or XHTML.
    Html,
    /// CommonMark with GitHub's tables.
    Markdown,
    /// Plain text in any encoding that can be told.
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [
        Self::Pdf,
        Self::Docx,
        Self::Html,
        Self::Markdown,
        Self::Text,
    ];

    /// Stable lower-case name: `pdf`, `docx`, `html`, `markdown` or `text`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Text => "text",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
            Self::Html => "HTML",
            Self::Markdown => "Markdown",
            Self::Text => "plain text",
        })
    }
}
