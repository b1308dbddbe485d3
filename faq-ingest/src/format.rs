//! The formats that can be read, and how the world names them.

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
    /// Office Open XML presentation.
    Pptx,
    /// Office Open XML workbook.
    Xlsx,
    /// OpenDocument text.
    Odt,
    /// EPUB book.
    Epub,
    /// Rich Text Format.
    Rtf,
    /// HTML or XHTML.
    Html,
    /// CommonMark with GitHub's tables.
    Markdown,
    /// Delimiter-separated values.
    Csv,
    /// Internet message (e-mail) with MIME parts.
    Eml,
    /// Plain text in any encoding that can be told.
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 12] = [
        Self::Pdf,
        Self::Docx,
        Self::Pptx,
        Self::Xlsx,
        Self::Odt,
        Self::Epub,
        Self::Rtf,
        Self::Html,
        Self::Markdown,
        Self::Csv,
        Self::Eml,
        Self::Text,
    ];

    /// Stable lower-case name, such as `pdf`, `markdown` or `text`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Pptx => "pptx",
            Self::Xlsx => "xlsx",
            Self::Odt => "odt",
            Self::Epub => "epub",
            Self::Rtf => "rtf",
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Eml => "eml",
            Self::Text => "text",
        }
    }

    /// Endings of file names, without the dot and in lower case; the usual one first.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["pdf"],
            Self::Docx => &["docx", "docm", "dotx", "dotm"],
            Self::Pptx => &["pptx", "pptm", "ppsx", "ppsm", "potx", "potm"],
            Self::Xlsx => &["xlsx", "xlsm", "xltx", "xltm"],
            Self::Odt => &["odt", "ott"],
            Self::Epub => &["epub"],
            Self::Rtf => &["rtf"],
            Self::Html => &["html", "htm", "xhtml"],
            Self::Markdown => &["md", "markdown", "mdown", "mkd"],
            Self::Csv => &["csv", "tsv"],
            Self::Eml => &["eml"],
            Self::Text => &["txt", "text"],
        }
    }

    /// Media types, the registered one first.
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["application/pdf"],
            Self::Docx => {
                &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"]
            }
            Self::Pptx => {
                &["application/vnd.openxmlformats-officedocument.presentationml.presentation"]
            }
            Self::Xlsx => &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
            Self::Odt => &["application/vnd.oasis.opendocument.text"],
            Self::Epub => &["application/epub+zip"],
            Self::Rtf => &["application/rtf", "text/rtf"],
            Self::Html => &["text/html", "application/xhtml+xml"],
            Self::Markdown => &["text/markdown"],
            Self::Csv => &["text/csv", "text/tab-separated-values"],
            Self::Eml => &["message/rfc822"],
            Self::Text => &["text/plain"],
        }
    }

    /// The format whose files end so; upper and lower case are the same.
    pub fn from_extension(extension: &str) -> Option<Self> {
        let is = |known: &&str| known.eq_ignore_ascii_case(extension);
        Self::ALL
            .into_iter()
            .find(|f| f.extensions().iter().any(is))
    }

    /// Written without a container or signature: the name decides between such formats.
    pub(crate) fn is_textual(self) -> bool {
        matches!(
            self,
            Self::Html | Self::Markdown | Self::Csv | Self::Eml | Self::Text
        )
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
            Self::Pptx => "PPTX",
            Self::Xlsx => "XLSX",
            Self::Odt => "ODT",
            Self::Epub => "EPUB",
            Self::Rtf => "RTF",
            Self::Html => "HTML",
            Self::Markdown => "Markdown",
            Self::Csv => "CSV",
            Self::Eml => "EML",
            Self::Text => "plain text",
        })
    }
}
