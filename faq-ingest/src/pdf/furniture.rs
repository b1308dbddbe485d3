//! Running headers, footers and page numbers: what repeats at the same place from page to page.

use std::collections::HashMap;

use super::packed::Packed;
use super::words::Fragment;
use crate::ParseError;
use crate::limits::Budget;

/// Rows looked at from each end of a page.
const EDGE_ROWS: usize = 3;
/// Share of a page's height, from either edge, in which such rows lie.
const MARGIN: f32 = 0.16;
/// As [`MARGIN`], for numbers of pages.
const LABEL_MARGIN: f32 = 0.2;
/// Rows of one place may differ by this much, in points.
const SLACK: f32 = 2.5;

/// The word that numbers of pages stand behind.
const PAGE: [&str; 10] = [
    "page",
    "seite",
    "pagina",
    "página",
    "strona",
    "sida",
    "side",
    "страница",
    "صفحة",
    "صفحه",
];

/// A row at the top or the bottom of a page.
struct EdgeRow {
    page: usize,
    top: bool,
    /// 0 for the outermost row.
    rank: usize,
    y: f32,
    /// Text as it stands, and with every number made equal.
    exact: String,
    key: String,
    /// Whether a gap wider than a line parts it from the rest of the page.
    apart: bool,
    /// Whether it lies in the outer part of the page.
    margin: bool,
    /// Whether it is no larger than the page's text.
    modest: bool,
    members: Vec<usize>,
}

/// Takes running headers and footers out of every page's fragments.
pub(super) fn remove(
    pages: &mut [Packed],
    heights: &[f32],
    budget: &Budget,
) -> Result<(), ParseError> {
    page_labels(pages, heights);
    if pages.len() < 2 {
        return Ok(());
    }
    let mut rows: Vec<EdgeRow> = Vec::new();
    for (page, (fragments, &height)) in pages.iter().zip(heights).enumerate() {
        budget.tick()?;
        let fragments: Vec<Fragment<&str>> = fragments.iter().collect();
        edge_rows(page, &fragments, height, &mut rows);
    }
    let mut marked = vec![false; rows.len()];
    let mut exact = marked.clone();
    repeated(&rows, pages.len(), |r| &r.key, &mut marked);
    repeated(&rows, pages.len(), |r| &r.exact, &mut exact);
    running_titles(&rows, pages.len(), &mut marked);
    let drop = outermost(&rows, &marked, &exact, pages.len());
    let few = pages.len() <= 3;
    for (fragments, drop) in pages.iter_mut().zip(drop) {
        if drop.is_empty() {
            continue;
        }
        let chars: Vec<usize> = fragments.iter().map(|f| f.chars).collect();
        let all: usize = chars.iter().sum();
        let dropped: usize = drop.iter().filter_map(|&d| chars.get(d)).sum();
        // Few pages that agree in much of their text are copies, not pages with a frame.
        if few && dropped * 10 > all * 3 {
            continue;
        }
        let mut gone = vec![false; chars.len()];
        for at in drop {
            if let Some(flag) = gone.get_mut(at) {
                *flag = true;
            }
        }
        fragments.remove(&gone);
    }
    Ok(())
}

/// Takes out a lone number of the page in either margin, which says so by being right: what
/// repeats tells nothing in a document of few pages.
fn page_labels(pages: &mut [Packed], heights: &[f32]) {
    let count = pages.len();
    if count > 3 {
        return;
    }
    for ((page, packed), &height) in (1..).zip(pages.iter_mut()).zip(heights) {
        for top in [true, false] {
            let fragments: Vec<Fragment<&str>> = packed.iter().collect();
            let outer = |f: &&Fragment<&str>| if top { f.y } else { height - f.y };
            let Some(edge) = fragments
                .iter()
                .min_by(|a, b| outer(a).total_cmp(&outer(b)))
            else {
                break;
            };
            let (y, size, near) = (edge.y, edge.size, outer(&edge));
            let level = |f: &Fragment<&str>| (f.y - y).abs() < size * 2.0;
            let alone = fragments.iter().filter(|f| level(f)).count() == 1;
            if alone
                && near < height * LABEL_MARGIN
                && fragments.len() > 1
                && is_label(edge.text, page, count)
            {
                let gone: Vec<bool> = fragments.iter().map(|f| f.y == y).collect();
                packed.remove(&gone);
            }
        }
    }
}

