//! `faq backup` and `faq restore`: what comes back is what was there, and nothing else comes in.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::served::{Owner, Served};
use crate::support::{Run, World};

const QUESTIONS: [&str; 4] = [
    "How many days of annual leave does an employee have?",
    "Who approves travel abroad?",
    "When is the coffee machine cleaned?",
    "What is the capital of France?",
];

/// The answers of the command, without their timings.
fn answers(world: &World, data: &str) -> Vec<Value> {
    QUESTIONS
        .iter()
        .map(|question| {
            let mut answer = world.ok(&["ask", "--json", "--data", &world.at(data), question]);
            assert!(answer["timings_ms"].is_object());
            answer.as_object_mut().unwrap().remove("timings_ms");
            answer
        })
        .collect()
}

fn restore(world: &World, file: &str, data: &str) -> Run {
    world.run(&[
        "restore",
        "--json",
        &world.at(file),
        "--data",
        &world.at(data),
    ])
}

/// Refused, with this code, and nothing is left: neither the folder nor one aside.
fn refused(world: &World, file: &str, codes: &[&str]) -> String {
    let before = names(world.dir.path());
    let run = restore(world, file, "refused");
    assert_eq!(run.code, Some(1), "{file}: {run:?}");
    let told = run.json();
    let code = told["code"].as_str().unwrap();
    assert!(codes.contains(&code), "{file}: {told}");
    assert_eq!(names(world.dir.path()), before, "{file}");
    told["error"].as_str().unwrap().to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The entries of an archive, in order.
fn entries(file: &Path) -> Vec<(String, Vec<u8>)> {
    let gzip = GzDecoder::new(std::fs::File::open(file).unwrap());
    tar::Archive::new(gzip)
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        })
        .collect()
}

/// An archive by hand: each entry with its type and the target of a link.
struct Forged(tar::Builder<GzEncoder<Vec<u8>>>, Vec<Value>);

impl Forged {
    fn new(manifest: &Value) -> Self {
        let gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let mut forged = Self(tar::Builder::new(gzip), Vec::new());
        forged.file("manifest.json", manifest.to_string().as_bytes());
        forged
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, tar::EntryType::Regular, "", content);
    }

    fn entry(&mut self, name: &str, kind: tar::EntryType, link: &str, content: &[u8]) {
        let mut header = tar::Header::new_ustar();
        // Past the checks of the builder, which would not write such names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        let sha256: String = Sha256::digest(content)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.1
            .push(json!({ "name": name, "bytes": content.len(), "sha256": sha256 }));
    }

    /// The archive, with an index that agrees.
    fn whole(mut self) -> Vec<u8> {
        let index = json!({ "entries": std::mem::take(&mut self.1) });
        self.file("index.json", index.to_string().as_bytes());
        self.0.into_inner().unwrap().finish().unwrap()
    }
}

fn manifest() -> Value {
    json!({ "format": 1, "faq": "0.1.0", "created": "2026-01-31T09:30:00Z", "master_key_id": null })
}

#[test]
fn the_same_questions_have_the_same_answers() {
    let world = World::with_handbook();
    let before = answers(&world, "data");
    let file = world.at("a.backup");
    let made = world.ok(&["backup", "--json", &file]);
    assert_eq!(made["file"], file.as_str());
    assert_eq!(
        (&made["collections"], &made["documents"], &made["blobs"]),
        (&json!(1), &json!(3), &json!(0))
    );
    let bytes = std::fs::metadata(&file).unwrap().len();
    assert_eq!(made["bytes"], bytes);
    assert!(made["seconds"].as_f64().unwrap() > 0.0);
    let found: Vec<String> = entries(Path::new(&file)).into_iter().map(|e| e.0).collect();
    assert_eq!(
        found,
        [
            "manifest.json",
            "collections/default/truth.sqlite",
            "index.json"
        ]
    );
    // Once into a folder that is missing, once into an empty one.
    std::fs::create_dir(world.path("there")).unwrap();
    for data in ["missing", "there"] {
        let run = restore(&world, "a.backup", data);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(run.json()["documents"], 3);
        assert_eq!(names(&world.path(data)), ["collections"]);
        assert_eq!(answers(&world, data), before);
    }
    assert!(!names(world.dir.path()).iter().any(|n| n.starts_with('.')));

    let run = restore(&world, "a.backup", "there");
    run.failed(1, "not_empty");
    assert!(run.stderr.contains("collections is in it"), "{run:?}");
    assert_eq!(answers(&world, "there"), before);

    world.run(&["backup", "--json", &file]).failed(1, "exists");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), bytes);
    world.ok(&["backup", "--json", "--force", &file]);
    let nothing = world.at("nowhere");
    world
        .run(&["backup", "--json", "--data", &nothing, &world.at("b")])
        .failed(1, "not_found");
    assert!(!world.path("b").exists());
}

