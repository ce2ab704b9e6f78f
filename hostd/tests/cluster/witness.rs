//! Two hosts, with a witness and without one.

use crate::admin::PATIENCE;
use crate::bed::refused;
use crate::fleet::{Hosts, member, voters};
use lab::wait;
use serde_json::{Value, json};

fn held(view: &Value) -> bool {
    view["quorum"]["held"] == true
}

/// Two hosts and a witness in one cluster; the witness is number 2.
async fn two_and_a_witness() -> Option<Hosts> {
    let mut hosts = Hosts::joined(2).await?;
    hosts.add_witness().await.unwrap();
    hosts.join(2, 0).await;
    hosts.vote().await;
    Some(hosts)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_witness_either_of_two_hosts_may_be_lost() {
    let Some(mut hosts) = two_and_a_witness().await else { return };
    let witness = hosts.id(2).await;
    let view = hosts.view(1).await;
    assert_eq!(member(&view, &witness).unwrap()["spec"]["role"], "witness", "{view:#}");
    assert_eq!(view["quorum"]["text"], "3 of 3 voters answer: one more may fail.");
    assert!(hosts.host(2).libvirt.pid().is_none(), "no libvirt runs for the witness");
    for lost in [0, 1] {
        let other = 1 - lost;
        hosts.power_cut(lost).unwrap();
        let (at_host, at_witness) = (hosts.write(other), hosts.write(2));
        at_host.goes_on(10).await;
        at_witness.goes_on(10).await;
        let kept = [at_host.end().await, at_witness.end().await].concat();
        let leader = hosts.leader(&[other, 2]).await;
        assert_eq!(leader, other, "a host leads while one can");
        hosts.kept(&[other, 2], &kept).await;
        hosts.restart(lost).await.unwrap();
        hosts.is_member(lost, other).await;
        hosts.admin(other).sees("all of them", |view| view["quorum"]["reachable"] == 3).await;
        hosts.kept(&[lost], &kept).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_on_a_witness_and_its_pages_show_the_hosts() {
    let Some(mut hosts) = two_and_a_witness().await else { return };
    let witness = hosts.id(2).await;
    let vm = hosts.admin(0).create_vm("guest", json!({"start": true})).await;
    for at in [0, 2] {
        for (list, body) in [
            ("vms", json!({"name": "w", "cpus": 1, "memory_mib": 32, "host": witness})),
            ("volumes", json!({"name": "w", "size_bytes": 1 << 20, "host": witness})),
            ("networks", json!({"name": "w", "mode": "nat", "subnet": "10.99.0.0/24", "host": witness})),
        ] {
            let answer = hosts.admin(at).post(list, body).await;
            let problem = refused(&answer, 422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], "/host", "{problem:#}");
        }
    }
    // The witness is a portal as any other member.
    hosts.admin(2).vm_is(&vm, "running").await;
    let stopped = hosts.admin(2).power(&vm, "force_off").await;
    assert_eq!(stopped["state"], "succeeded", "{stopped:#}");
    let page = hosts.console(2).send(hyper::Method::GET, "/images", None).await.unwrap().text();
    assert!(page.contains("upload-form") && !page.contains(&format!("value=\"{witness}\"")), "{page}");
    // What it was started as is remembered.
    hosts.host_mut(2).run_with(Vec::new());
    hosts.restart(2).await.unwrap();
    hosts.admin(0).sees("the witness", |view| voters(view) == 3 && view["quorum"]["reachable"] == 3).await;
    assert_eq!(member(&hosts.view(2).await, &witness).unwrap()["spec"]["role"], "witness");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_something_on_it_can_not_become_a_witness() {
    let Some(mut hosts) = Hosts::start(1).await else { return };
    let token = hosts.invite(0).await;
    let role = hosts.admin(0).post("cluster/join", json!({"token": token, "role": "witness"})).await;
    let problem = refused(&role, 422, "invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/role", "{problem:#}");
    hosts.host_mut(0).run_with(vec!["--role", "witness"]);
    hosts.crash(0).unwrap();
    hosts.host_mut(0).spawn().unwrap();
    wait::until("the refusal", PATIENCE, || async {
        let said = hosts.host(0).log_tail();
        Ok((said.contains("can't be a witness") && said.contains("network default")).then_some(()))
    })
    .await
    .unwrap();
    hosts.host_mut(0).run_with(Vec::new());
    hosts.restart(0).await.unwrap();
    let network = hosts.admin(0).list("networks").await[0]["id"].as_str().unwrap().to_owned();
    hosts.admin(0).delete(&format!("networks/{network}")).await;
    hosts.is_idle(0).await;
    hosts.host_mut(0).run_with(vec!["--role", "witness"]);
    hosts.restart(0).await.unwrap();
    let id = hosts.id(0).await;
    let witness = |view: &Value| member(view, &id).is_some_and(|row| row["spec"]["role"] == "witness");
    hosts.admin(0).sees("a witness", witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_without_a_witness_the_follower_may_be_lost() {
    let Some(mut hosts) = Hosts::joined(2).await else { return };
    let decides = hosts.leader(&[0, 1]).await;
    let follows = 1 - decides;
    let view = hosts.view(follows).await;
    assert_eq!(voters(&view), 1, "{view:#}");
    let text = view["quorum"]["text"].as_str().unwrap();
    assert!(text.contains(&format!("one decides, {}", hosts.name(decides))), "{text}");
    hosts.power_cut(follows).unwrap();
    let writer = hosts.write(decides);
    writer.goes_on(20).await;
    let kept = writer.end().await;
    hosts.restart(follows).await.unwrap();
    hosts.kept(&[follows], &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_without_a_witness_the_other_goes_on_with_its_own_when_the_voter_is_lost() {
    let Some(mut hosts) = Hosts::joined(2).await else { return };
    let decides = hosts.leader(&[0, 1]).await;
    let follows = 1 - decides;
    let vm = hosts.admin(follows).create_vm("own", json!({})).await;
    hosts.power_cut(decides).unwrap();
    hosts.admin(follows).sees("no majority", |view| !held(view)).await;
    let lost = hosts.name(decides).to_owned();
    let body = json!({"name": "new", "cpus": 1, "memory_mib": 32});
    let problem = refused(&hosts.admin(follows).post("vms", body).await, 503, "no-quorum");
    let detail = problem["detail"].as_str().unwrap();
    for part in [lost.as_str(), "back", "recover"] {
        assert!(detail.contains(part), "{detail}");
    }
    let started = hosts.admin(follows).power(&vm, "start").await;
    assert_eq!(started["state"], "succeeded", "{started:#}");
    hosts.admin(follows).vm_is(&vm, "running").await;
    let stopped = hosts.admin(follows).power(&vm, "force_off").await;
    assert_eq!(stopped["state"], "succeeded", "{stopped:#}");
    hosts.admin(follows).vm_is(&vm, "off").await;
    // The banner names who is missing and the two ways out.
    let page = hosts.console(follows).send(hyper::Method::GET, "/cluster", None).await.unwrap().text();
    for part in [lost.as_str(), "No majority", "Start those hosts again", "recover with qx"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    hosts.restart(decides).await.unwrap();
    hosts.admin(follows).sees("a majority", held).await;
    hosts.admin(decides).vm_is(&vm, "off").await;
}
