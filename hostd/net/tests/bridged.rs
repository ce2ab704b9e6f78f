//! Bridged networks.

use crate::place::{
    Place, activate, bridged, client_pid, client_runs, exists, guest, inside, neighbour, run, run_in, until,
};
use crate::talk::{hear, serve};
use hostd_net::NetError;
use std::path::PathBuf;

/// A LAN with a router at 192.0.2.1 that serves a page, behind the card `nic0` of this host.
fn lan() {
    neighbour("lan", "nic0", "eth0");
    run_in("lan", "ip addr add 192.0.2.1/24 dev eth0");
    run_in("lan", "ip addr add 198.51.100.1/32 dev lo");
}

/// The host's card with fixed addresses and routes.
fn fixed() {
    lan();
    run("ip addr add 192.0.2.7/24 dev nic0");
    run("ip addr add 2001:db8::7/64 dev nic0 nodad");
    run("ip route add 203.0.113.0/24 via 192.0.2.1 metric 50");
    run("ip route add default via 192.0.2.1 dev nic0");
    run("ip -6 route add default via 2001:db8::1 dev nic0 metric 70");
}

/// Addresses and routes of a link, without what the kernel makes by itself.
fn has(link: &str) -> (Vec<String>, Vec<String>) {
    let words = |line: &str, n: usize| line.split_whitespace().nth(n).map(str::to_owned);
    let addresses = run(&format!("ip -o addr show dev {link} scope global"));
    let mut addresses: Vec<String> = addresses.lines().filter_map(|l| words(l, 3)).collect();
    addresses.sort();
    let routes = run(&format!("ip route show dev {link}")) + &run(&format!("ip -6 route show dev {link}"));
    let mut routes: Vec<String> = routes
        .lines()
        .filter(|l| l.contains("via"))
        .map(|l| l.replace("linkdown", "").trim().to_owned())
        .collect();
    routes.sort();
    (addresses, routes)
}

const NOTHING: (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());

#[test]
fn a_card_lends_its_addresses_and_routes_and_gets_them_back() {
    inside("bridged::a_card_lends_its_addresses_and_routes_and_gets_them_back", async |place| {
        fixed();
        serve("lan", 80, "router");
        let before = has("nic0");
        assert_eq!((before.0.len(), before.1.len()), (2, 3), "{before:?}");
        let (nets, network) = (place.nets(), bridged("nic0"));
        let bridge = &network.spec.bridge;
        activate(&nets, &network).await;
        assert_eq!((has("nic0"), has(bridge)), (NOTHING, before.clone()));
        let mac = |link: &str| run(&format!("cat /sys/class/net/{link}/address"));
        assert_eq!(mac(bridge), mac("nic0"));
        assert_eq!(hear("", "198.51.100.1:80").as_deref(), Some("router"), "by the default route");
        let links = nets.links().await.expect("links");
        let card = links.iter().find(|l| l.name == "nic0").expect("nic0");
        assert_eq!(card.master.as_deref(), Some(bridge.as_str()));

        // A guest is on the LAN itself.
        guest("vm", bridge);
        run_in("vm", "ip addr add 192.0.2.50/24 dev eth0");
        assert_eq!(hear("vm", "192.0.2.1:80").as_deref(), Some("router"));

        let index = run(&format!("cat /sys/class/net/{bridge}/ifindex"));
        activate(&place.nets(), &network).await;
        assert_eq!(run(&format!("cat /sys/class/net/{bridge}/ifindex")), index, "nothing was made anew");

        run(&format!("ip link del {bridge}"));
        activate(&nets, &network).await;
        assert_eq!((has("nic0"), has(bridge)), (NOTHING, before.clone()), "healed");

        nets.remove(&network).await.expect("remove");
        assert!(!exists(bridge));
        assert_eq!(has("nic0"), before);
        assert_eq!(hear("", "198.51.100.1:80").as_deref(), Some("router"));
        nets.remove(&network).await.expect("again");
        assert_eq!(has("nic0"), before);
        assert_eq!(place.files(), [] as [PathBuf; 0]);
    });
}

#[test]
fn a_deleted_bridge_does_not_keep_a_card_from_getting_everything_back() {
    inside("bridged::a_deleted_bridge_does_not_keep_a_card_from_getting_everything_back", async |place| {
        fixed();
        let before = has("nic0");
        let (nets, network) = (place.nets(), bridged("nic0"));
        activate(&nets, &network).await;
        run(&format!("ip link del {}", network.spec.bridge));
        assert_eq!(has("nic0"), NOTHING);
        nets.remove(&network).await.expect("remove");
        assert_eq!(has("nic0"), before);
    });
}

