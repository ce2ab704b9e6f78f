//! Reads of links to consoles. Whether one has ended is for the caller's clock to say; before the state has the table
//! there are none.

use super::cluster::level;
use super::{Store, body};
use crate::error::read_failed;
use hostd_types::*;

impl Store {
    /// A machine's links, the newest first.
    pub async fn console_links(&self, vm: VmId) -> Result<Vec<ConsoleLink>, Problem> {
        self.links("SELECT body FROM console_link WHERE vm = ? ORDER BY id DESC", vm.to_string()).await
    }

    /// One link.
    pub async fn console_link(&self, id: ConsoleLinkId) -> Result<Option<ConsoleLink>, Problem> {
        let found = self.links("SELECT body FROM console_link WHERE id = ?", id.to_string()).await?;
        Ok(found.into_iter().next())
    }

    /// The link with this secret.
    pub async fn console_link_by_secret(&self, secret: &SecretHash) -> Result<Option<ConsoleLink>, Problem> {
        let found = self.links("SELECT body FROM console_link WHERE secret = ?", secret.0.clone()).await?;
        Ok(found.into_iter().next())
    }

    /// The link that the browser with this pass opened.
    pub async fn console_link_by_pass(&self, pass: &SecretHash) -> Result<Option<ConsoleLink>, Problem> {
        let found = self.links("SELECT body FROM console_link WHERE pass = ?", pass.0.clone()).await?;
        Ok(found.into_iter().next())
    }

    async fn links(&self, sql: &'static str, value: String) -> Result<Vec<ConsoleLink>, Problem> {
        let mut tx = self.0.begin().await.map_err(read_failed)?;
        if level(&mut tx).await? < LIFE {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(sql).bind(value).fetch_all(&mut *tx).await.map_err(read_failed)?;
        rows.iter().map(|row| body(row, 0)).collect()
    }
}
