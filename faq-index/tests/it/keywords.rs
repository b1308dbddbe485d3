//! Questions in any script, of any length, with any character.

use faq_index::{Mode, Query};

use crate::support::*;

#[test]
fn no_character_of_a_question_is_syntax() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([document(1, &["the price of tea"])]))
        .unwrap();
    for question in [
        "tea AND (",
        "\"tea",
        "body:tea",
        "tea^",
        "tea~2",
        "tea*",
        "+tea -price",
        "[tea TO",
        "tea\\",
        "/tea/",
        "NOT tea",
        "tea:",
        "{tea}",
        "tea && ||",
        "'tea';--",
        "tea\0",
        "🍵 tea",
        "\u{202e}tea",
        "IN [tea",
        "tea OR NOT",
        "<tea>",
        "_exists_:tea",
        "tea\u{301}\u{301}",
    ] {
        let found = keyword(&collection, question);
        assert!(
            found == [id(1)] || question.contains('\u{301}'),
            "{question:?}"
        );
    }
    for question in ["", "   ", "+", "🍵", "\0", "()", "\u{200b}", "ﷺ"] {
        assert!(keyword(&collection, question).is_empty(), "{question:?}");
    }
}

#[test]
fn a_question_of_stop_words_alone_still_finds() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(1, &["to be or not to be"]),
            document(2, &["something else"]),
        ]))
        .unwrap();
    assert_eq!(keyword(&collection, "To be?"), [id(1)]);
}

#[test]
fn scripts_without_spaces_are_found_by_part() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let in_language = |n, code: &str, text| {
        let mut document = document(n, &[text]);
        document.language = Some(code.to_owned());
        document
    };
    collection
        .write(upsert([
            in_language(1, "zh", "北京大学位于中国的首都，是一所综合性大学。"),
            in_language(2, "zh", "上海是中国最大的城市之一。"),
            in_language(3, "ja", "吾輩は猫である。名前はまだ無い。"),
            in_language(4, "th", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"),
            in_language(5, "ko", "서울특별시는 대한민국의 수도이다."),
        ]))
        .unwrap();
    assert_eq!(keyword(&collection, "北京大学在哪里？")[0], id(1));
    assert_eq!(keyword(&collection, "最大的城市")[0], id(2));
    assert_eq!(keyword(&collection, "猫"), [id(3)]);
    assert_eq!(keyword(&collection, "เมืองหลวง")[0], id(4));
    assert_eq!(keyword(&collection, "서울")[0], id(5));
}

#[test]
fn languages_are_stemmed_each_in_its_way_and_accents_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let in_language = |n, code: Option<&str>, text| {
        let mut document = document(n, &[text]);
        document.language = code.map(str::to_owned);
        document
    };
    collection
        .write(upsert([
            in_language(1, Some("en"), "connections were established"),
            in_language(2, Some("de"), "Die Häuser am Fluß"),
            in_language(3, Some("fr"), "les réunions hebdomadaires"),
            in_language(4, None, "zebra crossings"),
            in_language(5, Some("ru"), "новые правила"),
        ]))
        .unwrap();
    assert_eq!(keyword(&collection, "connected"), [id(1)]);
    assert_eq!(keyword(&collection, "hauser fluss"), [id(2)]);
    assert_eq!(keyword(&collection, "reunion"), [id(3)]);
    assert_eq!(keyword(&collection, "ZEBRA"), [id(4)]);
    assert_eq!(keyword(&collection, "правило"), [id(5)]);
}

/// An embedder that does not know a language puts anything first; the words then decide.
#[test]
fn keywords_count_more_in_languages_that_the_embedder_does_not_know() {
    for (language, first) in [("de", 1), ("en", 2)] {
        let dir = tempfile::tempdir().unwrap();
        let collection = open(dir.path());
        let texts = [(1, "katze hund"), (2, "maus"), (3, "vogel")];
        let documents = texts.map(|(n, text)| {
            let mut document = document(n, &[text]);
            document.language = Some(language.to_owned());
            document
        });
        collection.write(upsert(documents)).unwrap();
        // By words the first is best, by its vector the second.
        let (first_vector, second_vector) = (vector_of(1, 0), vector_of(2, 0));
        let mixed = first_vector.iter().zip(&second_vector);
        let mixed: Vec<f32> = mixed.map(|(a, b)| 0.4 * a + b).collect();
        let length = mixed.iter().map(|x| x * x).sum::<f32>().sqrt();
        let asked = mixed.iter().map(|x| x / length).collect();
        let mut query = Query::new("katze hund", Some(asked));
        query.vector_languages = Some(&["en"]);
        let result = collection.search(&query).unwrap();
        assert_eq!(result.hits[0].id.document, id(first), "{language}");
        let said = result.plan.vectors.contains("does not know the language");
        assert_eq!(said, language == "de", "{}", result.plan.vectors);
    }
}

#[test]
fn titles_and_headings_count() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let mut titled = document(1, &["nothing of interest"]);
    titled.title = Some("Holiday rules".to_owned());
    let mut headed = document(2, &["nothing of interest"]);
    headed.chunks[0].heading_path = vec!["Travel".to_owned(), "Expenses".to_owned()];
    collection
        .write(upsert([titled, headed, document(3, &["nothing"])]))
        .unwrap();
    assert_eq!(keyword(&collection, "holidays"), [id(1)]);
    assert_eq!(keyword(&collection, "travel expense"), [id(2)]);
}

#[test]
fn a_question_of_a_hundred_kilobytes_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([document(1, &["needle in hay"])]))
        .unwrap();
    let mut question = String::from("needle ");
    for n in 0..20_000 {
        question.push('w');
        question.push_str(&n.to_string());
        question.push(' ');
    }
    assert!(question.len() > 100_000);
    let mut query = Query::new(question, Some(vector_of(1, 0)));
    query.mode = Mode::Hybrid;
    let hits = collection.search(&query).unwrap().hits;
    assert_eq!(hits[0].keyword_rank, Some(1));
    assert_eq!(keyword(&collection, &"x".repeat(100_000)).len(), 0);
}
