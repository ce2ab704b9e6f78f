//! `/api/v1/networks`

use crate::bed::{Bed, refused};
use serde_json::json;

#[tokio::test]
async fn a_network_is_up_when_its_task_is_done_and_stays_while_used() {
    let Some(mut bed) = Bed::start().await else { return };
    let body = json!({"name": "lab", "mode": "nat", "subnet": "10.77.3.0/24"});
    let answer = bed.post("networks", body).await;
    let id = bed.done(&answer).await;
    let network = bed.get(&format!("networks/{id}")).await;
    assert_eq!(network["status"]["active"], true, "{network:#}");
    let bridge = network["spec"]["bridge"].as_str().unwrap().to_owned();
    bed.host.libvirt.run_inside("ip", &["link", "show", &bridge]).unwrap();

    let vm = bed.create_vm("plugged", json!({"nics": [{"network": id}]})).await;
    refused(&bed.delete(&format!("networks/{id}")).await, 409, "conflict");
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    let answer = bed.delete(&format!("networks/{id}")).await;
    bed.done(&answer).await;
    assert!(bed.host.libvirt.run_inside("ip", &["link", "show", &bridge]).is_err());
}

#[tokio::test]
async fn an_isolated_network_is_a_bridge_that_leads_nowhere() {
    let Some(mut bed) = Bed::start().await else { return };
    let answer = bed.post("networks", json!({"name": "alone", "mode": "isolated"})).await;
    let id = bed.done(&answer).await;
    let network = bed.get(&format!("networks/{id}")).await;
    assert_eq!(network["status"]["active"], true, "{network:#}");
    let bridge = network["spec"]["bridge"].as_str().unwrap().to_owned();
    let addresses = bed.host.libvirt.run_inside("ip", &["-o", "addr", "show", &bridge]).unwrap();
    assert!(!addresses.contains("inet"), "{addresses}");
    let rules = bed.host.libvirt.run_inside("nft", &["list", "table", "inet", "quantix"]).unwrap();
    for rule in [format!("iifname \"{bridge}\" drop"), format!("oifname \"{bridge}\" drop")] {
        assert!(rules.contains(&rule), "{rule}: {rules}");
    }
    let made = bed.qx(&["network", "create", "second", "--isolated"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let listed = String::from_utf8(bed.qx(&["network", "list"]).stdout).unwrap();
    assert_eq!(listed.matches("isolated").count(), 2, "{listed}");
    let answer = bed.delete(&format!("networks/{id}")).await;
    bed.done(&answer).await;
    assert!(bed.host.libvirt.run_inside("ip", &["link", "show", &bridge]).is_err());
    let rules = bed.host.libvirt.run_inside("nft", &["list", "table", "inet", "quantix"]).unwrap();
    assert!(!rules.contains(&bridge), "{rules}");
}

#[tokio::test]
async fn impossible_networks_are_refused() {
    let Some(mut bed) = Bed::start().await else { return };
    let cases = [
        json!({"name": "a", "mode": "nat", "subnet": "10.0.0.0/8"}),
        json!({"name": "b", "mode": "nat", "subnet": "10.0.0.0/31"}),
        json!({"name": "c", "mode": "nat", "subnet": "not a subnet"}),
        json!({"name": "d", "mode": "bridged", "nic": "nosuchcard0"}),
        json!({"name": "e", "mode": "bridged", "nic": "../eth0"}),
        json!({"name": "f f", "mode": "nat", "subnet": "10.78.0.0/24"}),
        json!({"name": "g", "mode": "teleport"}),
    ];
    for body in cases {
        let answer = bed.post("networks", body.clone()).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
    }
}
