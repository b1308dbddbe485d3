//! Answers as they grow: the same events over server-sent events and over WebSocket.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use utoipa::ToSchema;

use super::MEMBER;
use super::chat::Query;
use crate::server::answers::Step;
use crate::server::api::{AnswerView, SourceView};
use crate::server::app::App;
use crate::server::body::{self, Body};
use crate::server::chat::{self, Event};
use crate::server::error::{ApiError, ErrorBody};
use crate::server::identity::{Actor, Caller, Credentials, Identity, Member, authenticate};
use crate::server::request;

/// How often a line that is silent shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a browser may take to say who it is.
const HELLO: Duration = Duration::from_secs(5);

/// How long a connection may be silent before it is closed.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// How long a client may take to answer a ping. Then nobody is there.
const ALIVE: Duration = Duration::from_secs(30);

/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Longest message from a client.
const MESSAGE: usize = 64 * 1024;

/// What a client hears while an answer grows. `id` grows by one within a connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum StreamEvent {
    /// What is going on: `searching`, `reading` or `writing`.
    Status { id: u64, stage: &'static str },
    /// Sources that are cited for the first time in the next piece.
    Sources { id: u64, sources: Vec<SourceView> },
    /// The next piece; all of them joined are the answer. Nothing is withdrawn.
    Delta { id: u64, text: String },
    /// The whole answer, as from `POST /v1/chat/query`. The last event of a question.
    Final {
        id: u64,
        #[serde(flatten)]
        answer: Box<AnswerView>,
    },
    /// Why there is no answer. The last event of a question.
    Error {
        id: u64,
        #[serde(flatten)]
        error: ErrorBody,
    },
}

/// An event as a line of the stream carries it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what the SSE library writes")]
pub(crate) struct SseFrame {
    /// The event's `id`.
    id: String,
    /// The event's `type`.
    event: String,
    /// A `StreamEvent` as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

impl StreamEvent {
    fn new(event: Event, ids: &mut u64) -> Self {
        *ids += 1;
        let id = *ids;
        match event {
            Event::Step(Step::Stage(stage)) => Self::Status { id, stage },
            Event::Step(Step::Source(source)) => Self::Sources {
                id,
                sources: vec![SourceView::from(&*source)],
            },
            Event::Step(Step::Piece(text, _)) => Self::Delta { id, text },
            Event::Final(finished) => Self::Final {
                id,
                answer: Box::new(AnswerView::from(&*finished)),
            },
            Event::Failed(e) => Self::failed(&e, id),
        }
    }

    fn failed(e: &ApiError, id: u64) -> Self {
        e.log();
        Self::Error {
            id,
            error: e.body(&request::current_id()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Sources { .. } => "sources",
            Self::Delta { .. } => "delta",
            Self::Final { .. } => "final",
            Self::Error { .. } => "error",
        }
    }

    /// Whether the question is settled with it.
    fn is_last(&self) -> bool {
        matches!(self, Self::Final { .. } | Self::Error { .. })
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Answers a question as server-sent events.
#[utoipa::path(
    post, path = "/v1/chat/stream", tag = "chat", request_body = Query,
    responses((status = 200, body = SseFrame, content_type = "text/event-stream")),
    extensions(("x-needs" = json!(MEMBER)))
)]
pub(crate) async fn sse(
    State(app): State<App>,
    who: Caller<Member>,
    Body(asked): Body<Query>,
) -> Result<Response, ApiError> {
    let events = chat::start(&app, &who, asked.turn()?).await?;
    let request_id = request::current_id();
    let lines = stream::unfold((events, 0u64), move |(mut events, mut ids)| {
        let request_id = request_id.clone();
        async move {
            let event = events.recv().await?;
            let event =
                request::with_id(request_id, async { StreamEvent::new(event, &mut ids) }).await;
            let line = SseEvent::default()
                .id(ids.to_string())
                .event(event.name())
                .data(event.json());
            Some((Ok::<_, std::convert::Infallible>(line), (events, ids)))
        }
    });
    let mut response = Sse::new(lines)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    // Proxies must not collect what shall be read as it comes.
    let headers = response.headers_mut();
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Opens a WebSocket: the client sends `{query, conversation_id?}` as often as it likes, and
/// hears events.
///
/// The signature and the token come in headers, or, from a browser, as the first message within
/// five seconds: `{client_id, timestamp, signature, token}`, signed over
/// `GET|/v1/chat/stream|timestamp|`.
#[utoipa::path(
    get, path = "/v1/chat/stream", tag = "chat",
    responses((status = 101, description = "the connection is a WebSocket now")),
    extensions(("x-needs" = json!(MEMBER)), ("x-websocket" = json!(true)))
)]
pub(crate) async fn ws(
    State(app): State<App>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let address = request::address(&parts, &app.config.trusted_proxies);
    let target = super::target(&parts);
    // Who shows credentials in headers, or is no WebSocket at all, is told in plain HTTP.
    let known = if Credentials::are_in(&parts.headers) || upgrade.is_err() {
        let credentials = Credentials::of_headers(&parts.headers);
        let identity = authenticate(
            &app,
            &Method::GET,
            &target,
            credentials.as_ref(),
            b"",
            address,
            true,
        )
        .await?;
        Some(member(identity)?)
    } else {
        app.limits.address(address)?;
        None
    };
    let upgrade = upgrade.map_err(|e| {
        ApiError::new(
            axum::http::StatusCode::UPGRADE_REQUIRED,
            crate::server::error::Code::InvalidField,
            format!("this address speaks WebSocket: {}", e.body_text()),
        )
    })?;
    let request_id = request::current_id();
    Ok(upgrade
        .max_message_size(MESSAGE)
        .max_frame_size(MESSAGE)
        .on_upgrade(move |socket| {
            request::with_id(request_id, async move {
                Connection::new(app, socket).run(known, address).await;
            })
        }))
}

fn member(identity: Identity) -> Result<Actor, ApiError> {
    match identity {
        Identity::Person(actor) => Ok(Caller::<Member>::new(actor)?.clone()),
        Identity::Organisation(_) => Err(ApiError::missing_token()),
    }
}

/// The first message of a browser.
#[derive(Deserialize)]
struct Hello {
    client_id: String,
    #[serde(deserialize_with = "text_or_number")]
    timestamp: String,
    signature: String,
    token: String,
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(d)? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("expected a string or a number")),
    }
}

