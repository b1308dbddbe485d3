//! Form fields and typed notes, which lie on a page beside its content.

use lopdf::{Dictionary, Object, Stream};

use super::Interpreter;
use crate::ParseError;
use crate::pdf::geometry::{Matrix, Rect};
use crate::pdf::objects::PageEntry;

impl<'a> Interpreter<'_, 'a> {
    /// Appearances of form fields and typed notes are part of what a reader sees.
    pub(super) fn annotations(
        &mut self,
        page: &PageEntry<'a>,
        base: Matrix,
    ) -> Result<(), ParseError> {
        let list = self
            .source
            .get_array(page.dict, b"Annots")
            .unwrap_or_default();
        for item in list {
            self.source.budget.tick()?;
            let Some(annotation) = self.source.dict(item) else {
                continue;
            };
            let shown = matches!(
                self.source.get_name(annotation, b"Subtype"),
                Some(b"Widget" | b"FreeText" | b"Stamp")
            );
            let flags = self.source.get_number(annotation, b"F").unwrap_or(0.0) as i64;
            // Hidden, or not to be viewed.
            if !shown || flags & 0x22 != 0 {
                continue;
            }
            if let Some(stream) = self.appearance(annotation) {
                let ctm = self.appearance_matrix(annotation, stream).then(&base);
                if ctm.is_sane() {
                    self.form(stream, page.resources, ctm)?;
                }
            }
        }
        Ok(())
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
