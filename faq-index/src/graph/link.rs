//! Links points to their neighbours: HNSW (Malkov and Yashunin 2016), over codes.
//!
//! Points are inserted in the order of their rows, several side by side on the threads of a pool.
//! A point's level comes from its number, so on one thread the same points give the same links; on
//! several, points that are inserted at the same moment may miss each other.
//!
//! Links live in arrays of fixed size that are read without a lock while others write them: each
//! entry is one atomic number, so a reader meets old or new links and never anything else. Whoever
//! changes the links of a point holds that point's lock.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::{ENTRIES, Near, mark};
use crate::codes::Grain;
use crate::kernel::{self, kernels};

/// Links of a point in the upper layers; twice as many in the lowest.
const LINKS: usize = 16;
/// Candidates looked at while a point is linked. 200 take twice the time, and gain 0.003 of recall
/// at the width that searches use.
const EF_CONSTRUCTION: usize = 100;
/// Most layers above the lowest.
const LAYERS: u8 = 15;
/// Points inserted between two looks at whether to go on.
const STEP: usize = 1024;
/// Points that are linked one after another at first: side by side they would not see each other.
const FIRST: usize = 256;

/// The points to link, `[points]` of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points<'a> {
    /// Codes, `[points, width]`.
    pub(super) codes: &'a [u8],
    pub(super) grains: &'a [Grain],
    /// Codes of one point.
    pub(super) width: usize,
}

/// The lowest layer, and where to enter it.
#[derive(Debug, Default)]
pub(super) struct Linked {
    /// Links of point `p` are `links[offsets[p]..offsets[p + 1]]`.
    pub(super) offsets: Vec<u32>,
    pub(super) links: Vec<u32>,
    /// Points that walks begin at.
    pub(super) entries: Vec<u32>,
}

/// Links all points. `go_on` is told how many are linked, and ends the work by saying no; the
/// result is then `None`.
pub(super) fn link(
    pool: &rayon::ThreadPool,
    points: Points<'_>,
    mut go_on: impl FnMut(usize) -> bool,
) -> Option<Linked> {
    let layers = Layers::new(points);
    let total = points.grains.len();
    let mut linked = 0;
    while linked < total {
        if !go_on(linked) {
            return None;
        }
        let step = if linked < FIRST { FIRST } else { STEP };
        let next = linked..(linked + step).min(total);
        if linked < FIRST {
            next.clone().for_each(|p| layers.insert(p as u32));
        } else {
            pool.install(|| {
                let side_by_side = next.clone().into_par_iter();
                side_by_side
                    .with_max_len(16)
                    .for_each(|p| layers.insert(p as u32));
            });
        }
        linked = next.end;
    }
    Some(layers.lowest())
}

/// The layer that a point reaches: each has one point in [`LINKS`] of the one below.
fn level_of(point: usize) -> u8 {
    // SplitMix64 of the number, its upper 53 bits a fraction.
    let mut z = (point as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let fraction = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    let level = -(1.0 - fraction).ln() / (LINKS as f64).ln();
    (level as u8).min(LAYERS)
}

/// Links of a point in one layer: their number, then the points.
type Slots = [AtomicU32];

fn slots(count: usize) -> Box<Slots> {
    (0..count).map(|_| AtomicU32::new(0)).collect()
}

/// Most links that fit.
fn room(slots: &Slots) -> usize {
    slots.len() - 1
}

fn len(slots: &Slots) -> usize {
    (slots[0].load(Ordering::Acquire) as usize).min(room(slots))
}

fn linked_points(slots: &Slots) -> impl Iterator<Item = u32> {
    let links = slots[1..=len(slots)].iter();
    links.map(|link| link.load(Ordering::Relaxed))
}

fn replace(slots: &Slots, by: &[Near]) {
    for (slot, near) in slots[1..].iter().zip(by) {
        slot.store(near.point, Ordering::Relaxed);
    }
    slots[0].store(by.len().min(room(slots)) as u32, Ordering::Release);
}

/// Working space of a thread.
#[derive(Default)]
struct Space {
    visited: Vec<u64>,
    pool: Vec<Candidate>,
    fresh: Vec<u32>,
    products: Vec<i32>,
    found: Vec<Near>,
    chosen: Vec<Near>,
}

/// A point that a walk has met.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    near: Near,
    /// Whether its own links were followed.
    followed: bool,
}

/// The highest point, which every insertion begins at.
#[derive(Debug, Clone, Copy)]
struct Top {
    point: u32,
    level: u8,
}

