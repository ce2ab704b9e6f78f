//! `/api/v1/cluster` of a host alone; `cluster/` is about several.

use crate::bed::{Bed, pointers, refused};
use hostd_peer::{Invitation, pinned};
use hyper::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

#[tokio::test]
async fn a_host_alone_is_a_cluster_of_one() {
    let Some(mut bed) = Bed::start().await else { return };
    let view = bed.get("cluster").await;
    let host = &bed.get("overview").await["host"]["id"];
    assert_eq!(view["condition"], "alone", "{view:#}");
    assert_eq!((&view["here"], &view["leader"]), (host, host));
    assert_eq!((&view["quorum"]["held"], &view["quorum"]["voters"]), (&json!(true), &json!(1)));
    let members = view["members"].as_array().unwrap();
    assert_eq!(members.len(), 1, "{view:#}");
    let member = &members[0];
    assert_eq!((&member["id"], &member["role"]), (host, &json!("leader")), "{view:#}");
    assert_eq!((&member["liveness"], &member["vms"]), (&json!("up"), &json!(0)));
    let text = view.to_string();
    assert_eq!(view["cluster"]["status"]["authorities"][0]["sealed_key"], "", "it stays in the state");
    assert!(!text.contains("PRIVATE KEY"), "{view:#}");
}

#[tokio::test]
async fn its_settings_keep_to_the_rules() {
    let Some(mut bed) = Bed::start().await else { return };
    let changed = bed.ask(Method::PATCH, "cluster", json!({"name": "Rack 7, Zürich", "voters": 5})).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let spec = bed.get("cluster").await["cluster"]["spec"].clone();
    assert_eq!(spec, json!({"name": "Rack 7, Zürich", "voters": 5}));
    let cases = [
        (json!({"name": ""}), "/name"),
        (json!({"name": "a\u{7}b"}), "/name"),
        (json!({"name": "x".repeat(64)}), "/name"),
        (json!({"voters": 4}), "/voters"),
        (json!({"voters": 9}), "/voters"),
        (json!({"voters": "3"}), "/voters"),
        (json!({"voter": 3}), "/voter"),
        (json!(["lab", 5]), ""),
    ];
    for (body, at) in cases {
        let answer = bed.ask(Method::PATCH, "cluster", body.clone()).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), [at], "{body}");
    }
    assert_eq!(bed.get("cluster").await["cluster"]["spec"], spec);
}

#[tokio::test]
async fn a_join_token_is_shown_once_and_can_be_taken_back() {
    let Some(mut bed) = Bed::start().await else { return };
    let answer = bed.post("cluster/tokens", json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json().unwrap();
    let (text, id) = (made["text"].as_str().unwrap(), made["token"]["id"].as_str().unwrap());
    assert!(text.starts_with("qxj1_"), "{text}");
    let listed = bed.get("cluster/tokens").await;
    assert_eq!(listed["items"], json!([made["token"]]));
    assert!(!listed.to_string().contains(text) && !listed.to_string().contains("secret"), "{listed:#}");
    let events = bed.get("events").await.to_string();
    assert!(events.contains("join_token") && !events.contains(text), "{events}");

    for valid_s in [json!(0), json!(86_401), json!(-1), json!("1h")] {
        let answer = bed.post("cluster/tokens", json!({"valid_s": valid_s})).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/valid_s"], "{valid_s}");
    }
    let revoked = bed.delete(&format!("cluster/tokens/{id}")).await;
    assert_eq!(revoked.status, 204, "{}", revoked.text());
    assert_eq!(bed.get("cluster/tokens").await["items"], json!([]));
    refused(&bed.delete(&format!("cluster/tokens/{id}")).await, 404, "not-found");
}

#[tokio::test]
async fn what_is_no_token_joins_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let own = bed.post("cluster/tokens", json!({})).await.json().unwrap();
    let own = own["text"].as_str().unwrap();
    for bad in ["", "let me in", "qxj1_", &own[..own.len() - 3], "qxj9_AAAA", &"q".repeat(100_000)] {
        for what in ["preview", "join"] {
            let answer = bed.post(&format!("cluster/{what}"), json!({"token": bad})).await;
            assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/token"], "{bad:.40}");
        }
    }
    let answer = bed.post("cluster/preview", json!({"token": own})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json().unwrap()["blockers"][0].as_str().unwrap().contains("already"));
    refused(&bed.post("cluster/join", json!({"token": own})).await, 409, "wrong-state");
    assert_eq!(bed.get("cluster").await["condition"], "alone");
}

