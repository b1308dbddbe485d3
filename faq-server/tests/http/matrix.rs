//! Who may do what: every operation that the server describes, tried by everybody.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::client::{Client, Request, Response};
use crate::server::{Organisation, PASSWORD, Server};

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    /// The organisation's app, for no person.
    App,
    User,
    Admin,
    Owner,
    /// The owner of another organisation, with the ids of the first one.
    Stranger,
}

const CALLERS: [Caller; 6] = [
    Caller::Nobody,
    Caller::App,
    Caller::User,
    Caller::Admin,
    Caller::Owner,
    Caller::Stranger,
];

/// What has to come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Fails(u16, &'static str),
    /// Not refused for who asks.
    Allowed,
    /// There is nothing of another organisation to ask for.
    Untried,
}

fn expected(needs: &str, caller: Caller, names_ids: bool) -> Outcome {
    let role = |caller| match caller {
        Caller::User => 1,
        Caller::Admin => 2,
        _ => 3,
    };
    let needed = match needs {
        "public" => {
            return match caller {
                Caller::Stranger => Outcome::Untried,
                _ => Outcome::Allowed,
            };
        }
        "signed" => 0,
        "user" => 1,
        "admin" => 2,
        "owner" => 3,
        other => panic!("x-needs is {other}"),
    };
    match caller {
        Caller::Nobody => Outcome::Fails(401, "invalid_signature"),
        Caller::Stranger if names_ids => Outcome::Fails(404, "not_found"),
        Caller::Stranger => Outcome::Untried,
        Caller::App if needed > 0 => Outcome::Fails(401, "missing_token"),
        Caller::App => Outcome::Allowed,
        person if role(person) < needed => Outcome::Fails(403, "forbidden"),
        _ => Outcome::Allowed,
    }
}

/// The first organisation, its people, and what they have.
struct Scene {
    organisation: Organisation,
    document: String,
    next: AtomicU32,
}

impl Scene {
    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn owner(&self) -> &Client {
        &self.organisation.owner
    }

    /// A document that was announced, and its upload address.
    fn announced(&self) -> (String, String) {
        self.owner()
            .announce(&json!({"filename": "note.txt", "content_type": "text/plain"}))
    }

    /// Somebody new, as the body of a request that names them.
    fn someone(&self) -> Value {
        let name = format!("someone{}", self.number());
        json!({"user_id": self.organisation.sign_up(&name).0})
    }

    /// A conversation of `who`.
    fn conversation(who: &Client) -> String {
        let told = who.ask("How many days of leave do I get?");
        told["conversation_id"].as_str().unwrap().to_owned()
    }

    /// Work that was given up.
    fn dead_letter(&self) -> String {
        let owner = self.owner();
        let document = owner.upload("broken.pdf", "application/pdf", "%PDF-1.7 and nothing");
        assert_eq!(owner.ended(&document)["status"], "failed");
        let letters = owner.get("/v1/admin/dead-letters").ok();
        let letters = letters["dead_letters"].as_array().unwrap();
        let letter = letters.iter().find(|l| l["document_id"] == document);
        letter.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// The newest of two live secrets; this test signs with the older one.
    fn secret(&self) -> String {
        let list = || self.owner().get("/v1/admin/secrets").ok();
        if list()["secrets"].as_array().unwrap().len() < 2 {
            let rotated = self.owner().post("/v1/admin/secrets/rotate", &json!({}));
            rotated.ok();
        }
        list()["secrets"][0]["id"].as_str().unwrap().to_owned()
    }
}

impl Scene {
    /// Leaves the secret that this test signs with as the only one, so that it outlives the next
    /// rotation.
    fn one_secret(&self) {
        let id = self.secret();
        self.owner().delete(&format!("/v1/admin/secrets/{id}")).ok();
    }
}

/// An example request of an operation, made anew for each try, since many use something up.
struct Example {
    make: fn(&Scene, &Client) -> Request,
    /// Whether it names something that belongs to the organisation.
    names_ids: bool,
}

fn plain(make: fn(&Scene, &Client) -> Request) -> Example {
    Example {
        make,
        names_ids: false,
    }
}

fn naming(make: fn(&Scene, &Client) -> Request) -> Example {
    Example {
        make,
        names_ids: true,
    }
}

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

fn post(target: &str, body: &Value) -> Request {
    Request::new("POST", target).json(body)
}

fn delete(target: &str) -> Request {
    Request::new("DELETE", target)
}

/// The body of a request, with another field.
fn and(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    body[name] = value.into();
    body
}

fn question(who: &Client) -> Value {
    json!({
        "query": "How many days of leave do I get?",
        "conversation_id": Scene::conversation(who),
    })
}

/// An example of every operation.
fn examples() -> BTreeMap<&'static str, Example> {
    let mut all = BTreeMap::new();
    all.extend(public_examples());
    all.extend(member_examples());
    all.extend(admin_examples());
    all
}

