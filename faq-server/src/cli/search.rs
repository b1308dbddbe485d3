//! `faq search`: ranked passages, and why they came back.

use std::str::FromStr;

use faq_core::{
    Control, Correction, DocumentId, Filter, Format, Passage, Rerank, SearchOptions,
    SearchResponse, corrected,
};

use super::args::{Common, FilterArgs, SearchArgs};
use super::dates;
use super::error::{CliError, Outcome, Result};
use super::output::{Output, one_line, warning};
use super::snippet::snippet;

pub(super) fn run(common: &Common, args: &SearchArgs, out: &mut Output) -> Result<Outcome> {
    let options = SearchOptions {
        k: args.k,
        mode: args.mode.into(),
        rerank: args.rerank.map(|depth| Rerank {
            depth,
            ..Rerank::default()
        }),
        filter: args.filter.filter()?,
        spelling: args.spelling.into(),
        ..SearchOptions::default()
    };
    let collection = common.reading()?;
    let response = collection.search(&args.query, &options, &Control::new())?;
    for degraded in &response.plan.degraded {
        warning(degraded);
    }
    if out.is_json() {
        out.json(&response)?;
    } else {
        show(&response, args, out)?;
    }
    Ok(Outcome::Done)
}

fn show(response: &SearchResponse, args: &SearchArgs, out: &mut Output) -> Result<()> {
    if args.explain {
        plan(response, out)?;
    }
    for Correction { asked, used, .. } in &response.corrections {
        let line = format!("no passage holds \"{asked}\"; read as \"{used}\"");
        out.line(out.dim(&one_line(&line)))?;
    }
    if response.hits.is_empty() {
        out.line("nothing found")?;
    }
    let query = corrected(&args.query, &response.corrections);
    for (i, hit) in response.hits.iter().enumerate() {
        let place = out.bold(&place(&hit.filename, hit.page, hit.heading.as_deref()));
        let score = out.dim(&format!("score {:.4}", hit.score));
        out.line(format_args!("{:>2}. {place}  {score}", i + 1))?;
        if args.explain {
            out.line(format_args!("    {}", out.dim(&reasons(hit))))?;
        }
        let nearest = hit.best_window.unwrap_or(hit.byte_range);
        let nearest = nearest.start.saturating_sub(hit.byte_range.start);
        let shown = snippet(&hit.text, nearest, &query, out);
        out.line(format_args!("    {shown}"))?;
    }
    Ok(())
}

fn plan(response: &SearchResponse, out: &mut Output) -> Result<()> {
    let (plan, time) = (&response.plan, &response.timings_ms);
    out.line(format_args!("vectors:  {}", plan.vectors))?;
    out.line(format_args!("keywords: {}", plan.keywords))?;
    if let Some(allowed) = plan.allowed_documents {
        out.line(format_args!("filter:   allows {allowed} documents"))?;
    }
    let reranked = response.hits.iter().any(|hit| hit.rerank_score.is_some());
    if reranked {
        out.line("rerank:   by the tokens of question and passage")?;
    }
    let reranking = if reranked {
        format!(", rerank {:.1}", time.rerank)
    } else {
        String::new()
    };
    out.line(format_args!(
        "time:     {:.1} ms (question {:.1}, vectors {:.1}, keywords {:.1}{reranking}), state {}",
        time.total, time.embed, time.dense, time.keyword, response.seq
    ))?;
    out.line("")
}

/// Why a passage came back, in a line.
fn reasons(hit: &Passage) -> String {
    let list = |name: &str, score: Option<f32>, rank: Option<u32>| {
        let score = score.map_or_else(|| "no score".to_owned(), |s| format!("{s:.4}"));
        let rank = rank.map_or_else(|| "not in its list".to_owned(), |r| format!("rank {r}"));
        format!("{name} {score} ({rank})")
    };
    let tokens = match (hit.rerank_score, hit.first_rank) {
        (Some(score), Some(rank)) => format!(", tokens {score:.4} (rank {rank} before)"),
        _ => String::new(),
    };
    format!(
        "{}, {}{tokens}; bytes {}..{}, chunk {}",
        list("dense", hit.dense_score, hit.dense_rank),
        list("keyword", hit.keyword_score, hit.keyword_rank),
        hit.byte_range.start,
        hit.byte_range.end,
        hit.chunk_id
    )
}

/// `handbook.pdf, page 3, Leave > Annual leave`.
pub(super) fn place(filename: &str, page: Option<u32>, heading: Option<&str>) -> String {
    let page = page.map(|page| format!("page {page}"));
    [Some(one_line(filename)), page, heading.map(one_line)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

impl FilterArgs {
    /// The filter that the `key=value` pairs describe.
    pub(super) fn filter(&self) -> Result<Filter> {
        let mut filter = Filter::default();
        for pair in &self.filters {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong(pair, "it needs the form key=value"))?;
            let moment = || {
                dates::parse(value)
                    .ok_or_else(|| wrong(pair, "a time is 2024-05-31 or 2024-05-31T08:00:00Z"))
            };
            match key {
                "document" => {
                    let id = DocumentId::from_str(value).map_err(|_| {
                        wrong(pair, "a document is given by its id, see `faq list`")
                    })?;
                    filter.documents.insert(id);
                }
                "filename" => {
                    filter.filenames.insert(value.to_owned());
                }
                "format" => {
                    filter.formats.insert(format_name(pair, value)?);
                }
                "tag" => {
                    filter.tags.insert(value.to_owned());
                }
                "from" => filter.from_ms = Some(moment()?.ms),
                "until" => filter.until_ms = Some(moment()?.after()),
                _ => {
                    return Err(wrong(
                        pair,
                        "the keys are document, filename, format, tag, from and until",
                    ));
                }
            }
        }
        Ok(filter)
    }
}

fn format_name(pair: &str, value: &str) -> Result<String> {
    Format::ALL
        .iter()
        .map(|f| f.name())
        .find(|name| name.eq_ignore_ascii_case(value))
        .map(str::to_owned)
        .ok_or_else(|| {
            let names: Vec<&str> = Format::ALL.iter().map(|f| f.name()).collect();
            wrong(pair, &format!("the formats are {}", names.join(", ")))
        })
}

fn wrong(pair: &str, why: &str) -> CliError {
    CliError::usage(format!("--filter {pair:?} cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn filter(pairs: &[&str]) -> Result<Filter> {
        let filters = pairs.iter().map(|&p| p.to_owned()).collect();
        FilterArgs { filters }.filter()
    }

    #[test]
    fn pairs_become_a_filter() {
        let id = "4bd0f1a2-5c57-5a0f-8d0e-0c4d2b9a6f11";
        let found = filter(&[
            &format!("document={id}"),
            "format=PDF",
            "tag=a=b",
            "tag=c",
            "from=1970-01-02",
            "until=1970-01-02",
        ])
        .unwrap();
        assert_eq!(found.documents.len(), 1);
        assert_eq!(found.formats.into_iter().collect::<Vec<_>>(), ["pdf"]);
        assert_eq!(found.tags.into_iter().collect::<Vec<_>>(), ["a=b", "c"]);
        assert_eq!(found.from_ms, Some(86_400_000));
        assert_eq!(found.until_ms, Some(2 * 86_400_000));
    }

    #[test]
    fn a_wrong_pair_says_what_is_right() {
        for (pair, says) in [
            ("tag", "key=value"),
            ("colour=red", "the keys are"),
            ("format=ods", "the formats are"),
            ("from=yesterday", "2024-05-31"),
            ("document=x.pdf", "faq list"),
        ] {
            let error = filter(&[pair]).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
