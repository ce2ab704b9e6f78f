//! What people type into the form of a new machine.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use lab::http::{Http, Target};
use serde_json::{Value, json};

fn vm(name: &str) -> Value {
    json!({"name": name, "cpus": 1, "memory_mib": 32})
}

#[tokio::test]
async fn bad_input_names_its_field_and_makes_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let long = "n".repeat(10 * 1024);
    for name in
        ["", "it's", "\"quoted\"", "<b>", "../../etc/passwd", "🦀", "a b", "-rf", "a\nb", "a\0b", &long]
    {
        let answer = bed.post("vms", vm(name)).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/name"], "{name:.20}");
    }
    let id = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
    let cases = [
        ("memory_mib", json!(0), "/memory_mib"),
        ("memory_mib", json!(u64::MAX), "/memory_mib"),
        ("memory_mib", json!(-1), "/memory_mib"),
        ("cpus", json!(0), "/cpus"),
        ("cpus", json!(100_000), "/cpus"),
        ("cpu_mode", json!("turbo"), "/cpu_mode"),
        ("topology", json!({"sockets": 2, "threads": 1}), "/topology"),
        ("topology", json!({"sockets": 0, "threads": 0}), "/topology"),
        ("topology", json!({"sockets": 1}), "/topology/threads"),
        ("machine_type", json!("pc-i440fx-9.2"), "/machine_type"),
        ("description", json!("x".repeat(10 * 1024)), "/description"),
        ("description", json!("bell \u{7}"), "/description"),
        ("boot", json!(["floppy"]), "/boot/0"),
        ("cdrom", json!(id), "/cdrom"),
        ("nics", json!([{"network": id}]), "/nics/0/network"),
        ("disks", json!([{"from": "image", "image": id}]), "/disks/0/image"),
        ("disks", json!([{"from": "volume", "volume": id}]), "/disks/0/volume"),
        ("disks", json!([{"from": "blank", "size_bytes": 0}]), "/disks/0/size_bytes"),
        ("color", json!("red"), "/color"),
    ];
    for (field, value, pointer) in cases {
        let mut body = vm("good");
        body[field] = value;
        let answer = bed.post("vms", body).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), [pointer]);
    }
    let answer = bed.post("vms", json!({"name": "<", "cpus": 0, "memory_mib": 0})).await;
    let problem = refused(&answer, 422, "invalid");
    assert_eq!(pointers(&problem).len(), 3, "every wrong field is named at once: {problem:#}");
    assert_eq!(bed.get("vms").await["total"], 0);
    assert_eq!(bed.get("tasks?state=running").await["total"], 0);
}

#[tokio::test]
async fn memory_larger_than_the_host_is_refused_when_it_matters() {
    let Some(mut bed) = Bed::start().await else { return };
    let overview = bed.get("overview").await;
    let host_mib = overview["host"]["facts"]["memory_bytes"].as_u64().unwrap() >> 20;
    let mut body = vm("huge");
    body["memory_mib"] = json!(host_mib * 2);
    let answer = bed.post("vms", body).await;
    assert!(answer.status == 422 || answer.status == 507, "{}", answer.text());
    assert!(answer.text().contains("memory"), "{}", answer.text());
}

#[tokio::test]
async fn two_creates_with_one_name_at_once_make_one_machine() {
    let Some(mut bed) = Bed::start().await else { return };
    let body = vm("twin");
    let mut racers: Vec<Http> = (0..4).map(|_| Http::new(Target::Unix(bed.host.socket()))).collect();
    let [a, b, c, d] = racers.as_mut_slice() else { unreachable!() };
    let ask = async |http: &mut Http| http.send(Method::POST, "/api/v1/vms", Some(&body)).await.unwrap();
    let answers = tokio::join!(ask(a), ask(b), ask(c), ask(d));
    let answers = [answers.0, answers.1, answers.2, answers.3];
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 202);
    assert_eq!((won.len(), lost.len()), (1, 3));
    for answer in lost {
        refused(answer, 409, "exists");
    }
    bed.done(won[0]).await;
    refused(&bed.post("vms", vm("TWIN")).await, 409, "exists");
    assert_eq!(bed.get("vms").await["total"], 1);
}

#[tokio::test]
async fn a_request_sent_twice_acts_once() {
    let Some(mut bed) = Bed::start().await else { return };
    bed.console.fields = vec![("idempotency-key", "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e".into())];
    let first = bed.post("vms", vm("once")).await;
    let second = bed.post("vms", vm("once")).await;
    assert_eq!(first.status, 202, "{}", first.text());
    assert_eq!(first.json().unwrap(), second.json().unwrap());
    bed.console.fields.clear();
    bed.done(&first).await;
    assert_eq!(bed.get("vms").await["total"], 1);
    let tasks = bed.get("tasks").await;
    let made = tasks["items"].as_array().unwrap().iter().filter(|t| t["action"] == "vm.create").count();
    assert_eq!(made, 1, "{tasks:#}");
}

#[tokio::test]
async fn text_that_looks_like_xml_stays_text() {
    let Some(mut bed) = Bed::start().await else { return };
    let description = "</description><devices/> & \"quotes\" 'more' 🦀";
    let vm = bed.create_vm("plain", json!({"description": description, "start": true})).await;
    bed.vm_is(&vm, "running").await;
    assert_eq!(bed.get(&format!("vms/{vm}")).await["vm"]["spec"]["description"], description);
}
