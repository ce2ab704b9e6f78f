//! The authority that signs the members' certificates is replaced while they work.

use crate::admin::PATIENCE;
use crate::fleet::{Hosts, member};
use lab::wait;
use serde_json::{Value, json};

fn rotation(view: &Value) -> &Value {
    &view["certificates"]["rotation"]
}

/// Who signed the certificate of each member, as its row tells.
fn signers(view: &Value) -> Vec<String> {
    let rows = view["members"].as_array().into_iter().flatten();
    rows.map(|row| row["status"]["authority"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_replaced_and_nothing_is_interrupted() {
    let Some(hosts) = Hosts::joined(3).await else { return };
    let all_told = |view: &Value| signers(view).iter().all(|signer| !signer.is_empty());
    let before = signers(&hosts.admin(0).sees("who signed", all_told).await);
    let writers = [hosts.write(0), hosts.write(2)];
    let begun = hosts.admin(1).post("cluster/rotation", Value::Null).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    let again = hosts.admin(1).post("cluster/rotation", Value::Null).await;
    assert!(again.status == 409 || again.status == 202, "{}", again.text());
    for i in 0..3 {
        let done = |view: &Value| {
            let signers = signers(view);
            rotation(view).is_null() && signers.iter().all(|s| *s == signers[0] && *s != before[0])
        };
        hosts.admin(i).sees("another authority", done).await;
    }
    for writer in &writers {
        writer.goes_on(20).await;
    }
    let [first, second] = writers;
    let kept = [first.end().await, second.end().await].concat();
    hosts.kept(&[0, 1, 2], &kept).await;
    // A token made now lets a host in.
    let mut hosts = hosts;
    hosts.add(1).await.unwrap();
    hosts.is_idle(3).await;
    hosts.join(3, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_off_meanwhile_comes_back_by_its_key_and_who_has_another_does_not() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let off = hosts.id(2).await;
    let trusted = |view: &Value| signers(view).iter().all(|signer| !signer.is_empty());
    let before = signers(&hosts.admin(0).sees("who signed", trusted).await);
    hosts.power_cut(2).unwrap();
    hosts.leader(&[0, 1]).await;
    let begun = hosts.admin(0).post("cluster/rotation", Value::Null).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    let waits = |view: &Value| rotation(view)["waits_for"] == json!([off]);
    hosts.admin(1).sees("h3 named as what it waits for", waits).await;
    let without = hosts.admin(0).post("cluster/rotation/without", json!({"hosts": [off]})).await;
    assert_eq!(without.status, 202, "{}", without.text());
    hosts.admin(1).sees("the old authority gone", |view| rotation(view).is_null()).await;

    hosts.restart(2).await.unwrap();
    let back = |view: &Value| {
        let signers = signers(view);
        signers.iter().all(|s| *s == signers[0] && *s != before[0])
    };
    hosts.admin(0).sees("h3 with a certificate by the new one", back).await;
    hosts.is_member(2, 0).await;
    let writer = hosts.write(2);
    writer.goes_on(5).await;
    let kept = writer.end().await;
    hosts.kept(&[0, 1], &kept).await;

    // Whoever has not the key gets nothing.
    let node = member(&hosts.view(0).await, &off).unwrap()["spec"]["node"].clone();
    let request =
        hostd_peer::Identity::request(hostd_types::ClusterId::new(), hostd_types::NodeId(1)).unwrap();
    let asked = json!({"host": off, "node": node, "csr_pem": request.csr_pem});
    let path = "/api/v1/cluster/admission/renew";
    let answer = hosts.network(0).send(hyper::Method::POST, path, Some(&asked)).await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_removed_meanwhile_gets_no_certificate_and_is_told_so() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let off = hosts.id(2).await;
    hosts.power_cut(2).unwrap();
    hosts.leader(&[0, 1]).await;
    wait::until("h3 removed", PATIENCE, || async {
        let answer = hosts.admin(0).delete(&format!("cluster/hosts/{off}?confirm=h3")).await;
        Ok((answer.status == 204).then_some(()))
    })
    .await
    .unwrap();
    let before = signers(&hosts.view(0).await);
    let begun = hosts.admin(0).post("cluster/rotation", Value::Null).await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    let done = |view: &Value| rotation(view).is_null() && signers(view)[0] != before[0];
    hosts.admin(0).sees("another authority", done).await;
    hosts.restart(2).await.unwrap();
    hosts.admin(2).sees("h3 told that it was removed", |view| view["condition"] == "removed").await;
    hosts.members_are(0, &[0, 1]).await;
}
