//! The queue through whatever happens to the process: what was acknowledged is found, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Request};
use crate::made::files::encrypted_office;
use crate::server::{Organisation, Server};

/// How often the server is killed; by hand, FAQ_TEST_KILLS makes it more.
fn kills() -> usize {
    std::env::var("FAQ_TEST_KILLS").map_or(12, |n| n.parse().unwrap())
}

/// Documents that are sent between two kills.
const EACH: usize = 2;

/// Numbers that look random and are the same each time (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A word that only this document holds.
fn word(document: usize) -> String {
    format!("quokka{document}zebra")
}

fn collection(organisation: &Organisation) -> String {
    format!("tenant_{}_knowledge", organisation.id)
}

/// Uploads a document to a server that may die at any moment; its id where the server said that
/// it has it.
fn try_upload(owner: &Client, document: usize) -> io::Result<String> {
    let asked = json!({"filename": format!("{document}.txt"), "content_type": "text/plain"});
    let announce = Request::new("POST", "/v1/documents/upload").json(&asked);
    let told = owner.sign(announce).try_send(&owner.site)?.ok();
    let url = told["upload_url"].as_str().unwrap();
    let text = format!(
        "The pass phrase of note {document} is {}.\n",
        word(document)
    );
    let put = Request::new("PUT", &url[url.find("/v1/").unwrap()..]).bytes("text/plain", text);
    let taken = put.try_send(&owner.site)?;
    assert_eq!(taken.status, 202, "{}", taken.text());
    Ok(told["document_id"].as_str().unwrap().to_owned())
}

#[test]
fn what_was_acknowledged_is_found_once_whenever_the_server_dies() {
    let mut server = Server::start();
    let organisations = ["first", "second"].map(|name| server.register(name));
    let mut random = Random(0x5eed);
    // By document: whose it is, and its id.
    let mut acknowledged: BTreeMap<usize, (usize, String)> = BTreeMap::new();
    let mut ready = Vec::new();
    let mut next = 0;
    for _ in 0..kills() {
        let died = AtomicBool::new(false);
        // Sending a document takes some milliseconds, working on it some tens or a hundred.
        let moment = Duration::from_millis(random.below(600));
        let first = next;
        next += EACH;
        let taken = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let mut taken = Vec::new();
                for document in first..first + EACH {
                    let whose = document % organisations.len();
                    match try_upload(&organisations[whose].owner, document) {
                        Ok(id) => taken.push((document, (whose, id))),
                        Err(e) => {
                            // Only a server that was killed may not answer.
                            while !died.load(Ordering::Relaxed) {
                                std::thread::sleep(Duration::from_millis(5));
                            }
                            println!("not acknowledged: document {document}: {e}");
                            break;
                        }
                    }
                }
                taken
            });
            std::thread::sleep(moment);
            server.kill();
            died.store(true, Ordering::Relaxed);
            sender.join().unwrap()
        });
        acknowledged.extend(taken);
        server.restart();
        ready.push(server.ready_after);
    }

    let mut cut_off = 0;
    for (whose, id) in acknowledged.values() {
        cut_off += usize::from(settle(&organisations[*whose].owner, id));
    }
    ready.sort();
    println!(
        "queue: {} kills, {} documents acknowledged, {cut_off} given up on, ready after \
         {:?} (median), {:?} (longest)",
        kills(),
        acknowledged.len(),
        ready[ready.len() / 2],
        ready[ready.len() - 1]
    );
    assert!(acknowledged.len() >= kills() / 2, "too few to tell");
    check_found_once(&mut server, &organisations, &acknowledged, next);
}

/// Waits until a document is completed. Where kill after kill has hit the work on it, it is a
/// dead letter, and its admin tries again; whether that was so.
fn settle(owner: &Client, id: &str) -> bool {
    let cut_off = owner.ended(id)["error_code"] == "interrupted";
    if cut_off {
        retry(owner, id);
    }
    assert_eq!(owner.completed(id)["chunks_count"], 1);
    cut_off
}

/// Tries given up work on a document again.
fn retry(owner: &Client, document: &str) {
    let letters = owner.get("/v1/admin/dead-letters").ok();
    let letters = letters["dead_letters"].as_array().unwrap();
    let letter = letters.iter().find(|l| l["document_id"] == document);
    let id = letter.unwrap()["id"].as_str().unwrap();
    let retried = Request::new("POST", &format!("/v1/admin/dead-letters/{id}/retry"));
    owner.send(retried).ok();
}