#[tokio::test]
async fn a_host_alone_can_not_leave_nor_be_removed() {
    let Some(mut bed) = Bed::start().await else { return };
    let view = bed.get("cluster").await;
    let (id, name) = (view["here"].as_str().unwrap(), view["members"][0]["spec"]["name"].as_str().unwrap());
    refused(&bed.post("cluster/leave", json!({"confirm": name})).await, 409, "wrong-state");
    refused(&bed.delete(&format!("cluster/hosts/{id}?confirm={name}")).await, 409, "wrong-state");
    for unsure in ["", "?confirm=", "?confirm=somebody"] {
        let answer = bed.delete(&format!("cluster/hosts/{id}{unsure}")).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/confirm"]);
    }
    let nobody = hostd_types::HostId::new();
    refused(&bed.delete(&format!("cluster/hosts/{nobody}?confirm={name}")).await, 404, "not-found");
    for (kind, body) in [
        ("vms", json!({"name": "a", "cpus": 1, "memory_mib": 32})),
        ("volumes", json!({"name": "a", "size_bytes": 1 << 20})),
        ("networks", json!({"name": "a", "mode": "nat", "subnet": "10.77.9.0/24"})),
    ] {
        for host in [json!(nobody), json!("elsewhere")] {
            let mut body = body.clone();
            body["host"] = host;
            assert_eq!(pointers(&refused(&bed.post(kind, body).await, 422, "invalid")), ["/host"], "{kind}");
        }
        let mut body = body.clone();
        body["host"] = json!(id);
        let made = bed.post(kind, body).await;
        bed.done(&made).await;
    }
}

/// Asks as a host would that wants to join.
async fn asks(bed: &Bed, invitation: &Invitation, what: &str, body: &Value) -> (u16, Value) {
    let address: SocketAddr = bed.host.address().parse().unwrap();
    let path = format!("/api/v1/cluster/admission/{what}");
    let Invitation { cluster, authority, .. } = invitation;
    pinned::post(&[address], *cluster, Some(*authority), &path, body, Duration::from_secs(15)).await.unwrap()
}

#[tokio::test]
async fn who_has_a_token_is_told_by_a_host_that_proves_itself() {
    let Some(mut bed) = Bed::start().await else { return };
    let made = bed.post("cluster/tokens", json!({})).await.json().unwrap();
    let invitation: Invitation = made["text"].as_str().unwrap().parse().unwrap();
    assert!(invitation.addresses.iter().any(|a| a.to_string() == bed.host.address()), "{invitation:?}");

    // Every other name is answered with the host's own certificate.
    let shown = bed.host.console().get("/api/v1/banner").await.unwrap()["fingerprint"].clone();
    let seen = lab::tls::fingerprint(&bed.host.address()).await.unwrap();
    assert_eq!(seen, lab::tls::digits(shown.as_str().unwrap()));

    let description = "x".repeat(3 << 20);
    let mut network = bed.get("networks").await["items"][0].clone();
    network
        .as_object_mut()
        .unwrap()
        .retain(|field, _| ["id", "meta", "spec", "status"].contains(&field.as_str()));
    network["id"] = json!(hostd_types::NetworkId::new());
    network["spec"]["description"] = json!(description);
    let body = json!({
        "token": invitation.token, "secret": hex::encode(invitation.secret), "host": hostd_types::HostId::new(),
        "name": "comer", "role": "host", "node": hostd_types::NodeId::random(), "status": {"version": "1", "boot_id": "", "durable": true, "level": hostd_types::LEVEL},
        "belongings": {"networks": [network], "images": [], "volumes": [], "vms": []}, "from_a_newer_version": true,
    });
    let (status, preview) = asks(&bed, &invitation, "preview", &body).await;
    assert_eq!(status, 200, "{preview:#}");
    assert_eq!((&preview["host_name"], &preview["blockers"]), (&json!("comer"), &json!([])));
    assert_eq!(preview["clashes"][0]["becomes"], "default-comer", "{preview:#}");

    refused(&bed.post("cluster/admission/preview", body.clone()).await, 403, "forbidden");
    let (status, refusal) = asks(&bed, &invitation, "join", &body).await;
    assert_eq!((status, &refusal["errors"][0]["pointer"]), (422, &json!("/csr_pem")), "{refusal:#}");

    let mut guess = body.clone();
    guess["belongings"] = json!({"networks": [], "images": [], "volumes": [], "vms": []});
    guess["secret"] = json!(hex::encode([7; 32]));
    let mut last = 0;
    for _ in 0..6 {
        last = asks(&bed, &invitation, "join", &guess).await.0;
        assert!(last == 403 || last == 429, "{last}");
    }
    assert_eq!(last, 429, "guesses are slowed down");
    assert_eq!(bed.get("cluster").await["members"].as_array().unwrap().len(), 1);
}
