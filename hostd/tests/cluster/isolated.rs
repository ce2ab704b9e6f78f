//! What a host does without the majority, and how a survivor goes on when it is lost for ever.

use crate::admin::PATIENCE;
use crate::bed::refused;
use crate::fleet::Hosts;
use futures_util::future::join_all;
use lab::wait;
use serde_json::{Value, json};

fn held(view: &Value) -> bool {
    view["quorum"]["held"] == true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_works_with_its_own_machines_and_tells_later() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let (cut, other) = (2, 0);
    let vm = hosts.admin(cut).create_vm("own", json!({})).await;
    let credentials = hosts.admin(other).credentials().await;
    hosts.cut(cut).unwrap();
    hosts.admin(cut).sees("no majority", |view| !held(view)).await;

    let started = hosts.admin(cut).power(&vm, "start").await;
    assert_eq!(started["state"], "succeeded", "{started:#}");
    hosts.admin(cut).vm_is(&vm, "running").await;
    let process = hosts.qemu(cut, &vm);
    let body = json!({"name": "new", "cpus": 1, "memory_mib": 32});
    let answer = hosts.admin(cut).post("vms", body).await;
    let problem = refused(&answer, 503, "no-quorum");
    let detail = problem["detail"].as_str().unwrap();
    for part in ["h1", "h2", "recover"] {
        assert!(detail.contains(part), "{detail}");
    }
    // Whatever is asked, it says the same.
    let token = hosts.admin(cut).post("cluster/tokens", json!({})).await;
    let problem = refused(&token, 503, "no-quorum").to_string();
    assert!(problem.contains("h1, h2 do not answer") && problem.contains("recover"), "{problem}");
    // Whoever is not logged in yet still gets in, to this host.
    let mut browser = hosts.network(cut);
    let login = browser.send(hyper::Method::POST, "/api/v1/session", Some(&credentials)).await.unwrap();
    assert_eq!(login.status, 200, "{}", login.text());

    hosts.heal(cut).unwrap();
    for i in [cut, other] {
        hosts.admin(i).sees("a majority", held).await;
        hosts.admin(i).vm_is(&vm, "running").await;
    }
    assert_eq!(hosts.qemu(cut, &vm), process, "the guest was touched");
    wait::until("the act in the audit trail", PATIENCE, || async {
        let events = hosts.admin(other).list("events?limit=100").await;
        let told = events.iter().any(|event| {
            let detail = event["detail"].as_str().unwrap_or_default();
            event["action"] == "vm.start" && detail.contains("cut off")
        });
        Ok(told.then_some(()))
    })
    .await
    .unwrap();
    // From here on it goes through the log again.
    let stopped = hosts.admin(other).power(&vm, "force_off").await;
    assert_eq!(stopped["state"], "succeeded", "{stopped:#}");
    hosts.admin(cut).vm_is(&vm, "off").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_of_a_host_that_is_cut_off_at_the_same_moment_are_all_done_and_told() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let (cut, other) = (2, 0);
    let mut vms = Vec::new();
    for n in 0..8 {
        vms.push(hosts.admin(cut).create_vm(&format!("own{n}"), json!({})).await);
    }
    hosts.cut(cut).unwrap();
    hosts.admin(cut).sees("no majority", |view| !held(view)).await;
    let begun = vms.iter().enumerate().map(|(n, vm)| {
        let (hosts, key) = (&hosts, format!("0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5{n}"));
        async move { act(hosts, cut, vm, "start", &key).await }
    });
    let tasks = join_all(begun).await;
    for (vm, task) in vms.iter().zip(&tasks) {
        assert_eq!(hosts.admin(cut).task_ended(task).await["state"], "succeeded");
        hosts.admin(cut).vm_is(vm, "running").await;
    }
    hosts.heal(cut).unwrap();
    for (vm, task) in vms.iter().zip(&tasks) {
        let told = hosts.admin(other).finds("tasks", "the start", |row| row["id"] == task.as_str()).await;
        assert_eq!(told["state"], "succeeded", "{told:#}");
        hosts.admin(other).vm_is(vm, "running").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_that_are_merely_out_of_sight_are_not_given_up() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    hosts.cut(2).unwrap();
    let away = |view: &Value| !held(view) && view["quorum"]["reachable"] == 1;
    hosts.admin(2).sees("nobody else", away).await;
    hosts.heal(2).unwrap();
    // Nobody may have met again yet: it must look before it takes a person's word.
    let answer = hosts.admin(2).post("cluster/recover", json!({"powered_off": ["h1", "h2"]})).await;
    refused(&answer, 409, "wrong-state");
    for i in [0, 2] {
        let view = hosts.admin(i).sees("a majority", held).await;
        assert_eq!((&view["condition"], view["members"].as_array().unwrap().len()), (&json!("member"), 3));
    }
}

/// Asks for an act on a machine's power under a key; answers the task.
async fn act(hosts: &Hosts, i: usize, vm: &str, action: &str, key: &str) -> String {
    let mut console = hosts.console(i);
    console.fields = vec![("idempotency-key", key.into())];
    let path = format!("/api/v1/vms/{vm}/power");
    let answer = console.send(hyper::Method::POST, &path, Some(&json!({"action": action}))).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json().unwrap()["task"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_of_a_host_that_is_cut_off_is_one_task_over_a_restart_and_after_its_return() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let (cut, other) = (2, 0);
    let vm = hosts.admin(cut).create_vm("own", json!({})).await;
    hosts.qx_ok(cut, &["volume", "create", "spare", "1M"]);
    let id = hosts.id(cut).await;
    let credentials = hosts.admin(other).credentials().await;
    hosts.cut(cut).unwrap();
    hosts.admin(cut).sees("no majority", |view| !held(view)).await;

    let said = hosts.qx_ok(cut, &["vm", "start", "own"]);
    assert!(said.contains("vm.start own: done"), "{said}");
    let listed = hosts.admin(cut).list("tasks").await;
    assert!(listed[0]["action"] == "vm.start" && listed[0]["state"] == "succeeded", "{listed:#?}");
    let key = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
    let reset = act(&hosts, cut, &vm, "reset", key).await;
    assert_eq!(hosts.admin(cut).task_ended(&reset).await["state"], "succeeded");
    hosts.crash(cut).unwrap();
    hosts.restart(cut).await.unwrap();
    assert_eq!(act(&hosts, cut, &vm, "reset", key).await, reset, "it acted again");
    let mut browser = hosts.network(cut);
    let login = browser.send(hyper::Method::POST, "/api/v1/session", Some(&credentials)).await.unwrap();
    assert_eq!(login.status, 200, "{}", login.text());

    // The others show what they heard last, and say how old it is.
    let silent = |row: &Value| row["silent"]["seen_s"].as_u64().is_some_and(|age| age >= 5);
    hosts.admin(other).finds("vms", "the machine's age", silent).await;
    hosts.admin(other).finds("hosts", "the host's age", silent).await;
    let mut admin = hosts.admin(other);
    assert!(silent(&admin.get(&format!("vms/{vm}")).await));
    let row = admin.get(&format!("hosts/{id}")).await;
    assert!(row["spec"]["name"] == "h3" && silent(&row), "{row:#}");
    let networks = admin.list("networks").await;
    assert!(networks.iter().all(|row| silent(row) == (row["spec"]["host"] == id.as_str())), "{networks:#?}");
    let shown = hosts.qx_ok(other, &["vm", "show", "own"]);
    assert!(shown.contains("h3, which does not answer") && shown.contains(" s ago"), "{shown}");
    for (what, was) in [("vm", "was off, "), ("volume", "was ready, "), ("network", "was yes, ")] {
        let listed = hosts.qx_ok(other, &[what, "list"]);
        assert!(listed.contains(was), "{listed}");
    }

    hosts.heal(cut).unwrap();
    for i in [cut, other] {
        let tasks = hosts.admin(i);
        let told = tasks.finds("tasks", "the reset", |task| task["id"] == reset.as_str()).await;
        assert!(told["state"] == "succeeded" && told["host"] == id.as_str(), "{told:#}");
        let started = tasks.finds("tasks", "the start", |task| task["action"] == "vm.start").await;
        let again = hosts.admin(i).get(&format!("tasks/{}", started["id"].as_str().unwrap())).await;
        assert_eq!(again["state"], "succeeded");
    }
    assert_eq!(act(&hosts, cut, &vm, "reset", key).await, reset, "it acted again");
    let acts = hosts.admin(other).list("events?limit=100").await;
    assert_eq!(acts.iter().filter(|event| event["action"] == "vm.reset").count(), 1, "{acts:#?}");
    let row = hosts.admin(other).finds("vms", "no age", |row| row.get("silent").is_none()).await;
    assert_eq!(row["status"]["state"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_were_given_up_change_nothing_and_join_again() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let vm = hosts.admin(0).create_vm("kept", json!({"start": true})).await;
    let process = hosts.qemu(0, &vm);
    hosts.cut(2).unwrap();
    let alone = |view: &Value| {
        let up = |row: &&Value| row["liveness"] == "up";
        !held(view) && view["members"].as_array().unwrap().iter().filter(up).count() == 1
    };
    hosts.admin(2).sees("nobody else", alone).await;
    let done = hosts.admin(2).post("cluster/recover", json!({"powered_off": ["h1", "h2"]})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    // They were not off: these two still are a majority of what they know.
    hosts.heal(2).unwrap();
    let view = hosts.admin(0).sees("it was removed", |view| view["condition"] == "removed").await;
    assert!(!held(&view) && view["quorum"]["text"].as_str().unwrap().contains("removed"), "{view:#}");
    let new = json!({"name": "new", "cpus": 1, "memory_mib": 32});
    for (path, body) in [("vms", new), ("cluster/tokens", json!({}))] {
        let problem = refused(&hosts.admin(0).post(path, body).await, 410, "removed");
        assert!(problem["detail"].as_str().unwrap().contains("leave"), "{problem:#}");
    }
    let stopped = hosts.admin(0).power(&vm, "reset").await;
    assert_eq!(stopped["state"], "succeeded", "{stopped:#}");

    let page = hosts.console(0).send(hyper::Method::GET, "/cluster", None).await.unwrap().text();
    assert!(page.contains("join-form") && page.contains("leave-form"), "{page}");
    let token = hosts.invite(2).await;
    let preview = hosts.admin(0).post("cluster/preview", json!({"token": token})).await;
    let preview = preview.json().unwrap();
    assert_eq!(preview["blockers"], json!([]), "{preview:#}");
    assert_eq!(preview["belongings"]["vms"][0]["spec"]["name"], "kept", "{preview:#}");
    let answer = hosts.ask_to_join(0, &token).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    hosts.is_member(0, 2).await;
    hosts.all_list(&[0, 2], &[&vm]).await;
    hosts.admin(2).vm_is(&vm, "running").await;
    assert_eq!(hosts.qemu(0, &vm), process, "the guest was touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_goes_on_alone_and_the_others_are_refused_until_they_join_again() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let vm = hosts.admin(0).create_vm("kept", json!({"start": true})).await;
    let wrong = hosts.admin(0).post("cluster/recover", json!({"powered_off": ["h2", "h3"]})).await;
    refused(&wrong, 409, "wrong-state");
    for lost in [1, 2] {
        hosts.power_cut(lost).unwrap();
    }
    let alone = |view: &Value| {
        let up = |row: &&Value| row["liveness"] == "up";
        !held(view) && view["members"].as_array().unwrap().iter().filter(up).count() == 1
    };
    hosts.admin(0).sees("nobody else", alone).await;
    let half = hosts.admin(0).post("cluster/recover", json!({"powered_off": ["h2"]})).await;
    assert!(refused(&half, 422, "invalid").to_string().contains("h3"));
    let done = hosts.admin(0).post("cluster/recover", json!({"powered_off": ["h2", "h3"]})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    hosts.admin(0).sees("a majority of one", held).await;
    hosts.admin(0).create_vm("new", json!({})).await;
    hosts.admin(0).vm_is(&vm, "running").await;

    // A lost one that comes back is told, becomes its own, and may join as any other.
    hosts.restart(1).await.unwrap();
    hosts.admin(1).sees("it was removed", |view| view["condition"] == "removed").await;
    let left = hosts.admin(1).post("cluster/leave", json!({"confirm": "h2"})).await;
    assert!(left.status.is_success(), "{}", left.text());
    hosts.admin(1).sees("it is alone", |view| view["condition"] == "alone").await;
    hosts.is_idle(1).await;
    hosts.join(1, 0).await;
    hosts.is_member(1, 0).await;
}
