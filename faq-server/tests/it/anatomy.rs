//! `faq ask --explain`, `--record` and `--after`, `faq why` and `faq replay`: how an answer came
//! about, and once more.

use crate::support::World;

const QUESTION: &str = "How many days of annual leave does an employee have?";

#[test]
fn an_answer_is_explained_to_people_and_to_programs() {
    let world = World::with_handbook();
    let told = world.run(&["ask", "--explain", QUESTION]);
    assert_eq!(told.code, Some(0), "{told:?}");
    for part in [
        "Searched, state ",
        "relevance ",
        "read: leave.md",
        "Sentences weighed",
        "Answers the question with a probability of ",
        "extractive: understanding ",
    ] {
        assert!(told.stdout.contains(part), "{part}: {told:?}");
    }
    let anatomy = world.ok(&["ask", "--json", "--explain", QUESTION])["anatomy"].take();
    assert_eq!(anatomy["searched"], serde_json::json!([QUESTION]));
    assert_eq!(anatomy["passages"][0]["fate"], "read");
    let plain = world.ok(&["ask", "--json", QUESTION]);
    assert!(plain.get("anatomy").is_none(), "{plain}");
}

#[test]
fn a_document_that_is_not_quoted_has_a_reason() {
    let world = World::with_handbook();
    let why = |doc: &str| world.ok(&["why", "--json", "--doc", doc, QUESTION]);
    assert_eq!(why("leave.md")["stage"], "quoted");
    let other = why(&world.at("docs/travel.html"));
    assert_ne!(other["stage"], "quoted", "{other}");
    assert!(other["explanation"].as_str().is_some_and(|e| !e.is_empty()));
    let told = world.run(&["why", "--doc", "travel.html", QUESTION]);
    assert!(told.stdout.starts_with("travel.html "), "{told:?}");
    world
        .run(&["why", "--json", "--doc", "no.md", QUESTION])
        .failed(1, "not_found");
}

#[test]
fn a_follow_up_is_understood_and_said_so() {
    let world = World::with_handbook();
    let after = ["ask", "--after", QUESTION, "And who approves it?"];
    let told = world.run(&after);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.stderr.contains("understood as: How many days"),
        "{told:?}"
    );
}

#[test]
fn a_recorded_answer_is_given_again_in_the_same_words() {
    let world = World::with_handbook();
    let file = world.at("answer.json");
    let first = world.ok(&["ask", "--json", "--record", &file, QUESTION]);
    let changed = world.write(
        "docs/new.md",
        "# Leave\n\nEvery employee has 99 days of annual leave.\n",
    );
    world.ok(&["ingest", "--json", &changed]);
    let again = world.ok(&["replay", "--json", &file]);
    assert_eq!(again["answer"], first["answer"]);
    let other = world.run(&[
        "replay",
        "--json",
        &file,
        "--generator",
        "http://localhost:9#m",
    ]);
    other.failed(2, "invalid");
    let broken = world.write("broken.json", "{}");
    world
        .run(&["replay", "--json", &broken])
        .failed(2, "invalid");
    world
        .run(&["replay", "--json", &world.at("none.json")])
        .failed(1, "io");
}
