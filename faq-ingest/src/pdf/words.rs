//! Glyphs into words, words into fragments: pieces of one line with no wide gap in them.

use super::font::Style;
use super::interpret::{Glyph, PageContent, Role};
use super::place::{ASCENT, DESCENT};
use super::ruling::Rules;
use crate::ParseError;
use crate::limits::Budget;

/// A gap wider than this share of the font size parts two words.
const WORD_GAP: f32 = 0.15;
/// A gap wider than this share of the font size parts two fragments.
const FRAGMENT_GAP: f32 = 0.9;
/// Fragments on either side, in the order of height, among which a bullet's text is looked for.
const NEAR: usize = 64;
/// Directions of text that are told apart on one page.
const MAX_DIRECTIONS: usize = 8;

/// A word in the frame of its direction: x along the baseline, y across it, downwards.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) x0: f32,
    pub(super) x1: f32,
    /// Baseline.
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) style: Style,
    /// Whether a space was drawn on either side of it.
    space_left: bool,
    space_right: bool,
}

/// Words of one line without a wide gap between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fragment<T = String> {
    pub(super) text: T,
    pub(super) x0: f32,
    pub(super) x1: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) style: Style,
    /// Characters in `text`.
    pub(super) chars: usize,
    /// Place in the content stream.
    pub(super) order: usize,
    /// Width of the first word, to tell whether it would have fitted the line above.
    pub(super) first_word: f32,
    /// The row of a drawn table that it stands for.
    pub(super) row: Option<usize>,
}

impl Fragment<&str> {
    pub(super) fn into_owned(self) -> Fragment {
        Fragment {
            text: self.text.to_owned(),
            x0: self.x0,
            x1: self.x1,
            y: self.y,
            size: self.size,
            style: self.style,
            chars: self.chars,
            order: self.order,
            first_word: self.first_word,
            row: self.row,
        }
    }
}

impl<T> Fragment<T> {
    pub(super) fn top(&self) -> f32 {
        self.y - self.size * ASCENT
    }

    pub(super) fn bottom(&self) -> f32 {
        self.y + self.size * DESCENT
    }

    /// Swaps left and right, so that all that follows reads a right-to-left page the same way.
    fn mirror(&mut self) {
        (self.x0, self.x1) = (-self.x1, -self.x0);
    }
}

/// The fragments of all text that runs in one direction.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pub(super) fragments: Vec<Fragment>,
    /// Glyphs in it, by which the main direction of a page is told.
    pub(super) glyphs: usize,
    /// Angle of its lines to the page's upper edge.
    pub(super) degrees: i16,
    /// Whether left and right were swapped, as for right-to-left text.
    pub(super) mirrored: bool,
}

/// Words that followed each other in the content stream along one baseline.
struct Run {
    words: Vec<Word>,
    x0: f32,
    y: f32,
    size: f32,
    order: usize,
}

/// The page's text by direction, the one with most glyphs first; `lone` says that the document
/// has no other page.
pub(super) fn directions(
    content: &PageContent,
    rules: &Rules,
    lone: bool,
    budget: &Budget,
) -> Result<Vec<Direction>, ParseError> {
    let dropped = |g: &Glyph| match g.role {
        Role::Text => false,
        // What heads a page on its own is a letterhead: nothing runs.
        Role::Header => !lone,
        Role::Artifact => true,
    };
    let artifacts = content.glyphs.iter().filter(|g| dropped(g)).count();
    // A page of artifacts only is a producer's mistake, not a page without text.
    let keep_artifacts = artifacts.saturating_mul(2) > content.glyphs.len();
    let mut groups: Vec<(i16, Vec<&Glyph>)> = Vec::new();
    let mut last = ((f32::NAN, f32::NAN), 0);
    for glyph in &content.glyphs {
        budget.tick()?;
        if !keep_artifacts && dropped(glyph) {
            continue;
        }
        // Neighbours run the same way as a rule.
        if last.0 != glyph.dir {
            let angle = degrees(glyph.dir);
            let known = groups.iter().position(|(a, _)| *a == angle);
            let group = match known {
                Some(group) => group,
                None if groups.len() >= MAX_DIRECTIONS => 0,
                None => {
                    groups.push((angle, Vec::new()));
                    groups.len() - 1
                }
            };
            last = (glyph.dir, group);
        }
        groups[last.1].1.push(glyph);
    }
    let mut out = Vec::new();
    for (degrees, glyphs) in groups {
        let runs = runs(content, &glyphs, degrees, budget)?;
        let upright = degrees == 0;
        let rules = Some(rules).filter(|r| upright && !r.vertical.is_empty());
        let mut fragments = fragments(runs, rules, budget)?;
        level_bullets(&mut fragments);
        let mirrored = super::bidi::is_rtl(fragments.iter().map(|f| f.text.as_str()));
        if mirrored {
            fragments.iter_mut().for_each(Fragment::mirror);
        }
        out.push(Direction {
            fragments,
            glyphs: glyphs.len(),
            degrees,
            mirrored,
        });
    }
    out.sort_by_key(|d| std::cmp::Reverse(d.glyphs));
    Ok(out)
}