/// Ends a link's client for certain: a signal is only on its way when `kill` returns.
fn kill_client(link: &str) {
    run(&format!("kill -9 {}", client_pid(link).expect("pid")));
    until("the client's end", || !client_runs(link));
}

fn leased_host(place: &Place) -> crate::place::Server {
    lan();
    let server = place.dhcp_server("lan", "eth0", "192.0.2.100,192.0.2.150,1h", "192.0.2.1");
    until("a first lease", || {
        place.client("nic0");
        let got = !has("nic0").0.is_empty();
        if !got {
            kill_client("nic0");
        }
        got
    });
    server
}

#[test]
fn a_dhcp_client_moves_along() {
    inside("bridged::a_dhcp_client_moves_along", async |place| {
        let _server = leased_host(&place);
        let before = has("nic0");
        let (nets, network) = (place.nets(), bridged("nic0"));
        let bridge = &network.spec.bridge;
        activate(&nets, &network).await;
        assert_eq!((has("nic0"), has(bridge)), (NOTHING, before.clone()), "the same lease");
        assert!(client_runs(bridge) && !client_runs("nic0"));

        kill_client(bridge);
        activate(&nets, &network).await;
        assert!(client_runs(bridge), "a dead client is started again");
        kill_client(bridge);
        place.client("nic0");
        activate(&nets, &network).await;
        assert!(client_runs(bridge) && !client_runs("nic0"), "one started on the card afterwards is moved");
        assert_eq!((has("nic0"), has(bridge)), (NOTHING, before.clone()));
        run(&format!("ip link del {bridge}"));
        activate(&nets, &network).await;
        assert!(client_runs(bridge));
        assert_eq!(has(bridge), before, "healed");

        nets.remove(&network).await.expect("remove");
        assert!(!exists(bridge) && client_runs("nic0") && client_pid(bridge).is_none());
        assert_eq!(has("nic0"), before);
    });
}

#[test]
fn a_move_that_fails_is_undone() {
    inside("bridged::a_move_that_fails_is_undone", async |place| {
        let server = leased_host(&place);
        serve("lan", 80, "router");
        let before = has("nic0");
        drop(server); // from now on nobody answers the client
        let (nets, network) = (place.nets(), bridged("nic0"));
        let error = nets.ensure(&network).await.expect_err("no lease on the bridge");
        assert!(matches!(error, NetError::Undone { .. }) && !error.retryable(), "{error:?}");
        assert!(error.to_string().contains("a DHCP lease on"), "{error}");
        assert!(!exists(&network.spec.bridge) && client_runs("nic0"));
        assert_eq!(has("nic0"), before);
        assert_eq!(hear("", "192.0.2.1:80").as_deref(), Some("router"), "the host is not cut off");
        assert_eq!(place.files(), [] as [PathBuf; 0]);
    });
}

#[test]
fn cards_that_can_not_be_bridged_are_refused() {
    inside("bridged::cards_that_can_not_be_bridged_are_refused", async |place| {
        lan();
        run("ip link add other type bridge");
        run("ip link set nic0 master other");
        run("ip tuntap add tap7 mode tap");
        let nets = place.nets();
        for (nic, why) in [
            ("eth9", "there is no network card named eth9"),
            ("../../etc", "can't be the name of a network link"),
            ("nic0", "nic0 belongs to other already"),
            ("other", "other is a bridge itself"),
            ("tap7", "tap7 is not a physical network card"),
            ("lo", "lo is not a physical network card"),
        ] {
            let network = bridged(nic);
            let refusal = nets.ensure(&network).await.expect_err(nic);
            assert!(matches!(refusal, NetError::Refused(_)), "{refusal:?}");
            assert!(refusal.to_string().contains(why), "{refusal}");
            assert!(!exists(&network.spec.bridge));
        }
        assert_eq!(place.files(), [] as [PathBuf; 0]);
    });
}

#[test]
fn a_cable_that_is_not_plugged_in_is_told() {
    inside("bridged::a_cable_that_is_not_plugged_in_is_told", async |place| {
        lan();
        run_in("lan", "ip link set eth0 down");
        let status = place.nets().ensure(&bridged("nic0")).await.expect("ensure");
        assert!(status.active && status.fault.expect("fault").contains("nic0 has no carrier"));
    });
}
