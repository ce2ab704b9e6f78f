//! Hosts on one network find each other and join by a short code.

use crate::bed::refused;
use crate::fleet::Hosts;
use lab::wait;
use serde_json::{Value, json};

/// Host `i` looks for neighbours; answers the code it shows.
async fn looks(hosts: &Hosts, i: usize) -> String {
    let opened = hosts.admin(i).post("cluster/neighbours", Value::Null).await;
    assert_eq!(opened.status, 201, "{}", opened.text());
    opened.json().unwrap()["code"].as_str().unwrap().to_owned()
}

/// Waits until host `i` lists host `other`.
async fn finds(hosts: &Hosts, i: usize, other: &str) {
    wait::until("a neighbour", crate::admin::PATIENCE, || async {
        let view = hosts.admin(i).get("cluster/neighbours").await;
        let found = view["found"].as_array().unwrap().iter().any(|row| row["host"] == *other);
        Ok(found.then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_is_found_while_both_look_and_joins_by_the_code_it_is_told() {
    let Some(hosts) = Hosts::start(2).await else { return };
    let sponsor = hosts.id(0).await;
    looks(&hosts, 1).await;
    let none = hosts.admin(0).get("cluster/neighbours").await;
    assert_eq!(
        none,
        json!({"until": null, "code": null, "tries_left": 0, "found": []}),
        "nobody asked for it"
    );
    let code = looks(&hosts, 0).await;
    finds(&hosts, 1, &sponsor).await;

    let path = format!("cluster/neighbours/{sponsor}/token");
    let wrong = if code.starts_with('0') { "11111111" } else { "00000000" };
    for left in ["2", "1", "0"] {
        let answer = hosts.admin(1).post(&path, json!({"code": wrong})).await;
        let problem = refused(&answer, 422, "invalid");
        assert_eq!(problem["errors"][0]["pointer"], "/code", "{problem:#}");
        let said = problem["detail"].as_str().unwrap();
        assert!(
            said.contains(&format!("left: {left}")) || left == "0" && said.contains("too often"),
            "{said}"
        );
    }
    let late = hosts.admin(1).post(&path, json!({"code": code})).await;
    assert!(refused(&late, 422, "invalid").to_string().contains("no such code"), "{}", late.text());

    let code = looks(&hosts, 0).await;
    finds(&hosts, 1, &sponsor).await;
    let answer = hosts.admin(1).post(&path, json!({"code": code.replace(' ', "-")})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let token = answer.json().unwrap()["text"].as_str().unwrap().to_owned();
    let used = hosts.admin(0).get("cluster/neighbours").await;
    assert_eq!(used["code"], Value::Null, "{used:#}");
    let joined = hosts.ask_to_join(1, &token).await;
    assert_eq!(joined.status, 202, "{}", joined.text());
    hosts.is_member(1, 0).await;
    let ended = hosts.admin(0).delete("cluster/neighbours").await;
    assert_eq!(ended.status, 204);
}