/// The baseline's angle; small deviations from the axes are scanners' skew.
fn degrees(dir: (f32, f32)) -> i16 {
    let exact = dir.1.atan2(dir.0).to_degrees();
    let quarter = (exact / 90.0).round() * 90.0;
    let snapped = if (exact - quarter).abs() < 4.0 {
        quarter
    } else {
        exact.round()
    };
    (snapped as i16).rem_euclid(360)
}

fn runs(
    content: &PageContent,
    glyphs: &[&Glyph],
    degrees: i16,
    budget: &Budget,
) -> Result<Vec<Run>, ParseError> {
    let (sin, cos) = f32::from(degrees).to_radians().sin_cos();
    let turn = |p: (f32, f32)| (p.0 * cos + p.1 * sin, p.1 * cos - p.0 * sin);
    let mut builder = RunBuilder::default();
    for (order, glyph) in glyphs.iter().enumerate() {
        budget.tick()?;
        let (x0, y) = turn(glyph.from);
        let (x1, _) = turn(glyph.to);
        builder.glyph(
            content.glyph_text(glyph),
            (x0.min(x1), x0.max(x1)),
            y,
            glyph,
            order,
        );
    }
    builder.close_word();
    Ok(builder.runs)
}

#[derive(Default)]
struct RunBuilder<'t> {
    runs: Vec<Run>,
    word: Option<Word>,
    /// Text and place of the last glyph, to see it drawn twice.
    last: Option<(&'t str, f32, f32)>,
    /// Where the last glyph was, if it was a space.
    space: Option<(f32, f32)>,
    order: usize,
}

impl Word {
    fn note_space(&mut self, middle: f32) {
        if middle >= f32::midpoint(self.x0, self.x1) {
            self.space_right = true;
        } else {
            self.space_left = true;
        }
    }
}

impl<'t> RunBuilder<'t> {
    fn glyph(&mut self, text: &'t str, (x0, x1): (f32, f32), y: f32, glyph: &Glyph, order: usize) {
        let size = glyph.size;
        if text.trim().is_empty() {
            // Right-to-left text may be drawn either way, so the space's place decides.
            let middle = f32::midpoint(x0, x1);
            if let Some(word) = &mut self.word {
                word.note_space(middle);
            }
            self.close_word();
            self.space = Some((middle, y));
            return;
        }
        if let Some((last, lx, ly)) = self.last
            && last == text
            && (x0 - lx).abs() < (size * 0.12).min((x1 - x0) * 0.5)
            && (y - ly).abs() < size * 0.12
        {
            // Drawn again in nearly the same place, to look bold.
            return;
        }
        self.last = Some((text, x0, y));
        // A right-to-left ligature's letters come in the order of speech, all else as it stands.
        let turned = super::bidi::visual(text);
        let text = turned.as_deref().unwrap_or(text);
        if let Some(word) = &mut self.word {
            let gap = x0 - word.x1;
            let larger = word.size.max(size);
            let same_line = (y - word.y).abs() < larger * 0.12;
            let same_size = (word.size - size).abs() < larger * 0.25;
            if same_line && same_size && gap < larger * WORD_GAP && gap > -larger * 0.6 {
                if !compose(&mut word.text, text, x0 - word.x1, size) {
                    word.text.push_str(text);
                }
                word.x1 = word.x1.max(x1);
                return;
            }
            self.close_word();
        }
        self.order = order;
        let mut word = Word {
            text: text.to_owned(),
            x0,
            x1,
            y,
            size,
            style: glyph.style,
            space_left: false,
            space_right: false,
        };
        if let Some((middle, level)) = self.space.take()
            && (level - y).abs() < size * 0.5
        {
            word.note_space(middle);
        }
        self.word = Some(word);
    }

