//! Content streams into positioned glyphs.
//!
//! The result is in the page's own upright frame: origin at the top left corner, y downwards,
//! the page's rotation undone. Nothing is drawn; clips and colours are not looked at.

mod annotations;
mod marks;
mod path;

use std::collections::HashMap;
use std::rc::Rc;

use lopdf::{Dictionary, Object, ObjectId, Stream};

use marks::Mark;
use path::Path;
pub(super) use path::Segment;

use super::annotations::AnnotationCache;
use super::font::{Font, FontCache, Style};
use super::geometry::Matrix;
use super::lexer::{Lexer, Operand, Token};
use super::links::{self, LinkWords};
use super::objects::{PageEntry, Source};
use crate::ParseError;

/// Forms inside forms deeper than this are left out.
const MAX_FORM_DEPTH: usize = 24;
/// Forms executed for one page, repeats included.
const MAX_FORMS: usize = 20_000;
/// Saved graphics states.
const MAX_STATES: usize = 1_024;
/// Values waiting for an operator.
const MAX_OPERANDS: usize = 4_096;
/// Glyphs kept of one page.
const MAX_GLYPHS: usize = 2_000_000;
/// Text kept of one page, in bytes.
const MAX_TEXT: usize = 64 * 1024 * 1024;
/// Images noted of one page.
const MAX_IMAGES: usize = 256;
/// Decoded forms kept for their next use, in bytes.
const FORM_CACHE_BYTES: usize = 16 * 1024 * 1024;

/// One glyph where it stands on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    /// Its text, as a range into [`PageContent::text`].
    pub(super) start: u32,
    pub(super) len: u32,
    /// Pen position before and after it.
    pub(super) from: (f32, f32),
    pub(super) to: (f32, f32),
    /// Unit vector along the baseline.
    pub(super) dir: (f32, f32),
    /// Effective font size, in points.
    pub(super) size: f32,
    pub(super) style: Style,
    pub(super) role: Role,
}

/// What a producer says of a piece of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    /// Part of the text, as far as is known.
    #[default]
    Text,
    /// A running header.
    Header,
    /// Another artifact of pagination: a footer, a page number.
    Artifact,
}

/// What one page shows.
#[derive(Debug, Default)]
pub(super) struct PageContent {
    pub(super) text: String,
    pub(super) glyphs: Vec<Glyph>,
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) has_image: bool,
    /// Images with the area that each covers, in square points, and their quarter turns.
    images: Vec<(ObjectId, f32, u8)>,
    /// Lines that are drawn along the axes.
    pub(super) segments: Vec<Segment>,
    /// Glyphs of which no character is known.
    pub(super) unmapped: usize,
    pub(super) links: Vec<LinkWords>,
    /// Whether a limit of this module cut the page short.
    pub(super) cut: bool,
}

impl PageContent {
    /// The images that cover most of the page first.
    pub(super) fn images_by_size(&self) -> Vec<(ObjectId, u8)> {
        let mut images = self.images.clone();
        images.sort_by(|a, b| b.1.total_cmp(&a.1));
        images
            .into_iter()
            .map(|(id, _, turns)| (id, turns))
            .collect()
    }

    pub(super) fn glyph_text(&self, glyph: &Glyph) -> &str {
        let start = glyph.start as usize;
        self.text
            .get(start..start.saturating_add(glyph.len as usize))
            .unwrap_or_default()
    }
}

/// What pages have in common, kept from one to the next.
#[derive(Default)]
pub(super) struct Shared<'a> {
    fonts: FontCache,
    annotations: AnnotationCache<'a>,
}

/// Reads a page's content and the appearances of its form fields and notes.
pub(super) fn page_content<'a>(
    source: &Source<'a>,
    shared: &mut Shared<'a>,
    page: &PageEntry<'a>,
) -> Result<PageContent, ParseError> {
    let (base, width, height) = page_frame(page);
    let annotations = shared.annotations.of(source, page.dict)?;
    let mut interpreter = Interpreter {
        source,
        fonts: &mut shared.fonts,
        out: PageContent {
            width,
            height,
            ..PageContent::default()
        },
        forms_run: 0,
        active: Vec::new(),
        forms: HashMap::new(),
        forms_bytes: 0,
        marks: Vec::new(),
        path: Path::default(),
    };
    let data = interpreter.contents(page.dict)?;
    interpreter.run(&data, page.resources, base)?;
    interpreter.annotations(&annotations.shown, page, base)?;
    let mut out = interpreter.out;
    drop_outside(&mut out);
    out.links = links::find(source, &annotations.links, base, &out)?;
    Ok(out)
}

