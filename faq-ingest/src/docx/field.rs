//! Fields of a paragraph: code that makes text, and the text that it made last.

use crate::link;

/// The open fields, outermost first.
#[derive(Debug, Default)]
pub(super) struct Fields {
    open: Vec<Field>,
}

#[derive(Debug, Default)]
struct Field {
    code: String,
    in_result: bool,
    is_link: bool,
}

impl Fields {
    /// Longest code that is kept, in bytes.
    const LONGEST_CODE: usize = 16_384;

    pub(super) fn begin(&mut self) {
        self.open.push(Field::default());
    }

    /// Takes in code of the innermost field.
    pub(super) fn code(&mut self, text: &str) {
        if let Some(field) = self.open.last_mut()
            && field.code.len() + text.len() <= Self::LONGEST_CODE
        {
            field.code.push_str(text);
        }
    }

    /// Ends the innermost field's code; says where its text leads, where it is a link.
    pub(super) fn separate(&mut self) -> Option<String> {
        let field = self.open.last_mut()?;
        field.in_result = true;
        let target = link::of_field(&std::mem::take(&mut field.code));
        field.is_link = target.is_some();
        target
    }

    /// Ends the innermost field; says whether it was a link.
    pub(super) fn end(&mut self) -> bool {
        self.open.pop().is_some_and(|field| field.is_link)
    }

    /// Whether what comes next is code.
    pub(super) fn in_code(&self) -> bool {
        self.open.iter().any(|field| !field.in_result)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}
