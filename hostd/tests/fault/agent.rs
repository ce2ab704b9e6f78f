//! A guest agent that hangs or dies while it holds its guest still.

use crate::api::vm_devices::{linux_guest_with, said, sees};
use crate::bed::{Bed, PATIENCE};
use lab::http::{Http, Target};
use lab::{linux, wait};
use serde_json::{Value, json};

/// A running guest whose agent fails on purpose.
async fn guest(bed: &mut Bed, name: &str, agent: &str) -> Option<String> {
    let vm = linux_guest_with(bed, name, json!({"channels": [agent]})).await?;
    let port = format!("ports={agent},");
    sees(bed, &vm, "its agent", |line| line.contains(&port)).await;
    Some(vm)
}

async fn quiesced(bed: &mut Bed, vm: &str, name: &str) -> Value {
    let answer = bed.post(&format!("vms/{vm}/snapshots"), json!({"name": name, "quiesce": true})).await;
    bed.ended(&answer).await
}

/// Waits until the guest has said `what`; answers the seconds since its start that it told with it.
async fn told(bed: &Bed, vm: &str, what: &str) -> u64 {
    let seconds = wait::until(what, PATIENCE, || async {
        let text = said(bed, vm);
        let line = text.split(what).nth(1).and_then(|rest| rest.split_once(" ."));
        Ok(line.and_then(|(seconds, _)| seconds.trim().parse().ok()))
    });
    seconds.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()))
}

/// Waits until the machine says that its guest may hold still, or that it does not.
async fn held(bed: &Bed, vm: &str, wanted: bool) {
    let (path, socket) = (format!("/api/v1/vms/{vm}"), bed.host.socket());
    let said = wait::until(if wanted { "it may hold still" } else { "it goes on" }, PATIENCE, || {
        let (path, mut http) = (path.clone(), Http::new(Target::Unix(socket.clone())));
        async move {
            let detail = http.get(&path).await?;
            let held = detail["vm"]["status"]["held_since"].is_string();
            anyhow::ensure!(held == wanted, "{:#}", detail["vm"]["status"]);
            Ok(Some(()))
        }
    });
    said.await.unwrap_or_else(|error| panic!("{error:#}\n{}", bed.host.log_tail()))
}

async fn page(bed: &Bed, vm: &str) -> String {
    let (mut http, cookie) = bed.log_in().await;
    http.fields.push(("cookie", cookie));
    let answer = http.send(hyper::Method::GET, &format!("/vms/{vm}"), None).await.unwrap();
    assert_eq!(answer.status, 200);
    answer.text().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_agent_hangs_is_let_go_as_soon_as_it_answers() {
    let Some(mut bed) = Bed::start().await else { return };
    let Some(vm) = guest(&mut bed, "hangs", linux::HANGING_AGENT).await else { return };
    let task = quiesced(&mut bed, &vm, "quiet").await;
    assert_eq!(task["state"], "succeeded", "{task:#}");
    let seen = bed.get(&format!("vms/{vm}/snapshots")).await;
    assert_eq!(seen["snapshots"][0]["status"]["quiesced"], true, "{seen:#}");
    let (from, to) = (told(&bed, &vm, linux::HELD).await, told(&bed, &vm, linux::GOES_ON).await);
    eprintln!("the guest held still for {} s, of which its agent hung 5", to - from);
    held(&bed, &vm, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_guest_whose_agent_died_it_is_said_that_it_may_hold_still_until_it_is_reset() {
    let Some(mut bed) = Bed::start().await else { return };
    let Some(vm) = guest(&mut bed, "dies", linux::DYING_AGENT).await else { return };
    let task = quiesced(&mut bed, &vm, "quiet").await;
    assert_eq!(task["state"], "succeeded", "{task:#}");
    held(&bed, &vm, true).await;
    let shown = page(&bed, &vm).await;
    assert!(shown.contains("data-held") && shown.contains("a reset ends it"), "{shown}");
    let text = String::from_utf8(bed.qx(&["vm", "show", "dies"]).stdout).unwrap();
    assert!(text.contains("a reset ends it"), "{text}");
    // The daemon that comes next knows it, too; other machines are not held up.
    bed.crash().await;
    held(&bed, &vm, true).await;
    let other = bed.create_vm("other", json!({"start": true})).await;
    bed.vm_is(&other, "running").await;
    bed.power(&vm, "reset").await;
    held(&bed, &vm, false).await;
    assert!(!page(&bed, &vm).await.contains("data-held"));
    let events = bed.get(&format!("events?subject={vm}")).await.to_string();
    assert!(events.contains("may still hold back") && events.contains("it goes on"), "{events}");
}
