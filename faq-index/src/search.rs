//! One search over one snapshot: plan, ask the lists, fuse.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use crate::dense::{DenseHit, DenseQuery};
use crate::documents::{Allowed, DocKey};
use crate::fusion::{Fused, fuse};
use crate::kernel::kernels;
use crate::keyword::{KeyFilter, Question};
use crate::snapshot::Snapshot;
use crate::{
    ChunkId, Correction, Filter, Fusion, Hit, IndexError, Mode, Plan, Query, SearchResult,
    Spelling, VectorSearch,
};

/// A filter that leaves at most one vector in this many is answered by a scan of those.
const SELECTIVE: u64 = 5;

/// Keyword hits that tell the language of a question.
const LANGUAGE_HITS: usize = 10;

/// Most weight of the vectors where the embedder does not know that language.
const FOREIGN_WEIGHT: f32 = 1.0;

/// A keyword hit, its key resolved.
struct KeywordHit {
    chunk: (DocKey, u32),
    id: ChunkId,
    score: f32,
}

/// Searches a snapshot whose segments are sound with a query that was checked.
pub(crate) fn search(
    snapshot: &Snapshot,
    query: &Query,
    graph_min_vectors: usize,
) -> Result<SearchResult, IndexError> {
    let allowed = snapshot.documents.allowed(&query.filter).map(Arc::new);
    // No list is longer, and room is made for all that is asked for.
    let chunks = usize::try_from(snapshot.documents.chunks()).unwrap_or(usize::MAX);
    let limit = query.candidates.max(query.k).min(chunks.max(1));
    let mut plan = Plan {
        vectors: "not asked".to_owned(),
        keywords: "not asked".to_owned(),
        allowed_documents: allowed.as_ref().map(|allowed| allowed.documents()),
        degraded: snapshot.degraded(),
    };
    let started = Instant::now();
    let question = match query.mode {
        Mode::Dense => None,
        Mode::Hybrid | Mode::Keyword => Some(ask_for(snapshot, query, allowed.as_ref())?),
    };
    let only = match (&question, query.mode) {
        (Some(ask), Mode::Hybrid) => snapshot
            .keyword
            .holding_phrases(&ask.question, ask.filter.clone())?,
        _ => None,
    };
    let understood_us = micros(started);
    let dense_query = query.vector.as_ref().map(|vector| DenseQuery {
        snapshot,
        vector,
        limit,
        allowed: allowed.as_deref(),
        only: only.as_deref(),
    });
    let asks_dense = dense_query.filter(|_| query.mode != Mode::Keyword);
    // One after the other on the caller's thread: each is a fraction of a millisecond, which is less
    // than it takes a busy machine to wake another thread. Large scans share themselves out.
    let started = Instant::now();
    let keyword = question
        .as_ref()
        .map(|ask| ask_keywords(snapshot, ask, limit))
        .transpose()?;
    let keyword_us = micros(started) + understood_us;
    let started = Instant::now();
    let dense = asks_dense.map(|dense| ask_vectors(&dense, query, graph_min_vectors));
    let dense_us = micros(started);
    let mut dense_hits = Vec::new();
    if let Some((hits, how)) = dense {
        (dense_hits, plan.vectors) = (hits, how);
    }
    let mut keyword_hits = Vec::new();
    if let Some((hits, how)) = keyword {
        (keyword_hits, plan.keywords) = (hits, how);
    }
    let foreign = is_foreign(snapshot, query, &keyword_hits);
    let fusion = match query.fusion {
        Fusion::Scores { dense_weight } if foreign && query.mode == Mode::Hybrid => {
            plan.vectors += "; the embedder does not know the language, so keywords count more";
            Fusion::Scores {
                dense_weight: dense_weight.min(FOREIGN_WEIGHT),
            }
        }
        fusion => fusion,
    };
    let hits = rank(
        query,
        fusion,
        dense_query.as_ref(),
        &dense_hits,
        &keyword_hits,
    );
    Ok(SearchResult {
        hits,
        plan,
        corrections: question.map_or_else(Vec::new, |ask| ask.corrections),
        foreign,
        seq: snapshot.seq,
        dense_us,
        keyword_us,
    })
}

