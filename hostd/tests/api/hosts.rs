//! `/api/v1/hosts`

use crate::bed::{Bed, PATIENCE, pointers, refused};
use hyper::Method;
use lab::wait;
use serde_json::{Value, json};

/// Waits until the machine calls itself `name`.
async fn called(bed: &Bed, name: &str) {
    wait::until(&format!("the hostname {name}"), PATIENCE, || async {
        let now = bed.host.libvirt.run_inside("hostname", &[])?;
        Ok((now.trim() == name).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_host_takes_the_name_it_is_given_and_keeps_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let overview = bed.get("overview").await;
    let path = format!("hosts/{}", overview["host"]["id"].as_str().unwrap());
    let renamed = bed.ask(Method::PATCH, &path, json!({"name": "rack-7"})).await.json().unwrap();
    assert_eq!(renamed["spec"]["name"], "rack-7");
    called(&bed, "rack-7").await;

    // As after a boot: the kernel has forgotten it, the state has not.
    bed.stop().await;
    bed.host.libvirt.run_inside("hostname", &["quantix"]).unwrap();
    bed.crash().await;
    called(&bed, "rack-7").await;
    assert_eq!(bed.get(&path).await["spec"]["name"], "rack-7");

    assert!(bed.qx(&["host", "rename", "rack-8"]).status.success());
    called(&bed, "rack-8").await;
    let form = Some("application/x-www-form-urlencoded");
    let sent = bed.browser().await.send_bytes(Method::POST, "/host/rename", form, "name=rack-9".into()).await;
    assert_eq!(sent.unwrap().status, 303);
    called(&bed, "rack-9").await;
    let events = bed.get("events").await;
    let event = events["items"].as_array().unwrap().iter().find(|e| e["action"] == "host.rename").unwrap();
    assert_eq!((&event["subject"]["name"], &event["detail"]), (&json!("rack-9"), &json!("was rack-8")));
}

#[tokio::test]
async fn what_is_no_hostname_is_refused() {
    let Some(mut bed) = Bed::start().await else { return };
    let path = format!("hosts/{}", bed.get("overview").await["host"]["id"].as_str().unwrap());
    for bad in ["", "a.b", "-a", "a b", "<b>", "🦀", &"x".repeat(10_240)] {
        let answer = bed.ask(Method::PATCH, &path, json!({"name": bad})).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/name"], "{bad}");
    }
}

#[tokio::test]
async fn where_a_host_is_can_be_said_of_others_alone() {
    let Some(mut bed) = Bed::start().await else { return };
    let own = bed.get("overview").await["host"]["id"].as_str().unwrap().to_owned();
    let mut say = async |id: &str, address: Value| {
        bed.ask(Method::PUT, &format!("cluster/hosts/{id}/address"), json!({"address": address})).await
    };
    refused(&say(&own, json!("192.0.2.7:8444")).await, 409, "wrong-state");
    refused(&say("01a201ca-a0df-71da-b6f8-d4e9e47edf9b", json!(null)).await, 404, "not-found");
    for bad in [json!("192.0.2.7"), json!("h2:8444"), json!(8444)] {
        let answer = say(&own, bad.clone()).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/address"], "{bad}");
    }
    let form = Some("application/x-www-form-urlencoded");
    let mut browser = bed.browser().await;
    for sent in ["nonsense", "192.0.2.7:8444"] {
        let path = format!("/cluster/hosts/{own}/address");
        let body = format!("address={sent}").into();
        let answer = browser.send_bytes(Method::POST, &path, form, body).await.unwrap();
        assert_eq!(answer.status, 303, "{sent}");
        assert_eq!(answer.headers["location"], format!("/host/{own}"));
        assert!(answer.headers["set-cookie"].to_str().unwrap().starts_with("flash=bad."), "{sent}");
    }
}
