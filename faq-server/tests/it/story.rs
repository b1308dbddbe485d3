//! A collection's life: filled, changed, asked, cleared.

use crate::support::{World, data, handbook};

#[test]
fn files_are_added_skipped_replaced_and_pruned() {
    let world = World::new();
    handbook(&world);
    let docs = world.at("docs");
    let first = world.ok(&["ingest", "--json", "--tag", "office", &docs]);
    assert_eq!(first["added"], 3);
    assert_eq!(first["failed"], serde_json::json!([]));
    assert_eq!(first["tokens_total"], first["tokens_embedded"]);
    assert!(first["tokens_total"].as_u64().unwrap() > 50);
    assert!(first["chunks"].as_u64().unwrap() >= 3);
    assert!(first["seconds"].as_f64().unwrap() > 0.0);

    let second = world.ok(&["ingest", "--json", &docs]);
    assert_eq!(
        (&second["unchanged"], &second["chunks"]),
        (&3.into(), &0.into())
    );

    world.write(
        "docs/leave.md",
        "# Leave\n\nEvery employee has 31 days of annual leave.\n",
    );
    std::fs::remove_file(world.path("docs/travel.html")).unwrap();
    world.write(
        "elsewhere/garden.md",
        "# Garden\n\nThe garden opens in April.\n",
    );
    world.ok(&["ingest", "--json", &world.at("elsewhere")]);
    let third = world.ok(&["ingest", "--json", "--prune", &docs]);
    assert_eq!(
        (&third["updated"], &third["unchanged"], &third["removed"]),
        (&1.into(), &1.into(), &1.into())
    );

    let listing = world.ok(&["list", "--json"]);
    let names: Vec<&str> = listing["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["filename"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["kitchen.txt", "leave.md", "garden.md"]);
    // A change keeps the tags; the pruning stayed below the path given.
    assert_eq!(
        listing["documents"][1]["tags"],
        serde_json::json!(["office"])
    );
    let hits = world.hits("how many days of annual leave");
    assert!(hits[0]["text"].as_str().unwrap().contains("31 days"));
    assert!(!hits.to_string().contains("28 days"));
}

#[test]
fn patterns_and_single_files_are_taken() {
    let world = World::new();
    handbook(&world);
    let report = world.ok(&[
        "ingest",
        "--json",
        &world.at("docs/**/*.txt"),
        &world.at("docs/leave.md"),
    ]);
    assert_eq!(report["added"], 2);
    assert_eq!(world.ok(&["list", "--json"])["stats"]["documents"], 2);
}

#[test]
fn hits_say_where_and_why() {
    let world = World::with_handbook();
    let found = world.ok(&["search", "--json", "-k", "2", "who approves travel abroad"]);
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 2);
    let hit = &hits[0];
    assert_eq!(hit["filename"], "travel.html");
    assert_eq!(hit["heading"], "Travel expenses");
    assert_eq!(hit["page"], serde_json::Value::Null);
    assert!(
        hit["text"]
            .as_str()
            .unwrap()
            .contains("approves travel abroad")
    );
    let length =
        hit["byte_range"]["end"].as_u64().unwrap() - hit["byte_range"]["start"].as_u64().unwrap();
    assert_eq!(length, hit["text"].as_str().unwrap().len() as u64);
    assert_eq!(
        (&hit["dense_rank"], &hit["keyword_rank"]),
        (&1.into(), &1.into())
    );
    for score in ["score", "dense_score", "keyword_score"] {
        assert!(hit[score].as_f64().unwrap() > 0.0, "{score}");
    }
    let id = format!("{}_0", hit["document_id"].as_str().unwrap());
    assert_eq!(hit["chunk_id"], id);

    let keyword = world.ok(&["search", "--json", "--mode", "keyword", "coffee"]);
    assert_eq!(keyword["hits"].as_array().unwrap().len(), 1);
    assert_eq!(keyword["hits"][0]["dense_score"], serde_json::Value::Null);
    let dense = world.ok(&["search", "--json", "--mode", "dense", "espresso"]);
    assert_eq!(dense["hits"][0]["filename"], "kitchen.txt");
    assert_eq!(dense["hits"][0]["keyword_rank"], serde_json::Value::Null);
}

#[test]
fn the_best_passages_can_be_looked_at_once_more() {
    let world = World::with_handbook();
    let question = "Who approves travel abroad?";
    let found = world.ok(&["search", "--json", "--rerank=2", question]);
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(hits[0]["filename"], "travel.html");
    assert!(hits[0]["rerank_score"].as_f64().unwrap() > 0.3, "{found}");
    assert_eq!(hits[2]["rerank_score"], serde_json::Value::Null);
    assert_eq!(hits[2]["first_rank"], serde_json::Value::Null);
    assert!(found["timings_ms"]["rerank"].as_f64().unwrap() > 0.0);
    let plain = world.ok(&["search", "--json", question]);
    assert_eq!(plain["hits"][0]["rerank_score"], serde_json::Value::Null);

    let explained = world.run(&["search", "--rerank", "--explain", question]);
    for part in ["rerank: ", ", tokens 0.", "(rank 1 before)", ", rerank "] {
        assert!(explained.stdout.contains(part), "{part}: {explained:?}");
    }
    let wrong = world.run(&["search", "--rerank=0", question]);
    assert_eq!(wrong.code, Some(2));
}

