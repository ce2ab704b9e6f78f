//! `/api/v1/cluster/cpu`. Hosts of tests emulate: what follows for hosts with hardware virtualization is told by tables.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_host_that_emulates_tells_its_processor_and_none_can_be_chosen_for_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let told =
        |row: &Value| row["status"]["cpu"]["usable"].as_array().is_some_and(|usable| !usable.is_empty());
    let row = bed.finds("hosts", "the host's processor", told).await;
    let cpu = &row["status"]["cpu"];
    assert_eq!(cpu["kvm"], false, "{cpu:#}");
    let baseline = bed.get("cluster/cpu").await;
    assert_eq!(baseline["emulating"], json!([row["id"]]), "{baseline:#}");
    assert_eq!((&baseline["model"], &baseline["models"]), (&Value::Null, &Value::Null));
    for bad in [json!("Westmere"), json!(""), json!("<b>"), json!("x".repeat(10_240))] {
        let answer = bed.ask(Method::PUT, "cluster/cpu", json!({"model": bad})).await;
        let problem = refused(&answer, 422, "invalid");
        assert_eq!(pointers(&problem), ["/model"], "{bad}");
        assert!(problem["detail"].as_str().unwrap().contains("No host here"), "{problem:#}");
    }
    let answer = bed.ask(Method::PUT, "cluster/cpu", json!({"model": null})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said = bed.qx(&["cluster", "cpu", "--automatic"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("each host's own (automatic)") && said.contains("Emulate:"), "{said}");
    assert!(!bed.qx(&["cluster", "cpu", "--model", "Westmere"]).status.success());
    let page = bed.browser().await.send(Method::GET, "/cluster", None).await.unwrap();
    assert!(page.text().contains("A processor that QEMU makes up"), "{}", page.text());
}