fn public_examples() -> Vec<(&'static str, Example)> {
    vec![
        ("GET /health", plain(|_, _| get("/health"))),
        ("GET /ready", plain(|_, _| get("/ready"))),
        (
            "POST /v1/org/register",
            plain(|_, _| {
                let asked = json!({"org_name": "Another", "admin_email": "a@another.example",
                                   "admin_password": PASSWORD});
                post("/v1/org/register", &asked)
            }),
        ),
        (
            "POST /v1/auth/refresh",
            plain(|scene, _| {
                let email = format!("user@{}.example", scene.organisation.name);
                let person = scene.organisation.app.log_in(&email);
                post(
                    "/v1/auth/refresh",
                    &json!({"refresh_token": person.refresh_token}),
                )
            }),
        ),
        (
            "PUT /v1/uploads/{id}",
            plain(|scene, _| {
                let (_, target) = scene.announced();
                Request::new("PUT", &target).bytes("text/plain", "A note on nothing much.")
            }),
        ),
        (
            "POST /v1/auth/signup",
            naming(|scene, _| {
                let asked = json!({"email": format!("new{}@first.example", scene.number()),
                                   "password": PASSWORD, "org_id": scene.organisation.id});
                post("/v1/auth/signup", &asked)
            }),
        ),
        (
            "POST /v1/auth/login",
            plain(|_, _| {
                let asked = json!({"email": "user@first.example", "password": PASSWORD});
                post("/v1/auth/login", &asked)
            }),
        ),
    ]
}

fn member_examples() -> Vec<(&'static str, Example)> {
    vec![
        (
            "POST /v1/auth/logout",
            plain(|_, _| Request::new("POST", "/v1/auth/logout")),
        ),
        (
            "POST /v1/auth/change-password",
            plain(|_, _| {
                let asked = json!({"old_password": PASSWORD, "new_password": PASSWORD});
                post("/v1/auth/change-password", &asked)
            }),
        ),
        ("GET /v1/user", plain(|_, _| get("/v1/user"))),
        ("GET /v1/documents", plain(|_, _| get("/v1/documents"))),
        (
            "GET /v1/documents/{id}",
            naming(|scene, _| get(&format!("/v1/documents/{}", scene.document))),
        ),
        (
            "GET /v1/documents/{id}/status",
            naming(|scene, _| get(&format!("/v1/documents/{}/status", scene.document))),
        ),
        (
            "GET /v1/documents/{id}/content",
            naming(|scene, _| get(&format!("/v1/documents/{}/content", scene.document))),
        ),
        (
            "GET /v1/documents/{id}/original",
            naming(|scene, _| get(&format!("/v1/documents/{}/original", scene.document))),
        ),
        (
            "POST /v1/chat/query",
            naming(|_, who| post("/v1/chat/query", &question(who))),
        ),
        // Without the headers of a WebSocket, those who may are told that it is one.
        ("GET /v1/chat/stream", plain(|_, _| get("/v1/chat/stream"))),
        (
            "POST /v1/chat/stream",
            naming(|_, who| post("/v1/chat/stream", &question(who))),
        ),
        (
            "GET /v1/chat/conversations",
            plain(|_, _| get("/v1/chat/conversations")),
        ),
        (
            "GET /v1/chat/history/{id}",
            naming(|_, who| get(&format!("/v1/chat/history/{}", Scene::conversation(who)))),
        ),
        (
            "DELETE /v1/chat/conversations/{id}",
            naming(|_, who| {
                let id = Scene::conversation(who);
                delete(&format!("/v1/chat/conversations/{id}"))
            }),
        ),
    ]
}

