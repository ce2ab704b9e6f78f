//! Commands about users, sessions and tokens.

use crate::*;
use serde::{Deserialize, Serialize};

/// Commands about users, sessions and tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessCommand {
    /// Make a user (the administrator, at first start).
    CreateUser {
        /// Their id.
        id: UserId,
        /// Login name.
        name: String,
        /// Hash of the password.
        password: PasswordHash,
        /// It was generated and is shown on the local console until changed.
        initial: bool,
    },
    /// Change a user's password; ends all their sessions but `keep`.
    SetPassword {
        /// The user.
        id: UserId,
        /// Hash of the new password.
        password: PasswordHash,
        /// The session that asked.
        keep: Option<SessionId>,
        /// It was generated and is shown on the local console until changed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        initial: bool,
    },
    /// Somebody logged in.
    Login {
        /// The new session.
        session: Session,
        /// Hash of its secret.
        secret: SecretHash,
    },
    /// A session ends.
    Logout {
        /// The session.
        id: SessionId,
    },
    /// Make a token.
    CreateToken {
        /// Its id.
        id: TokenId,
        /// Name.
        name: String,
        /// Whose.
        user: UserId,
        /// When it ends.
        expires_at: Timestamp,
        /// Hash of its secret.
        secret: SecretHash,
    },
    /// Take a token back.
    RevokeToken {
        /// The token.
        id: TokenId,
    },
    /// Make a link to a machine's consoles. Needs the level [`LIFE`](crate::LIFE).
    ShareConsole {
        /// Its id.
        id: ConsoleLinkId,
        /// The machine.
        vm: VmId,
        /// Whoever opens it may type.
        control: bool,
        /// When it ends.
        expires_at: Timestamp,
        /// Hash of its secret.
        secret: SecretHash,
    },
    /// Somebody opened a link: it is used up. Needs the level [`LIFE`](crate::LIFE).
    OpenLink {
        /// Hash of its secret.
        secret: SecretHash,
        /// Hash of what their browser connects with from now on.
        pass: SecretHash,
        /// The address they came from.
        address: String,
    },
    /// Take a link back. Needs the level [`LIFE`](crate::LIFE).
    RevokeLink {
        /// The link.
        id: ConsoleLinkId,
    },
}