struct Layers<'a> {
    points: Points<'a>,
    levels: Vec<u8>,
    /// `[points, 1 + 2 * LINKS]`, see [`Slots`].
    lowest: Box<Slots>,
    /// Of each point, the layers above the lowest that it reaches, `[levels, 1 + LINKS]`.
    upper: Vec<Box<Slots>>,
    locks: Vec<Mutex<()>>,
    top: Mutex<Option<Top>>,
}

impl<'a> Layers<'a> {
    fn new(points: Points<'a>) -> Self {
        let total = points.grains.len();
        let levels: Vec<u8> = (0..total).map(level_of).collect();
        Self {
            points,
            lowest: slots(total * (1 + 2 * LINKS)),
            upper: levels
                .iter()
                .map(|level| slots(*level as usize * (1 + LINKS)))
                .collect(),
            locks: (0..total).map(|_| Mutex::new(())).collect(),
            top: Mutex::new(None),
            levels,
        }
    }

    fn insert(&self, point: u32) {
        thread_local! {
            static SPACE: RefCell<Space> = RefCell::default();
        }
        SPACE.with_borrow_mut(|space| self.insert_with(point, space));
    }

    fn insert_with(&self, point: u32, space: &mut Space) {
        let level = self.levels[point as usize];
        let top = {
            let mut top = guard(&self.top);
            let Some(top) = *top else {
                *top = Some(Top { point, level });
                return;
            };
            top
        };
        let mut nearest = Near {
            score: self.product(point, top.point),
            point: top.point,
        };
        for layer in (level + 1..=top.level).rev() {
            nearest = self.descend(point, nearest, layer, space);
        }
        space.found.clear();
        space.found.push(nearest);
        for layer in (0..=level.min(top.level)).rev() {
            self.search(point, layer, space);
            self.choose(point, LINKS, space);
            let chosen = mem::take(&mut space.chosen);
            self.link_to(point, layer, &chosen, space);
            for near in &chosen {
                self.link_back(near.point, Near { point, ..*near }, layer, space);
            }
            space.chosen = chosen;
        }
        if level > top.level {
            let mut top = guard(&self.top);
            if top.is_none_or(|top| level > top.level) {
                *top = Some(Top { point, level });
            }
        }
    }

    fn slots(&self, point: u32, layer: u8) -> &Slots {
        let point = point as usize;
        if layer == 0 {
            let each = 1 + 2 * LINKS;
            return &self.lowest[point * each..(point + 1) * each];
        }
        let each = 1 + LINKS;
        let at = (layer as usize - 1) * each;
        &self.upper[point][at..at + each]
    }

    fn row(&self, point: u32) -> &[u8] {
        let at = point as usize * self.points.width;
        &self.points.codes[at..at + self.points.width]
    }

    fn product(&self, one: u32, other: u32) -> f32 {
        let scales =
            self.points.grains[one as usize].scale * self.points.grains[other as usize].scale;
        (kernels().dot_rows)(self.row(one), self.row(other)) as f32 * scales
    }

    /// The cosines of a point and others, about right.
    fn products(&self, point: u32, others: &[u32], products: &mut Vec<i32>) {
        products.clear();
        products.resize(others.len(), 0);
        (kernels().dot_points)(self.points.codes, self.row(point), others, products);
    }

    fn near(&self, point: u32, scale: f32, product: i32) -> Near {
        let scale = scale * self.points.grains[point as usize].scale;
        Near {
            score: product as f32 * scale,
            point,
        }
    }

    /// Goes to the neighbour that is nearest to `to` as long as that is nearer.
    fn descend(&self, to: u32, from: Near, layer: u8, space: &mut Space) -> Near {
        let scale = self.points.grains[to as usize].scale;
        let mut nearest = from;
        loop {
            space.fresh.clear();
            space
                .fresh
                .extend(linked_points(self.slots(nearest.point, layer)));
            self.products(to, &space.fresh, &mut space.products);
            let neighbours = space.fresh.iter().zip(&space.products);
            let best = neighbours
                .map(|(&point, &product)| self.near(point, scale, product))
                .max();
            match best {
                Some(best) if best.score > nearest.score => nearest = best,
                _ => return nearest,
            }
        }
    }