/// Looks at what the server says, and then at what it left on disk.
fn check_found_once(
    server: &mut Server,
    organisations: &[Organisation],
    acknowledged: &BTreeMap<usize, (usize, String)>,
    documents: usize,
) {
    let completed: Vec<BTreeSet<String>> = organisations
        .iter()
        .map(|organisation| {
            let owner = &organisation.owner;
            let list = owner.documents();
            // The server may have got what it could not acknowledge any more.
            let uploaded = list.iter().filter(|d| d["status"] != "pending");
            uploaded
                .map(|document| {
                    let id = document["document_id"].as_str().unwrap();
                    settle(owner, id);
                    id.to_owned()
                })
                .collect()
        })
        .collect();
    assert_eq!(server.terminate(), Some(0), "{}", server.log());

    for (organisation, completed) in organisations.iter().zip(&completed) {
        let listed = server.command(&["list", "--json", "--collection", &collection(organisation)]);
        let ids = listed["documents"].as_array().unwrap().iter();
        let ids: Vec<&str> = ids.map(|d| d["id"].as_str().unwrap()).collect();
        let unique: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(&unique, completed);
        for count in ["documents", "chunks", "vectors"] {
            assert_eq!(listed["stats"][count], ids.len(), "{count}: {listed}");
        }
    }
    for document in 0..documents {
        let found: Vec<Vec<Value>> = organisations
            .iter()
            .map(|organisation| search(server, organisation, &word(document)))
            .collect();
        if let Some((whose, id)) = acknowledged.get(&document) {
            assert_eq!(found[*whose].len(), 1, "document {document}: {found:?}");
            assert_eq!(&found[*whose][0]["document_id"], id);
        }
        let all: usize = found.iter().map(Vec::len).sum();
        assert!(
            all <= 1,
            "document {document} is there {all} times: {found:?}"
        );
    }
}

/// The hits of a word on disk.
fn search(server: &Server, organisation: &Organisation, word: &str) -> Vec<Value> {
    let collection = collection(organisation);
    let asked = [
        "search",
        "--json",
        "--mode",
        "keyword",
        "--collection",
        &collection,
        word,
    ];
    server.command(&asked)["hits"].as_array().unwrap().clone()
}

#[test]
fn a_server_that_is_asked_to_stop_loses_no_work_and_no_attempt() {
    let mut server = Server::start();
    let first = server.register("first");
    let ids: Vec<String> = (0..6)
        .map(|n| {
            let text = format!("The pass phrase of note {n} is {}.\n\n", word(n));
            let text = text + &"The kitchen is cleaned on Fridays.\n\n".repeat(300);
            first.owner.upload_text(&format!("{n}.txt"), &text)
        })
        .collect();
    while first.owner.status(&ids[0])["status"] == "uploaded" {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.terminate(), Some(0), "{}", server.log());
    server.restart();
    for (n, id) in ids.iter().enumerate() {
        let document = first.owner.completed(id);
        assert_eq!(document["attempts"], 1, "document {n}: {document}");
    }
    let letters = first.owner.get("/v1/admin/dead-letters").ok();
    assert_eq!(letters["dead_letters"], json!([]));
    assert_eq!(server.terminate(), Some(0));
    for (n, id) in ids.iter().enumerate() {
        let hits = search(&server, &first, &word(n));
        assert_eq!(hits.len(), 1, "document {n}: {hits:?}");
        assert_eq!(&hits[0]["document_id"], id);
    }
}

