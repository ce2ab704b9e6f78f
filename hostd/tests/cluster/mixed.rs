//! Hosts of the previous release and of this one in one cluster, for as long as one likes: `cargo xtask lab mixed` runs all of
//! it against any commit.

use crate::bed::{program, refused};
use crate::fleet::{Hosts, member};
use futures_util::future::join_all;
use hostd_types::{LEASES, LEVEL};
use hyper::Method;
use lab::{bootsector, wait};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Pages that every host of every version shows.
const PAGES: [&str; 8] = ["/", "/vms", "/volumes", "/images", "/networks", "/cluster", "/tasks", "/events"];
/// Lists of rows that are the same on every host.
const LISTS: [&str; 5] = ["hosts", "vms", "volumes", "images", "networks"];

/// The daemon of the previous release, or `None` where there is none.
fn previous() -> Option<PathBuf> {
    let given = std::env::var_os("QUANTIX_PREVIOUS_HOSTD").map(PathBuf::from);
    if given.is_none() {
        eprintln!(
            "skipped: no previous release: no tag vX.Y.Z is behind HEAD, or cargo xtask did not start this"
        );
    }
    given
}

/// Three hosts of the previous release in one cluster that votes with all, and its level.
async fn older(previous: &Path) -> Option<(Hosts, u64)> {
    let hosts = Hosts::joined_as(previous, 3).await?;
    let level = level(&hosts.view(0).await);
    assert!(level <= u64::from(LEVEL), "the previous release is newer than this one");
    Some((hosts, level))
}

fn level(view: &Value) -> u64 {
    view["cluster"]["status"]["level"].as_u64().unwrap_or_else(|| panic!("{view:#}"))
}

/// Starts host `i` again with another program.
async fn replace(hosts: &mut Hosts, i: usize, program: &Path) {
    hosts.run_as(i, program);
    hosts.host_mut(i).terminate().await.unwrap();
    hosts.restart(i).await.unwrap();
    let id = hosts.id(i).await;
    let up = |row: &Value| row["liveness"] == "up";
    // Not all need to be in one cluster.
    let back = |view: &Value| view["quorum"]["held"] == true && member(view, &id).is_none_or(up);
    for at in 0..hosts.len() {
        if hosts.is_on(at) {
            hosts.admin(at).sees("it back", back).await;
        }
    }
}

/// Each host of `up` shows its pages, takes writes, and makes a machine that runs from an image it was given, both on its
/// neighbour; each sees what the others did, and stops another's machine. Answers the writes that were acknowledged.
async fn works(hosts: &Hosts, up: &[usize], when: &str) -> Vec<String> {
    let made = up.iter().zip(up.iter().cycle().skip(1)).map(|(&i, &neighbour)| async move {
        let mut admin = hosts.admin(i);
        for page in PAGES {
            let answer = admin.console.send(Method::GET, page, None).await.unwrap();
            assert_eq!(answer.status, 200, "{when}: {page} of {}: {}", hosts.name(i), answer.text());
        }
        let writer = hosts.write(i);
        let on = hosts.id(neighbour).await;
        let image = bootsector::image("hello", 1 << 20);
        let uploaded = admin.upload(&format!("{when}-{i}&host={on}"), image).await;
        assert_eq!(uploaded.status, 201, "{when}: {}", uploaded.text());
        let image = uploaded.json().unwrap()["id"].clone();
        let extra = json!({"host": on, "start": true, "disks": [{"from": "image", "image": image}]});
        let vm = admin.create_vm(&format!("{when}-{i}"), extra).await;
        writer.goes_on(5).await;
        (vm, writer.end().await)
    });
    let (vms, writes): (Vec<_>, Vec<_>) = join_all(made).await.into_iter().unzip();
    let writes = writes.concat();
    let seen = up.iter().enumerate().map(|(n, &i)| {
        let (vms, writes) = (&vms, &writes);
        async move {
            for vm in vms {
                hosts.admin(i).vm_is(vm, "running").await;
            }
            hosts.kept(&[i], writes).await;
            let stopped = hosts.admin(i).power(&vms[n], "force_off").await;
            assert_eq!(stopped["state"], "succeeded", "{when}: {stopped:#}");
        }
    });
    join_all(seen).await;
    writes
}