struct Connection {
    app: App,
    socket: WebSocket,
    ids: u64,
    /// When the client was heard last.
    heard: Instant,
}

/// How a connection ended before the client was done with it.
enum Gone {
    /// The client said goodbye, or went without a word.
    Away,
    /// What came was no WebSocket any more.
    Broken(u16, &'static str),
}

impl From<axum::Error> for Gone {
    fn from(e: axum::Error) -> Self {
        use tungstenite::Error;
        match e.into_inner().downcast_ref::<Error>() {
            Some(Error::Capacity(_)) => Self::Broken(close_code::SIZE, "a message is too long"),
            Some(Error::Utf8(_)) => Self::Broken(close_code::INVALID, "a text is no UTF-8"),
            Some(Error::Protocol(_)) => Self::Broken(close_code::PROTOCOL, "a broken frame"),
            _ => Self::Away,
        }
    }
}

impl Connection {
    fn new(app: App, socket: WebSocket) -> Self {
        Self {
            app,
            socket,
            ids: 0,
            heard: Instant::now(),
        }
    }

    /// Serves the connection to its end, and says goodbye as the protocol wants it.
    async fn run(mut self, known: Option<Actor>, address: IpAddr) {
        let (code, reason) = match self.serve(known, address).await {
            Ok(goodbye) => goodbye,
            Err(Gone::Broken(code, reason)) => (code, reason),
            Err(Gone::Away) => {
                // What the protocol still has to say is said while the end is read.
                self.hear_out().await;
                return;
            }
        };
        let reason = reason.into();
        let goodbye = Message::Close(Some(CloseFrame { code, reason }));
        if self.socket.send(goodbye).await.is_ok() {
            self.hear_out().await;
        }
    }

    /// Reads until the client's goodbye, for a while.
    async fn hear_out(&mut self) {
        let end = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _late = timeout(GOODBYE, end).await;
    }

    /// Answers questions until there is a reason to end, which it returns.
    async fn serve(
        &mut self,
        known: Option<Actor>,
        address: IpAddr,
    ) -> Result<(u16, &'static str), Gone> {
        let actor = match known {
            Some(actor) => actor,
            None => match self.hello(address).await {
                Ok(actor) => actor,
                Err(e) => {
                    self.fail(&e).await?;
                    return Ok((close_code::POLICY, "not authenticated"));
                }
            },
        };
        let mut stopping = self.app.stopping.clone();
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut silent_until = Instant::now() + IDLE;
        loop {
            let text = tokio::select! {
                heard = self.hear() => match heard? {
                    Some(text) => text,
                    None => continue,
                },
                _ = heartbeat.tick() => {
                    self.ping().await?;
                    continue;
                }
                () = sleep_until(silent_until) => {
                    return Ok((close_code::NORMAL, "silent for too long"));
                }
                () = crate::server::serve::stopped(&mut stopping) => {
                    return Ok((close_code::AWAY, "the server goes down"));
                }
            };
            if let Err(e) = still_allowed(&self.app, &actor).await {
                self.fail(&e).await?;
                return Ok((close_code::POLICY, "not authenticated any more"));
            }
            self.question(&actor, text.as_bytes()).await?;
            silent_until = Instant::now() + IDLE;
        }
    }