fn admin_examples() -> Vec<(&'static str, Example)> {
    let mut all = people_examples();
    all.extend([
        (
            "POST /v1/documents/upload",
            plain(|_, _| {
                let asked = json!({"filename": "a.txt", "content_type": "text/plain"});
                post("/v1/documents/upload", &asked)
            }),
        ),
        (
            "POST /v1/documents/{id}/complete",
            naming(|scene, _| {
                let id = scene.announced().0;
                Request::new("POST", &format!("/v1/documents/{id}/complete"))
            }),
        ),
        (
            "DELETE /v1/documents/{id}",
            naming(|scene, _| delete(&format!("/v1/documents/{}", scene.announced().0))),
        ),
        (
            "GET /v1/admin/dead-letters",
            plain(|_, _| get("/v1/admin/dead-letters")),
        ),
        (
            "DELETE /v1/admin/dead-letters",
            plain(|_, _| delete("/v1/admin/dead-letters")),
        ),
        (
            "DELETE /v1/admin/dead-letters/{id}",
            naming(|scene, _| delete(&format!("/v1/admin/dead-letters/{}", scene.dead_letter()))),
        ),
        (
            "POST /v1/admin/dead-letters/{id}/retry",
            naming(|scene, _| {
                let id = scene.dead_letter();
                Request::new("POST", &format!("/v1/admin/dead-letters/{id}/retry"))
            }),
        ),
        (
            "PUT /v1/admin/signup",
            plain(|_, _| Request::new("PUT", "/v1/admin/signup").json(&json!({"signup": "open"}))),
        ),
        ("GET /v1/admin/usage", plain(|_, _| get("/v1/admin/usage"))),
        (
            "GET /v1/admin/secrets",
            plain(|_, _| get("/v1/admin/secrets")),
        ),
        (
            "POST /v1/admin/secrets/rotate",
            plain(|scene, _| {
                scene.one_secret();
                post("/v1/admin/secrets/rotate", &json!({}))
            }),
        ),
        (
            "DELETE /v1/admin/secrets/{id}",
            naming(|scene, _| delete(&format!("/v1/admin/secrets/{}", scene.secret()))),
        ),
        (
            "GET /v1/admin/answering",
            plain(|_, _| get("/v1/admin/answering")),
        ),
        (
            "PUT /v1/admin/answering",
            plain(|_, _| {
                let asked = json!({"tone": "brief", "instructions": "Name the form."});
                Request::new("PUT", "/v1/admin/answering").json(&asked)
            }),
        ),
        (
            "GET /v1/admin/webhook",
            plain(|_, _| get("/v1/admin/webhook")),
        ),
        (
            "PUT /v1/admin/webhook",
            plain(|_, _| {
                let asked = json!({"url": "https://hooks.first.example/faq"});
                Request::new("PUT", "/v1/admin/webhook").json(&asked)
            }),
        ),
        (
            "DELETE /v1/admin/webhook",
            plain(|_, _| delete("/v1/admin/webhook")),
        ),
    ]);
    all
}

fn people_examples() -> Vec<(&'static str, Example)> {
    vec![
        (
            "POST /v1/convert-user-to-admin",
            naming(|scene, _| {
                let asked = and(scene.someone(), "role", "admin");
                post("/v1/convert-user-to-admin", &asked)
            }),
        ),
        (
            "POST /v1/revoke-access",
            naming(|scene, _| post("/v1/revoke-access", &scene.someone())),
        ),
        (
            "POST /v1/admin/users/owner",
            naming(|scene, _| {
                let asked = and(scene.someone(), "owner", true);
                post("/v1/admin/users/owner", &asked)
            }),
        ),
        ("GET /v1/admin/users", plain(|_, _| get("/v1/admin/users"))),
        (
            "POST /v1/admin/users/restore",
            naming(|scene, _| post("/v1/admin/users/restore", &scene.someone())),
        ),
        (
            "POST /v1/admin/users/approve",
            naming(|scene, _| post("/v1/admin/users/approve", &scene.someone())),
        ),
        (
            "POST /v1/admin/users/invite",
            plain(|_, _| {
                let asked = json!({"email": "guest@first.example"});
                post("/v1/admin/users/invite", &asked)
            }),
        ),
        (
            "POST /v1/admin/export",
            naming(|scene, _| post("/v1/admin/export", &scene.someone())),
        ),
        (
            "POST /v1/admin/erase",
            naming(|scene, _| post("/v1/admin/erase", &scene.someone())),
        ),
    ]
}