    fn close_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        let order = self.order;
        if let Some(run) = self.runs.last_mut()
            && let Some(last) = run.words.last()
        {
            let larger = run.size.max(word.size);
            let gap = word.x0 - last.x1;
            let near = gap > -larger * 0.6 && gap < larger * FRAGMENT_GAP;
            let level = (word.y - run.y).abs() < larger * 0.12;
            // A smaller word a little above or below is a superscript or a subscript.
            let script = word.size.min(run.size) < larger * 0.85
                && (word.y - run.y).abs() < larger * 0.6
                && gap < larger * 0.35;
            if near && (level || script) {
                if word.size > run.size * 1.1 {
                    run.size = word.size;
                    run.y = word.y;
                }
                run.x0 = run.x0.min(word.x0);
                run.words.push(word);
                return;
            }
        }
        self.runs.push(Run {
            y: word.y,
            size: word.size,
            x0: word.x0,
            words: vec![word],
            order,
        });
    }
}

/// Puts a spacing accent and the letter that it overlaps together; whether it did.
fn compose(word: &mut String, next: &str, gap: f32, size: f32) -> bool {
    use unicode_normalization::char::compose as pair;
    if gap > -size * 0.15 {
        return false;
    }
    let (Some(last), Some(c)) = (word.chars().next_back(), next.chars().next()) else {
        return false;
    };
    let mark = |c: char| {
        Some(match c {
            '´' => '\u{301}',
            '`' => '\u{300}',
            '¨' => '\u{308}',
            'ˆ' | '^' => '\u{302}',
            '˜' | '~' => '\u{303}',
            'ˇ' => '\u{30c}',
            '˚' => '\u{30a}',
            '¸' => '\u{327}',
            '˘' => '\u{306}',
            '˙' => '\u{307}',
            '˝' => '\u{30b}',
            '¯' => '\u{304}',
            _ => return None,
        })
    };
    let joined = match (mark(last), mark(c)) {
        (Some(m), None) => pair(c, m),
        (None, Some(m)) => pair(last, m),
        _ => None,
    };
    let Some(joined) = joined else { return false };
    word.pop();
    word.push(joined);
    true
}

/// Puts runs on one baseline together where no wide gap is between them.
fn fragments(
    mut runs: Vec<Run>,
    rules: Option<&Rules>,
    budget: &Budget,
) -> Result<Vec<Fragment>, ParseError> {
    runs.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut out = Vec::new();
    let mut row: Vec<Run> = Vec::new();
    for run in runs {
        budget.tick()?;
        let fits = row
            .first()
            .is_none_or(|first| run.y - first.y < first.size.min(run.size) * 0.2);
        if !fits {
            close_row(std::mem::take(&mut row), rules, &mut out);
        }
        row.push(run);
    }
    close_row(row, rules, &mut out);
    Ok(out)
}

/// Puts a bullet that is smaller than its text, and drawn higher for it, on the text's line.
fn level_bullets(fragments: &mut [Fragment]) {
    for at in 0..fragments.len() {
        let bullet = &fragments[at];
        if !super::lines::is_bullet(&bullet.text) {
            continue;
        }
        let (from, to) = (at.saturating_sub(NEAR), (at + NEAR).min(fragments.len()));
        let text = fragments[from..to]
            .iter()
            .filter(|f| {
                f.x0 >= bullet.x1 - 0.5
                    && f.x0 - bullet.x1 < f.size * 4.0
                    && (f.y - bullet.y).abs() < f.size * 0.5
                    && f.size >= bullet.size
                    && !super::lines::is_bullet(&f.text)
            })
            .min_by(|a, b| a.x0.total_cmp(&b.x0))
            .map(|f| (f.y, f.size));
        if let Some((y, size)) = text {
            (fragments[at].y, fragments[at].size) = (y, size);
        }
    }
}

