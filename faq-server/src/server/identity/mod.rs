//! Who asks: the organisation by its signature, the person by their token.
//!
//! [`Tenant`] is the proof. Only this module makes one, and only from a request whose signature
//! was right, from a ticket that this server signed, or from a row that such a request wrote.
//! Every call on the store or the engine that touches an organisation's data takes one.

mod extract;
mod signature;

pub(crate) use extract::{Admin, Caller, Member, Owner as OwnerRole, Signed};
pub(crate) use signature::{Credentials, Identity, authenticate};

use faq_auth::{Claims, Role};
use uuid::Uuid;

use super::store::jobs::Owner;

/// An organisation that has proved to be itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tenant {
    organisation: Uuid,
}

impl Tenant {
    /// Only this module's children can call this.
    fn proved(organisation: Uuid) -> Self {
        Self { organisation }
    }

    /// The organisation of a job or row that an authenticated request wrote.
    pub(crate) fn of_owner(owner: Owner) -> Self {
        Self::proved(owner.organisation())
    }

    /// The organisation of a refresh token that was good.
    pub(crate) fn of_session(refreshed: &super::store::sessions::Refreshed) -> Option<Self> {
        use super::store::sessions::Refreshed;
        match refreshed {
            Refreshed::Fresh { organisation, .. } => Some(Self::proved(*organisation)),
            Refreshed::Reused { .. } | Refreshed::Invalid => None,
        }
    }

    /// The organisation of an upload address whose signature is right.
    pub(crate) fn of_ticket(
        ticket: &faq_auth::Ticket<'_>,
        key: &faq_auth::SecretKey,
        code: &str,
        now: i64,
    ) -> Result<Self, faq_auth::TicketError> {
        ticket.verify(key, code, now)?;
        Ok(Self::proved(ticket.organisation))
    }

    /// Its id.
    pub(crate) fn id(&self) -> Uuid {
        self.organisation
    }

    /// The name of its collection.
    pub(crate) fn collection(&self) -> String {
        format!("tenant_{}_knowledge", self.organisation)
    }
}

/// A person of an organisation, signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Actor {
    pub(crate) tenant: Tenant,
    pub(crate) user: Uuid,
    pub(crate) role: Role,
    pub(crate) session: Uuid,
}

impl Actor {
    fn new(tenant: Tenant, claims: &Claims, role: Role) -> Self {
        Self {
            tenant,
            user: claims.sub,
            role,
            session: claims.sid,
        }
    }
}
