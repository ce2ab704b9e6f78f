//! The appliance as a whole: is it alive, how is it doing, what its local console shows.

use crate::address::Site;
use crate::http::answer::Answer;
use crate::http::problem::Refusals;
use crate::http::v1::access::GeneratedPassword;
use axum::extract::State;
use axum::{Extension, Json};
use hostd_core::{Core, HostView, Notice};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The daemon answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`; a daemon that can't work answers a problem instead.
    pub status: &'static str,
}

/// How the appliance is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Version of Quantix.
    pub version: String,
    /// The host that answers.
    pub host: HostView,
    /// Machines in each state.
    pub vms: BTreeMap<String, u64>,
    /// Conditions that need attention.
    pub notices: Vec<Notice>,
}

/// What the local console shows.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Banner {
    /// Version of Quantix.
    pub version: String,
    /// The host's name.
    pub hostname: String,
    /// Where browsers find it.
    pub urls: Vec<String>,
    /// SHA-256 of the certificate browsers will warn about.
    pub fingerprint: String,
    /// State is in RAM and vanishes at reboot.
    pub live: bool,
    /// The administrator's generated password, while it is unchanged and known.
    pub administrator: Option<GeneratedPassword>,
    /// Conditions that need attention.
    pub notices: Vec<String>,
}

/// Whether the daemon answers
#[utoipa::path(get, path = "/api/v1/health", tag = "appliance", security(()), responses((status = 200, body = Health)))]
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// How the appliance is doing
#[utoipa::path(get, path = "/api/v1/overview", tag = "appliance", responses(
    (status = 200, body = Overview), Refusals))]
pub async fn overview(State(core): State<Core>) -> Answer<Json<Overview>> {
    Ok(Json(Overview {
        version: core.settings().version.clone(),
        host: core.host_view(core.host()).await?,
        vms: core.vm_counts().await?,
        notices: core.notices(&core.cluster_view().await).await,
    }))
}

/// What the local console shows (root on the Unix socket only)
#[utoipa::path(get, path = "/api/v1/banner", tag = "appliance", responses(
    (status = 200, body = Banner), Refusals))]
pub async fn banner(State(core): State<Core>, Extension(site): Extension<Site>) -> Answer<Json<Banner>> {
    let administrator = core.initial_password().await;
    Ok(Json(Banner {
        version: core.settings().version.clone(),
        hostname: hostd_core::hostname(),
        urls: site.urls(),
        fingerprint: site.fingerprint,
        live: core.settings().live,
        administrator: administrator
            .map(|(name, password)| GeneratedPassword { name, password: password.reveal().to_owned() }),
        notices: core.notices(&core.cluster_view().await).await.into_iter().map(|n| n.text).collect(),
    }))
}