#[test]
fn filters_restrict_and_are_explained() {
    let world = World::with_handbook();
    world.ok(&[
        "ingest",
        "--json",
        "--tag",
        "hr",
        &world.at("docs/leave.md"),
    ]);
    let with = |filters: &[&str]| {
        let mut args = vec!["search", "--json", "days of leave, travel, coffee"];
        for filter in filters {
            args.extend(["--filter", filter]);
        }
        let hits = world.ok(&args)["hits"].take();
        let mut names: Vec<String> = hits
            .as_array()
            .unwrap()
            .iter()
            .map(|h| h["filename"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    };
    assert_eq!(with(&[]), ["kitchen.txt", "leave.md", "travel.html"]);
    assert_eq!(with(&["tag=hr"]), ["leave.md"]);
    assert_eq!(
        with(&["format=html", "format=text"]),
        ["kitchen.txt", "travel.html"]
    );
    assert_eq!(with(&["filename=leave.md", "format=html"]), [""; 0]);
    assert_eq!(with(&["until=1999-12-31"]), [""; 0]);
    assert_eq!(with(&["from=1999-12-31"]).len(), 3);

    let explained = world.run(&["search", "--explain", "--filter", "tag=hr", "annual leave"]);
    assert_eq!(explained.code, Some(0));
    for part in [
        "vectors:",
        "keywords:",
        "filter:   allows 1 documents",
        "1. leave.md",
        "dense ",
        "rank 1",
    ] {
        assert!(explained.stdout.contains(part), "{part}: {explained:?}");
    }
    assert!(
        !explained.stdout.contains('\u{1b}'),
        "no colour outside a terminal"
    );
}

#[test]
fn documents_are_deleted_by_id_path_and_name() {
    let world = World::with_handbook();
    world.write(
        "more/leave.md",
        "# Leave\n\nAnother document of the same name.\n",
    );
    world.ok(&["ingest", "--json", &world.at("more")]);
    world
        .run(&["delete", "--json", "leave.md"])
        .failed(2, "usage");
    world
        .run(&["delete", "--json", "nothing.md"])
        .failed(1, "not_found");
    assert_eq!(world.ok(&["list", "--json"])["stats"]["documents"], 4);

    let by_path = world.ok(&["delete", "--json", &world.at("more/leave.md")]);
    assert_eq!(by_path["deleted"].as_array().unwrap().len(), 1);
    assert!(by_path["deleted"][0]["chunks"].as_u64().unwrap() > 0);
    world.ok(&["delete", "--json", "leave.md"]);
    let listing = world.ok(&["list", "--json"]);
    let id = listing["documents"][0]["id"].as_str().unwrap().to_owned();
    world.ok(&["delete", "--json", &id]);
    let again = world.run(&["delete", "--json", &id]);
    assert_eq!(again.code, Some(1));
    assert_eq!(again.json()["not_found"][0], id.as_str());

    assert_eq!(world.hits("annual leave").as_array().unwrap().len(), 1);
    let compacted = world.ok(&["compact", "--json"]);
    assert!(compacted["dead_vectors_removed"].as_u64().unwrap() >= 3);
    assert!(compacted["documents_erased"].as_u64().unwrap() >= 2);
    assert!(compacted["chunks_erased"].as_u64().unwrap() >= 3);
    let rewritten = compacted["files_rewritten"].as_array().unwrap();
    assert!(rewritten.iter().any(|file| file == "truth.sqlite"));
    assert!(
        compacted["bytes_after"].as_u64().unwrap() <= compacted["bytes_before"].as_u64().unwrap()
    );
    assert_eq!(world.hits("annual leave").as_array().unwrap().len(), 1);
}

#[test]
fn another_chunk_size_is_made_by_a_reindex() {
    let world = World::new();
    let text: String = (0..60)
        .map(|i| format!("Rule {i} says that form {i} is signed by desk {i} before noon.\n\n"))
        .collect();
    let file = world.write("docs/rules.txt", text);
    let first = world.ok(&["ingest", "--json", &file]);
    let report = world.ok(&["reindex", "--json", "--chunk-size", "60"]);
    assert_eq!(
        (&report["from_files"], &report["rebuilt"]),
        (&1.into(), &false.into())
    );
    let listing = world.ok(&["list", "--json"]);
    let document = &listing["documents"][0];
    assert!(document["chunks"].as_u64() > first["chunks"].as_u64());
    assert_eq!(document["tokens_total"], document["tokens_embedded"]);
    let report = world.ok(&["reindex", "--json", "--chunk-size", "60"]);
    assert_eq!(report["unchanged"], 1);

    // Without the file, the stored text is cut again.
    std::fs::remove_file(&file).unwrap();
    let report = world.ok(&["reindex", "--json", "--chunk-size", "120"]);
    assert_eq!(report["from_store"], 1);
    let hits = world.hits("which desk signs form 7");
    assert!(hits[0]["text"].as_str().unwrap().contains("form 7"));
}

#[test]
fn inspect_shows_blocks_and_chunks_that_fit_the_text() {
    let world = World::new();
    handbook(&world);
    let found = world.ok(&["inspect", "--json", &world.at("docs/leave.md")]);
    let text = found["text"].as_str().unwrap();
    assert_eq!(found["format"], "markdown");
    let blocks = found["blocks"].as_array().unwrap();
    assert_eq!(
        (&blocks[0]["kind"], &blocks[0]["level"]),
        (&"heading".into(), &1.into())
    );
    for block in blocks {
        let range = &block["byte_range"];
        let (start, end) = (
            range["start"].as_u64().unwrap(),
            range["end"].as_u64().unwrap(),
        );
        assert_eq!(block["text"], text[start as usize..end as usize]);
    }
    let chunks = found["chunks"].as_array().unwrap();
    assert!(!chunks.is_empty());
    assert!(chunks[0]["tokens"].as_u64().unwrap() > 10);

    let plain = world.run(&["inspect", "--text", &world.at("docs/leave.md")]);
    assert_eq!(plain.stdout, format!("{text}\n"));

    let several = world.run(&[
        "inspect",
        "--json",
        &world.at("docs/leave.md"),
        &world.at("docs/travel.html"),
    ]);
    let values: Vec<serde_json::Value> = several
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&values[0]["format"], &values[1]["format"]),
        (&"markdown".into(), &"html".into())
    );
}

