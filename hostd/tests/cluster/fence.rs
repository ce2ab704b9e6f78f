//! Leases: granted to every member, lost by one that is cut off, which is fenced and takes part again when it is back.

use crate::fleet::{Hosts, member};
use serde_json::Value;

/// Whether the host `id` has a lease, and how it stands to leases.
fn stands(view: &Value, id: &str) -> (bool, String, u64) {
    let row = member(view, id).unwrap_or_else(|| panic!("no row of {id}: {view:#}"));
    let state = row["spec"]["state"].as_str().unwrap_or("new").to_owned();
    (row["lease_s"].is_u64(), state, row["spec"]["fence_epoch"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_is_fenced_and_takes_leases_again() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let mut ids = Vec::new();
    for i in 0..3 {
        ids.push(hosts.id(i).await);
    }
    let leased = |view: &Value| ids.iter().all(|id| stands(view, id) == (true, "active".into(), 0));
    for i in 0..3 {
        hosts.admin(i).sees("a lease of every host", leased).await;
    }
    let leader = hosts.leader(&[0, 1, 2]).await;
    let cut = (leader + 1) % 3;
    let id = ids[cut].as_str();
    hosts.cut(cut).unwrap();
    hosts.admin(leader).sees("a suspect", |view| member(view, id).unwrap()["liveness"] == "suspect").await;
    let path = format!("cluster/hosts/{id}?confirm={}", hosts.name(cut));
    let refused = hosts.admin(leader).delete(&path).await;
    assert!(refused.status == 409 && refused.text().contains("has been silent for"), "{}", refused.text());

    // On its own side it has none, and knows nothing of a fence.
    hosts.admin(cut).sees("its lease end", |view| !stands(view, id).0).await;
    assert_eq!(stands(&hosts.view(cut).await, id), (false, "active".into(), 0));
    let fenced = |view: &Value| {
        member(view, id).unwrap()["liveness"] == "fenced" && stands(view, id) == (false, "fenced".into(), 1)
    };
    hosts.admin(leader).sees("the cut host fenced", fenced).await;
    hosts.heal(cut).unwrap();
    let back = |view: &Value| {
        member(view, id).unwrap()["liveness"] == "up" && stands(view, id) == (true, "active".into(), 1)
    };
    for i in 0..3 {
        hosts.admin(i).sees("the host back with a lease", back).await;
    }
}