/// While the members `older` run the previous release the level stays at `low`: the pages of host `at`, of this one, say
/// because of whom, and so does what needs more.
async fn stays_down(hosts: &Hosts, at: usize, low: u64, older: &[usize]) {
    if low == u64::from(LEVEL) || older.is_empty() {
        return;
    }
    let names = |text: &str| older.iter().all(|i| text.contains(&format!("{} (version", hosts.name(*i))));
    let told = |view: &Value| {
        let behind = view["level"]["behind"].as_array().unwrap();
        let is_older = |id: &Value| {
            let row = member(view, id.as_str().unwrap()).unwrap();
            older.iter().any(|i| row["spec"]["name"] == hosts.name(*i))
        };
        behind.len() == older.len()
            && behind.iter().all(is_older)
            && names(view["level"]["text"].as_str().unwrap())
    };
    let view = hosts.admin(at).sees("who keeps the level down", told).await;
    assert_eq!((level(&view), &view["level"]["known"]), (low, &json!(LEVEL)), "{view:#}");
    let page = hosts.console(at).send(Method::GET, "/cluster", None).await.unwrap().text();
    assert!(page.contains("Versions are mixed") && names(&page), "{page}");
    let (shown, text) = hosts.qx(at, &["cluster", "show"]);
    assert!(shown && text.contains("Versions are mixed"), "{text}");
    if low < u64::from(LEASES) {
        let before = hosts.view(at).await["cluster"]["status"].clone();
        let rotation = hosts.admin(at).post("cluster/rotation", Value::Null).await;
        let problem = refused(&rotation, 409, "wrong-state");
        let detail = problem["detail"].as_str().unwrap();
        assert!(names(detail) && detail.contains(&format!("stays at level {low}")), "{detail}");
        assert_eq!(hosts.view(at).await["cluster"]["status"], before);
    }
}

/// With every host upgraded the level rises by itself, and what needs it works.
async fn rises(hosts: &Hosts, low: u64) {
    let risen = |view: &Value| level(view) == u64::from(LEVEL) && view["level"]["text"] == "";
    for i in 0..hosts.len() {
        hosts.admin(i).sees("the level risen", risen).await;
    }
    if low < u64::from(LEASES) {
        let leased =
            |view: &Value| view["members"].as_array().unwrap().iter().all(|row| row["lease_s"].is_u64());
        hosts.admin(0).sees("a lease of every host", leased).await;
        let begun = hosts.admin(0).post("cluster/rotation", Value::Null).await;
        assert!(begun.status.is_success(), "{}", begun.text());
        let done = |view: &Value| view["certificates"]["rotation"].is_null();
        hosts.admin(1).sees("another authority", done).await;
    }
}

