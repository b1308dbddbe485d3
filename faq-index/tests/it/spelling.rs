//! Misspelled words of questions: which are corrected, by what, and which are left alone.

use faq_index::{Collection, DocumentRecord, Filter, Mode, Query, Spelling, corrected};
use proptest::prelude::*;

use crate::support::*;

fn in_language(n: u64, code: &str, text: &str) -> DocumentRecord {
    let mut document = document(n, &[text]);
    document.language = Some(code.to_owned());
    document
}

/// A question as the collection reads it.
fn read(collection: &Collection, question: &str) -> String {
    let corrections = collection
        .corrections(question, &Filter::default())
        .unwrap();
    corrected(question, &corrections).into_owned()
}

fn exactly(collection: &Collection, question: &str) -> usize {
    let mut query = Query::new(question, None);
    query.mode = Mode::Keyword;
    query.spelling = Spelling::Exact;
    collection.search(&query).unwrap().hits.len()
}

#[test]
fn a_misspelled_word_finds_what_was_meant_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(1, &["Employees receive a badge."]),
            document(2, &["The canteen opens at noon."]),
        ]))
        .unwrap();
    let mut query = Query::new("Who recieves a bagde?", None);
    query.mode = Mode::Keyword;
    let found = collection.search(&query).unwrap();
    assert_eq!(found.hits.len(), 1);
    assert_eq!(found.hits[0].id.document, id(1));
    let said: Vec<_> = found.corrections.iter().map(|c| &*c.used).collect();
    assert_eq!(said, ["receive", "badge"]);
    let first = &found.corrections[0];
    assert_eq!((&*first.asked, first.range.clone()), ("recieves", 4..12));
    for word in ["recieves", "receive", "bagde", "badge"] {
        assert!(
            found.plan.keywords.contains(word),
            "{}",
            found.plan.keywords
        );
    }
    assert_eq!(
        read(&collection, "Who recieves a bagde?"),
        "Who receive a badge?"
    );
    assert_eq!(exactly(&collection, "Who recieves a bagde?"), 0);
}

#[test]
fn what_stands_in_counts_less_than_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(1, &["a plain invoice"]),
            document(2, &["a plain receipt"]),
        ]))
        .unwrap();
    assert_eq!(
        keyword(&collection, "receipt or invioce"),
        [id(2), id(1)],
        "the two words are as frequent"
    );
    assert_eq!(keyword(&collection, "reciept or invoice"), [id(1), id(2)]);
}

#[test]
fn the_nearest_and_most_frequent_word_stands_in() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(1, &["contract", "contract", "contrast"]),
            document(2, &["department", "compartment"]),
            document(3, &["holiday"]),
        ]))
        .unwrap();
    // One edit from both: the more frequent. One and two edits: the nearer.
    assert_eq!(read(&collection, "contraxt"), "contract");
    assert_eq!(read(&collection, "contrats"), "contrast");
    assert_eq!(read(&collection, "departmnet"), "department");
    // Two edits from eight letters on, and the first letter may be wrong.
    assert_eq!(read(&collection, "hollidya"), "holiday");
    assert_eq!(read(&collection, "hlidya"), "hlidya");
    assert_eq!(read(&collection, "goliday"), "holiday");
    assert_eq!(read(&collection, "Contraxt law"), "Contract law");
}

#[test]
fn words_of_any_language_are_corrected_in_their_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            in_language(1, "de", "Die Kündigungsfristen stehen im Arbeitsvertrag."),
            in_language(2, "ru", "Сотрудники получают ежегодный отпуск."),
            in_language(3, "ar", "يحصل الموظفون على إجازة سنوية مدفوعة"),
            in_language(4, "fr", "Les congés payés sont accordés chaque année."),
            in_language(5, "el", "Η ετήσια άδεια διαρκεί είκοσι ημέρες."),
        ]))
        .unwrap();
    for (question, first, used) in [
        ("Kündigungsfirsten", 1, "Kündigungsfristen"),
        ("Kundigungsfritsen", 1, "Kündigungsfristen"),
        ("Arbeitsvertarg", 1, "Arbeitsvertrag"),
        ("сотруднкии", 2, "сотрудники"),
        ("отпсук", 2, "отпуск"),
        ("الموطفون", 3, "الموظفون"),
        ("congsé", 4, "congés"),
        ("ετήσα", 5, "ετήσια"),
    ] {
        assert_eq!(read(&collection, question), used);
        assert_eq!(keyword(&collection, question), [id(first)], "{question}");
    }
    // Accents that are left out are no misspelling.
    assert_eq!(read(&collection, "kundigungsfristen"), "kundigungsfristen");
}

#[test]
fn what_is_meant_as_it_stands_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([
            document(
                1,
                &["The invoice number 12345 of contract AB1234, see nation and userName."],
            ),
            in_language(2, "zh", "北京大学位于中国的首都"),
        ]))
        .unwrap();
    for question in [
        "invoice 12346",
        "contract AB1235",
        "\"invoise\" contract",
        "see NATIN",
        "see usrName in contract",
        "invoice_nubmer contract",
        "the file contrct.pdf",
        "write to nubmer@example.org",
        "--nubmer",
        "/etc/nubmer",
        "北京大字",
        "see num",
        "",
        "\"",
    ] {
        assert_eq!(read(&collection, question), question);
    }
    // Capitals alone are no acronym, and marks without a partner quote nothing.
    assert_eq!(read(&collection, "WHICH INVOISE"), "WHICH Invoice");
    assert_eq!(read(&collection, "the \"invoise"), "the \"invoice");
    assert_eq!(read(&collection, "(invoise)?"), "(invoice)?");
}

