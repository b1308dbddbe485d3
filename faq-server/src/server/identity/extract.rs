//! What a handler asks for in its arguments is what a request has to prove.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use faq_auth::Role;

use super::{Actor, Identity, Tenant};
use crate::server::error::ApiError;

/// A role that a handler needs.
pub(crate) trait Need: Send + Sync + 'static {
    const ROLE: Role;
}

/// Any person.
pub(crate) struct Member;
/// An admin or an owner.
pub(crate) struct Admin;
/// An owner.
pub(crate) struct Owner;

impl Need for Member {
    const ROLE: Role = Role::User;
}
impl Need for Admin {
    const ROLE: Role = Role::Admin;
}
impl Need for Owner {
    const ROLE: Role = Role::Owner;
}

/// An organisation whose signature was right, and nothing about a person.
pub(crate) struct Signed(pub(crate) Tenant);

impl<S: Send + Sync> FromRequestParts<S> for Signed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let identity = parts.extensions.get::<Identity>();
        let identity = identity.ok_or_else(ApiError::invalid_signature)?;
        Ok(Self(identity.tenant()))
    }
}

/// A person with at least the role `N`.
pub(crate) struct Caller<N: Need>(Actor, PhantomData<N>);

impl<N: Need> Caller<N> {
    /// Checks a person's role.
    pub(crate) fn new(actor: Actor) -> Result<Self, ApiError> {
        if actor.role.includes(N::ROLE) {
            return Ok(Self(actor, PhantomData));
        }
        Err(ApiError::forbidden(match N::ROLE {
            Role::Owner => "only an owner may do this",
            Role::Admin => "only an admin may do this",
            Role::User => "this account may not do this",
        }))
    }
}

impl<N: Need> Deref for Caller<N> {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.0
    }
}

impl<N: Need, S: Send + Sync> FromRequestParts<S> for Caller<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<Identity>() {
            Some(Identity::Person(actor)) => Self::new(actor.clone()),
            Some(Identity::Organisation(_)) => Err(ApiError::missing_token()),
            None => Err(ApiError::invalid_signature()),
        }
    }
}
