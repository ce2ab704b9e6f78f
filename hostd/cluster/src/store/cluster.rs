//! Reads of the cluster's record, join tokens, members that were removed, and what moves with a host. Before the state
//! has the tables for them they are empty.

use super::{Store, all_of, body, resource};
use crate::clash::{self, MOVING, Present, numbered};
use crate::error::read_failed;
use hostd_types::*;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection, Transaction};
use std::collections::BTreeMap;

impl Store {
    /// Level of the state: commands and tables up to it may be used.
    pub async fn level(&self) -> Result<u16, Problem> {
        let mut db = self.0.acquire().await.map_err(read_failed)?;
        level(&mut db).await
    }

    /// The cluster's record; absent until the cluster was founded.
    pub async fn cluster(&self) -> Result<Option<ClusterRecord>, Problem> {
        let rows = self.federated("SELECT id, meta, spec, status FROM cluster", None).await?;
        rows.first().map(resource).transpose()
    }

    /// All join tokens, also those that were used or have ended, newest first.
    pub async fn join_tokens(&self) -> Result<Vec<JoinToken>, Problem> {
        let rows = self.federated("SELECT body FROM join_token ORDER BY id DESC", None).await?;
        rows.iter().map(|row| body(row, 0)).collect()
    }

    /// One join token.
    pub async fn join_token(&self, id: JoinTokenId) -> Result<Option<JoinToken>, Problem> {
        let rows = self.federated("SELECT body FROM join_token WHERE id = ?", Some(id.to_string())).await?;
        rows.first().map(|row| body(row, 0)).transpose()
    }

    /// The join token of this id, for who shows its secret.
    pub async fn join_token_with(
        &self,
        id: JoinTokenId,
        secret: &SecretHash,
    ) -> Result<Option<JoinToken>, Problem> {
        let rows =
            self.federated("SELECT body FROM join_token WHERE secret = ?", Some(secret.0.clone())).await?;
        let token: Option<JoinToken> = rows.first().map(|row| body(row, 0)).transpose()?;
        Ok(token.filter(|token| token.id == id))
    }

    /// The members that were removed, the latest first.
    pub async fn removed(&self) -> Result<Vec<RemovedHost>, Problem> {
        let rows = self.federated("SELECT body FROM removed ORDER BY at DESC, node", None).await?;
        rows.iter().map(|row| body(row, 0)).collect()
    }

    /// The member of this identity, if it was removed.
    pub async fn removed_node(&self, node: NodeId) -> Result<Option<RemovedHost>, Problem> {
        let rows = self.federated("SELECT body FROM removed WHERE node = ?", Some(node.to_string())).await?;
        rows.first().map(|row| body(row, 0)).transpose()
    }

    /// The member of this identity.
    pub async fn host_of_node(&self, node: NodeId) -> Result<Option<Host>, Problem> {
        self.one("json_extract(spec, '$.node')", node.to_string()).await
    }

    /// Everything of a host that moves with it, as of one moment.
    pub async fn belongings(&self, host: HostId) -> Result<Belongings, Problem> {
        let mut tx = self.0.begin().await.map_err(read_failed)?;
        let host = host.to_string();
        Ok(Belongings {
            networks: all_of(&mut tx, "host = ?", host.clone()).await?,
            images: all_of(&mut tx, "host = ?", host.clone()).await?,
            volumes: all_of(&mut tx, "host = ?", host.clone()).await?,
            vms: all_of(&mut tx, "host = ?", host.clone()).await?,
            snapshots: super::snapshots::snapshots(&mut tx, "host = ?", host).await?,
        })
    }

    /// What an import of `belongings` by the host called `hostname` would rename now.
    pub async fn clashes(&self, belongings: &Belongings, hostname: &str) -> Result<Vec<Clash>, Problem> {
        let mut tx = self.0.begin().await.map_err(read_failed)?;
        let mut present = Present::default();
        for (kind, table) in MOVING {
            let query = sqlx::query(AssertSqlSafe(format!("SELECT id, name FROM {table}")));
            for row in query.fetch_all(&mut *tx).await.map_err(read_failed)? {
                let id = row.try_get(0).map_err(read_failed)?;
                present.add(kind, id, row.try_get(1).map_err(read_failed)?);
            }
        }
        Ok(clash::clashes(belongings, &present, hostname))
    }

    /// The name that the host `host`, called `name`, would get by joining now.
    pub async fn joining_name(&self, host: HostId, name: &str) -> Result<String, Problem> {
        let hosts = self.hosts().await?;
        if let Some(member) = hosts.iter().find(|member| member.id == host) {
            return Ok(member.spec.name.clone());
        }
        Ok(numbered(name, |name| hosts.iter().any(|member| member.spec.name.eq_ignore_ascii_case(name))))
    }

    /// Number of machines of each host; hosts without machines are absent.
    pub async fn vms_by_host(&self) -> Result<BTreeMap<HostId, u64>, Problem> {
        let sql = "SELECT host, count(*) FROM vm GROUP BY host";
        counts(sqlx::query(sql).fetch_all(&self.0).await.map_err(read_failed)?)
    }

    /// The same of the machines that would stop if their host did.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn active_vms_by_host(&self) -> Result<BTreeMap<HostId, u64>, Problem> {
        let sql = "SELECT host, count(*) FROM vm WHERE state NOT IN ('off', 'crashed') GROUP BY host";
        counts(sqlx::query(sql).fetch_all(&self.0).await.map_err(read_failed)?)
    }

    /// Rows of a table of level 2, none before that.
    async fn federated(&self, sql: &'static str, value: Option<String>) -> Result<Vec<SqliteRow>, Problem> {
        // One transaction: the level and the table belong together, also when the state is replaced meanwhile.
        let mut tx: Transaction<'_, Sqlite> = self.0.begin().await.map_err(read_failed)?;
        if level(&mut tx).await? < FEDERATION {
            return Ok(Vec::new());
        }
        let mut query = sqlx::query(sql);
        if let Some(value) = value {
            query = query.bind(value);
        }
        query.fetch_all(&mut *tx).await.map_err(read_failed)
    }
}

/// Hosts with a number each.
fn counts(rows: Vec<SqliteRow>) -> Result<BTreeMap<HostId, u64>, Problem> {
    let count = |row: &SqliteRow| {
        let host: &str = row.try_get(0).map_err(read_failed)?;
        let vms: i64 = row.try_get(1).map_err(read_failed)?;
        Ok((host.parse().map_err(read_failed)?, vms.unsigned_abs()))
    };
    rows.iter().map(count).collect()
}

pub(super) async fn level(db: &mut SqliteConnection) -> Result<u16, Problem> {
    let row = sqlx::query("SELECT feature_level FROM raft_meta").fetch_one(db).await.map_err(read_failed)?;
    row.try_get(0).map_err(read_failed)
}