fn close_row(mut row: Vec<Run>, rules: Option<&Rules>, out: &mut Vec<Fragment>) {
    row.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    let mut words: Vec<Word> = Vec::new();
    let (mut order, mut end, mut size) = (usize::MAX, f32::MIN, 0.0f32);
    for run in row {
        if !words.is_empty() && run.x0 - end >= size.max(run.size) * FRAGMENT_GAP {
            pieces(std::mem::take(&mut words), order, rules, out);
            (order, end) = (usize::MAX, f32::MIN);
        }
        order = order.min(run.order);
        size = run.size;
        end = run.words.iter().map(|w| w.x1).fold(end, f32::max);
        words.extend(run.words);
    }
    pieces(words, order, rules, out);
}

/// Words into fragments: one, or one on either side of each line that is drawn between two.
fn pieces(mut words: Vec<Word>, order: usize, rules: Option<&Rules>, out: &mut Vec<Fragment>) {
    words.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    drop_doubles(&mut words);
    if let Some(rules) = rules {
        let mut at = 1;
        while at < words.len() {
            let (last, next) = (&words[at - 1], &words[at]);
            if next.x0 > last.x1 && rules.part(last.x1, next.x0, next.y - next.size * 0.3) {
                let rest = words.split_off(at);
                out.extend(fragment(&std::mem::replace(&mut words, rest), order));
                at = 1;
            } else {
                at += 1;
            }
        }
    }
    out.extend(fragment(&words, order));
}

fn fragment(words: &[Word], order: usize) -> Option<Fragment> {
    let rtl = super::bidi::is_rtl(words.iter().map(|w| w.text.as_str()));
    let first = words.first()?;
    let x0 = first.x0;
    let spoken_first = if rtl { words.last() } else { words.first() };
    let first_word = spoken_first.map_or(0.0, |w| w.x1 - w.x0);
    let x1 = words.iter().map(|w| w.x1).fold(f32::MIN, f32::max);
    let spaced = |i: usize| {
        i > 0 && {
            let (last, word) = (&words[i - 1], &words[i]);
            let gap = word.x0 - last.x1;
            last.space_right
                || word.space_left
                || gap > last.size.max(word.size) * WORD_GAP
                || super::bidi::scripts_meet(&last.text, &word.text)
                // Pieces set one over the other are no one word.
                || gap < last.size.max(word.size) * -0.3
        }
    };
    let text = if rtl {
        let pieces: Vec<(String, bool)> = words
            .iter()
            .enumerate()
            .map(|(i, w)| (w.text.clone(), spaced(i)))
            .collect();
        super::bidi::logical(&pieces)
    } else {
        let mut text = String::with_capacity(words.iter().map(|w| w.text.len() + 1).sum());
        for (i, word) in words.iter().enumerate() {
            if spaced(i) {
                text.push(' ');
            }
            text.push_str(&word.text);
        }
        text
    };
    let lead = words.iter().max_by_key(|w| w.text.len()).unwrap_or(first);
    let letters = |pick: fn(&Style) -> bool| -> bool {
        let (mut yes, mut all) = (0usize, 0usize);
        for w in words {
            all += w.text.len();
            if pick(&w.style) {
                yes += w.text.len();
            }
        }
        yes * 10 >= all * 9
    };
    Some(Fragment {
        chars: text.chars().count(),
        text,
        x0,
        x1,
        y: lead.y,
        size: dominant_size(words),
        style: Style {
            bold: letters(|s| s.bold),
            italic: letters(|s| s.italic),
            mono: letters(|s| s.mono),
        },
        order,
        first_word,
        row: None,
    })
}

/// The size that most letters have.
fn dominant_size(words: &[Word]) -> f32 {
    let mut sizes: Vec<(f32, usize)> = Vec::new();
    for w in words {
        let known = sizes.iter().position(|(s, _)| (s - w.size).abs() < 0.2);
        match known {
            Some(at) => sizes[at].1 += w.text.len(),
            None if sizes.len() < 16 => sizes.push((w.size, w.text.len())),
            None => {}
        }
    }
    sizes
        .into_iter()
        .max_by_key(|(_, n)| *n)
        .map_or(1.0, |(s, _)| s)
}

/// Leaves out words that are drawn again over themselves.
fn drop_doubles(words: &mut Vec<Word>) {
    words.dedup_by(|b, a| {
        let near = (a.size * 0.2).min((a.x1 - a.x0) * 0.5);
        a.text == b.text && (a.x0 - b.x0).abs() < near
    });
}
