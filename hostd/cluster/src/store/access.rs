//! Reads of users, sessions and tokens. Whether a session or token has ended is for the caller's clock to say.

use super::{Store, body};
use crate::error::read_failed;
use hostd_types::*;
use sqlx::Row;

impl Store {
    /// All users, by name.
    pub async fn users(&self) -> Result<Vec<User>, Problem> {
        let rows = sqlx::query("SELECT body FROM user ORDER BY name").fetch_all(&self.0).await;
        rows.map_err(read_failed)?.iter().map(|row| body(row, 0)).collect()
    }

    /// One user.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, Problem> {
        let query = sqlx::query("SELECT body FROM user WHERE id = ?").bind(id.to_string());
        let row = query.fetch_optional(&self.0).await.map_err(read_failed)?;
        row.as_ref().map(|row| body(row, 0)).transpose()
    }

    /// The user of this login name, letter case ignored, and the hash of their password.
    pub async fn user_with_password(&self, name: &str) -> Result<Option<(User, PasswordHash)>, Problem> {
        let query = sqlx::query("SELECT body, password FROM user WHERE name = ?").bind(name);
        let row = query.fetch_optional(&self.0).await.map_err(read_failed)?;
        let pair = |row| Ok((body(row, 0)?, PasswordHash(row.try_get(1).map_err(read_failed)?)));
        row.as_ref().map(pair).transpose()
    }

    /// The session with this secret and its user.
    pub async fn session_by_secret(&self, secret: &SecretHash) -> Result<Option<(Session, User)>, Problem> {
        let sql = "SELECT s.body, u.body FROM session s JOIN user u ON u.id = s.user WHERE s.secret = ?";
        let row = sqlx::query(sql).bind(&secret.0).fetch_optional(&self.0).await.map_err(read_failed)?;
        row.as_ref().map(|row| Ok((body(row, 0)?, body(row, 1)?))).transpose()
    }

    /// The token with this secret and its user.
    pub async fn token_by_secret(&self, secret: &SecretHash) -> Result<Option<(Token, User)>, Problem> {
        let sql = "SELECT t.body, u.body FROM token t JOIN user u ON u.id = t.user WHERE t.secret = ?";
        let row = sqlx::query(sql).bind(&secret.0).fetch_optional(&self.0).await.map_err(read_failed)?;
        row.as_ref().map(|row| Ok((body(row, 0)?, body(row, 1)?))).transpose()
    }

    /// A user's tokens, by name.
    pub async fn tokens(&self, user: UserId) -> Result<Vec<Token>, Problem> {
        let query = sqlx::query("SELECT body FROM token WHERE user = ? ORDER BY name").bind(user.to_string());
        query.fetch_all(&self.0).await.map_err(read_failed)?.iter().map(|row| body(row, 0)).collect()
    }
}
