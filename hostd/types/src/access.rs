//! Who may use the product: users, browser sessions, API tokens.

use crate::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Shortest password of a person.
pub const PASSWORD_MIN: usize = 10;
/// Longest password; longer input is refused before hashing.
pub const PASSWORD_MAX: usize = 256;
/// Seconds a session lives without use.
pub const SESSION_IDLE_S: i64 = 12 * 3600;
/// Seconds a session lives at most.
pub const SESSION_MAX_S: i64 = 7 * 24 * 3600;

/// A person who can log in. The password's hash never leaves the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Identifier.
    pub id: UserId,
    /// Bookkeeping.
    pub meta: Meta,
    /// Login name.
    pub name: String,
    /// The password is still the generated one.
    pub initial_password: bool,
}

/// A browser's session; its secret is known to the browser alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Identifier (not the secret).
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Since when.
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The address it was opened from.
    pub address: String,
    /// The browser's own description, shortened.
    pub agent: String,
}

/// An API token; its secret is shown once, at creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Identifier (not the secret).
    pub id: TokenId,
    /// Bookkeeping.
    pub meta: Meta,
    /// Name.
    pub name: String,
    /// Whose rights it has.
    pub user: UserId,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Body of `POST /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateToken {
    /// Name.
    pub name: String,
    /// Days it lives, 1 to 365.
    pub days: u32,
}

/// Answer of `POST /api/v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token.
    pub token: Token,
    /// The secret, `qx_…`; it can't be shown again.
    pub secret: String,
}

/// Body of `POST /api/v1/session`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A stored argon2id hash (PHC string). Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// BLAKE3 hash (hex) of a session's or token's secret, the key it is looked up by. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretHash(pub String);

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash(…)")
    }
}
