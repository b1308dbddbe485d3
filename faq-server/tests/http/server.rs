//! A server of one's own in a temporary folder, and the people who use it.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Request, Response, Site};

/// The password of everybody in these tests.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The binary with nothing of this machine's settings but where its models are.
fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faq"));
    command.env_clear();
    for name in ["PATH", "HOME", "XDG_CACHE_HOME", "FAQ_MODELS_DIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.arg("--offline");
    command
}

/// A running server. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    settings: HashMap<String, String>,
    child: Option<Child>,
    pub(crate) site: Site,
    /// How long the latest start took until requests were answered.
    pub(crate) ready_after: Duration,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts with limits out of the way, and with `settings` instead where they say so.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let usual = [
            ("METRICS_ADDR", "off"),
            ("LOG_LEVEL", "warn"),
            ("TRUSTED_PROXIES", "127.0.0.1"),
            ("RATE_LIMIT_PER_MINUTE", "100000"),
            ("MAX_DOCUMENTS", "1000"),
            ("MAX_USERS", "1000"),
            ("MAX_FILE_SIZE_MB", "1"),
        ];
        let settings = usual.iter().chain(settings);
        let mut server = Self {
            dir: tempfile::tempdir().unwrap(),
            settings: settings
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            child: None,
            site: Site::new(([127, 0, 0, 1], 0).into()),
            ready_after: Duration::ZERO,
        };
        server.restart();
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts again over the same data, after [`Server::kill`] or [`Server::terminate`].
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let address_file = self.path("address");
        let _none = std::fs::remove_file(&address_file);
        let log = || {
            File::options()
                .create(true)
                .append(true)
                .open(self.path("log"))
                .unwrap()
        };
        let started = Instant::now();
        let mut child = binary()
            .arg("serve")
            .args(["--port", "0", "--data"])
            .arg(self.path("data"))
            .arg("--address-file")
            .arg(&address_file)
            .envs(&self.settings)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .unwrap();
        let address = loop {
            if let Ok(text) = std::fs::read_to_string(&address_file) {
                break text.parse().unwrap();
            }
            if let Some(ended) = child.try_wait().unwrap() {
                panic!("the server ended ({ended}): {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.ready_after = started.elapsed();
        self.child = Some(child);
        self.site.moved(address);
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// MB that the server has had in memory at most; 0 where the system does not say.
    pub(crate) fn most_memory(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = most.and_then(|most| most.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) / 1024
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to go down, and waits; its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let asked = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        assert!(asked.unwrap().success());
        child.wait().unwrap().code()
    }

    /// Runs another command of the binary over this data, which has to print one JSON value.
    pub(crate) fn command(&self, args: &[&str]) -> Value {
        let output = binary()
            .env("FAQ_DATA", self.path("data"))
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Tries to start another server over the same data.
    pub(crate) fn second(&self) -> Output {
        binary()
            .args(["serve", "--port", "0", "--data"])
            .arg(self.path("data"))
            .envs(&self.settings)
            .output()
            .unwrap()
    }

    /// The files in which uploads lie.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path("data/blobs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files
    }

    /// A new organisation with its owner signed in.
    pub(crate) fn register(&self, name: &str) -> Organisation {
        let email = format!("owner@{name}.example");
        let asked = json!({"org_name": name, "admin_email": email, "admin_password": PASSWORD});
        let told = Request::new("POST", "/v1/org/register")
            .json(&asked)
            .anywhere()
            .send(&self.site)
            .ok();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let app = Client {
            site: self.site.clone(),
            id: text(&told["client_id"]),
            secret: text(&told["client_secret"]),
            token: None,
            refresh_token: None,
        };
        Organisation {
            id: text(&told["org_id"]),
            name: name.to_owned(),
            owner: app.log_in(&email),
            owner_id: text(&told["admin_user"]["id"]),
            app,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

/// An organisation and what its people need.
pub(crate) struct Organisation {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Signs, for nobody.
    pub(crate) app: Client,
    pub(crate) owner: Client,
    pub(crate) owner_id: String,
}

impl Organisation {
    /// The id and the address of a new person, whose name is part of the address.
    pub(crate) fn sign_up(&self, name: &str) -> (String, String) {
        let email = format!("{name}@{}.example", self.name);
        let asked = json!({"email": email, "password": PASSWORD, "org_id": self.id});
        let told = self.app.post("/v1/auth/signup", &asked).ok();
        (told["user"]["id"].as_str().unwrap().to_owned(), email)
    }

    /// A new person, signed in.
    pub(crate) fn user(&self, name: &str) -> Client {
        self.app.log_in(&self.sign_up(name).1)
    }

    /// A new admin, signed in.
    pub(crate) fn admin(&self, name: &str) -> Client {
        let (id, email) = self.sign_up(name);
        let asked = json!({"user_id": id, "role": "admin"});
        self.owner.post("/v1/convert-user-to-admin", &asked).ok();
        self.app.log_in(&email)
    }
}

impl Client {
    pub(crate) fn try_log_in(&self, email: &str, password: &str) -> Response {
        let asked = json!({"email": email, "password": password});
        self.nobody().post("/v1/auth/login", &asked)
    }

    /// The app with somebody signed in.
    pub(crate) fn log_in(&self, email: &str) -> Self {
        let told = self.try_log_in(email, PASSWORD).ok();
        let text = |name: &str| Some(told[name].as_str().unwrap().to_owned());
        Self {
            token: text("access_token"),
            refresh_token: text("refresh_token"),
            ..self.clone()
        }
    }

    /// Announces a document: its id, and the target of its upload address.
    pub(crate) fn announce(&self, asked: &Value) -> (String, String) {
        let told = self.post("/v1/documents/upload", asked).ok();
        let url = told["upload_url"].as_str().unwrap();
        let target = &url[url.find("/v1/").unwrap()..];
        (
            told["document_id"].as_str().unwrap().to_owned(),
            target.to_owned(),
        )
    }

    /// Uploads a document; its id.
    pub(crate) fn upload(&self, name: &str, kind: &str, content: impl Into<Vec<u8>>) -> String {
        let (id, target) = self.announce(&json!({"filename": name, "content_type": kind}));
        let told = Request::new("PUT", &target)
            .bytes(kind, content)
            .send(&self.site);
        assert_eq!(told.status, 202, "{}", told.text());
        id
    }

    pub(crate) fn upload_text(&self, name: &str, text: &str) -> String {
        self.upload(name, "text/plain", text)
    }

    pub(crate) fn status(&self, id: &str) -> Value {
        self.get(&format!("/v1/documents/{id}/status")).ok()
    }

    /// All documents of the organisation, page by page.
    pub(crate) fn documents(&self) -> Vec<Value> {
        let mut documents = Vec::new();
        let mut target = "/v1/documents".to_owned();
        loop {
            let page = self.get(&target).ok();
            documents.extend_from_slice(page["documents"].as_array().unwrap());
            match page["next_cursor"].as_str() {
                Some(cursor) => target = format!("/v1/documents?cursor={cursor}"),
                None => return documents,
            }
        }
    }

    /// Waits until the work on a document has ended, either way.
    pub(crate) fn ended(&self, id: &str) -> Value {
        let mut polls = 0;
        loop {
            let document = self.status(id);
            if ["completed", "failed"].contains(&document["status"].as_str().unwrap()) {
                return document;
            }
            // So many that only work that never ends reaches them.
            polls += 1;
            assert!(polls < 6000, "it does not end: {document}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until a document is completed.
    pub(crate) fn completed(&self, id: &str) -> Value {
        let document = self.ended(id);
        assert_eq!(document["status"], "completed", "{document}");
        document
    }

    pub(crate) fn ask(&self, question: &str) -> Value {
        self.post("/v1/chat/query", &json!({"query": question}))
            .ok()
    }
}
