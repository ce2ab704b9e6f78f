//! The test bed itself: hosts see each other over the switch, and every fault it makes is the fault it claims to be.

use crate::fleet::Hosts;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long a way that is open may take to carry something: after a cut the system asks only once a second who has an
/// address.
const OPENS: Duration = Duration::from_secs(5);
/// How long is listened at a way that is closed.
const CLOSED: Duration = Duration::from_millis(700);

/// Whether one of many datagrams of host `from` reaches host `to` at `address` in time.
fn reaches(hosts: &Hosts, from: usize, to: usize, address: IpAddr, within: Duration) -> bool {
    let socket = |i: usize, at: IpAddr| {
        hosts.host(i).libvirt.namespaces().in_network(|| Ok(UdpSocket::bind((at, 0))?)).unwrap()
    };
    let (sender, receiver) = (socket(from, Ipv4Addr::UNSPECIFIED.into()), socket(to, address));
    receiver.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < within {
        // Refused while the address is not known.
        let _ = sender.send_to(b"hello", receiver.local_addr().unwrap());
        if receiver.recv(&mut [0; 5]).is_ok() {
            return true;
        }
    }
    false
}

/// Whether what host `from` sends over the switch reaches host `to`.
fn hears(hosts: &Hosts, from: usize, to: usize) -> bool {
    reaches(hosts, from, to, hosts.address(to).into(), OPENS)
}

/// Whether nothing that host `from` sends over the switch reaches host `to`.
fn deaf(hosts: &Hosts, from: usize, to: usize) -> bool {
    !reaches(hosts, from, to, hosts.address(to).into(), CLOSED)
}

/// Whether two hosts hear each other.
fn talk(hosts: &Hosts, i: usize, j: usize) -> bool {
    hears(hosts, i, j) && hears(hosts, j, i)
}

/// Whether neither of two hosts hears the other.
fn apart(hosts: &Hosts, i: usize, j: usize) -> bool {
    deaf(hosts, i, j) && deaf(hosts, j, i)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_see_each_other_until_they_are_cut() {
    let begun = Instant::now();
    let Some(mut hosts) = Hosts::start(3).await else { return };
    eprintln!("3 hosts answer after {:.1} s", begun.elapsed().as_secs_f64());
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        assert!(talk(&hosts, from, to), "{from} -> {to}");
    }
    hosts.cut(1).unwrap();
    assert!(apart(&hosts, 0, 1) && apart(&hosts, 1, 2) && talk(&hosts, 0, 2));
    hosts.heal(1).unwrap();
    assert!(talk(&hosts, 0, 1) && talk(&hosts, 1, 2));

    hosts.cut_way(0, 1).unwrap();
    assert!(deaf(&hosts, 0, 1));
    assert!(hears(&hosts, 1, 0), "the other way is open");
    assert!(talk(&hosts, 0, 2) && talk(&hosts, 2, 1));
    hosts.cut_pair(1, 2).unwrap();
    assert!(apart(&hosts, 1, 2));
    hosts.heal_pair(0, 1).unwrap();
    assert!(talk(&hosts, 0, 1) && apart(&hosts, 1, 2));
    hosts.heal_all().unwrap();
    assert!(talk(&hosts, 1, 2) && talk(&hosts, 2, 1));

    hosts.readdress(2, Ipv4Addr::new(10, 77, 9, 3)).unwrap();
    assert!(talk(&hosts, 0, 2) && talk(&hosts, 2, 0));
    hosts.add(1).await.unwrap();
    assert!(talk(&hosts, 3, 2) && talk(&hosts, 0, 3));
    let uplink: SocketAddr = hosts.host(1).address().parse().unwrap();
    assert!(!reaches(&hosts, 0, 1, uplink.ip(), CLOSED), "there is a way around the switch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_keeps_its_name_and_state_through_crashes_and_power_cuts() {
    let Some(mut hosts) = Hosts::start(2).await else { return };
    let mut admin = hosts.admin(1);
    let vm = admin.create_vm("kept", json!({"start": true})).await;
    admin.vm_is(&vm, "running").await;
    assert_eq!(admin.get("overview").await["host"]["spec"]["name"], "h2");
    let qemu = |hosts: &Hosts| hosts.host(1).libvirt.run_inside("pgrep", &["-f", &format!("uuid {vm}")]);
    let first = qemu(&hosts).unwrap();

    hosts.freeze(1).unwrap();
    let mut ask = hosts.admin(1);
    let asked = tokio::time::timeout(Duration::from_millis(500), ask.get("overview")).await;
    assert!(asked.is_err(), "a frozen daemon answers nobody");
    hosts.thaw(1).unwrap();
    hosts.admin(1).get("overview").await;

    hosts.crash(1).unwrap();
    assert_eq!(qemu(&hosts).unwrap(), first, "guests outlive their daemon");
    hosts.restart(1).await.unwrap();
    hosts.admin(1).vm_is(&vm, "running").await;

    hosts.power_cut(1).unwrap();
    let left = std::process::Command::new("pgrep").args(["-f", &format!("uuid {vm}")]).output().unwrap();
    assert!(!left.status.success(), "guests die with their host");
    hosts.restart(1).await.unwrap();
    let mut admin = hosts.admin(1);
    admin.vm_is(&vm, "off").await;
    assert_eq!(admin.get("overview").await["host"]["spec"]["name"], "h2");
    assert!(talk(&hosts, 0, 1));
}
