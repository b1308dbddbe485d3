//! The graph over vectors: [`link`] links the points, and this module keeps and walks the links.
//!
//! A graph is built once over the rows of a snapshot and never changed; what is newer is scanned
//! beside it until the next one is built. What stays of the building is, for each point, its row,
//! its codes and its links in the lowest layer, flat in memory or in a [`CheckedFile`]. A walk
//! begins at the best of the points that reach the upper layers, of which there are few hundred,
//! so the layers themselves are not needed.
//!
//! The graph knows nothing of deletions and filters: callers say which rows count, and the others
//! are walked through and not given.

mod link;

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::path::Path;

use link::{Linked, Points};
use uuid::Uuid;

use crate::IndexError;
use crate::checked::{CheckedFile, Header, Kind};
use crate::codes::{self, CodedQuery, Grain};
use crate::documents::DocKey;
use crate::kernel;
use crate::segment::Row;

/// Most points that a walk may begin at.
const ENTRIES: usize = 1024;
/// Points that a walk does begin at.
const STARTS: usize = 8;

/// File name of the graph in a collection's directory.
pub(crate) const FILE: &str = "vectors.graph";

const KIND: Kind = Kind {
    magic: *b"FAQGRPH\n",
    version: 1,
    parts: |header| {
        let of = |bytes: usize| header.rows.checked_mul(bytes);
        let [links, entries] = header.counts;
        Some(vec![
            of(size_of::<Row>())?,
            of(size_of::<Grain>())?,
            of(header.dim.checked_next_multiple_of(64)?)?,
            header.rows.checked_add(1)?.checked_mul(4)?,
            links.checked_mul(4)?,
            entries.checked_mul(4)?,
        ])
    },
};

/// A graph in memory: `[points]` of each, and the links of all.
#[derive(Debug, Default)]
struct Parts {
    rows: Vec<Row>,
    grains: Vec<Grain>,
    codes: Vec<u8>,
    linked: Linked,
}

#[derive(Debug)]
enum Body {
    File(CheckedFile),
    Held(Header, Parts),
}

/// A finished graph; see the module.
#[derive(Debug)]
pub(crate) struct Graph(Body);

/// What a graph is built for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) collection: Uuid,
    pub(crate) dim: usize,
    /// Sequence number of the snapshot.
    pub(crate) seq: u64,
    /// The newest key that the rows may hold.
    pub(crate) last_key: DocKey,
}

impl Graph {
    /// Builds a graph on the threads of `pool`. `go_on` is told how many points are linked, and
    /// ends the build by saying no; the graph is then `None`.
    ///
    /// `points` are rows in ascending order, with their codes as a segment has them.
    pub(crate) fn build<'a>(
        pool: &rayon::ThreadPool,
        points: impl Iterator<Item = (Row, Grain, &'a [u8])>,
        origin: Origin,
        go_on: impl FnMut(usize) -> bool,
    ) -> Option<Self> {
        let mut parts = Parts::default();
        for (row, grain, codes) in points {
            parts.rows.push(row);
            parts.grains.push(grain);
            parts.codes.extend_from_slice(codes);
        }
        let points = Points {
            codes: &parts.codes,
            grains: &parts.grains,
            width: codes::width(origin.dim),
        };
        parts.linked = link::link(pool, points, go_on)?;
        let header = Header {
            collection: origin.collection,
            dim: origin.dim,
            rows: parts.rows.len(),
            first_key: parts.rows.first().map_or(0, |row| row.key),
            last_key: origin.last_key,
            seq: origin.seq,
            counts: [parts.linked.links.len(), parts.linked.entries.len()],
        };
        Some(Self(Body::Held(header, parts)))
    }

    /// Opens a file and checks its header. The inner `Err` says what is wrong with it.
    pub(crate) fn open(path: &Path) -> Result<Result<Self, &'static str>, IndexError> {
        Ok(CheckedFile::open(path, &KIND)?.map(|file| Self(Body::File(file))))
    }

    /// Writes the graph durably and gives the one that is mapped from the file.
    pub(crate) fn write(&self, path: &Path) -> Result<Self, IndexError> {
        let parts: [&[u8]; 6] = [
            bytemuck::cast_slice(self.rows()),
            bytemuck::cast_slice(self.grains()),
            self.codes(),
            bytemuck::cast_slice(self.offsets()),
            bytemuck::cast_slice(self.links()),
            bytemuck::cast_slice(self.entries()),
        ];
        CheckedFile::write(path, &KIND, self.header(), &parts).map(|file| Self(Body::File(file)))
    }

    /// Whether the file is what was written and every link leads somewhere. Asked before the
    /// first walk.
    pub(crate) fn is_sound(&self) -> bool {
        if let Body::File(file) = &self.0
            && !file.is_sound()
        {
            return false;
        }
        let (points, offsets) = (self.len() as u32, self.offsets());
        offsets.is_sorted()
            && offsets.last().copied() == Some(self.links().len() as u32)
            && self
                .links()
                .iter()
                .chain(self.entries())
                .all(|point| *point < points)
            && self.rows().is_sorted_by_key(Row::chunk)
    }

    /// What it was built for.
    pub(crate) fn header(&self) -> &Header {
        match &self.0 {
            Body::File(file) => file.header(),
            Body::Held(header, _) => header,
        }
    }

    /// Number of points, dead ones too.
    pub(crate) fn len(&self) -> usize {
        self.header().rows
    }

    /// The newest key that it may hold; everything newer is not in it.
    pub(crate) fn last_key(&self) -> DocKey {
        self.header().last_key
    }

    /// The points' rows, ascending.
    pub(crate) fn rows(&self) -> &[Row] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(0)),
            Body::Held(_, parts) => &parts.rows,
        }
    }

    fn grains(&self) -> &[Grain] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(1)),
            Body::Held(_, parts) => &parts.grains,
        }
    }

    fn codes(&self) -> &[u8] {
        match &self.0 {
            Body::File(file) => file.part(2),
            Body::Held(_, parts) => &parts.codes,
        }
    }

    fn offsets(&self) -> &[u32] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(3)),
            Body::Held(_, parts) => &parts.linked.offsets,
        }
    }

    fn links(&self) -> &[u32] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(4)),
            Body::Held(_, parts) => &parts.linked.links,
        }
    }

    fn entries(&self) -> &[u32] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(5)),
            Body::Held(_, parts) => &parts.linked.entries,
        }
    }

    /// The points near a query that `accept` takes, at most `ef` of them, in no order.
    ///
    /// `None` where the walk compared `budget` points and was not done.
    pub(crate) fn search(
        &self,
        query: &CodedQuery,
        ef: usize,
        budget: usize,
        accept: impl Fn(&Row) -> bool,
    ) -> Option<Vec<u32>> {
        thread_local! {
            static VISITED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        }
        VISITED.with_borrow_mut(|visited| {
            visited.clear();
            visited.resize(self.len().div_ceil(64), 0);
            let walk = Walk {
                rows: self.rows(),
                grains: self.grains(),
                codes: self.codes(),
                width: codes::width(self.header().dim),
                offsets: self.offsets(),
                links: self.links(),
                query,
                accept,
            };
            walk.run(self.entries(), ef, budget, visited)
        })
    }
}

