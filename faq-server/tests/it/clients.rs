//! What others wrote, against the real server: the client that signs with CryptoJS as the mobile
//! apps do, and a browser on the page of the demo.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{World, root};

/// A verb that serves, until it is dropped.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(world: &World, args: &[&str]) -> Self {
        let file = world.path("address");
        let mut all = args.to_vec();
        let path = file.to_str().unwrap();
        all.extend(["--port", "0", "--address-file", path]);
        let mut child = world
            .command(&all)
            .env("METRICS_ADDR", "main")
            .env("RATE_LIMIT_PER_MINUTE", "100000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(world.path("log")).unwrap())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(120);
        let address = loop {
            if let Ok(address) = std::fs::read_to_string(&file) {
                break address;
            }
            let log = || std::fs::read_to_string(world.path("log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "{}", log());
            assert!(Instant::now() < patience, "it does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { child, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The folder with the clients and their packages.
fn clients(purpose: &str) -> PathBuf {
    let made = Command::new(root().join("scripts/node-env"))
        .arg(purpose)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(made.status.success(), "scripts/node-env {purpose} failed");
    String::from_utf8(made.stdout).unwrap().trim().into()
}

fn node(dir: &Path, script: &str, args: &[&str]) {
    let ran = Command::new("node")
        .arg(script)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    println!("{told}");
    assert!(
        ran.status.success(),
        "{script}: {told}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn the_mobile_apps_story_is_told_to_its_end() {
    let world = World::new();
    let dir = clients("clients");
    let server = Serving::start(&world, &["serve"]);
    node(&dir, "story.mjs", &[&server.url()]);
    // Whatever was done, nothing of it that is secret stands in the log.
    let log = std::fs::read_to_string(world.path("log")).unwrap();
    assert!(log.contains("\"request_id\""), "{log}");
    for secret in ["sk_", "heron over water", "Quillon", "eyJ0eXAi"] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}

#[test]
fn a_person_tries_the_page_of_the_demo() {
    let world = World::new();
    let dir = clients("browser");
    let server = Serving::start(&world, &["demo", "--page"]);
    node(&dir, "page.mjs", &[&server.url()]);
}

#[test]
fn what_was_read_is_drawn_where_it_stands() {
    let world = World::new();
    let dir = clients("browser");
    // A page with a table, one that is turned, a manual of several pages, and formats without.
    let files = [
        "fuzz/corpus/pdf/a.pdf",
        "fuzz/corpus/pdf/cjk.pdf",
        "samples/handbook.pdf",
        "samples/travel-policy.docx",
        "samples/office.html",
    ];
    let mut pages = vec!["inspect.mjs".to_owned()];
    for (n, file) in files.iter().enumerate() {
        let file = root().join(file);
        let file = file.to_str().unwrap();
        let html = world.at(&format!("{n}.html"));
        let told = world.ok(&["inspect", "--json", file, "--html", &html]);
        let blocks = told["blocks"].as_array().unwrap().len();
        assert!(blocks > 0);
        pages.push(format!("{html}={blocks}"));
    }
    let args: Vec<&str> = pages[1..].iter().map(String::as_str).collect();
    node(&dir, &pages[0], &args);
}

#[test]
fn a_page_replaces_no_file_unasked() {
    let world = World::new();
    let file = world.write("notes.md", "# Rules\n\nBe kind.");
    let html = world.write("notes.html", "mine");
    let refused = world.run(&["inspect", &file, "--html", &html]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&html).unwrap(), "mine");
    let done = world.run(&["inspect", &file, "--html", &html, "--force"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(std::fs::read_to_string(&html).unwrap().contains("Be kind."));
    // Not even then the file that is shown, and not several into one.
    let itself = world.run(&["inspect", &file, "--html", &file, "--force"]);
    assert_eq!(itself.code, Some(2));
    let several = world.run(&["inspect", &file, &file, "--html", &world.at("new.html")]);
    assert_eq!(several.code, Some(2));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "# Rules\n\nBe kind."
    );
}
