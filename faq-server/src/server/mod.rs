//! The HTTP server: many organisations, one process.
//!
//! A request passes the outer layers (`serve`), the gate of its route (`routes`), its handler,
//! and comes to the store or the engine with a [`identity::Tenant`] in hand. Work that takes
//! long goes through the queue (`queue`) or the answers' slots (`answers`).

mod answers;
mod api;
mod app;
pub(crate) mod backup;
mod body;
mod chat;
mod clock;
mod config;
pub(crate) mod demo;
mod error;
mod identity;
mod keys;
mod limits;
mod log;
mod maintenance;
mod metrics;
mod openapi;
mod page;
mod queue;
mod registration;
mod request;
mod routes;
mod serve;
mod setup;
mod store;
mod uploads;

pub(crate) use app::App;
pub(crate) use config::{BadSettings, Config, Values};
pub(crate) use serve::serve;
pub(crate) use setup::{SetupError, prepare};