/// Work that does not end while the server waits for it is called off and handed back.
#[test]
fn work_that_is_called_off_when_the_server_stops_is_no_attempt() {
    let mut server = Server::start_with(&[("MAX_FILE_SIZE_MB", "4")]);
    let owner = server.register("first").owner;
    let text: String = (0..60_000)
        .map(|n| format!("Room {n} opens with the word {}.\n\n", word(n)))
        .collect();
    let id = owner.upload_text("rooms.txt", &text);
    let done = || owner.status(&id)["progress"]["done"].as_u64().unwrap();
    let mut begun = done();
    while begun == 0 {
        std::thread::sleep(Duration::from_millis(5));
        begun = done();
    }
    assert_eq!(server.terminate(), Some(0), "{}", server.log());
    server.restart();
    // Begun anew, it has less behind it than it had when it was called off.
    let document = loop {
        let document = owner.status(&id);
        let done = document["progress"]["done"].as_u64().unwrap();
        // A machine that was fast enough to end it needs no second beginning.
        if document["status"] != "processing" || (1..10 * begun).contains(&done) {
            break document;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_ne!(document["status"], "failed", "{document}");
    assert_eq!(document["attempts"], 1, "{document}");
    owner.delete(&format!("/v1/documents/{id}")).ok();
}

#[test]
fn a_file_that_can_never_be_read_fails_at_once_and_says_why() {
    let server = Server::start();
    let owner = server.register("first").owner;
    let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    let hopeless = [
        (
            owner.upload("locked.docx", docx, encrypted_office()),
            "encrypted",
        ),
        (
            owner.upload("broken.pdf", "application/pdf", "%PDF-1.7\nnothing"),
            "damaged",
        ),
    ];
    let letters = || {
        let letters = owner.get("/v1/admin/dead-letters").ok();
        letters["dead_letters"].as_array().unwrap().clone()
    };
    for (id, why) in &hopeless {
        let document = owner.ended(id);
        assert_eq!(document["status"], "failed", "{document}");
        assert_eq!(document["error_code"], *why, "{document}");
        assert!(!document["error_message"].as_str().unwrap().is_empty());
        assert_eq!(document["attempts"], 1, "{document}");
        let letters = letters();
        let letter = letters.iter().find(|l| l["document_id"] == *id).unwrap();
        assert_eq!(letter["error_code"], *why);
        assert_eq!(letter["kind"], "ingest");
    }
    // Tried again, it fails again, and stands there once.
    retry(&owner, &hopeless[0].0);
    assert_eq!(owner.ended(&hopeless[0].0)["error_code"], "encrypted");
    assert_eq!(letters().len(), 2);

    let newest = letters()[0]["id"].as_str().unwrap().to_owned();
    let one = format!("/v1/admin/dead-letters/{newest}");
    assert_eq!(owner.delete(&one).ok()["cleared"], 1);
    owner.delete(&one).fails(404, "not_found");
    assert_eq!(owner.delete("/v1/admin/dead-letters").ok()["cleared"], 1);
    assert_eq!(letters().len(), 0);
    for (id, why) in &hopeless {
        assert_eq!(owner.status(id)["error_code"], *why);
        owner.delete(&format!("/v1/documents/{id}")).ok();
    }
    assert_eq!(server.blobs().len(), 0, "{:?}", server.blobs());
}

#[test]
fn a_document_that_is_deleted_while_it_is_worked_on_is_gone_everywhere() {
    let mut server = Server::start();
    let first = server.register("first");
    let owner = &first.owner;
    let text: String = (0..4000)
        .map(|n| format!("Room {n} of the annex opens with the word {}.\n\n", word(n)))
        .collect();
    let id = owner.upload_text("annex.txt", &text);
    while owner.status(&id)["progress"]["done"] == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(owner.status(&id)["status"], "processing");
    let deleted = owner.delete(&format!("/v1/documents/{id}")).ok();
    assert_eq!(deleted["deleted"]["bytes"], text.len());
    for part in ["", "/status", "/content", "/original"] {
        let gone = owner.get(&format!("/v1/documents/{id}{part}"));
        gone.fails(404, "not_found");
    }
    assert_eq!(server.blobs().len(), 0, "{:?}", server.blobs());
    assert_eq!(owner.get("/v1/documents").ok()["documents"], json!([]));

    // Another document is worked on next; nothing of the first comes back behind it.
    let next = owner.upload_text("leave.txt", "Every employee has 28 days of annual leave.");
    assert_eq!(owner.completed(&next)["chunks_count"], 1);
    let answer = owner.ask("With which word does room 7 of the annex open?");
    assert!(!answer.to_string().contains(&id), "{answer}");
    let letters = owner.get("/v1/admin/dead-letters").ok();
    assert_eq!(letters["dead_letters"], json!([]));
    assert_eq!(server.terminate(), Some(0), "{}", server.log());
    let listed = server.command(&["list", "--json", "--collection", &collection(&first)]);
    assert_eq!(listed["stats"]["documents"], 1, "{listed}");
    assert_eq!(listed["stats"]["chunks"], 1, "{listed}");
    assert_eq!(search(&server, &first, &word(7)).len(), 0);
}

#[test]
fn a_second_server_is_kept_out_of_the_data() {
    let server = Server::start();
    let refused = server.second();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(
        told.contains("another server uses the data folder"),
        "{told}"
    );
    server.register("first").owner.get("/v1/user").ok();
}
