//! Isolated networks.

use crate::place::{activate, exists, guest, inside, isolated, nat, neighbour, run, run_in};
use std::process::Command;

/// `space` reaches `address` by IP.
fn reaches(space: &str, address: &str) -> bool {
    let mut ping = Command::new("ip");
    ping.args(["netns", "exec", space, "busybox", "ping", "-c", "1", "-W", "1", address]);
    ping.output().expect("ping").status.success()
}

#[test]
fn guests_reach_each_other_and_neither_the_host_nor_what_is_behind_it() {
    inside("isolated::guests_reach_each_other_and_neither_the_host_nor_what_is_behind_it", async |place| {
        neighbour("outside", "wan0", "eth0");
        run("ip addr add 192.0.2.2/24 dev wan0");
        run_in("outside", "ip addr add 192.0.2.1/24 dev eth0");
        run_in("outside", "ip route add 198.51.100.0/24 via 192.0.2.2");
        let (nets, network) = (place.nets(), isolated());
        // With a private subnet beside it the host routes.
        activate(&nets, &nat("10.200.0.0/24")).await;
        activate(&nets, &network).await;
        let bridge = &network.spec.bridge;
        assert!(!run(&format!("ip addr show {bridge}")).contains("inet"), "the host has no address there");
        for (name, address) in [("one", "198.51.100.1/24"), ("two", "198.51.100.2/24")] {
            guest(name, bridge);
            run_in(name, &format!("ip addr add {address} dev eth0"));
        }
        assert!(reaches("one", "198.51.100.2"), "guests reach each other");

        // A guest that makes itself at home on the LAN of the host, with a way through the host.
        run_in("one", "ip addr add 192.0.2.9/24 dev eth0");
        assert!(!reaches("one", "192.0.2.2") && !reaches("one", "192.0.2.1"));
        let mac = run(&format!("cat /sys/class/net/{bridge}/address"));
        run_in("one", &format!("ip neigh replace 192.0.2.2 lladdr {} dev eth0", mac.trim()));
        run_in("one", "ip route add 203.0.113.0/24 via 192.0.2.2");
        assert!(!reaches("one", "192.0.2.2"), "not even when it knows the host's hardware address");
        run("ip route add 198.51.100.0/24 dev wan0");
        run_in("outside", "ip addr add 203.0.113.1/32 dev lo");
        assert!(!reaches("one", "203.0.113.1"), "nor through it");

        // An address that somebody gives it is taken away; again is nothing to do; nothing is left of it.
        run(&format!("ip addr add 192.0.2.77/24 dev {bridge}"));
        activate(&nets, &network).await;
        activate(&place.nets(), &network).await;
        assert!(!run(&format!("ip addr show {bridge}")).contains("inet"));
        nets.remove(&network).await.expect("remove");
        nets.remove(&network).await.expect("again");
        assert!(!exists(bridge));
        assert!(!place.files().iter().any(|file| file.to_string_lossy().contains(bridge.as_str())));
    });
}