/// Every host of `up` comes to have the same rows.
async fn alike(hosts: &Hosts, up: &[usize]) {
    let rows = |i: usize| async move {
        let mut admin = hosts.admin(i);
        let mut rows = json!({"cluster": hosts.view(i).await["cluster"]});
        for list in LISTS {
            let listed = admin.list(&format!("{list}?limit=500")).await;
            rows[list] = listed.iter().map(parts).collect::<Vec<_>>().into();
        }
        rows
    };
    wait::until("the same rows everywhere", crate::admin::PATIENCE, || async {
        let all = join_all(up.iter().map(|i| rows(*i))).await;
        let other = all.iter().find(|rows| **rows != all[0]);
        anyhow::ensure!(other.is_none(), "{:#}\nis not\n{:#}", all[0], other.unwrap_or(&Value::Null));
        Ok(Some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error:#}"));
}

/// What is in the state of a row of a list.
fn parts(row: &Value) -> Value {
    ["id", "meta", "spec", "status"].map(|part| row[part].clone()).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_upgraded_one_by_one_while_all_work() {
    let Some(previous) = previous() else { return };
    let Some((mut hosts, low)) = older(&previous).await else { return };
    let all = [0, 1, 2];
    let guest = hosts.admin(1).create_vm("guest", json!({"start": true})).await;
    let process = hosts.qemu(1, &guest);
    let leader = hosts.leader(&all).await;
    // A newer one under an older leader, then the leader itself.
    let order = [(leader + 1) % 3, leader, (leader + 2) % 3];
    let mut writes = works(&hosts, &all, "older").await;
    for (n, &i) in order.iter().enumerate() {
        let writer = hosts.write((i + 1) % 3);
        writer.goes_on(3).await;
        replace(&mut hosts, i, &program()).await;
        writer.goes_on(3).await;
        writes.extend(writer.end().await);
        stays_down(&hosts, i, low, &order[n + 1..]).await;
        writes.extend(works(&hosts, &all, &format!("step{n}")).await);
    }
    rises(&hosts, low).await;
    writes.extend(works(&hosts, &all, "newer").await);
    hosts.kept(&all, &writes).await;
    alike(&hosts, &all).await;
    assert_eq!(hosts.qemu(1, &guest), process, "the guest was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_host_that_is_off_holds_nobody_up_and_works_when_it_is_back() {
    let Some(previous) = previous() else { return };
    let Some((mut hosts, low)) = older(&previous).await else { return };
    hosts.crash(2).unwrap();
    for i in [0, 1] {
        replace(&mut hosts, i, &program()).await;
    }
    let mut writes = works(&hosts, &[0, 1], "without").await;
    stays_down(&hosts, 0, low, &[2]).await;
    hosts.restart(2).await.unwrap();
    hosts.is_member(2, 0).await;
    hosts.kept(&[2], &writes).await;
    writes.extend(works(&hosts, &[0, 1, 2], "back").await);
    stays_down(&hosts, 1, low, &[2]).await;
    replace(&mut hosts, 2, &program()).await;
    rises(&hosts, low).await;
    hosts.kept(&[0, 1, 2], &writes).await;
    alike(&hosts, &[0, 1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab mixed"]
async fn a_host_of_either_version_joins_a_cluster_of_either_unless_that_has_risen() {
    let Some(previous) = previous() else { return };
    let Some(mut hosts) = Hosts::joined_as(&previous, 2).await else { return };
    let low = level(&hosts.view(0).await);
    // A newer one comes to older ones, alone at a higher level until then, with its machine.
    hosts.add_as(&program());
    hosts.add(1).await.unwrap();
    hosts.is_idle(2).await;
    assert_eq!(level(&hosts.view(2).await), u64::from(LEVEL));
    let guest = hosts.admin(2).create_vm("guest", json!({"start": true})).await;
    let process = hosts.qemu(2, &guest);
    let token = hosts.invite(1).await;
    let preview = hosts.admin(2).post("cluster/preview", json!({"token": token})).await;
    assert_eq!((preview.status.as_u16(), &preview.json().unwrap()["blockers"]), (200, &json!([])));
    hosts.join(2, 1).await;
    hosts.vote().await;
    let mut writes = works(&hosts, &[0, 1, 2], "mixed").await;
    stays_down(&hosts, 2, low, &[0, 1]).await;
    // An older one comes to mixed ones, by way of the newer.
    hosts.add_as(&previous);
    hosts.add(1).await.unwrap();
    hosts.is_idle(3).await;
    hosts.join(3, 2).await;
    writes.extend(works(&hosts, &[0, 1, 2, 3], "more").await);
    stays_down(&hosts, 2, low, &[0, 1, 3]).await;
    hosts.kept(&[0, 1, 2, 3], &writes).await;
    alike(&hosts, &[0, 1, 2, 3]).await;
    // One of each leaves with what it has, and comes back to one of the other.
    for (i, sponsor) in [(3, 2), (2, 0)] {
        let left = hosts.admin(i).post("cluster/leave", json!({"confirm": hosts.name(i)})).await;
        assert!(left.status.is_success(), "{}", left.text());
        hosts.admin(i).sees("it is alone", |view| view["condition"] == "alone").await;
        hosts.is_idle(i).await;
        hosts.join(i, sponsor).await;
    }
    hosts.vote().await;
    writes.extend(works(&hosts, &[0, 1, 2, 3], "again").await);
    alike(&hosts, &[0, 1, 2, 3]).await;
    for i in [0, 1, 3] {
        replace(&mut hosts, i, &program()).await;
    }
    rises(&hosts, low).await;
    assert_eq!(hosts.qemu(2, &guest), process, "the guest was touched");
    // An older one is told to update first by those that have risen, and stays what it was.
    hosts.add(1).await.unwrap();
    hosts.is_idle(4).await;
    if low < u64::from(LEVEL) {
        stays_out(&hosts, 4, 2).await;
        replace(&mut hosts, 4, &program()).await;
        hosts.admin(4).sees("its own level risen", |view| level(view) == u64::from(LEVEL)).await;
    }
    hosts.join(4, 2).await;
    hosts.kept(&[4], &writes).await;
    alike(&hosts, &[0, 1, 2, 3, 4]).await;
}

/// The older host `i` is refused by host `sponsor`, in the preview and at the door, and nothing changes.
async fn stays_out(hosts: &Hosts, i: usize, sponsor: usize) {
    let vm = hosts.admin(i).create_vm("own", json!({})).await;
    let (before, members) =
        (hosts.view(i).await, hosts.view(sponsor).await["members"].as_array().unwrap().len());
    let token = hosts.invite(sponsor).await;
    let preview = hosts.admin(i).post("cluster/preview", json!({"token": token})).await;
    let blockers = preview.json().unwrap()["blockers"].to_string();
    assert!(preview.status == 200 && blockers.contains("Update this host first"), "{}", preview.text());
    let refusal = refused(&hosts.ask_to_join(i, &token).await, 409, "conflict");
    assert!(refusal["detail"].as_str().unwrap().contains("Update this host first"), "{refusal:#}");
    let now = hosts.view(i).await;
    assert_eq!((&now["cluster"], &now["condition"]), (&before["cluster"], &json!("alone")));
    assert_eq!(hosts.view(sponsor).await["members"].as_array().unwrap().len(), members);
    hosts.admin(i).vm_is(&vm, "off").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab mixed"]
async fn an_upgrade_is_taken_back_until_the_level_has_risen() {
    let Some(previous) = previous() else { return };
    let Some((mut hosts, low)) = older(&previous).await else { return };
    let all = [0, 1, 2];
    let guest = hosts.admin(2).create_vm("guest", json!({"start": true})).await;
    let process = hosts.qemu(2, &guest);
    replace(&mut hosts, 2, &program()).await;
    let mut writes = works(&hosts, &all, "newer").await;
    stays_down(&hosts, 2, low, &[0, 1]).await;
    replace(&mut hosts, 2, &previous).await;
    writes.extend(works(&hosts, &all, "taken-back").await);
    hosts.kept(&all, &writes).await;
    alike(&hosts, &all).await;
    for i in all {
        replace(&mut hosts, i, &program()).await;
    }
    rises(&hosts, low).await;
    if low < u64::from(LEVEL) {
        refuses_newer_files(&mut hosts, 2, &previous).await;
    }
    writes.extend(works(&hosts, &all, "risen").await);
    hosts.kept(&all, &writes).await;
    alike(&hosts, &all).await;
    assert_eq!(hosts.qemu(2, &guest), process, "the guest was touched");
}

/// The older program says on host `i` that its state is newer, and does nothing to it; this one goes on with it.
async fn refuses_newer_files(hosts: &mut Hosts, i: usize, previous: &Path) {
    hosts.host_mut(i).terminate().await.unwrap();
    hosts.run_as(i, previous);
    hosts.host_mut(i).spawn().unwrap();
    let answer = wait::until("the fault's page", crate::admin::PATIENCE, || {
        let mut http = hosts.network(i);
        async move { Ok(Some(http.send(Method::GET, "/api/v1/health", None).await?)) }
    });
    let answer = answer.await.unwrap();
    assert!(answer.status == 503 && answer.text().contains("newer"), "{}", answer.text());
    hosts.host_mut(i).kill().unwrap();
    hosts.run_as(i, &program());
    hosts.restart(i).await.unwrap();
    hosts.is_member(i, (i + 1) % 3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: cargo xtask lab mixed"]
async fn the_level_rises_when_the_last_older_host_is_removed() {
    let Some(previous) = previous() else { return };
    let Some((mut hosts, low)) = older(&previous).await else { return };
    for i in [0, 1] {
        replace(&mut hosts, i, &program()).await;
    }
    let gone = hosts.id(2).await;
    hosts.crash(2).unwrap();
    stays_down(&hosts, 0, low, &[2]).await;
    let down = |view: &Value| member(view, &gone).unwrap()["liveness"] == "down";
    hosts.admin(0).sees("it is down", down).await;
    let path = format!("cluster/hosts/{gone}?confirm={}", hosts.name(2));
    let removed = hosts.admin(0).delete(&path).await;
    assert!(removed.status.is_success(), "{}", removed.text());
    let risen = |view: &Value| level(view) == u64::from(LEVEL) && view["level"]["text"] == "";
    for i in [0, 1] {
        hosts.admin(i).sees("the level risen", risen).await;
    }
    works(&hosts, &[0, 1], "without").await;
    // It is told, whatever it does not know, and keeps what it has.
    hosts.restart(2).await.unwrap();
    hosts.admin(2).sees("it was removed", |view| view["condition"] == "removed").await;
    let own = hosts.admin(2).post("cluster/leave", json!({"confirm": hosts.name(2)})).await;
    assert!(own.status.is_success(), "{}", own.text());
    hosts.admin(2).sees("it is alone", |view| view["condition"] == "alone").await;
}