/// A point and how near it is.
#[derive(Debug, Clone, Copy)]
struct Near {
    score: f32,
    point: u32,
}

impl Ord for Near {
    /// The nearer is the greater.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.point.cmp(&self.point))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

/// One best-first walk (algorithm 2 of Malkov and Yashunin 2016).
struct Walk<'a, F> {
    rows: &'a [Row],
    grains: &'a [Grain],
    codes: &'a [u8],
    width: usize,
    offsets: &'a [u32],
    links: &'a [u32],
    query: &'a CodedQuery,
    accept: F,
}

impl<F: Fn(&Row) -> bool> Walk<'_, F> {
    fn run(
        &self,
        entries: &[u32],
        ef: usize,
        budget: usize,
        visited: &mut [u64],
    ) -> Option<Vec<u32>> {
        let mut open: BinaryHeap<Near> = BinaryHeap::with_capacity(ef * 2);
        let mut found: BinaryHeap<Reverse<Near>> = BinaryHeap::with_capacity(ef + 1);
        let (mut products, mut scores) = (Vec::new(), Vec::new());
        self.scores(entries, &mut products, &mut scores);
        let mut starts: Vec<Near> = nears(entries, &scores).collect();
        let keep = STARTS.min(starts.len());
        if keep < starts.len() {
            starts.select_nth_unstable_by(keep, |a, b| b.cmp(a));
        }
        for &start in &starts[..keep] {
            mark(visited, start.point);
            open.push(start);
            self.take(start, ef, &mut found);
        }
        let mut compared = entries.len();
        let mut fresh: Vec<u32> = Vec::with_capacity(64);
        while let Some(nearest) = open.pop() {
            if found.len() >= ef && found.peek().is_some_and(|worst| nearest < worst.0) {
                break;
            }
            fresh.clear();
            for &point in self.links_of(nearest.point) {
                if mark(visited, point) {
                    kernel::prefetch(self.codes_of(point));
                    fresh.push(point);
                }
            }
            compared += fresh.len();
            if compared > budget {
                return None;
            }
            self.scores(&fresh, &mut products, &mut scores);
            for near in nears(&fresh, &scores) {
                if found.len() < ef || found.peek().is_none_or(|worst| near > worst.0) {
                    open.push(near);
                    self.take(near, ef, &mut found);
                }
            }
        }
        Some(found.into_iter().map(|Reverse(near)| near.point).collect())
    }

    fn take(&self, near: Near, ef: usize, found: &mut BinaryHeap<Reverse<Near>>) {
        if (self.accept)(&self.rows[near.point as usize]) {
            found.push(Reverse(near));
            if found.len() > ef {
                found.pop();
            }
        }
    }

    fn scores(&self, points: &[u32], products: &mut Vec<i32>, scores: &mut Vec<f32>) {
        products.resize(points.len(), 0);
        scores.resize(points.len(), 0.0);
        self.query
            .products_at(self.codes, self.grains, points, products, scores);
    }

    fn codes_of(&self, point: u32) -> &[u8] {
        let at = point as usize * self.width;
        &self.codes[at..at + self.width]
    }

    fn links_of(&self, point: u32) -> &[u32] {
        let point = point as usize;
        &self.links[self.offsets[point] as usize..self.offsets[point + 1] as usize]
    }
}

fn nears(points: &[u32], scores: &[f32]) -> impl Iterator<Item = Near> {
    let pairs = points.iter().zip(scores);
    pairs.map(|(&point, &score)| Near { score, point })
}

/// Marks a point; whether it was not marked before.
fn mark(visited: &mut [u64], point: u32) -> bool {
    let (word, bit) = (&mut visited[point as usize / 64], 1 << (point % 64));
    let new = *word & bit == 0;
    *word |= bit;
    new
}
