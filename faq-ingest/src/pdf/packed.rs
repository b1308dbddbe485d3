//! The fragments of a page at rest, until those of all pages are known.
//!
//! A document of the largest size holds half a million of them. Their texts lie in one piece,
//! and the rest of each in forty bytes.

use super::font::Style;
use super::words::Fragment;

/// Fragments in their order, out of which each can be had again as it was.
#[derive(Debug, Clone, Default)]
pub(super) struct Packed {
    text: String,
    places: Vec<Place>,
}

/// A fragment without its text.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Length of the text, in bytes.
    len: u32,
    chars: u32,
    order: u32,
    /// One more than the fragment's, and 0 for none.
    row: u32,
    x0: f32,
    x1: f32,
    y: f32,
    size: f32,
    first_word: f32,
    /// Bold, italic and mono, from the lowest bit.
    style: u8,
}

impl Packed {
    pub(super) fn of(fragments: Vec<Fragment>) -> Self {
        let mut packed = Self {
            text: String::with_capacity(fragments.iter().map(|f| f.text.len()).sum()),
            places: Vec::with_capacity(fragments.len()),
        };
        for f in fragments {
            packed.text.push_str(&f.text);
            let Style { bold, italic, mono } = f.style;
            packed.places.push(Place {
                len: f.text.len() as u32,
                chars: f.chars as u32,
                order: f.order as u32,
                row: f.row.map_or(0, |row| row as u32 + 1),
                x0: f.x0,
                x1: f.x1,
                y: f.y,
                size: f.size,
                first_word: f.first_word,
                style: u8::from(bold) | u8::from(italic) << 1 | u8::from(mono) << 2,
            });
        }
        packed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The fragments as they lie here.
    pub(super) fn iter(&self) -> impl Iterator<Item = Fragment<&str>> {
        let mut rest = self.text.as_str();
        self.places.iter().map(move |place| {
            let (text, after) = rest
                .split_at_checked(place.len as usize)
                .unwrap_or((rest, ""));
            rest = after;
            place.fragment(text)
        })
    }

    pub(super) fn unpack(&self) -> Vec<Fragment> {
        self.iter().map(Fragment::into_owned).collect()
    }

    /// Leaves out the fragments at the places that are marked.
    pub(super) fn remove(&mut self, gone: &[bool]) {
        let mut text = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        let mut marks = gone.iter();
        self.places.retain(|place| {
            let (own, after) = rest
                .split_at_checked(place.len as usize)
                .unwrap_or((rest, ""));
            rest = after;
            let stays = marks.next() != Some(&true);
            if stays {
                text.push_str(own);
            }
            stays
        });
        self.text = text;
    }
}

impl Place {
    fn fragment<T>(&self, text: T) -> Fragment<T> {
        Fragment {
            text,
            x0: self.x0,
            x1: self.x1,
            y: self.y,
            size: self.size,
            style: Style {
                bold: self.style & 1 != 0,
                italic: self.style & 2 != 0,
                mono: self.style & 4 != 0,
            },
            chars: self.chars as usize,
            order: self.order as usize,
            first_word: self.first_word,
            row: (self.row as usize).checked_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(text: &str, row: Option<usize>, bold: bool) -> Fragment {
        Fragment {
            text: text.to_owned(),
            x0: 1.0,
            x1: 2.0,
            y: 3.0,
            size: 4.0,
            style: Style {
                bold,
                mono: !bold,
                italic: bold,
            },
            chars: text.chars().count(),
            order: 7,
            first_word: 0.5,
            row,
        }
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let all = vec![
            fragment("früh", None, true),
            fragment("", Some(0), false),
            fragment("日本", Some(9), false),
        ];
        let mut packed = Packed::of(all.clone());
        assert_eq!(packed.unpack(), all);
        packed.remove(&[true, false, false]);
        assert_eq!(packed.unpack(), all[1..]);
        packed.remove(&[true, true]);
        assert!(packed.is_empty());
    }
}