    /// What the client says next; `None` where that is nothing to answer.
    async fn hear(&mut self) -> Result<Option<Utf8Bytes>, Gone> {
        let message = self.socket.recv().await.ok_or(Gone::Away)??;
        self.heard = Instant::now();
        match message {
            Message::Text(text) => Ok(Some(text)),
            Message::Ping(_) | Message::Pong(_) => Ok(None),
            Message::Close(_) => Err(Gone::Away),
            Message::Binary(_) => {
                let e = ApiError::invalid_field("message", "has to be text with JSON");
                self.fail(&e).await?;
                Ok(None)
            }
        }
    }

    async fn hello(&mut self, address: IpAddr) -> Result<Actor, ApiError> {
        let first = timeout(HELLO, self.socket.recv()).await;
        let Ok(Some(Ok(Message::Text(text)))) = first else {
            return Err(ApiError::invalid_signature());
        };
        let hello: Hello = body::parse(text.as_bytes())?;
        let credentials = Credentials {
            client_id: hello.client_id,
            timestamp: hello.timestamp,
            signature: hello.signature,
            token: Some(hello.token),
        };
        let identity = authenticate(
            &self.app,
            &Method::GET,
            "/v1/chat/stream",
            Some(&credentials),
            b"",
            address,
            true,
        )
        .await?;
        member(identity)
    }

    /// Answers one question.
    async fn question(&mut self, actor: &Actor, text: &[u8]) -> Result<(), Gone> {
        let app = self.app.clone();
        let started = async {
            app.limits.organisation(actor.tenant)?;
            let asked: Query = body::parse(text)?;
            chat::start(&app, actor, asked.turn()?).await
        };
        match started.await {
            Ok(events) => self.relay(events).await,
            Err(e) => self.fail(&e).await,
        }
    }

    /// Hands events on until the last. Dropping them stops the answer.
    async fn relay(&mut self, mut events: mpsc::Receiver<Event>) -> Result<(), Gone> {
        let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            tokio::select! {
                event = events.recv() => {
                    let Some(event) = event else { return Ok(()) };
                    let event = StreamEvent::new(event, &mut self.ids);
                    self.socket.send(Message::Text(event.json().into())).await?;
                    // Who heard the last event may ask again at once.
                    if event.is_last() {
                        return Ok(());
                    }
                }
                _ = heartbeat.tick() => self.ping().await?,
                heard = self.hear() => if heard?.is_some() {
                    let e = ApiError::conflict(
                        crate::server::error::Code::Conflict,
                        "a question is being answered; wait for its final event",
                    );
                    self.fail(&e).await?;
                },
            }
        }
    }

    /// Asks whether the client is there, unless it has not said so for too long.
    async fn ping(&mut self) -> Result<(), Gone> {
        if self.heard.elapsed() > ALIVE {
            return Err(Gone::Away);
        }
        self.socket.send(Message::Ping(bytes::Bytes::new())).await?;
        Ok(())
    }

    async fn fail(&mut self, e: &ApiError) -> Result<(), Gone> {
        self.ids += 1;
        let event = StreamEvent::failed(e, self.ids);
        self.socket.send(Message::Text(event.json().into())).await?;
        Ok(())
    }
}

/// A connection may outlive a person's access.
async fn still_allowed(app: &App, actor: &Actor) -> Result<(), ApiError> {
    let who = actor.clone();
    let live = app
        .store
        .read(move |c| {
            use crate::server::store::{sessions, users};
            let user = users::get(c, &who.tenant, who.user)?;
            let active = user.status == users::UserStatus::Active;
            Ok(active && sessions::is_live(c, &who.tenant, who.session, who.user)?)
        })
        .await;
    match live {
        Ok(true) => Ok(()),
        Ok(false) | Err(crate::server::store::StoreError::NotFound(_)) => {
            Err(ApiError::invalid_token())
        }
        Err(e) => Err(e.into()),
    }
}