/// Whether a text is a page's number: `3`, `- 3 -`, `Page 3`, `3 of 8`, `3/8`.
fn is_label(text: &str, page: usize, pages: usize) -> bool {
    let mut numbers = Vec::new();
    let (mut words, mut named) = (0, false);
    for part in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|p| !p.is_empty())
    {
        match part.parse::<usize>() {
            Ok(n) => numbers.push(n),
            Err(_) if part.chars().count() <= 8 && part.chars().all(char::is_alphabetic) => {
                words += 1;
                named |= PAGE.contains(&part.to_lowercase().as_str());
            }
            Err(_) => return false,
        }
    }
    match numbers.as_slice() {
        // A page on its own may have been cut out of anything.
        [n] => words <= 1 && (*n == page || named && pages == 1),
        [n, all] => *n == page && *all == pages && words <= 2,
        _ => false,
    }
}

/// Of the marked rows those with nothing but marked rows between them and the page's edge.
/// Behind the first wide gap the page's own text may begin, so only what repeats to the letter
/// counts there.
fn outermost(rows: &[EdgeRow], marked: &[bool], exact: &[bool], pages: usize) -> Vec<Vec<usize>> {
    let mut drop: Vec<Vec<usize>> = vec![Vec::new(); pages];
    // Rows stand in the order of pages, edges and ranks, so one pass sees each edge whole.
    let (mut open, mut behind) = (true, false);
    for ((row, &marked), &exact) in rows.iter().zip(marked).zip(exact) {
        if row.rank == 0 {
            (open, behind) = (true, false);
        }
        open &= if behind { exact } else { marked };
        behind |= row.apart;
        // What a short document repeats at the top is often its title: it stays once.
        if open && !(pages <= 3 && row.page == 0 && row.top) {
            drop[row.page].extend(&row.members);
        }
    }
    drop
}

fn edge_rows(page: usize, fragments: &[Fragment<&str>], height: f32, out: &mut Vec<EdgeRow>) {
    let mut order: Vec<usize> = (0..fragments.len()).collect();
    order.sort_by(|&a, &b| fragments[a].y.total_cmp(&fragments[b].y));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for at in order {
        let f = &fragments[at];
        match rows.last_mut() {
            Some(row) if f.y - fragments[row[0]].y < f.size * 0.4 => row.push(at),
            _ => rows.push(vec![at]),
        }
    }
    let mut sizes: Vec<f32> = fragments.iter().map(|f| f.size).collect();
    sizes.sort_by(f32::total_cmp);
    let usual = sizes.get(sizes.len() / 2).copied().unwrap_or(10.0);
    let count = rows.len();
    let mut push = |rank: usize, top: bool| {
        let i = if top { rank } else { count - 1 - rank };
        let mut members = rows[i].clone();
        members.sort_by(|&a, &b| fragments[a].x0.total_cmp(&fragments[b].x0));
        let lead = &fragments[members[0]];
        let next = if top {
            i.checked_add(1)
        } else {
            i.checked_sub(1)
        };
        let gap = next
            .and_then(|n| rows.get(n))
            .map_or(f32::MAX, |r| (fragments[r[0]].y - lead.y).abs());
        let joined = |f: fn(&str) -> String| -> String {
            let parts: Vec<String> = members.iter().map(|&m| f(fragments[m].text)).collect();
            parts.join(" ")
        };
        let (exact, key) = (joined(str::to_owned), joined(key));
        let margin = if top { lead.y } else { height - lead.y };
        out.push(EdgeRow {
            page,
            top,
            rank,
            margin: margin < height * MARGIN,
            y: lead.y,
            exact,
            key,
            // The only row of a page is parted from nothing.
            apart: count > 1 && gap > lead.size.max(usual) * 1.7,
            modest: lead.size <= usual * 1.15,
            members,
        });
    };
    for top in [true, false] {
        for rank in 0..count.min(EDGE_ROWS) {
            push(rank, top);
        }
    }
}

