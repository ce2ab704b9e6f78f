//! `qx cluster rotate-ca`

use super::cluster::view;
use super::lookup::id;
use super::{Session, Stop, output};
use crate::http::v1::cluster::RotateWithout;
use anyhow::Context;
use hostd_core::ClusterView;
use hostd_types::{HostId, RotationPhase};
use hyper::Method;
use serde_json::Value;

/// Begins to replace the authority, or goes on with it without some hosts.
pub async fn rotate(session: &Session, without: Vec<String>) -> Result<(), Stop> {
    let answer: Value = if without.is_empty() {
        session.client.ask(Method::POST, "/api/v1/cluster/rotation", None::<&()>).await?
    } else {
        let mut hosts = Vec::new();
        for name in &without {
            hosts.push(id(session, "hosts", name).await?.parse().context("reading a host's id")?);
        }
        let body = RotateWithout { hosts };
        session.client.ask(Method::POST, "/api/v1/cluster/rotation/without", Some(&body)).await?
    };
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let view = view(session).await?;
    output::say!("{}", authority(&view).unwrap_or_else(|| "the authority is replaced".into()));
    Ok(())
}

/// How far the replacement of the authority is; nothing when none is under way.
pub fn authority(view: &ClusterView) -> Option<String> {
    let rotation = view.certificates.rotation.as_ref()?;
    let name =
        |id: &HostId| view.members.iter().find(|m| m.host.id == *id).map(|m| m.host.spec.name.as_str());
    let names = |ids: &[HostId]| ids.iter().filter_map(name).collect::<Vec<_>>().join(", ");
    let what = match rotation.phase {
        RotationPhase::Trusting => "the members come to trust the new one",
        RotationPhase::Renewing => "the members renew their certificates",
    };
    let mut text = format!("being replaced: {what}");
    for (does, whom) in [("waits for", &rotation.waits_for), ("goes on without", &rotation.without)] {
        if !whom.is_empty() {
            text.push_str(&format!("; {does} {}", names(whom)));
        }
    }
    Some(text)
}
