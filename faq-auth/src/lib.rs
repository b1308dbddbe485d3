//! Identity for the faq server: who someone is, and what they may do.
//!
//! Pure: no HTTP, no SQL, no clock and no randomness of its own; time, randomness and secrets
//! come in as arguments. Passwords, tokens and request signatures join the roles here.
//!
//! ```
//! use faq_auth::Role;
//!
//! assert!(Role::Admin.includes(Role::User));
//! assert_eq!("owner".parse(), Ok(Role::Owner));
//! ```

mod role;

pub use role::{Role, UnknownRole};