#[cfg(unix)]
#[test]
fn a_backup_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_handbook();
    world.ok(&["backup", "--json", &world.at("a.backup")]);
    let mode = |name: &str| world.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("a.backup"), 0o600);
    assert_eq!(restore(&world, "a.backup", "back").code, Some(0));
    assert_eq!(mode("back"), 0o700);
    assert_eq!(mode("back/collections/default/truth.sqlite"), 0o600);
}

#[test]
fn a_backup_beside_an_ingest_is_whole() {
    let world = World::with_handbook();
    for i in 0..400 {
        let text = format!("Note {i}: the pass phrase of this note is quokka{i}.\n");
        world.write(&format!("more/{i:03}.txt"), text);
    }
    let mut ingest = world
        .command(&["ingest", "--json", "--progress", "json", &world.at("more")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = Vec::new();
    let mut beside = 0;
    loop {
        let is_running = ingest.try_wait().unwrap().is_none();
        let n = seen.len();
        let file = world.at(&format!("{n}.backup"));
        let made = world.ok(&["backup", "--json", &file]);
        beside += u32::from(is_running);
        let data = format!("back{n}");
        let restored = restore(&world, &format!("{n}.backup"), &data).json();
        let documents = made["documents"].as_u64().unwrap();
        assert_eq!(restored["documents"], documents);
        // Opening checks every projection against the store.
        let listed = world.ok(&["list", "--json", "--data", &world.at(&data)]);
        let listed = listed["documents"].as_array().unwrap();
        assert_eq!(listed.len() as u64, documents);
        seen.push(documents);
        if !is_running {
            break;
        }
    }
    assert!(beside > 0, "the ingest ended before the first backup");
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&403));
    assert_eq!(
        answers(&world, &format!("back{}", seen.len() - 1)),
        answers(&world, "data")
    );
}

#[test]
fn a_backup_of_a_running_server_comes_back_under_its_key_alone() {
    let world = World::new();
    let server = Served::start(&world, "data");
    let mut owner = server.register();
    let kept = server.upload(
        &owner,
        "leave.txt",
        "Every employee has 28 days of annual leave. Five days can be carried over.\n",
    );
    server.processed(&owner, &kept);
    let question = "How many days of annual leave does an employee have?";
    // How rare a word is depends on what else was there by then.
    let ask = |server: &Served, owner: &_| {
        let mut answer = server.ask(owner, question);
        for source in answer["sources"].as_array_mut().unwrap() {
            for name in ["keyword_score", "score"] {
                source.as_object_mut().unwrap().remove(name);
            }
        }
        answer
    };
    let before = ask(&server, &owner);
    assert_eq!(before["abstained"], false, "{before}");

    // Uploads go on while the backup is made.
    let made = std::thread::scope(|scope| {
        let backup = scope.spawn(|| world.ok(&["backup", "--json", &world.at("a.backup")]));
        let mut others = Vec::new();
        while !backup.is_finished() {
            let n = others.len();
            let text = format!("The pass phrase of note {n} is quokka{n}.\n");
            others.push(server.upload(&owner, &format!("{n}.txt"), &text));
        }
        for id in &others {
            server.processed(&owner, id);
        }
        backup.join().unwrap()
    });
    let key = made["master_key_id"].as_str().unwrap().to_owned();
    server.stop();
    let whole = std::fs::read(world.path("a.backup")).unwrap();
    let master = std::fs::read_to_string(world.path("data.keys/master.key")).unwrap();
    for (name, content) in entries(&world.path("a.backup")) {
        let found = content.windows(64).any(|w| w == master.trim().as_bytes());
        assert!(!found, "{name} holds the master key");
    }

    // Another key is told before anything is written.
    let other = "ab".repeat(32);
    let args = ["restore", "--json", &world.at("a.backup"), "--data"];
    let mut command = world.command(&args);
    command.arg(world.at("other")).env("ENCRYPTION_KEY", &other);
    let run = crate::support::run(&mut command, None);
    run.failed(1, "other_key");
    let told = format!("the data was sealed under the key {key}, and the key given is ");
    assert!(run.stderr.contains(&told), "{run:?}");
    assert!(!world.path("other").exists());

    // Without any key the report says which one is needed.
    let run = restore(&world, "a.backup", "back");
    assert_eq!(run.code, Some(0), "{run:?}");
    let restored = run.json();
    assert_eq!(restored["master_key_id"], key.as_str());
    assert_eq!(restored["key_found"], false);
    assert!(restored["blobs"].as_u64().unwrap() >= 1);

    bring_key(&world, "back");
    // The key folder counts as the setting does.
    assert_eq!(
        restore(&world, "a.backup", "back").json()["code"],
        "not_empty"
    );
    let server = Served::start(&world, "back");
    server.log_in(&mut owner);
    same_state(&server, &owner);
    assert_eq!(ask(&server, &owner), before);
    server.stop();
    assert_eq!(std::fs::read(world.path("a.backup")).unwrap(), whole);
}

