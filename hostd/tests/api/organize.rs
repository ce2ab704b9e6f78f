//! Folders, tags, notes, saved views, and the same for several machines.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use serde_json::{Value, json};

/// Names of the listed machines.
async fn listed(bed: &mut Bed, query: &str) -> String {
    let page = bed.get(&format!("vms?{query}")).await;
    let names =
        page["items"].as_array().unwrap().iter().map(|vm| vm["spec"]["name"].as_str().unwrap().to_owned());
    names.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn folders_hold_machines_and_are_told_apart_from_them() {
    let Some(mut bed) = Bed::start().await else { return };
    let prod = bed.post("folders", json!({"name": "Production"})).await.success().unwrap().json().unwrap();
    assert_eq!((&prod["path"], &prod["vms_in_all"]), (&json!("/Production"), &json!(0)));
    let body = json!({"name": "Web tier", "parent": prod["id"]});
    let web = bed.post("folders", body.clone()).await.success().unwrap().json().unwrap();
    refused(&bed.post("folders", body).await, 409, "exists");
    let slash = bed.post("folders", json!({"name": "a/b"})).await;
    assert_eq!(pointers(&refused(&slash, 422, "invalid")), ["/name"]);

    let filing =
        json!({"folder": web["id"], "tags": {"env": "prod", "web": ""}, "notes": "Call Ann.\nTwice."});
    bed.create_vm("web-1", json!({"filing": filing})).await;
    bed.create_vm("db-1", json!({"filing": {"tags": {"env": "prod"}}})).await;
    bed.create_vm("lab-1", json!({})).await;
    let (p, w) = (prod["id"].as_str().unwrap().to_owned(), web["id"].as_str().unwrap().to_owned());
    for (query, names) in [
        (format!("folder={w}"), "web-1"),
        (format!("folder={p}"), ""),
        (format!("folder={p}&below=true"), "web-1"),
        ("folder=top".into(), "db-1 lab-1"),
        ("tag=env%3Dprod".into(), "db-1 web-1"),
        ("tag=env&tag=web".into(), "web-1"),
        ("tag=env%3Dtest".into(), ""),
    ] {
        assert_eq!(listed(&mut bed, &query).await, names, "{query}");
    }
    let odd = bed.ask(Method::GET, "vms?tag=a%22b", Value::Null).await;
    assert_eq!(pointers(&refused(&odd, 422, "invalid")), ["/tag"]);

    let id = bed.get("vms?q=lab").await["items"][0]["id"].as_str().unwrap().to_owned();
    let file = json!({"folder": p, "set": {"owner": "Ann"}, "notes": "n"});
    assert_eq!(bed.ask(Method::PATCH, &format!("vms/{id}/filing"), file).await.status, 204);
    let vm = bed.get(&format!("vms/{id}")).await;
    assert_eq!(vm["vm"]["spec"]["filing"], json!({"folder": p, "notes": "n"}));
    assert_eq!(vm["vm"]["meta"]["labels"], json!({"owner": "Ann"}));
    for (wrong, pointer) in [
        (json!({"set": {"a b": ""}}), "/set"),
        (json!({"remove": ["\""]}), "/remove/0"),
        (json!({"folder": "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e"}), "/folder"),
        (json!({"notes": "x".repeat(20_000)}), "/notes"),
    ] {
        let answer = bed.ask(Method::PATCH, &format!("vms/{id}/filing"), wrong).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), [pointer]);
    }

    let cycle = bed.ask(Method::PATCH, &format!("folders/{p}"), json!({"parent": w})).await;
    assert_eq!(pointers(&refused(&cycle, 422, "invalid")), ["/parent"]);
    refused(&bed.ask(Method::DELETE, &format!("folders/{w}"), Value::Null).await, 409, "conflict");
    assert_eq!(bed.ask(Method::DELETE, &format!("folders/{w}?move_up=true"), Value::Null).await.status, 204);
    assert_eq!(bed.get(&format!("folders/{p}")).await["vms"], 2);
    assert_eq!(listed(&mut bed, &format!("folder={p}")).await, "lab-1 web-1");
}

#[tokio::test]
async fn a_batch_tells_of_each_machine_and_acts_once() {
    let Some(mut bed) = Bed::start().await else { return };
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(bed.create_vm(name, json!({})).await);
    }
    let none = bed.post("vms/batch", json!({"vms": [], "act": {"do": "delete", "disks": false}})).await;
    assert_eq!(pointers(&refused(&none, 422, "invalid")), ["/vms"]);
    let gone = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
    let body =
        json!({"vms": [ids[0], gone, ids[0], ids[1]], "act": {"do": "file", "filing": {"set": {"x": "1"}}}});
    let told: Value = bed.post("vms/batch", body).await.success().unwrap().json().unwrap();
    assert_eq!((&told["accepted"], &told["refused"]), (&json!(2), &json!(1)));
    assert_eq!(told["items"][1]["problem"]["kind"], "not-found");
    assert_eq!((&told["items"][0]["name"], &told["items"][2]["name"]), (&json!("a"), &json!("b")));
    assert_eq!(listed(&mut bed, "tag=x%3D1").await, "a b");

    // Twice under one key it is one deletion of each, with the same tasks.
    let body = json!({"vms": ids, "act": {"do": "delete", "disks": true}});
    bed.console.fields = vec![("idempotency-key", "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d77".into())];
    let first: Value = bed.post("vms/batch", body.clone()).await.success().unwrap().json().unwrap();
    let again: Value = bed.post("vms/batch", body).await.success().unwrap().json().unwrap();
    assert_eq!(first["accepted"], 3, "{first}");
    let tasks = |answer: &Value| {
        answer["items"].as_array().unwrap().iter().map(|i| i["task"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(tasks(&first), tasks(&again));
    bed.console.fields.clear();
    for task in tasks(&first) {
        bed.task_ended(task.as_str().unwrap()).await;
    }
    assert_eq!(listed(&mut bed, "").await, "");
}

#[tokio::test]
async fn saved_views_are_kept_and_dropped() {
    let Some(mut bed) = Bed::start().await else { return };
    let body = json!({"name": "Mine", "list": "vms", "query": "state=running&tag=env%3Dprod"});
    let saved: Value = bed.post("views", body.clone()).await.success().unwrap().json().unwrap();
    let again: Value = bed.post("views", body).await.success().unwrap().json().unwrap();
    assert_eq!(saved["id"], again["id"]);
    assert_eq!(bed.get("views").await["items"].as_array().unwrap().len(), 1);
    let wrong = bed.post("views", json!({"name": "x", "list": "vms", "query": "\"><b>"})).await;
    assert_eq!(pointers(&refused(&wrong, 422, "invalid")), ["/query"]);
    let path = format!("views/{}", saved["id"].as_str().unwrap());
    assert_eq!(bed.ask(Method::DELETE, &path, Value::Null).await.status, 204);
    refused(&bed.ask(Method::DELETE, &path, Value::Null).await, 404, "not-found");
    assert_eq!(bed.get("views").await["total"], 0);
}