/// The text with runs of digits, and page numbers in Roman letters, made equal.
fn key(text: &str) -> String {
    let trimmed = text.trim();
    let roman = !trimmed.is_empty()
        && trimmed.len() <= 7
        && (trimmed.bytes().all(|b| b"ivxlc".contains(&b))
            || trimmed.bytes().all(|b| b"IVXLC".contains(&b)));
    if roman {
        return "#".to_owned();
    }
    let mut out = String::new();
    for c in trimmed.chars() {
        if c.is_ascii_digit() {
            if !out.ends_with('#') {
                out.push('#');
            }
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// Marks rows whose text repeats at one height on several pages.
fn repeated(rows: &[EdgeRow], pages: usize, key: impl Fn(&EdgeRow) -> &str, marked: &mut [bool]) {
    let mut places: HashMap<(bool, &str), Vec<usize>> = HashMap::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, r)| r.margin) {
        places.entry((row.top, key(row))).or_default().push(at);
    }
    // Of two pages both must agree; of many, a chapter's few are enough.
    let least = if pages <= 3 { 2 } else { 3 };
    for group in places.into_values() {
        by_height(rows, group, SLACK, |place| {
            // A short document's body may well begin twice with the same line of a form.
            let sure = pages > 3 || place.iter().all(|&r| rows[r].apart && rows[r].modest);
            if pages_of(rows, place) >= least && sure && place.iter().any(|&r| rows[r].modest) {
                for &at in place {
                    marked[at] = true;
                }
            }
        });
    }
}

/// Marks rows whose text changes from chapter to chapter: at one height on most pages, apart
/// from the text, no larger than it.
fn running_titles(rows: &[EdgeRow], pages: usize, marked: &mut [bool]) {
    if pages < 5 {
        return;
    }
    for top in [true, false] {
        let edge: Vec<usize> = (0..rows.len())
            .filter(|&r| {
                let r = &rows[r];
                r.top == top && r.margin && r.apart && r.modest
            })
            .collect();
        by_height(rows, edge, SLACK / 2.0, |place| {
            if pages_of(rows, place) * 2 >= pages {
                for &at in place {
                    marked[at] = true;
                }
            }
        });
    }
}

/// Calls `f` with each set of rows that stand at one height.
fn by_height(rows: &[EdgeRow], mut group: Vec<usize>, slack: f32, mut f: impl FnMut(&[usize])) {
    group.sort_by(|&a, &b| rows[a].y.total_cmp(&rows[b].y));
    let mut start = 0;
    for end in 1..=group.len() {
        let goes_on = end < group.len() && rows[group[end]].y - rows[group[end - 1]].y < slack;
        if !goes_on {
            f(&group[start..end]);
            start = end;
        }
    }
}

fn pages_of(rows: &[EdgeRow], place: &[usize]) -> usize {
    let mut pages: Vec<usize> = place.iter().map(|&r| rows[r].page).collect();
    pages.sort_unstable();
    pages.dedup();
    pages.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_pages() {
        for text in ["2", "- 2 -", "Page 2", "Seite 2 von 3", "2/3", "2 of 3"] {
            assert!(is_label(text, 2, 3), "{text}");
        }
        assert!(is_label("Page 7", 1, 1));
        for text in [
            "3",
            "2 of 9",
            "Article 2 says",
            "2a",
            "in 2 of 3 cases we",
            "",
        ] {
            assert!(!is_label(text, 2, 3), "{text}");
        }
    }

    #[test]
    fn page_numbers_are_equal_whatever_they_count() {
        assert_eq!(key("Page 12 of 30"), key("Page 3 of 30"));
        assert_eq!(key("xiv"), key("7"));
        assert_ne!(key("Chapter one"), key("Chapter two"));
    }
}
