//! NAT networks.

use crate::place::{activate, exists, guest, inside, nat, neighbour, run, run_in, until};
use crate::talk::{hear, resolve, serve};
use nix::mount::{MsFlags, mount};
use std::path::PathBuf;

fn dnsmasq_pids() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let is = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"dnsmasq\0"))
    };
    pids.filter(is).collect()
}

/// The uplink of this host: 192.0.2.2 here, 192.0.2.1 in the namespace `outside`, which knows no way back to guests.
fn uplink() {
    neighbour("outside", "wan0", "eth0");
    run("ip addr add 192.0.2.2/24 dev wan0");
    run_in("outside", "ip addr add 192.0.2.1/24 dev eth0");
}

#[test]
fn guests_get_a_lease_and_reach_the_world_but_not_the_management() {
    inside("nat::guests_get_a_lease_and_reach_the_world_but_not_the_management", async |place| {
        uplink();
        let (nets, network) = (place.nets(), nat("10.200.0.0/24"));
        activate(&nets, &network).await;
        let bridge = &network.spec.bridge;
        let shown = run(&format!("ip -d addr show {bridge}"));
        assert!(shown.contains("inet 10.200.0.1/24") && shown.contains("stp_state 0"), "{shown}");
        assert!(shown.contains("forward_delay 0"), "{shown}");

        guest("web", bridge);
        place.lease_once("web", "eth0", "web-1");
        let leases = nets.leases(&network).await.expect("leases");
        assert_eq!(leases.len(), 1, "{leases:?}");
        assert_eq!(leases[0].hostname.as_deref(), Some("web-1"));
        let mac = run_in("web", "cat /sys/class/net/eth0/address");
        assert_eq!(leases[0].mac, mac.trim());
        assert!(run_in("web", "ip addr show eth0").contains(&format!("inet {}/24", leases[0].address)));

        serve("outside", 8080, "the world");
        assert_eq!(hear("web", "192.0.2.1:8080").as_deref(), Some("the world"));
        assert_eq!(resolve("web", "10.200.0.1", "web-1"), Some(leases[0].address), "DNS knows the lease");

        serve("", 8443, "management");
        assert!(hear("outside", "192.0.2.2:8443").is_some(), "the API answers on the LAN");
        assert_eq!(hear("web", "10.200.0.1:8443"), None, "but not to guests on the gateway");
        assert_eq!(hear("web", "192.0.2.2:8443"), None, "nor on another address of the host");

        serve("web", 80, "a guest");
        let at = format!("{}:80", leases[0].address);
        assert!(hear("", &at).is_some(), "the host reaches its guest");
        run_in("outside", "ip route add 10.200.0.0/24 via 192.0.2.2");
        assert_eq!(hear("outside", &at), None, "the LAN does not start connections to guests");
    });
}

#[test]
fn guests_of_two_networks_do_not_meet() {
    inside("nat::guests_of_two_networks_do_not_meet", async |place| {
        let (nets, one, two) = (place.nets(), nat("10.200.0.0/24"), nat("10.200.1.0/24"));
        activate(&nets, &one).await;
        activate(&nets, &two).await;
        for (space, network) in [("a", &one), ("b", &one), ("c", &two)] {
            guest(space, &network.spec.bridge);
            place.lease_once(space, "eth0", space);
        }
        let at = async |network, guest: &str| {
            let leases = nets.leases(network).await.expect("leases");
            let lease = leases.iter().find(|l| l.hostname.as_deref() == Some(guest)).expect("lease");
            format!("{}:80", lease.address)
        };
        let (b, c) = (at(&one, "b").await, at(&two, "c").await);
        serve("b", 80, "b");
        serve("c", 80, "c");
        assert_eq!(hear("a", &b).as_deref(), Some("b"), "guests of one network meet");
        assert_eq!(hear("", &c).as_deref(), Some("c"), "the server is there");
        assert_eq!(hear("a", &c), None, "guests of two do not");
    });
}

#[test]
fn a_second_ensure_and_a_restarted_daemon_change_nothing() {
    inside("nat::a_second_ensure_and_a_restarted_daemon_change_nothing", async |place| {
        let network = nat("10.200.0.0/24");
        let nets = place.nets();
        activate(&nets, &network).await;
        let state = || {
            let link = run(&format!("ip -o link show {}", network.spec.bridge));
            (link, run("nft -a list table inet quantix"), dnsmasq_pids())
        };
        let before = state();
        activate(&nets, &network).await;
        assert_eq!(state(), before, "even the handles of the rules");
        drop(nets);
        let nets = place.nets();
        activate(&nets, &network).await;
        assert_eq!(state().2, before.2, "the DHCP server was found again, not restarted");
        std::fs::remove_file(place.run_dir().join(format!("{}.dnsmasq.pid", network.spec.bridge)))
            .expect("pid file");
        activate(&nets, &network).await;
        assert_eq!(state().2, before.2, "even without its pid file");
    });
}