    /// Walks from what `space.found` holds, and leaves there the nearest points, best first.
    fn search(&self, to: u32, layer: u8, space: &mut Space) {
        let scale = self.points.grains[to as usize].scale;
        space.visited.clear();
        space.visited.resize(self.levels.len().div_ceil(64), 0);
        // Whoever inserted a neighbour at this moment may have linked this point already.
        mark(&mut space.visited, to);
        space.pool.clear();
        for &near in &space.found {
            mark(&mut space.visited, near.point);
            let followed = false;
            space.pool.push(Candidate { near, followed });
        }
        let mut next = 0;
        while let Some(candidate) = space.pool.get_mut(next) {
            if mem::replace(&mut candidate.followed, true) {
                next += 1;
                continue;
            }
            let at = candidate.near.point;
            space.fresh.clear();
            for point in linked_points(self.slots(at, layer)) {
                if mark(&mut space.visited, point) {
                    kernel::prefetch(self.row(point));
                    space.fresh.push(point);
                }
            }
            self.products(to, &space.fresh, &mut space.products);
            for (&point, &product) in space.fresh.iter().zip(&space.products) {
                let near = self.near(point, scale, product);
                let full = space.pool.len() >= EF_CONSTRUCTION;
                if full && space.pool.last().is_some_and(|worst| near <= worst.near) {
                    continue;
                }
                let place = space.pool.partition_point(|better| better.near > near);
                if full {
                    space.pool.pop();
                }
                let followed = false;
                space.pool.insert(place, Candidate { near, followed });
                next = next.min(place);
            }
        }
        space.found.clear();
        space.found.extend(space.pool.iter().map(|met| met.near));
    }

    /// Chooses from `space.found`, best first, at most `most` that are nearer to the point than to
    /// each other (algorithm 4), so that links lead in all directions.
    fn choose(&self, point: u32, most: usize, space: &mut Space) {
        space.chosen.clear();
        space.fresh.clear();
        for &near in &space.found {
            if near.point == point {
                continue;
            }
            self.products(near.point, &space.fresh, &mut space.products);
            let scale = self.points.grains[near.point as usize].scale;
            let mut between = space.fresh.iter().zip(&space.products);
            if between
                .all(|(&other, &product)| self.near(other, scale, product).score <= near.score)
            {
                space.chosen.push(near);
                space.fresh.push(near.point);
                if space.chosen.len() == most {
                    return;
                }
            }
        }
    }

    /// Gives a new point its links, beside those that others gave it meanwhile.
    fn link_to(&self, point: u32, layer: u8, chosen: &[Near], space: &mut Space) {
        let slots = self.slots(point, layer);
        let _held = guard(&self.locks[point as usize]);
        if len(slots) == 0 {
            replace(slots, chosen);
            return;
        }
        let known: Vec<u32> = linked_points(slots).collect();
        let others = chosen.iter().filter(|near| !known.contains(&near.point));
        for &near in others {
            self.add(point, near, slots, space);
        }
    }

    fn link_back(&self, from: u32, to: Near, layer: u8, space: &mut Space) {
        let slots = self.slots(from, layer);
        let _held = guard(&self.locks[from as usize]);
        if linked_points(slots).all(|known| known != to.point) {
            self.add(from, to, slots, space);
        }
    }

    /// Adds a link; where there is no room, keeps those that lead in all directions. The caller
    /// holds the lock of `from`.
    fn add(&self, from: u32, to: Near, slots: &Slots, space: &mut Space) {
        let count = len(slots);
        if count < room(slots) {
            slots[1 + count].store(to.point, Ordering::Relaxed);
            slots[0].store(count as u32 + 1, Ordering::Release);
            return;
        }
        let scale = self.points.grains[from as usize].scale;
        space.fresh.clear();
        space.fresh.extend(linked_points(slots));
        self.products(from, &space.fresh, &mut space.products);
        // What the insertion under way has found is needed for its next layer.
        let found = mem::take(&mut space.found);
        let neighbours = space.fresh.iter().zip(&space.products);
        space.found = neighbours
            .map(|(&point, &product)| self.near(point, scale, product))
            .chain([to])
            .collect();
        space.found.sort_unstable_by(|a, b| b.cmp(a));
        self.choose(from, room(slots), space);
        replace(slots, &space.chosen);
        space.found = found;
    }

    fn lowest(&self) -> Linked {
        let total = self.levels.len();
        let mut linked = Linked {
            offsets: Vec::with_capacity(total + 1),
            ..Linked::default()
        };
        linked.offsets.push(0);
        for point in 0..total as u32 {
            linked.links.extend(linked_points(self.slots(point, 0)));
            linked.offsets.push(linked.links.len() as u32);
        }
        // The lowest layer of which there are few enough points.
        let reaching = |layer: u8| {
            let levels = self.levels.iter().enumerate();
            levels
                .filter(move |(_, reached)| **reached >= layer)
                .map(|(point, _)| point as u32)
        };
        let layer = (0..=LAYERS).find(|layer| reaching(*layer).count() <= ENTRIES);
        linked.entries = reaching(layer.unwrap_or(0)).take(ENTRIES).collect();
        if linked.entries.is_empty() {
            linked.entries = (0..total.min(ENTRIES) as u32).collect();
        }
        linked
    }
}

/// Takes a lock; a panic of a former holder leaves valid links.
fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
