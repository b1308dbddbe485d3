//! Form fields and typed notes, which lie on a page beside its content.

use lopdf::{Dictionary, Object, Stream};

use super::{Interpreter, MAX_TEXT, State, place};
use crate::ParseError;
use crate::pdf::encoding;
use crate::pdf::geometry::{Matrix, Rect};
use crate::pdf::objects::PageEntry;

/// Fields above a field.
const MAX_FIELD_DEPTH: usize = 16;
/// Bytes that showing one annotation counts for at least: many pages may have the same ones.
const SHOWN_COST: usize = 256;
/// Lines of one field's value.
const MAX_LINES: usize = 200;

impl<'a> Interpreter<'_, 'a> {
    /// Appearances of form fields and typed notes are part of what a reader sees.
    pub(super) fn annotations(
        &mut self,
        shown: &[&'a Dictionary],
        page: &PageEntry<'a>,
        base: Matrix,
    ) -> Result<(), ParseError> {
        for &annotation in shown {
            self.source.budget.tick()?;
            if self.out.cut {
                break;
            }
            self.source.spend(SHOWN_COST)?;
            let before = self.out.glyphs.len();
            if let Some(stream) = self.appearance(annotation) {
                let ctm = self.appearance_matrix(annotation, stream).then(&base);
                if ctm.is_sane() {
                    self.form(stream, page.resources, ctm)?;
                }
            }
            if self.out.glyphs.len() == before {
                self.field_value(annotation, &base)?;
            }
        }
        Ok(())
    }

    /// Writes a form field's value where it has no appearance, as readers do when they draw it.
    fn field_value(&mut self, annotation: &'a Dictionary, base: &Matrix) -> Result<(), ParseError> {
        let kind = self.field(annotation, b"FT").and_then(|o| o.as_name().ok());
        let value = |o: &'a Object| lopdf::decode_text_string(o).ok();
        let mut texts: Vec<String> = Vec::new();
        match (kind, self.field(annotation, b"V")) {
            (Some(b"Tx" | b"Ch"), Some(Object::Array(chosen))) => {
                texts.extend(chosen.iter().take(MAX_LINES).filter_map(value));
            }
            (Some(b"Tx" | b"Ch"), Some(chosen)) => {
                let text = value(chosen).unwrap_or_default();
                texts.extend(text.lines().take(MAX_LINES).map(str::to_owned));
            }
            _ => {}
        }
        let rect = self
            .source
            .get_numbers(annotation, b"Rect")
            .and_then(|v| Rect::from_corners(&v));
        let (Some(rect), false) = (rect, texts.iter().all(|t| t.trim().is_empty())) else {
            return Ok(());
        };
        let size = (rect.height() / texts.len() as f32 * 0.7).clamp(6.0, 12.0);
        for (line, text) in (1u8..).zip(&texts) {
            self.source.budget.tick()?;
            let text = encoding::clean(text);
            if self.out.text.len().saturating_add(text.len()) > MAX_TEXT {
                self.out.cut = true;
                break;
            }
            let y = rect.y1 - f32::from(line) * size * 1.2;
            let along = (text.chars().count() as f32 * size * 0.5).min(rect.width());
            let state = State::plain(*base, size);
            let at = Matrix::translation(rect.x0 + 2.0, y).then(base);
            if let Some(mut glyph) = place(&at, &state, (along, 0.0), false) {
                glyph.start = self.out.text.len() as u32;
                glyph.len = text.len() as u32;
                self.out.text.push_str(&text);
                self.out.glyphs.push(glyph);
            }
        }
        Ok(())
    }

    /// An entry of a field, which it may have from the fields above it.
    fn field(&self, annotation: &'a Dictionary, key: &[u8]) -> Option<&'a Object> {
        let mut node = annotation;
        for _ in 0..MAX_FIELD_DEPTH {
            if let Some(found) = self.source.get(node, key) {
                return Some(found);
            }
            node = self.source.get_dict(node, b"Parent")?;
        }
        None
    }

    fn appearance(&self, annotation: &'a Dictionary) -> Option<&'a Stream> {
        let normal = self
            .source
            .get(self.source.get_dict(annotation, b"AP")?, b"N")?;
        match normal {
            Object::Stream(stream) => Some(stream),
            Object::Dictionary(states) => {
                let state = self.source.get_name(annotation, b"AS")?;
                self.source.get_stream(states, state)
            }
            _ => None,
        }
    }

    /// Fits the appearance's box into the annotation's rectangle.
    fn appearance_matrix(&self, annotation: &'a Dictionary, stream: &'a Stream) -> Matrix {
        let numbers = |dict, key: &[u8]| {
            self.source
                .get_numbers(dict, key)
                .and_then(|v| Rect::from_corners(&v))
        };
        let (Some(rect), Some(bbox)) =
            (numbers(annotation, b"Rect"), numbers(&stream.dict, b"BBox"))
        else {
            return Matrix::IDENTITY;
        };
        let own = self
            .source
            .get_numbers(&stream.dict, b"Matrix")
            .and_then(|v| Matrix::from_slice(&v))
            .unwrap_or(Matrix::IDENTITY);
        let placed = bbox.transformed(&own);
        let scale = |to: f32, from: f32| if from.abs() > 1.0e-3 { to / from } else { 1.0 };
        let sx = scale(rect.width(), placed.width());
        let sy = scale(rect.height(), placed.height());
        Matrix::new(
            sx,
            0.0,
            0.0,
            sy,
            rect.x0 - placed.x0 * sx,
            rect.y0 - placed.y0 * sy,
        )
    }
}