fn bring_key(world: &World, data: &str) {
    let keys = world.path(&format!("{data}.keys"));
    std::fs::create_dir(&keys).unwrap();
    std::fs::copy(world.path("data.keys/master.key"), keys.join("master.key")).unwrap();
}

/// A database that was read before a deletion and an upload, and a collection read after them.
#[test]
fn what_changed_between_two_reads_is_neither_listed_nor_found() {
    let world = World::new();
    let server = Served::start(&world, "data");
    let mut owner = server.register();
    let first = server.upload(&owner, "a.txt", "The kitchen is on the second floor.\n");
    server.processed(&owner, &first);
    world.ok(&["backup", "--json", &world.at("before")]);
    server.call(
        &owner,
        "DELETE",
        &format!("/v1/documents/{first}"),
        &Value::Null,
    );
    let second = server.upload(&owner, "b.txt", "The cellar is below the kitchen.\n");
    server.processed(&owner, &second);
    world.ok(&["backup", "--json", &world.at("after")]);
    server.stop();

    let before = entries(&world.path("before"));
    let is_truth = |name: &str| name.starts_with("collections/tenant_");
    let truth = entries(&world.path("after"))
        .into_iter()
        .find(|(name, _)| is_truth(name))
        .unwrap();
    let mut mixed = Forged::new(&serde_json::from_slice(&before[0].1).unwrap());
    mixed.file("server.db", &before[1].1);
    mixed.file(&truth.0, &truth.1);
    world.write("mixed", mixed.whole());
    bring_key(&world, "back");
    let run = restore(&world, "mixed", "back");
    assert_eq!(run.code, Some(0), "{run:?}");
    let restored = run.json();
    assert_eq!(
        (&restored["deleted"], &restored["documents"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(restored["key_found"], true);

    // The document that the database does not know stays out of a backup.
    let back = world.at("back");
    let made = world.ok(&["backup", "--json", "--data", &back, &world.at("again")]);
    assert_eq!(
        (&made["collections"], &made["documents"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(restore(&world, "again", "twice").code, Some(0));
    bring_key(&world, "twice");
    let server = Served::start(&world, "twice");
    server.log_in(&mut owner);
    assert_eq!(server.documents(&owner), json!([]));
    let answer = server.ask(&owner, "Where is the kitchen?");
    assert_eq!(answer["abstained"], true, "{answer}");
    assert_eq!(answer["reason"], "no_hits", "{answer}");
}

/// Every document that a restored server lists gets done, can be found, and nothing else can.
fn same_state(server: &Served, owner: &Owner) {
    let documents = server.documents(owner);
    let documents = documents.as_array().unwrap();
    assert!(!documents.is_empty());
    let waiting: Vec<&str> = documents
        .iter()
        .filter(|d| d["status"] != "pending")
        .map(|d| d["document_id"].as_str().unwrap())
        .collect();
    for id in waiting {
        server.processed(owner, id);
        let content = format!("/v1/documents/{id}/content");
        let text = server.call(owner, "GET", &content, &Value::Null)["text"].take();
        assert!(!text.as_str().unwrap().is_empty());
    }
}

/// What the gzip file holds, where it is whole.
fn unpacked(file: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(file);
    std::io::Read::read_to_end(&mut reader, &mut content).ok()?;
    Some(content)
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let world = World::with_handbook();
    world.ok(&["backup", "--json", &world.at("a.backup")]);
    let whole = std::fs::read(world.path("a.backup")).unwrap();
    let codes = ["damaged_backup", "not_a_backup"];
    for cut in [
        0,
        3,
        9,
        40,
        whole.len() / 3,
        whole.len() / 2,
        whole.len() - 9,
        whole.len() - 1,
    ] {
        world.write("cut", &whole[..cut]);
        refused(&world, "cut", &codes);
    }
    // Each tenth of the file, its beginning (behind the gzip header's time), and its end.
    let tenths = (1..10).map(|tenth| whole.len() * tenth / 10);
    for at in tenths.chain([
        0,
        11,
        30,
        whole.len() - 20,
        whole.len() - 6,
        whole.len() - 2,
    ]) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        if unpacked(&flipped) == unpacked(&whole) {
            // Between two blocks there are bits that nobody reads.
            continue;
        }
        world.write("flipped", &flipped);
        refused(&world, "flipped", &codes);
    }
    world.write("longer", [whole.as_slice(), b"more"].concat());
    refused(&world, "longer", &codes);
    world.write("other", "not a backup at all");
    refused(&world, "other", &["not_a_backup"]);
}

#[test]
fn an_archive_that_was_made_to_harm_is_refused() {
    let world = World::with_handbook();
    world.ok(&["backup", "--json", &world.at("a.backup")]);
    let truth = entries(&world.path("a.backup")).swap_remove(1).1;
    let good = "collections/default/truth.sqlite";
    let try_it = |forged: Forged, codes: &[&str]| {
        world.write("forged", forged.whole());
        refused(&world, "forged", codes)
    };
    // The forgery is good but for what each case adds.
    let mut plain = Forged::new(&manifest());
    plain.file(good, &truth);
    world.write("forged", plain.whole());
    assert_eq!(restore(&world, "forged", "fine").code, Some(0));

    let absolute = world.at("escaped");
    for name in [
        "../escaped",
        &absolute,
        "collections/../../escaped",
        "collections/../truth.sqlite",
        "blobs/../../escaped",
        "server.db/../../escaped",
        "escaped",
        "master.key",
    ] {
        let mut forged = Forged::new(&manifest());
        forged.file(good, &truth);
        forged.file(name, b"gotcha");
        let told = try_it(forged, &["damaged_backup"]);
        assert!(
            told.contains("no backup holds an entry of that name"),
            "{told}"
        );
        assert!(!world.path("escaped").exists());
    }
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Directory,
        tar::EntryType::Fifo,
        tar::EntryType::GNULongName,
        tar::EntryType::XHeader,
    ] {
        let mut forged = Forged::new(&manifest());
        forged.entry(good, kind, "/etc/passwd", b"");
        forged.file(good, &truth);
        try_it(forged, &["damaged_backup"]);
    }
    let mut twice = Forged::new(&manifest());
    twice.file(good, &truth);
    twice.file(good, &truth);
    assert!(try_it(twice, &["damaged_backup"]).contains("twice"));

    let mut short = Forged::new(&manifest());
    short.file(good, &truth);
    short
        .1
        .push(json!({ "name": "server.db", "bytes": 1, "sha256": "" }));
    assert!(try_it(short, &["damaged_backup"]).contains("missing"));

    let mut lying = Forged::new(&manifest());
    lying.file(good, &truth);
    lying.1[1]["sha256"] = "00".repeat(32).into();
    assert!(try_it(lying, &["damaged_backup"]).contains(good));

    let mut junk = Forged::new(&manifest());
    junk.file(
        good,
        b"this is no database, whatever the index says of its checksum",
    );
    try_it(junk, &["damaged_backup"]);

    let mut newer = manifest();
    newer["format"] = 2.into();
    let told = try_it(Forged::new(&newer), &["newer_format"]);
    assert!(told.contains("format 2"), "{told}");

    // A size that the disk cannot hold is refused before a byte is written.
    let gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let mut huge = tar::Builder::new(gzip);
    let mut header = tar::Header::new_ustar();
    let text = manifest().to_string();
    header.set_path("manifest.json").unwrap();
    header.set_size(text.len() as u64);
    header.set_cksum();
    huge.append(&header, text.as_bytes()).unwrap();
    header.set_path(good).unwrap();
    header.set_size(1 << 60);
    header.set_cksum();
    huge.append(&header, &b""[..]).unwrap();
    world.write("forged", huge.into_inner().unwrap().finish().unwrap());
    refused(&world, "forged", &["disk_full"]);
}
