//! Organisations with nearly the same documents: nobody ever sees a word of another's.

use serde_json::{Value, json};

use crate::client::{Client, Response};
use crate::server::{Organisation, Server};

/// Organisations; by hand, FAQ_TEST_ORGANISATIONS makes them more.
fn organisations() -> usize {
    std::env::var("FAQ_TEST_ORGANISATIONS").map_or(6, |n| n.parse().unwrap())
}

/// Requests of each organisation; by hand, FAQ_TEST_REQUESTS makes them more.
fn requests() -> usize {
    std::env::var("FAQ_TEST_REQUESTS").map_or(40, |n| n.parse().unwrap())
}

/// One organisation with what only its people may see.
struct House {
    organisation: Organisation,
    user: Client,
    canary: String,
    document: String,
    conversation: String,
}

impl House {
    fn build(server: &Server, number: usize) -> Self {
        let organisation = server.register(&format!("house{number}"));
        let canary = format!(
            "canary{:08x}",
            (number as u32 + 1).wrapping_mul(2_654_435_761)
        );
        let document = organisation.owner.upload_text(
            "handbook.txt",
            &format!(
                "Every employee has 28 days of annual leave.\n\nThe code word of the wireless \
                 network is {canary}.\n"
            ),
        );
        organisation.owner.completed(&document);
        let user = organisation.user("user");
        let conversation = ask(&user, &json!({})).ok();
        Self {
            organisation,
            user,
            canary,
            document,
            conversation: conversation["conversation_id"].as_str().unwrap().to_owned(),
        }
    }
}

fn ask(who: &Client, more: &Value) -> Response {
    let mut asked = json!({"query": "What is the code word of the wireless network?"});
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    who.post("/v1/chat/query", &asked)
}

/// One of the ways to ask for something, with one's own ids or with another's.
fn request(me: &House, ids: &House, kind: usize) -> Response {
    let (document, conversation) = (&ids.document, &ids.conversation);
    match kind {
        0 => ask(&me.user, &json!({})),
        1 => ask(&me.user, &json!({"conversation_id": conversation})),
        2 => ask(&me.user, &json!({"filters": {"document_ids": [document]}})),
        3 => me.user.get(&format!("/v1/documents/{document}/content")),
        4 => me.user.get(&format!("/v1/documents/{document}/original")),
        5 => me.user.get(&format!("/v1/documents/{document}/status")),
        6 => me.user.get(&format!("/v1/chat/history/{conversation}")),
        7 => me.user.get("/v1/documents"),
        8 => me.user.get("/v1/chat/conversations"),
        9 => me.organisation.owner.get("/v1/admin/users"),
        10 => {
            let asked = json!({"user_id": ids.organisation.owner_id});
            me.organisation.owner.post("/v1/admin/export", &asked)
        }
        _ => me.user.post(
            "/v1/chat/stream",
            &json!({"query": "What is the code word of the wireless network?"}),
        ),
    }
}

const KINDS: usize = 12;

/// The kinds whose answer depends on whose id is asked for.
const BY_ID: [usize; 6] = [1, 3, 4, 5, 6, 10];

#[test]
fn nobody_sees_a_word_of_another_organisation() {
    let server = Server::start();
    let houses: Vec<House> = (0..organisations())
        .map(|n| House::build(&server, n))
        .collect();
    let seen: usize = std::thread::scope(|scope| {
        let visits: Vec<_> = (0..houses.len())
            .map(|mine| {
                let houses = &houses;
                scope.spawn(move || visit(houses, mine))
            })
            .collect();
        visits.into_iter().map(|v| v.join().unwrap()).sum()
    });
    println!(
        "isolation: {} organisations, {} requests, {seen} of them showed one's own word",
        houses.len(),
        houses.len() * requests()
    );
}

/// Many requests of one organisation; how many showed its own canary.
fn visit(houses: &[House], mine: usize) -> usize {
    let me = &houses[mine];
    let mut own = 0;
    for n in 0..requests() {
        let kind = n % KINDS;
        // In turns one's own, and each of the others'.
        let whose = if (n / KINDS).is_multiple_of(2) {
            mine
        } else {
            (mine + 1 + (n + mine) % (houses.len() - 1)) % houses.len()
        };
        let response = request(me, &houses[whose], kind);
        if whose != mine && BY_ID.contains(&kind) {
            response.fails(404, "not_found");
        } else {
            assert_eq!(response.status, 200, "kind {kind}: {}", response.text());
        }
        let text = response.text();
        own += usize::from(text.contains(&me.canary));
        for (other, house) in houses.iter().enumerate() {
            if other == mine {
                continue;
            }
            for secret in [
                &house.canary,
                &house.document,
                &house.conversation,
                &house.organisation.owner_id,
                &house.organisation.id,
            ] {
                assert!(
                    !text.contains(secret.as_str()),
                    "kind {kind}, {mine} saw {secret} of {other}: {text}"
                );
            }
        }
    }
    assert!(
        own > 0,
        "no request of organisation {mine} showed its own word"
    );
    own
}