#[test]
fn inspect_needs_no_model() {
    let world = World::new();
    handbook(&world);
    let file = world.at("docs/leave.md");
    let run = world.run(&["inspect", "--json", "--models", &world.at("none"), &file]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let found = run.json();
    assert_eq!(found["chunks"], serde_json::json!([]));
    assert_eq!(found["warnings"][0]["code"], "no_model");
    assert!(run.stderr.contains("warning: no chunks"));
    assert!(!found["blocks"].as_array().unwrap().is_empty());
}

#[test]
fn vectors_agree_with_the_reference() {
    let Some(path) = data("reference/minilm.json") else {
        return;
    };
    let reference: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let items = reference["items"].as_array().unwrap();
    for precision in ["f32", "int8"] {
        let mut args = vec!["embed", "--json", "--embedding-precision", precision, "--"];
        args.extend(items.iter().map(|item| item["text"].as_str().unwrap()));
        let found = World::new().ok(&args);
        assert_eq!(found["dim"], 384);
        assert_eq!(found["vectors"].as_array().unwrap().len(), items.len());
        for (item, vector) in items.iter().zip(found["vectors"].as_array().unwrap()) {
            let (mut cosine, mut difference) = (0.0, 0.0f64);
            let expected = item["embedding"].as_array().unwrap();
            for (a, b) in vector.as_array().unwrap().iter().zip(expected) {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                cosine += a * b;
                difference = difference.max((a - b).abs());
            }
            let name = &item["name"];
            assert!(cosine >= 0.995, "{precision}, {name}: {cosine}");
            let most = if precision == "f32" { 1e-5 } else { 0.05 };
            assert!(difference < most, "{precision}, {name}: {difference}");
        }
    }
    let refused = World::new().run(&["embed", "--embedding-precision", "int4", "text"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("give int8 or f32"), "{refused:?}");
}

#[test]
fn lines_of_stdin_are_embedded_as_arguments_are() {
    let world = World::new();
    let lines = world.run_with(&["embed", "--json"], "first text\n\nthird text\n");
    assert_eq!(lines.code, Some(0), "{lines:?}");
    let arguments = world.ok(&["embed", "--json", "first text", "", "third text"]);
    assert_eq!(lines.json()["vectors"].as_array().unwrap().len(), 3);
    let (lines, arguments) = (&lines.json()["vectors"], &arguments["vectors"]);
    for i in [0, 2] {
        for (x, y) in lines[i]
            .as_array()
            .unwrap()
            .iter()
            .zip(arguments[i].as_array().unwrap())
        {
            assert!((x.as_f64().unwrap() - y.as_f64().unwrap()).abs() < 1e-6);
        }
    }
    let plain = world.run(&["embed", "first text"]);
    assert_eq!(plain.stdout.split_whitespace().count(), 384);
    let long = "word ".repeat(400);
    let run = world.run(&["embed", "--json", &long]);
    assert!(
        run.stderr.contains("400 tokens") && run.stderr.contains("254"),
        "{}",
        run.stderr
    );
    world.run_with(&["embed", "--json"], "").failed(2, "usage");
}
