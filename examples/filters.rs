//! Searching a part of a collection: by label, by format, by time.
//!
//! `cargo run --release --example filters`

use faq_core::{Control, Engine, Filter, Result, SearchOptions, Source};

fn main() -> Result<()> {
    let collection = Engine::open("faq-data")?.collection("filters")?;
    let control = Control::new();
    for (name, tag, text) in [
        (
            "oslo.md",
            "norway",
            "# Oslo office\n\nThe door code of the Oslo office is on the intranet.",
        ),
        (
            "lyon.md",
            "france",
            "# Lyon office\n\nThe Lyon office opens its door at eight.",
        ),
        (
            "lyon.txt",
            "france",
            "Parking in Lyon: ask the office for a key to the garage door.",
        ),
    ] {
        let mut source = Source::new(name, text);
        source.tags.insert(tag.into());
        collection.add(source, &control)?;
    }

    let in_france = Filter {
        tags: ["france".into()].into(),
        ..Filter::default()
    };
    let text_in_france = Filter {
        formats: ["text".into()].into(),
        ..in_france.clone()
    };
    for (what, filter) in [
        ("everywhere", Filter::default()),
        ("France", in_france),
        ("text, France", text_in_france),
    ] {
        let options = SearchOptions {
            filter,
            ..SearchOptions::default()
        };
        let found = collection.search("How do I open the door?", &options, &control)?;
        let names: Vec<&str> = found.hits.iter().map(|hit| hit.filename.as_str()).collect();
        println!("{what}: {}", names.join(", "));
        println!("    {}", found.plan.vectors);
    }
    Ok(())
}
