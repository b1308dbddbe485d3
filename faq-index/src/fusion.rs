//! Two ranked lists become one.
//!
//! Works on positions and scores alone: what a candidate is, it does not know.

use std::collections::HashMap;
use std::hash::Hash;

use crate::Fusion;

/// A candidate with its fused score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fused<T> {
    pub(crate) item: T,
    pub(crate) score: f32,
    /// Position in the dense list, from 0.
    pub(crate) dense: Option<usize>,
    /// Position in the keyword list, from 0.
    pub(crate) keyword: Option<usize>,
}

/// Fuses two lists that are sorted best first and hold each item once. `cosine` knows the dense
/// score of an item at a position of the keyword list that the dense list does not hold.
///
/// The result is sorted by score, best first, equal scores by item.
pub(crate) fn fuse<T: Copy + Eq + Hash + Ord>(
    fusion: Fusion,
    dense: &[(T, f32)],
    keyword: &[(T, f32)],
    cosine: impl Fn(usize) -> Option<f32>,
) -> Vec<Fused<T>> {
    let mut places: HashMap<T, (Option<usize>, Option<usize>)> =
        HashMap::with_capacity(dense.len() + keyword.len());
    for (place, (item, _)) in dense.iter().enumerate() {
        places.entry(*item).or_default().0 = Some(place);
    }
    for (place, (item, _)) in keyword.iter().enumerate() {
        places.entry(*item).or_default().1 = Some(place);
    }
    let mut fused: Vec<_> = places
        .into_iter()
        .map(|(item, (d, k))| Fused {
            item,
            score: score(fusion, dense, d, keyword, k, &cosine),
            dense: d,
            keyword: k,
        })
        .collect();
    fused.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    fused
}

fn score<T>(
    fusion: Fusion,
    dense: &[(T, f32)],
    d: Option<usize>,
    keyword: &[(T, f32)],
    k: Option<usize>,
    cosine: &impl Fn(usize) -> Option<f32>,
) -> f32 {
    match fusion {
        Fusion::Scores { dense_weight } => {
            let weight = dense_weight.max(0.0);
            let near = d.map(|at| dense[at].1).or_else(|| cosine(k?));
            let best = keyword.first().map_or(0.0, |(_, best)| *best);
            let words = match k {
                Some(at) if best > 0.0 => keyword[at].1 / best,
                _ => 0.0,
            };
            (weight * near.unwrap_or(0.0) + words) / (weight + 1.0)
        }
        Fusion::Rrf { k: constant } => {
            let part =
                |place: Option<usize>| place.map_or(0.0, |at| 1.0 / (constant + at as f32 + 1.0));
            part(d) + part(k)
        }
        Fusion::Weighted { dense_weight } => {
            let weight = dense_weight.clamp(0.0, 1.0);
            weight * normalised(dense, d) + (1.0 - weight) * normalised(keyword, k)
        }
    }
}

/// Min-max normalised score of a place; 0 for an absent one, 1 where all scores are equal.
fn normalised<T>(list: &[(T, f32)], place: Option<usize>) -> f32 {
    let (Some(at), Some((_, best)), Some((_, worst))) = (place, list.first(), list.last()) else {
        return 0.0;
    };
    let width = best - worst;
    if width > 0.0 {
        (list[at].1 - worst) / width
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list() -> impl Strategy<Value = Vec<(u8, f32)>> {
        proptest::collection::btree_map(any::<u8>(), 0.0_f32..1.0, 0..40).prop_map(|map| {
            let mut list: Vec<_> = map.into_iter().collect();
            list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            list
        })
    }

    fn kind() -> impl Strategy<Value = Fusion> {
        prop_oneof![
            (0.0_f32..10.0).prop_map(|dense_weight| Fusion::Scores { dense_weight }),
            (1.0_f32..100.0).prop_map(|k| Fusion::Rrf { k }),
            (0.0_f32..=1.0).prop_map(|dense_weight| Fusion::Weighted { dense_weight }),
        ]
    }

    proptest! {
        #[test]
        fn everything_is_there_once_and_in_order(kind in kind(), a in list(), b in list()) {
            let fused = fuse(kind, &a, &b, |_| Some(0.5));
            let mut items: Vec<u8> = fused.iter().map(|f| f.item).collect();
            for pair in fused.windows(2) {
                prop_assert!(
                    pair[0].score > pair[1].score
                        || pair[0].score == pair[1].score && pair[0].item < pair[1].item
                );
            }
            for f in &fused {
                prop_assert_eq!(f.dense.map_or(f.item, |at| a[at].0), f.item);
                prop_assert_eq!(f.keyword.map_or(f.item, |at| b[at].0), f.item);
                prop_assert!(f.score.is_finite() && f.score >= 0.0 && f.score <= 1.0);
            }
            items.sort_unstable();
            let mut expected: Vec<u8> = a.iter().chain(&b).map(|(item, _)| *item).collect();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn one_list_keeps_its_order_under_rrf(a in list()) {
            let fused = fuse(Fusion::Rrf { k: 60.0 }, &a, &[], |_| None);
            let order: Vec<u8> = fused.iter().map(|f| f.item).collect();
            prop_assert_eq!(order, a.iter().map(|(item, _)| *item).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rrf_is_the_sum_of_reciprocal_ranks() {
        let fused = fuse(
            Fusion::Rrf { k: 60.0 },
            &[('a', 0.9), ('b', 0.8)],
            &[('b', 7.0), ('c', 3.0)],
            |_| None,
        );
        let order: Vec<char> = fused.iter().map(|f| f.item).collect();
        assert_eq!(order, ['b', 'a', 'c']);
        assert!((fused[0].score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-7);
        assert_eq!((fused[0].dense, fused[0].keyword), (Some(1), Some(0)));
    }

    #[test]
    fn scores_are_cosines_and_shares_of_the_best_keywords() {
        let fused = fuse(
            Fusion::Scores { dense_weight: 3.0 },
            &[('a', 0.9), ('b', 0.8)],
            &[('b', 8.0), ('c', 4.0)],
            |at| (at == 1).then_some(0.2),
        );
        let scores: Vec<(char, f32)> = fused.iter().map(|f| (f.item, f.score)).collect();
        let expected = [('b', 3.4 / 4.0), ('a', 2.7 / 4.0), ('c', 1.1 / 4.0)];
        for ((item, score), (expected_item, expected)) in scores.iter().zip(expected) {
            assert_eq!(*item, expected_item);
            assert!((score - expected).abs() < 1e-6, "{item}: {score}");
        }
        // The place in a list is not invented for what the list does not hold.
        assert_eq!((fused[2].dense, fused[2].keyword), (None, Some(1)));
    }
}