/// Whether most of the best keyword hits are in languages that the embedder does not know.
fn is_foreign(snapshot: &Snapshot, query: &Query, keyword: &[KeywordHit]) -> bool {
    let Some(known) = query.vector_languages else {
        return false;
    };
    let best = &keyword[..keyword.len().min(LANGUAGE_HITS)];
    let foreign = best.iter().filter(|hit| {
        let document = snapshot.documents.get(hit.chunk.0);
        document
            .and_then(|document| document.language.as_deref())
            .is_some_and(|language| !known.contains(&language))
    });
    query.mode != Mode::Dense && foreign.count() * 2 > best.len()
}

fn micros(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// Chooses how vectors are searched, does it, and says what was done and why.
fn ask_vectors(
    dense: &DenseQuery<'_>,
    query: &Query,
    graph_min_vectors: usize,
) -> (Vec<DenseHit>, String) {
    let live = dense.snapshot.documents.vectors();
    let passing = dense.allowed.map_or(live, Allowed::vectors);
    let exact = |why: &str| {
        let what = if dense.allowed.is_some() {
            format!("scan of the {passing} vectors that the filter allows, of {live}: {why}")
        } else {
            format!("exact scan of {live} vectors ({}): {why}", kernels().name)
        };
        (dense.exact(), what)
    };
    if let Some(only) = dense.only {
        let what = format!(
            "scan of the {} chunks that hold the quoted words, of {live} vectors",
            only.len()
        );
        return (dense.exact(), what);
    }
    let graph = match (&dense.snapshot.graph, query.vector_search) {
        (_, VectorSearch::Exact) => return exact("it was asked for"),
        (None, VectorSearch::Graph) => return exact("a graph was asked for and none is built"),
        (None, VectorSearch::Auto) if live < graph_min_vectors as u64 => {
            return exact(&format!("the graph begins at {graph_min_vectors}"));
        }
        (None, VectorSearch::Auto) => return exact("the graph is not built yet"),
        (Some(graph), VectorSearch::Graph) => graph,
        (Some(graph), VectorSearch::Auto) => {
            if passing < graph_min_vectors as u64 {
                return exact(&format!("a graph is used from {graph_min_vectors} on"));
            }
            if passing * SELECTIVE <= live {
                return exact("the filter is selective");
            }
            graph
        }
    };
    match dense.graph(graph, query.ef) {
        Some(hits) => {
            let newer = dense.snapshot.rows_beyond_graph();
            let what = format!(
                "graph of {} vectors, and a scan of {newer} newer ones",
                graph.len()
            );
            (hits, what)
        }
        None => exact("too much of what the graph gave is deleted or not allowed"),
    }
}

/// What the keyword index is asked.
struct KeywordAsk {
    question: Question,
    corrections: Vec<Correction>,
    filter: Option<KeyFilter>,
}

fn ask_for(
    snapshot: &Snapshot,
    query: &Query,
    allowed: Option<&Arc<Allowed>>,
) -> Result<KeywordAsk, IndexError> {
    let filter = key_filter(snapshot, allowed);
    let (keyword, languages) = (&snapshot.keyword, || snapshot.documents.languages());
    let corrections = match &query.spelling {
        Spelling::Tolerant => keyword.corrections(&query.text, languages(), filter.clone())?,
        Spelling::Exact => Vec::new(),
        Spelling::Corrected(corrections) => corrections.clone(),
    };
    Ok(KeywordAsk {
        question: keyword.question(&query.text, languages(), query.phrases, &corrections),
        corrections,
        filter,
    })
}

/// What stands in for the misspelled words of a question.
pub(crate) fn corrections(
    snapshot: &Snapshot,
    question: &str,
    filter: &Filter,
) -> Result<Vec<Correction>, IndexError> {
    let allowed = snapshot.documents.allowed(filter).map(Arc::new);
    let filter = key_filter(snapshot, allowed.as_ref());
    let languages = snapshot.documents.languages();
    snapshot.keyword.corrections(question, languages, filter)
}

/// What decides which of the chunks that the keyword index holds may be found; `None` for all.
fn key_filter(snapshot: &Snapshot, allowed: Option<&Arc<Allowed>>) -> Option<KeyFilter> {
    let documents = &snapshot.documents;
    let lags = snapshot.keyword.seq() < snapshot.seq;
    match allowed {
        Some(allowed) => {
            let allowed = Arc::clone(allowed);
            Some(Arc::new(move |key| allowed.contains(key)))
        }
        // The index may still hold what was deleted.
        None if lags => {
            let documents = Arc::clone(documents);
            Some(Arc::new(move |key| documents.get(key).is_some()))
        }
        None => None,
    }
}

fn ask_keywords(
    snapshot: &Snapshot,
    ask: &KeywordAsk,
    limit: usize,
) -> Result<(Vec<KeywordHit>, String), IndexError> {
    let documents = &snapshot.documents;
    let found = snapshot
        .keyword
        .search(&ask.question, limit, ask.filter.clone())?;
    let mut hits: Vec<KeywordHit> = found
        .into_iter()
        .filter_map(|(chunk, score)| {
            let id = ChunkId {
                document: documents.get(chunk.0)?.id,
                ordinal: chunk.1,
            };
            Some(KeywordHit { chunk, id, score })
        })
        .collect();
    hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    let languages = documents.languages().count();
    let phrases = match ask.question.phrases() {
        (0, _) => String::new(),
        (n, true) => format!(", {n} quoted and required"),
        (n, false) => format!(", {n} quoted and preferred"),
    };
    let mut what = format!(
        "BM25 over {} chunks in {languages} language{}{phrases}",
        documents.chunks(),
        if languages == 1 { "" } else { "s" }
    );
    for Correction { asked, used, .. } in &ask.corrections {
        let _ = write!(
            what,
            "; no chunk holds {asked:?}, which is read as {used:?}"
        );
    }
    Ok((hits, what))
}

/// Orders what the lists gave and fills in what a hit says of itself.
fn rank(
    query: &Query,
    fusion: Fusion,
    dense_query: Option<&DenseQuery<'_>>,
    dense: &[DenseHit],
    keyword: &[KeywordHit],
) -> Vec<Hit> {
    let dense_list: Vec<_> = dense.iter().map(|hit| (hit.id, hit.score)).collect();
    let keyword_list: Vec<_> = keyword.iter().map(|hit| (hit.id, hit.score)).collect();
    let cosine = |at: usize| Some(dense_query?.chunk(keyword[at].chunk)?.score);
    let fused = match query.mode {
        Mode::Hybrid => fuse(fusion, &dense_list, &keyword_list, cosine),
        Mode::Dense => alone(&dense_list, |at| (Some(at), None)),
        Mode::Keyword => alone(&keyword_list, |at| (None, Some(at))),
    };
    let fill = |one: Fused<ChunkId>| {
        let keyword_hit = one.keyword.map(|at| &keyword[at]);
        let computed = || dense_query?.chunk(keyword_hit?.chunk);
        let dense_hit = one.dense.map(|at| dense[at].clone()).or_else(computed);
        Hit {
            id: one.item,
            score: one.score,
            dense_score: dense_hit.as_ref().map(|hit| hit.score),
            dense_rank: one.dense.map(|at| at as u32 + 1),
            keyword_score: keyword_hit.map(|hit| hit.score),
            keyword_rank: one.keyword.map(|at| at as u32 + 1),
            best_window: dense_hit.map(|hit| hit.window),
        }
    };
    fused.into_iter().take(query.k).map(fill).collect()
}

/// One list as it is.
fn alone(
    list: &[(ChunkId, f32)],
    places: impl Fn(usize) -> (Option<usize>, Option<usize>),
) -> Vec<Fused<ChunkId>> {
    list.iter()
        .enumerate()
        .map(|(at, &(item, score))| {
            let (dense, keyword) = places(at);
            Fused {
                item,
                score,
                dense,
                keyword,
            }
        })
        .collect()
}