#[test]
fn a_question_in_words_that_nobody_knows_is_not_guessed_at() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([document(
            1,
            &["the house lies under a large lane with a mouse and a vertical fence"],
        )]))
        .unwrap();
    let question = "Wo liegt hause unter lange maus Fence";
    assert_eq!(read(&collection, question), question);
    assert_eq!(read(&collection, "hosue fence"), "house fence");
}

#[test]
fn short_words_that_nobody_knows_make_no_other_language() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let text = "Reisen im Ausland genehmigt die Leitung.";
    collection
        .write(upsert([in_language(1, "de", text)]))
        .unwrap();
    assert_eq!(
        read(&collection, "Wer genemigt Reisen ins Auslnad?"),
        "Wer genehmigt Reisen ins Ausland?"
    );
}

#[test]
fn only_words_that_may_be_found_are_suggested() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let mut secret = document(1, &["the merger with Brightwater"]);
    secret.tags = ["board".to_owned()].into();
    let open_to_all = document(2, &["the opening of the canteen"]);
    collection.write(upsert([secret, open_to_all])).unwrap();
    let staff = Filter {
        documents: [id(2)].into(),
        ..Filter::default()
    };
    assert_eq!(read(&collection, "brihgtwater"), "brightwater");
    let suggested = collection.corrections("brihgtwater", &staff).unwrap();
    assert_eq!(suggested, []);
    let mut query = Query::new("brihgtwater cantene", None);
    query.mode = Mode::Keyword;
    query.filter = staff;
    let found = collection.search(&query).unwrap();
    assert_eq!(found.hits.len(), 1);
    assert!(!found.plan.keywords.contains("brightwater"));

    collection.write(delete([id(1)])).unwrap();
    assert_eq!(read(&collection, "brihgtwater"), "brihgtwater");
    // What a deleted document held is not known, either.
    collection
        .write(upsert([document(3, &["Brightwazer"])]))
        .unwrap();
    assert_eq!(read(&collection, "brightwater"), "brightwazer");
}

#[test]
fn a_hundred_kilobytes_of_unknown_words_cost_few_lookups() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    let known: Vec<String> = (0..400).map(|n| format!("word{}", letters(n))).collect();
    let text = known.join(" ");
    collection.write(upsert([document(1, &[&text])])).unwrap();
    // Half of the words are known and half are one edit from a known one.
    let unknown = (0..300).map(|n| format!("wordx{}", letters(n)));
    let unknown: Vec<String> = unknown.collect();
    let mut question = [&*text, &unknown.join(" ")].join(" ");
    while question.len() < 100_000 {
        question += " wordxaab";
    }
    let corrections = collection
        .corrections(&question, &Filter::default())
        .unwrap();
    let distinct: std::collections::BTreeSet<&str> =
        corrections.iter().map(|c| &*c.asked).collect();
    assert!((1..=16).contains(&distinct.len()), "{}", distinct.len());
    assert_eq!(keyword(&collection, &question), [id(1)]);
    let long = "ö".repeat(100_000);
    assert_eq!(read(&collection, &long), long);
}

/// Three letters that stand for a number.
fn letters(n: usize) -> String {
    [n / 676, n / 26 % 26, n % 26]
        .map(|digit| char::from(b'a' + digit as u8))
        .iter()
        .collect()
}

#[test]
fn corrections_that_are_given_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let collection = open(dir.path());
    collection
        .write(upsert([document(1, &["tea"]), document(2, &["coffee"])]))
        .unwrap();
    let given = collection.corrections("cofee", &Filter::default()).unwrap();
    let mut query = Query::new("cofee", None);
    query.mode = Mode::Keyword;
    query.spelling = Spelling::Corrected(given.clone());
    let found = collection.search(&query).unwrap();
    assert_eq!(found.hits[0].id.document, id(2));
    assert_eq!(found.corrections, given);
}

const WORDS: [&str; 12] = [
    "invoice", "contract", "leave", "annual", "badge", "canteen", "travel", "expense", "the",
    "München", "42", "of",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_question_of_known_words_is_answered_as_it_was_asked(
        texts in proptest::collection::vec(proptest::collection::vec(0..WORDS.len(), 1..12), 1..6),
        asked in proptest::collection::vec((0_usize..6, 0_usize..12), 0..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let collection = open(dir.path());
        let said = |words: &[usize]| words.iter().map(|at| WORDS[*at]).collect::<Vec<_>>().join(" ");
        let documents = texts.iter().enumerate().map(|(n, words)| document(n as u64, &[&said(words)]));
        collection.write(upsert(documents)).unwrap();
        let question: Vec<&str> = asked
            .iter()
            .map(|(text, word)| {
                let text = &texts[text % texts.len()];
                WORDS[text[word % text.len()]]
            })
            .collect();
        let mut query = Query::new(question.join(" "), Some(vector_of(1, 0)));
        let tolerant = collection.search(&query).unwrap();
        query.spelling = Spelling::Exact;
        let exact = collection.search(&query).unwrap();
        prop_assert_eq!(tolerant.hits, exact.hits);
        prop_assert_eq!(tolerant.plan, exact.plan);
        prop_assert!(tolerant.corrections.is_empty());
    }

    #[test]
    fn any_question_can_be_read(question in "[a-zA-ZäöÄ0-9\"“”北京 ._@/'-]{0,60}") {
        let dir = tempfile::tempdir().unwrap();
        let collection = open(dir.path());
        collection.write(upsert([document(1, &["some words of a text to be found"])])).unwrap();
        let corrections = collection.corrections(&question, &Filter::default()).unwrap();
        let mut end = 0;
        for correction in &corrections {
            prop_assert!(correction.range.start >= end);
            prop_assert_eq!(&question[correction.range.clone()], &correction.asked);
            end = correction.range.end;
        }
        corrected(&question, &corrections);
    }
}