/// The matrix from PDF coordinates to the upright page, and the page's width and height.
fn page_frame(page: &PageEntry<'_>) -> (Matrix, f32, f32) {
    let r = page.media_box;
    let (w, h) = (r.width(), r.height());
    match page.quarter_turns {
        1 => (Matrix::new(0.0, 1.0, 1.0, 0.0, -r.y0, -r.x0), h, w),
        2 => (Matrix::new(-1.0, 0.0, 0.0, 1.0, r.x1, -r.y0), w, h),
        3 => (Matrix::new(0.0, -1.0, -1.0, 0.0, r.y1, r.x1), h, w),
        _ => (Matrix::new(1.0, 0.0, 0.0, -1.0, -r.x0, r.y1), w, h),
    }
}

/// Leaves out glyphs beside the page, which nobody sees, unless nothing else would be left.
fn drop_outside(out: &mut PageContent) {
    let (w, h) = (out.width, out.height);
    let inside = |g: &Glyph| {
        let x = f32::midpoint(g.from.0, g.to.0);
        let y = f32::midpoint(g.from.1, g.to.1);
        (-2.0..=w + 2.0).contains(&x) && (-2.0..=h + 2.0).contains(&y)
    };
    if out.glyphs.iter().any(inside) {
        out.glyphs.retain(inside);
    }
}

#[derive(Clone)]
struct State {
    ctm: Matrix,
    font: Option<Rc<Font>>,
    size: f32,
    char_space: f32,
    word_space: f32,
    h_scale: f32,
    leading: f32,
    rise: f32,
}

impl State {
    /// The state that a content stream begins with.
    fn plain(ctm: Matrix, size: f32) -> Self {
        Self {
            ctm,
            font: None,
            size,
            char_space: 0.0,
            word_space: 0.0,
            h_scale: 1.0,
            leading: 0.0,
            rise: 0.0,
        }
    }
}

struct Interpreter<'s, 'a> {
    source: &'s Source<'a>,
    fonts: &'s mut FontCache,
    out: PageContent,
    forms_run: usize,
    /// Addresses of the forms being executed, innermost last.
    active: Vec<usize>,
    forms: HashMap<usize, Rc<Vec<u8>>>,
    forms_bytes: usize,
    marks: Vec<Mark>,
    path: Path,
}

/// The part of the state that lives in one content stream.
struct Frame<'a> {
    state: State,
    saved: Vec<State>,
    /// Saves beyond the limit, so that restores stay balanced.
    unsaved: usize,
    tm: Matrix,
    line: Matrix,
    resources: Option<&'a Dictionary>,
}

