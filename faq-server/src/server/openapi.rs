//! The description of the API, completed with what holds for every route.

use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

use super::error::{Code, ErrorBody};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "faq",
        description = "Cited answers from an organisation's documents. Every request but the \
            public ones is signed: `hex(HMAC-SHA256(client_secret, METHOD|path|timestamp|body))` \
            in `X-Signature`, with `X-Client-ID` and `X-Timestamp` (Unix milliseconds). A person \
            also shows an access token.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ErrorBody, Code, super::routes::StreamEvent)),
    tags(
        (name = "organisations", description = "Registering"),
        (name = "auth", description = "Signing up, in and out"),
        (name = "users", description = "People and roles"),
        (name = "documents", description = "Uploading, watching, reading, deleting"),
        (name = "chat", description = "Questions and conversations"),
        (name = "admin", description = "What admins look after"),
        (name = "operations", description = "For those who run the server"),
    )
)]
struct Base;

/// The document without routes.
pub(crate) fn base() -> OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    for (name, header) in [
        ("client_id", "X-Client-ID"),
        ("timestamp", "X-Timestamp"),
        ("signature", "X-Signature"),
    ] {
        components.add_security_scheme(
            name,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(header))),
        );
    }
    components.add_security_scheme(
        "access_token",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .build(),
        ),
    );
    document
}

/// Adds the security and the errors of each route, and gives the document as JSON.
pub(crate) fn complete(mut document: OpenApi) -> Result<String, serde_json::Error> {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            complete_operation(operation);
        }
    }
    document.to_pretty_json()
}

fn complete_operation(operation: &mut Operation) {
    let needs = operation
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.get("x-needs"))
        .and_then(|needs| needs.as_str().map(str::to_owned))
        .unwrap_or_default();
    let signed = ["client_id", "timestamp", "signature"];
    let schemes: Vec<&str> = match needs.as_str() {
        "public" => Vec::new(),
        "signed" => signed.to_vec(),
        _ => [&signed[..], &["access_token"]].concat(),
    };
    operation.security = Some(if schemes.is_empty() {
        Vec::new()
    } else {
        let none: [&str; 0] = [];
        vec![
            schemes
                .iter()
                .fold(SecurityRequirement::default(), |all, name| {
                    all.add(*name, none)
                }),
        ]
    });
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let described = DONE.iter().find(|(known, _)| known == status);
            described
                .map_or("As asked.", |(_, words)| words)
                .clone_into(&mut response.description);
        }
    }
    let watched = operation
        .tags
        .iter()
        .flatten()
        .any(|tag| tag == "operations");
    for status in ERRORS {
        // Whoever watches the server is not signed, and sends nothing that could be wrong.
        if watched && ![405, 500].contains(&status.0) {
            continue;
        }
        let code = status.0.to_string();
        let there = &mut operation.responses.responses;
        there.entry(code).or_insert_with(|| {
            let content = ContentBuilder::new()
                .schema(Some(RefOr::Ref(Ref::from_schema_name("ErrorBody"))))
                .build();
            ResponseBuilder::new()
                .description(status.1)
                .content("application/json", content)
                .build()
                .into()
        });
    }
}

/// What a route answers that did what it was asked for, or that tells how things are.
const DONE: [(&str, &str); 5] = [
    ("200", "Done."),
    ("201", "Made."),
    ("202", "Taken; the work on it goes on."),
    ("204", "Done; there is nothing to say."),
    ("503", "Not well."),
];

/// What any route may answer instead.
const ERRORS: [(u16, &str); 15] = [
    (400, "The body is no JSON, or broke off."),
    (401, "The signature or the token is missing or wrong."),
    (403, "The role does not suffice, or a quota is used up."),
    (404, "There is no such thing in this organisation."),
    (405, "The address does not take this method."),
    (408, "The body took too long to arrive."),
    (
        409,
        "It conflicts with what is there, or was received before (`replayed`).",
    ),
    (410, "The address has expired."),
    (413, "The body is too large."),
    (415, "The type is not taken."),
    (422, "A field is missing or wrong; the sentence names it."),
    (426, "The address speaks WebSocket."),
    (429, "Too many requests; see Retry-After."),
    (
        500,
        "A fault of the server; the request id finds it in the log.",
    ),
    (503, "Busy or not well; see Retry-After."),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_error_in_the_document_has_the_shape_of_the_wire() {
        let document = serde_json::to_value(base()).unwrap();
        let properties = &document["components"]["schemas"]["ErrorBody"]["properties"];
        for name in ["error", "code", "request_id"] {
            assert!(properties.get(name).is_some(), "{name}: {properties}");
        }
    }
}