#[test]
fn what_others_break_is_healed() {
    inside("nat::what_others_break_is_healed", async |place| {
        let (nets, network) = (place.nets(), nat("10.200.0.0/24"));
        activate(&nets, &network).await;
        let bridge = &network.spec.bridge;
        let mac = run(&format!("cat /sys/class/net/{bridge}/address"));

        run(&format!("ip link del {bridge}"));
        activate(&nets, &network).await;
        assert_eq!(run(&format!("cat /sys/class/net/{bridge}/address")), mac);
        guest("one", bridge);
        place.lease_once("one", "eth0", "one");

        let old = dnsmasq_pids();
        run(&format!("kill -9 {}", old[0]));
        activate(&nets, &network).await;
        assert!(!dnsmasq_pids().is_empty() && dnsmasq_pids() != old);
        guest("two", bridge);
        place.lease_once("two", "eth0", "two");

        run("nft delete table inet quantix");
        run(&format!("ip addr flush dev {bridge}"));
        run(&format!("ip link set {bridge} down"));
        activate(&nets, &network).await;
        assert!(run("nft list table inet quantix").contains("masquerade"));
        run("nft flush chain inet quantix guest_to_host");
        activate(&nets, &network).await;
        assert!(run("nft list table inet quantix").contains("udp dport 67 accept"));
        until("a lease after all that", || {
            place.lease_once("two", "eth0", "two");
            true
        });
    });
}

#[test]
fn removing_leaves_nothing() {
    inside("nat::removing_leaves_nothing", async |place| {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("ip_forward");
        let (nets, one, two) = (place.nets(), nat("10.200.0.0/24"), nat("10.200.1.0/24"));
        activate(&nets, &one).await;
        activate(&nets, &two).await;
        nets.remove(&one).await.expect("remove");
        assert!(!exists(&one.spec.bridge) && exists(&two.spec.bridge));
        assert!(!run("nft list ruleset").contains(&one.spec.bridge));
        assert!(run("nft list ruleset").contains(&two.spec.bridge));
        activate(&nets, &two).await;
        // A restarted daemon removes what the one before it made.
        let nets = place.nets();
        nets.remove(&two).await.expect("remove");
        nets.remove(&two).await.expect("again");
        assert!(!exists(&two.spec.bridge));
        assert_eq!(run("nft list ruleset"), "");
        assert!(dnsmasq_pids().is_empty());
        assert_eq!(place.files(), [] as [PathBuf; 0]);
        assert_eq!(run("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
    });
}

#[test]
fn what_can_not_be_is_refused_before_anything_is_made() {
    inside("nat::what_can_not_be_is_refused_before_anything_is_made", async |place| {
        uplink();
        let nets = place.nets();
        for (subnet, why) in [
            ("192.0.2.0/25", "overlaps 192.0.2.2/24 on wan0"),
            ("10.0.0.0/8", "prefix length of 16 to 29"),
            ("10.200.0.0/30", "prefix length of 16 to 29"),
            ("10.200.0.5/24", "give a network address"),
        ] {
            let refusal = nets.ensure(&nat(subnet)).await.expect_err(subnet);
            assert!(matches!(refusal, hostd_net::NetError::Refused(_)), "{refusal:?}");
            assert!(refusal.to_string().contains(why), "{refusal}");
        }
        let mut evil = nat("10.200.0.0/24");
        evil.spec.bridge = "x\"; flush".into();
        assert!(nets.ensure(&evil).await.expect_err("name").to_string().contains("can't be the name"));
        assert_eq!(run("nft list ruleset"), "");
        assert_eq!(place.files(), [] as [PathBuf; 0]);
    });
}

#[test]
fn a_program_that_is_not_there_is_a_fault_that_names_it() {
    inside("nat::a_program_that_is_not_there_is_a_fault_that_names_it", async |place| {
        let (nets, network) = (place.nets(), nat("10.200.0.0/24"));
        let none: Option<&str> = None;
        mount(Some("tmpfs"), "/usr/sbin", Some("tmpfs"), MsFlags::empty(), none).expect("an empty /usr/sbin");
        let status = nets.ensure(&network).await.expect("ensure");
        let fault = status.fault.expect("a fault");
        assert!(
            !status.active && fault.contains("this host lacks the program nft (package nftables)"),
            "{fault}"
        );
        assert!(!exists(&network.spec.bridge), "no guest gets a bridge without rules");
        nets.remove(&network).await.expect("remove");
        assert_eq!(place.files(), [] as [PathBuf; 0]);
    });
}
