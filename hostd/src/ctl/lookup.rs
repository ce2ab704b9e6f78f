//! Names where the API wants ids.

use super::{Session, Stop};
use crate::client::Failure;
use anyhow::anyhow;
use hostd_types::{Host, HostId, Page};
use serde_json::Value;
use std::collections::BTreeMap;

/// The id of `text` in the collection (`vms`, `images`, …): itself if it is an id, else that of the row with this name.
pub async fn id(session: &Session, collection: &str, text: &str) -> Result<String, Stop> {
    if uuid::Uuid::parse_str(text).is_ok() {
        return Ok(text.to_owned());
    }
    let mut cursor = None::<String>;
    loop {
        let query = [Some(("q", text)), Some(("limit", "500")), cursor.as_deref().map(|c| ("cursor", c))];
        let query = serde_urlencoded::to_string(query.into_iter().flatten().collect::<Vec<_>>())
            .map_err(|e| Failure::Unclear(e.into()))?;
        let page: Value = session.client.get(&format!("/api/v1/{collection}?{query}")).await?;
        let rows = page["items"].as_array().cloned().unwrap_or_default();
        let found = rows.iter().find(|row| {
            let name = row["spec"]["name"].as_str().or(row["name"].as_str());
            name.is_some_and(|n| n.eq_ignore_ascii_case(text))
        });
        if let Some(id) = found.and_then(|row| row["id"].as_str()) {
            return Ok(id.to_owned());
        }
        cursor = page["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return Err(anyhow!("there is no {text:?} among the {collection}").into());
        }
    }
}

/// The same, typed.
pub async fn typed_id<T: std::str::FromStr>(
    session: &Session,
    collection: &str,
    text: &str,
) -> Result<T, Stop> {
    let id = id(session, collection, text).await?;
    id.parse().map_err(|_| anyhow!("{id} is not an id").into())
}

/// The host something is made on or that a list is about, when one is named.
pub async fn host(session: &Session, text: Option<&str>) -> Result<Option<HostId>, Stop> {
    match text {
        Some(text) => typed_id(session, "hosts", text).await.map(Some),
        None => Ok(None),
    }
}

/// Names of the cluster's hosts.
pub struct Hosts(BTreeMap<HostId, String>);

impl Hosts {
    /// What the host is called; its id when nothing is known of it.
    pub fn name(&self, id: HostId) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

/// The hosts, to name them in lists.
pub async fn hosts(session: &Session) -> Result<Hosts, Stop> {
    let page: Page<Host> = session.client.get("/api/v1/hosts").await?;
    Ok(Hosts(page.items.into_iter().map(|host| (host.id, host.spec.name)).collect()))
}
