//! A running server, and an owner who asks it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use faq_auth::{ClientSecret, SignedRequest, Timestamp};
use serde_json::{Value, json};

use crate::support::World;

/// An organisation's credentials and its owner's token.
#[derive(Clone)]
pub(crate) struct Owner {
    client_id: String,
    secret: String,
    token: String,
}

/// A server over a data folder of a world. Dropped, it is killed.
pub(crate) struct Served {
    child: Child,
    base: String,
    agent: ureq::Agent,
}

impl Served {
    pub(crate) fn start(world: &World, data: &str) -> Self {
        let address = world.path(&format!("{data}.address"));
        let _left = std::fs::remove_file(&address);
        let mut command = world.command(&["serve", "--port", "0", "--address-file"]);
        command.arg(&address);
        Self::spawn(&mut command, &world.path(data), &address)
    }

    fn spawn(command: &mut Command, data: &std::path::Path, address: &PathBuf) -> Self {
        let mut child = command
            .env("FAQ_DATA", data)
            .env("METRICS_ADDR", "off")
            .env("MAX_DOCUMENTS", "100000")
            .env("RATE_LIMIT_PER_MINUTE", "1000000")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = loop {
            match std::fs::read_to_string(address) {
                Ok(text) if !text.trim().is_empty() => break text.trim().to_owned(),
                _ => assert!(child.try_wait().unwrap().is_none(), "the server ended"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        Self {
            child,
            base: format!("http://{address}"),
            agent,
        }
    }

    /// Ends the server as a service manager does.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").arg(&pid).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap();
    }

    pub(crate) fn register(&self) -> Owner {
        let body = json!({
            "org_name": "Tarnfell",
            "admin_email": "ines@tarnfell.example",
            "admin_password": "heron over water 7",
        });
        let made = self.send("POST", "/v1/org/register", None, &body);
        let mut owner = Owner {
            client_id: made["client_id"].as_str().unwrap().to_owned(),
            secret: made["client_secret"].as_str().unwrap().to_owned(),
            token: String::new(),
        };
        self.log_in(&mut owner);
        owner
    }

    pub(crate) fn log_in(&self, owner: &mut Owner) {
        let body = json!({
            "email": "ines@tarnfell.example",
            "password": "heron over water 7",
        });
        let session = self.call(owner, "POST", "/v1/auth/login", &body);
        session["access_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut owner.token);
    }

    /// A signed request, which has to succeed.
    pub(crate) fn call(&self, owner: &Owner, method: &str, target: &str, body: &Value) -> Value {
        self.send(method, target, Some(owner), body)
    }

    fn send(&self, method: &str, target: &str, owner: Option<&Owner>, body: &Value) -> Value {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base))
            .header("Content-Type", "application/json");
        if let Some(owner) = owner {
            let timestamp = now_ms();
            let signature = SignedRequest {
                method,
                target,
                timestamp: Timestamp::from_ms(timestamp).unwrap(),
                body: &body,
            }
            .sign(&owner.secret.parse::<ClientSecret>().unwrap().signing_key())
            .unwrap();
            request = request
                .header("X-Client-ID", &owner.client_id)
                .header("X-Timestamp", timestamp.to_string())
                .header("X-Signature", signature.to_string());
            if !owner.token.is_empty() {
                request = request.header("Authorization", format!("Bearer {}", owner.token));
            }
        }
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert!(
            response.status().is_success(),
            "{method} {target}: {} {text}",
            response.status()
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Announces a document and sends its bytes; its id.
    pub(crate) fn upload(&self, owner: &Owner, filename: &str, content: &str) -> String {
        let announced = self.call(
            owner,
            "POST",
            "/v1/documents/upload",
            &json!({ "filename": filename, "content_type": "text/plain" }),
        );
        let response = self
            .agent
            .put(announced["upload_url"].as_str().unwrap())
            .header("Content-Type", "text/plain")
            .send(content)
            .unwrap();
        assert_eq!(response.status(), 202);
        announced["document_id"].as_str().unwrap().to_owned()
    }

    /// Waits until the document's work has ended.
    pub(crate) fn processed(&self, owner: &Owner, id: &str) {
        loop {
            let target = format!("/v1/documents/{id}/status");
            let document = self.call(owner, "GET", &target, &Value::Null);
            match document["status"].as_str().unwrap() {
                "completed" => return,
                "failed" => panic!("{document}"),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// The answer to a question, without what differs from one asking to the next.
    pub(crate) fn ask(&self, owner: &Owner, question: &str) -> Value {
        let body = json!({ "query": question });
        let mut answer = self.call(owner, "POST", "/v1/chat/query", &body);
        for name in ["conversation_id", "message_id", "timings_ms", "created_at"] {
            answer.as_object_mut().unwrap().remove(name);
        }
        answer
    }

    pub(crate) fn documents(&self, owner: &Owner) -> Value {
        self.call(owner, "GET", "/v1/documents", &Value::Null)["documents"].take()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn now_ms() -> i64 {
    // Two requests of one millisecond would sign alike, and the second would be refused.
    std::thread::sleep(Duration::from_millis(2));
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    since.as_millis().try_into().unwrap()
}
