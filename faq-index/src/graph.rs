//! The graph over vectors: hnsw_rs links the points, and this module keeps and walks the links.
//!
//! A graph is built once over the rows of a snapshot and never changed; what is newer is scanned
//! beside it until the next one is built. hnsw_rs builds it over codes and is then let go: what
//! stays is, for each point, its row, its codes and its links in the lowest layer, flat in memory
//! or in a [`CheckedFile`]. A walk begins at the best of the points that reach the upper layers,
//! of which there are few hundred, so the layers themselves are not needed.
//!
//! The graph knows nothing of deletions and filters: callers say which rows count, and the others
//! are walked through and not given.
//!
//! Never done here: reading or writing hnsw_rs's own files, which it trusts.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::path::Path;

use hnsw_rs::anndists::dist::Distance;
use hnsw_rs::hnsw::Hnsw;
use uuid::Uuid;

use crate::IndexError;
use crate::checked::{CheckedFile, Header, Kind};
use crate::codes::{self, CodedQuery, Grain};
use crate::documents::DocKey;
use crate::kernel::{self, kernels};
use crate::segment::Row;

/// Links of a point in the upper layers; twice as many in the lowest (Malkov and Yashunin 2016).
const LINKS: usize = 16;
/// Candidates looked at while a point is linked. 200 take twice the time to build, and gain 0.003
/// of recall at the width that searches use.
const EF_CONSTRUCTION: usize = 100;
const LAYERS: usize = 16;
/// Points inserted between two looks at whether to go on.
const STEP: usize = 1024;
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
    /// Links of point `p` are `links[offsets[p]..offsets[p + 1]]`.
    offsets: Vec<u32>,
    links: Vec<u32>,
    /// Points that walks begin at.
    entries: Vec<u32>,
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
    /// `points` are finite vectors, `[dim]`, in ascending order of their rows; `expected` is
    /// about their number.
    pub(crate) fn build<'a>(
        pool: &rayon::ThreadPool,
        points: impl Iterator<Item = (Row, &'a [f32])>,
        expected: usize,
        origin: Origin,
        mut go_on: impl FnMut(usize) -> bool,
    ) -> Option<Self> {
        let hnsw = Hnsw::new(
            LINKS,
            expected.max(1),
            LAYERS,
            EF_CONSTRUCTION,
            CodeDistance,
        );
        let mut parts = Parts::default();
        let width = codes::width(origin.dim);
        let mut points = points.peekable();
        while points.peek().is_some() {
            if !go_on(parts.rows.len()) {
                return None;
            }
            // The first few are linked one after another: points that are inserted side by side
            // do not see each other.
            let first = parts.rows.is_empty();
            let from = parts.rows.len();
            for (row, vector) in points.by_ref().take(if first { 64 } else { STEP }) {
                parts.rows.push(row);
                parts.grains.push(codes::encode(vector, &mut parts.codes));
            }
            let batch: Vec<(Vec<u8>, usize)> = (from..parts.rows.len())
                .map(|p| {
                    let mut point = parts.codes[p * width..(p + 1) * width].to_vec();
                    point.extend(parts.grains[p].scale.to_le_bytes());
                    (point, p)
                })
                .collect();
            if first {
                for (point, p) in &batch {
                    hnsw.insert_slice((point, *p));
                }
            } else {
                let batch = batch.iter().map(|(point, p)| (&point[..], *p)).collect();
                pool.install(|| hnsw.parallel_insert_slice(&batch));
            }
        }
        flatten(&hnsw, &mut parts);
        let header = Header {
            collection: origin.collection,
            dim: origin.dim,
            rows: parts.rows.len(),
            first_key: parts.rows.first().map_or(0, |row| row.key),
            last_key: origin.last_key,
            seq: origin.seq,
            counts: [parts.links.len(), parts.entries.len()],
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
            Body::Held(_, parts) => &parts.offsets,
        }
    }

    fn links(&self) -> &[u32] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(4)),
            Body::Held(_, parts) => &parts.links,
        }
    }

    fn entries(&self) -> &[u32] {
        match &self.0 {
            Body::File(file) => bytemuck::cast_slice(file.part(5)),
            Body::Held(_, parts) => &parts.entries,
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
        let mut starts: Vec<Near> = entries.iter().map(|&point| self.near(point)).collect();
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
        let mut fresh: Vec<u32> = Vec::with_capacity(LINKS * 4);
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
            for &point in &fresh {
                let near = self.near(point);
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

    fn near(&self, point: u32) -> Near {
        let grain = self.grains[point as usize];
        Near {
            score: self.query.product(self.codes_of(point), grain),
            point,
        }
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

/// Marks a point; whether it was not marked before.
fn mark(visited: &mut [u64], point: u32) -> bool {
    let (word, bit) = (&mut visited[point as usize / 64], 1 << (point % 64));
    let new = *word & bit == 0;
    *word |= bit;
    new
}

/// Cosine distance of two points that hnsw_rs has: their codes, then their scale.
struct CodeDistance;

impl Distance<u8> for CodeDistance {
    fn eval(&self, a: &[u8], b: &[u8]) -> f32 {
        let (Some((a, a_scale)), Some((b, b_scale))) =
            (a.split_last_chunk::<4>(), b.split_last_chunk::<4>())
        else {
            return 1.0;
        };
        let scale = f32::from_le_bytes(*a_scale) * f32::from_le_bytes(*b_scale);
        // Rounding may bring a product just above 1, and the library asserts distances >= 0.
        (1.0 - (kernels().dot_rows)(a, b) as f32 * scale).max(0.0)
    }
}

/// Takes the links of the lowest layer over, and the points of the upper ones as entries.
fn flatten(hnsw: &Hnsw<'_, u8, CodeDistance>, parts: &mut Parts) {
    let mut links: Vec<Vec<u32>> = vec![Vec::new(); parts.rows.len()];
    let mut levels: Vec<u8> = vec![0; parts.rows.len()];
    for point in hnsw.get_point_indexation() {
        let p = point.get_origin_id();
        levels[p] = point.get_point_id().0;
        if let Some(lowest) = point.get_neighborhood_id().first() {
            links[p] = lowest.iter().map(|near| near.d_id as u32).collect();
        }
    }
    parts.offsets = Vec::with_capacity(links.len() + 1);
    parts.offsets.push(0);
    for of_point in links {
        parts.links.extend(of_point);
        parts.offsets.push(parts.links.len() as u32);
    }
    // The lowest level of which there are few enough; where even the highest has too many (all
    // points stand on the lowest), the first of them.
    let reaching = |level: u8| {
        let points = levels.iter().enumerate();
        points
            .filter(move |(_, reached)| **reached >= level)
            .map(|(p, _)| p as u32)
    };
    let level = (0..LAYERS as u8).find(|level| reaching(*level).count() <= ENTRIES);
    parts.entries = reaching(level.unwrap_or(0)).take(ENTRIES).collect();
    if parts.entries.is_empty() {
        parts.entries = (0..parts.rows.len().min(ENTRIES) as u32).collect();
    }
}