impl<'a> Interpreter<'_, 'a> {
    /// The page's content streams, joined as if they were one.
    fn contents(&mut self, page: &'a Dictionary) -> Result<Vec<u8>, ParseError> {
        match self.source.get(page, b"Contents") {
            Some(Object::Stream(stream)) => self.source.data(stream),
            Some(Object::Array(parts)) => {
                let mut all = Vec::new();
                for part in parts {
                    if let Object::Stream(stream) = self.source.resolve(part) {
                        all.extend_from_slice(&self.source.data(stream)?);
                        all.push(b'\n');
                    }
                }
                Ok(all)
            }
            _ => Ok(Vec::new()),
        }
    }

    fn run(
        &mut self,
        data: &[u8],
        resources: Option<&'a Dictionary>,
        ctm: Matrix,
    ) -> Result<(), ParseError> {
        let mut frame = Frame {
            state: State::plain(ctm, 0.0),
            saved: Vec::new(),
            unsaved: 0,
            tm: Matrix::IDENTITY,
            line: Matrix::IDENTITY,
            resources,
        };
        let marks_before = self.marks.len();
        let mut lexer = Lexer::new(data);
        let mut operands: Vec<Operand<'_>> = Vec::new();
        while let Some(token) = lexer.next_token() {
            self.source.budget.tick()?;
            match token {
                Token::Operand(value) => {
                    if operands.len() < MAX_OPERANDS {
                        operands.push(value);
                    }
                }
                Token::Operator(b"BI") => {
                    lexer.skip_inline_image();
                    self.out.has_image = true;
                    operands.clear();
                }
                Token::Operator(op) => {
                    self.operator(op, &operands, &mut frame)?;
                    operands.clear();
                    if self.out.cut {
                        break;
                    }
                }
            }
        }
        while self.marks.len() > marks_before {
            self.close_mark();
        }
        Ok(())
    }

    fn operator(
        &mut self,
        op: &[u8],
        operands: &[Operand<'_>],
        frame: &mut Frame<'a>,
    ) -> Result<(), ParseError> {
        // Where there are too many values, the last ones count.
        let operands = match arity(op) {
            Some(count) => &operands[operands.len().saturating_sub(count)..],
            None => operands,
        };
        let number = |i: usize| operands.get(i).and_then(Operand::number);
        let set = |value: &mut f32, to: Option<f32>| {
            // What cannot be read changes nothing.
            *value = to.unwrap_or(*value);
        };
        match op {
            b"q" => {
                if frame.saved.len() < MAX_STATES {
                    frame.saved.push(frame.state.clone());
                } else {
                    frame.unsaved += 1;
                }
            }
            b"Q" => {
                if frame.unsaved > 0 {
                    frame.unsaved -= 1;
                } else if let Some(state) = frame.saved.pop() {
                    frame.state = state;
                }
            }
            b"cm" => {
                if let Some(m) = matrix(operands) {
                    let next = m.then(&frame.state.ctm);
                    if next.is_sane() {
                        frame.state.ctm = next;
                    }
                }
            }
            b"BT" => {
                frame.tm = Matrix::IDENTITY;
                frame.line = Matrix::IDENTITY;
            }
            b"Tf" => {
                if let Some(name) = operands.first().and_then(Operand::name) {
                    frame.state.font = Some(self.font(frame.resources, name)?);
                }
                set(&mut frame.state.size, number(1));
            }
            b"Tc" => set(&mut frame.state.char_space, number(0)),
            b"Tw" => set(&mut frame.state.word_space, number(0)),
            b"Tz" => set(&mut frame.state.h_scale, number(0).map(|n| n / 100.0)),
            b"TL" => set(&mut frame.state.leading, number(0)),
            b"Ts" => set(&mut frame.state.rise, number(0)),
            b"Td" | b"TD" => {
                if let (Some(x), Some(y)) = (number(0), number(1)) {
                    if op == b"TD" {
                        frame.state.leading = -y;
                    }
                    frame.move_line(x, y);
                }
            }
            b"Tm" => {
                if let Some(m) = matrix(operands) {
                    frame.tm = m;
                    frame.line = m;
                }
            }
            b"T*" => frame.next_line(),
            b"Tj" => self.show(operands.first(), frame)?,
            b"'" => {
                frame.next_line();
                self.show(operands.first(), frame)?;
            }
            b"\"" => {
                set(&mut frame.state.word_space, number(0));
                set(&mut frame.state.char_space, number(1));
                frame.next_line();
                self.show(operands.get(2), frame)?;
            }
            b"TJ" => {
                if let Some(Operand::Array(items)) = operands.first() {
                    for item in items {
                        self.source.budget.tick()?;
                        match item {
                            Operand::Number(n) => frame.kern(*n),
                            other => self.show(Some(other), frame)?,
                        }
                    }
                }
            }
            b"Do" => {
                if let Some(name) = operands.first().and_then(Operand::name) {
                    self.x_object(name, frame)?;
                }
            }
            b"m" | b"l" | b"c" | b"v" | b"y" | b"h" | b"re" => {
                self.path.build(op, operands, &frame.state.ctm);
            }
            b"S" | b"s" | b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*" | b"n" => {
                self.path.paint(op, &mut self.out.segments);
            }
            b"BMC" | b"BDC" => self.open_mark(operands, frame),
            b"EMC" => self.close_mark(),
            b"gs" => {
                if let Some(name) = operands.first().and_then(Operand::name) {
                    self.graphics_state(name, frame)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn font(
        &mut self,
        resources: Option<&'a Dictionary>,
        name: &[u8],
    ) -> Result<Rc<Font>, ParseError> {
        let dict = resources
            .and_then(|r| self.source.get_dict(r, b"Font"))
            .and_then(|f| self.source.get_dict(f, name));
        match dict {
            Some(dict) => self.fonts.get(self.source, dict),
            None => Ok(self.fonts.fallback()),
        }
    }

    /// A graphics-state dictionary may set the font.
    fn graphics_state(&mut self, name: &[u8], frame: &mut Frame<'a>) -> Result<(), ParseError> {
        let font = frame
            .resources
            .and_then(|r| self.source.get_dict(r, b"ExtGState"))
            .and_then(|g| self.source.get_dict(g, name))
            .and_then(|g| self.source.get_array(g, b"Font"));
        if let Some([font, size]) = font {
            if let Some(dict) = self.source.dict(font) {
                frame.state.font = Some(self.fonts.get(self.source, dict)?);
            }
            frame.state.size = self.source.number(size).unwrap_or(0.0);
        }
        Ok(())
    }

    fn show(
        &mut self,
        operand: Option<&Operand<'_>>,
        frame: &mut Frame<'a>,
    ) -> Result<(), ParseError> {
        let Some(bytes) = operand.and_then(Operand::string) else {
            return Ok(());
        };
        let font = match &frame.state.font {
            Some(font) => Rc::clone(font),
            None => self.fonts.fallback(),
        };
        let role = self.marks.iter().find_map(|m| match m {
            Mark::Artifact(role) => Some(*role),
            _ => None,
        });
        let role = role.unwrap_or_default();
        let out = &mut self.out;
        let budget = self.source.budget;
        font.show(bytes, |shown| {
            budget.tick()?;
            let state = &frame.state;
            let mut space = state.char_space;
            if shown.word_space {
                space += state.word_space;
            }
            let (glyph_x, glyph_y, dx, dy) = if font.vertical {
                // The pen goes down by one em; the glyph's width plays no part.
                let down = -state.size;
                (0.0, down, 0.0, down - space)
            } else {
                let along = shown.width * state.size * state.h_scale;
                (along, 0.0, along + space * state.h_scale, 0.0)
            };
            let trm = frame.tm.then(&state.ctm);
            if shown.text.is_empty() {
                out.unmapped = out.unmapped.saturating_add(1);
            } else if out.glyphs.len() >= MAX_GLYPHS || out.text.len() >= MAX_TEXT {
                out.cut = true;
            } else {
                // The pen's own spacing belongs to the glyph, so that letter-spaced words stay
                // whole, unless it is as wide as a word space.
                let (end_x, end_y) = if space.abs() < state.size.abs() * 0.5 && !shown.word_space {
                    (dx, dy)
                } else {
                    (glyph_x, glyph_y)
                };
                if let Some(mut glyph) = place(&trm, state, (end_x, end_y), font.vertical) {
                    glyph.style = font.style;
                    glyph.role = role;
                    glyph.start = out.text.len() as u32;
                    glyph.len = shown.text.len() as u32;
                    out.text.push_str(shown.text);
                    out.glyphs.push(glyph);
                }
            }
            let moved = Matrix::translation(dx, dy).then(&frame.tm);
            if moved.is_sane() {
                frame.tm = moved;
            }
            Ok(())
        })
    }

    fn x_object(&mut self, name: &[u8], frame: &Frame<'a>) -> Result<(), ParseError> {
        let objects = frame
            .resources
            .and_then(|r| self.source.get_dict(r, b"XObject"));
        let Some(stream) = objects.and_then(|x| self.source.get_stream(x, name)) else {
            return Ok(());
        };
        match self.source.get_name(&stream.dict, b"Subtype") {
            Some(b"Image") => {
                self.out.has_image = true;
                if let Some(Ok(Object::Reference(id))) = objects.map(|x| x.get(name))
                    && self.out.images.len() < MAX_IMAGES
                {
                    let m = &frame.state.ctm;
                    let area = (m.a * m.d - m.b * m.c).abs();
                    // An upright image's rows run along x, in a frame whose y runs down.
                    let quarters = (m.b.atan2(m.a).to_degrees() / 90.0).round() as i32;
                    let turns = quarters.rem_euclid(4) as u8;
                    self.out.images.push((*id, area, turns));
                }
                Ok(())
            }
            Some(b"Form") | None => self.form(stream, frame.resources, frame.state.ctm),
            _ => Ok(()),
        }
    }

    fn form(
        &mut self,
        stream: &'a Stream,
        outer: Option<&'a Dictionary>,
        ctm: Matrix,
    ) -> Result<(), ParseError> {
        let key = std::ptr::from_ref(stream) as usize;
        if self.active.contains(&key)
            || self.active.len() >= MAX_FORM_DEPTH
            || self.forms_run >= MAX_FORMS
        {
            return Ok(());
        }
        self.forms_run += 1;
        let own = self
            .source
            .get_numbers(&stream.dict, b"Matrix")
            .and_then(|v| Matrix::from_slice(&v))
            .unwrap_or(Matrix::IDENTITY);
        let inner = own.then(&ctm);
        if !inner.is_sane() {
            return Ok(());
        }
        let data = if let Some(data) = self.forms.get(&key) {
            self.source.spend(data.len())?;
            Rc::clone(data)
        } else {
            let data = Rc::new(self.source.data(stream)?);
            if self.forms_bytes.saturating_add(data.len()) <= FORM_CACHE_BYTES {
                self.forms_bytes += data.len();
                self.forms.insert(key, Rc::clone(&data));
            }
            data
        };
        let resources = self.source.get_dict(&stream.dict, b"Resources").or(outer);
        self.active.push(key);
        let result = self.run(&data, resources, inner);
        self.active.pop();
        result
    }
}

impl Frame<'_> {
    fn move_line(&mut self, x: f32, y: f32) {
        let moved = Matrix::translation(x, y).then(&self.line);
        if moved.is_sane() {
            self.line = moved;
        }
        self.tm = self.line;
    }

    fn next_line(&mut self) {
        self.move_line(0.0, -self.state.leading);
    }

    /// Moves the pen back by `n` thousandths of the font size.
    fn kern(&mut self, n: f32) {
        let by = -n / 1000.0 * self.state.size;
        let vertical = self.state.font.as_ref().is_some_and(|f| f.vertical);
        let step = if vertical {
            Matrix::translation(0.0, by)
        } else {
            Matrix::translation(by * self.state.h_scale, 0.0)
        };
        let moved = step.then(&self.tm);
        if moved.is_sane() {
            self.tm = moved;
        }
    }
}

/// Values that an operator of text or of places takes.
fn arity(op: &[u8]) -> Option<usize> {
    Some(match op {
        b"Tc" | b"Tw" | b"Tz" | b"TL" | b"Ts" | b"Tj" | b"TJ" | b"'" | b"Do" | b"gs" => 1,
        b"Tf" | b"Td" | b"TD" | b"m" | b"l" => 2,
        b"\"" => 3,
        b"v" | b"y" | b"re" => 4,
        b"Tm" | b"cm" | b"c" => 6,
        _ => return None,
    })
}

fn matrix(operands: &[Operand<'_>]) -> Option<Matrix> {
    let numbers: Option<Vec<f32>> = operands.iter().map(Operand::number).collect();
    Matrix::from_slice(&numbers?).filter(Matrix::is_sane)
}

/// A glyph at the pen, or `None` where it has no size or no place.
fn place(trm: &Matrix, state: &State, advance: (f32, f32), vertical: bool) -> Option<Glyph> {
    let from = trm.apply(0.0, state.rise);
    let to = trm.apply(advance.0, state.rise + advance.1);
    // The font size is what one em is high; the baseline runs along the matrix's first row.
    let size = state.size.abs() * trm.c.hypot(trm.d);
    let sign = if state.size < 0.0 { -1.0 } else { 1.0 };
    let (ax, ay) = if vertical {
        (-trm.c * sign, -trm.d * sign)
    } else {
        let flip = if state.h_scale < 0.0 { -sign } else { sign };
        (trm.a * flip, trm.b * flip)
    };
    let norm = ax.hypot(ay);
    let fine = [from.0, from.1, to.0, to.1, size, norm]
        .iter()
        .all(|v| v.is_finite() && v.abs() < 1.0e7);
    if !fine || size < 0.05 || norm < 1.0e-6 {
        return None;
    }
    Some(Glyph {
        start: 0,
        len: 0,
        from,
        to,
        dir: (ax / norm, ay / norm),
        size,
        style: Style::default(),
        role: Role::Text,
    })
}
