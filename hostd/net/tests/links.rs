//! Links as people see them, and subnets that are free.

use crate::place::{inside, neighbour, run};
use futures_util::FutureExt;

#[test]
fn links_show_what_the_kernel_has() {
    inside("links::links_show_what_the_kernel_has", async |place| {
        neighbour("far", "nic0", "eth0");
        run("ip link add br7 type bridge");
        run("ip link set nic0 master br7");
        run("ip addr add 192.0.2.9/24 dev br7");
        let links = place.nets().links().await.expect("links");
        let named = |name: &str| links.iter().find(|l| l.name == name).expect(name);
        assert!(named("nic0").up && !named("br7").up, "{links:?}");
        assert!(!named("nic0").physical && named("nic0").driver.is_none());
        assert_eq!(named("nic0").master.as_deref(), Some("br7"));
        assert_eq!(named("nic0").mac, run("cat /sys/class/net/nic0/address").trim());
        assert_eq!(named("br7").addresses, ["192.0.2.9/24"]);
        assert!(!links.iter().any(|l| l.name == "lo"));
    });
}

#[test]
fn a_free_subnet_overlaps_neither_addresses_nor_routes() {
    inside("links::a_free_subnet_overlaps_neither_addresses_nor_routes", async |place| {
        neighbour("far", "nic0", "eth0");
        run("ip addr add 10.200.0.7/24 dev nic0");
        run("ip route add 10.200.1.0/25 via 10.200.0.1");
        run("ip route add default via 10.200.0.1");
        let taken = ["10.200.2.0/24".parse().expect("net")];
        let free = place.nets().free_subnet(&taken).await.expect("free");
        assert_eq!(free.map(|n| n.to_string()).as_deref(), Some("10.200.3.0/24"));
    });
}

#[test]
fn many_may_ask_at_once_and_leave_half_way() {
    inside("links::many_may_ask_at_once_and_leave_half_way", async |place| {
        // More than fits into one answer of the kernel, so that every list is read in several parts.
        for n in 0..100 {
            run(&format!("ip link add br{n} type bridge"));
        }
        let nets = place.nets();
        for _round in 0..20 {
            // Polled once and dropped: the question is out, nobody waits for the answer.
            let leaves = std::pin::pin!(nets.links());
            assert!(leaves.now_or_never().is_none());
            let (one, two, three) = tokio::join!(nets.links(), nets.links(), nets.links());
            for links in [one, two, three] {
                assert_eq!(links.expect("links").len(), 100);
            }
        }
    });
}