/// The operations that the server describes, with what each needs.
fn operations(server: &Server) -> BTreeMap<String, String> {
    let described = get("/openapi.json").send(&server.site).ok();
    let mut operations = BTreeMap::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(needs) = operation["x-needs"].as_str() else {
                panic!("{method} {path} does not say what it needs");
            };
            let key = format!("{} {path}", method.to_uppercase());
            operations.insert(key, needs.to_owned());
        }
    }
    operations
}

/// The person as whom a caller asks, with a session of this try's own: some operations end it.
fn person(scene: &Scene, other: &Organisation, caller: Caller) -> Option<Client> {
    let app = &scene.organisation.app;
    match caller {
        Caller::Nobody | Caller::App => None,
        Caller::User => Some(app.log_in("user@first.example")),
        Caller::Admin => Some(app.log_in("admin@first.example")),
        Caller::Owner => Some(app.log_in("owner@first.example")),
        Caller::Stranger => Some(other.owner.clone()),
    }
}

fn attempt(scene: &Scene, other: &Organisation, caller: Caller, example: &Example) -> Response {
    let someone = person(scene, other, caller);
    // What is named belongs to the caller where they are of the organisation, else to its owner.
    let whose = match (&someone, caller) {
        (None, _) | (_, Caller::Stranger) => scene.owner(),
        (Some(person), _) => person,
    };
    let request = (example.make)(scene, whose);
    match (caller, &someone) {
        (Caller::Nobody, _) => request.anywhere().send(&other.app.site),
        (_, None) => scene.organisation.app.send(request),
        (_, Some(person)) => person.send(request),
    }
}

#[test]
fn everybody_may_do_what_the_description_says_and_nothing_else() {
    let server = Server::start();
    let mut organisation = server.register("first");
    let other = server.register("other");
    organisation.sign_up("user");
    organisation.admin("admin");
    // Another owner prepares what is tried: the tries end sessions of the first one's.
    let (id, email) = organisation.sign_up("keeper");
    let asked = json!({"user_id": id, "owner": true});
    let owner = &organisation.owner;
    owner.post("/v1/admin/users/owner", &asked).ok();
    organisation.owner = organisation.app.log_in(&email);
    let document = organisation.owner.upload_text(
        "leave.txt",
        "Every employee has 28 days of annual leave. Five of them can be carried over.",
    );
    organisation.owner.completed(&document);
    let scene = Scene {
        organisation,
        document,
        next: AtomicU32::new(0),
    };

    let operations = operations(&server);
    let examples = examples();
    let described: Vec<&str> = operations.keys().map(String::as_str).collect();
    let known: Vec<&str> = examples.keys().copied().collect();
    assert_eq!(described, known, "operations and their examples");

    println!(
        "{:<42}{:<8}{}",
        "operation",
        "needs",
        CALLERS
            .map(|c| format!("{:<10}", format!("{c:?}")))
            .concat()
    );
    let mut wrong = Vec::new();
    for (operation, needs) in &operations {
        let example = &examples[operation.as_str()];
        let mut cells = String::new();
        for caller in CALLERS {
            let outcome = expected(needs, caller, example.names_ids);
            if outcome == Outcome::Untried {
                cells.push_str("-         ");
                continue;
            }
            let response = attempt(&scene, &other, caller, example);
            let right = match outcome {
                Outcome::Fails(status, code) => {
                    response.status == status && response.code() == code
                }
                Outcome::Allowed => ![401, 403].contains(&response.status) && response.status < 500,
                Outcome::Untried => true,
            };
            write!(cells, "{:<10}", response.status).unwrap();
            if !right {
                let text = response.text();
                wrong.push(format!(
                    "{operation} as {caller:?}: {} {text}, expected {outcome:?}",
                    response.status
                ));
            }
        }
        println!("{operation:<42}{needs:<8}{cells}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
