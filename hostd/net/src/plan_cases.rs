//! The table of plans: what is there, what is wanted, which steps.

use crate::desired::{Bridged, LinkName, Mac, Nat};
use crate::error::Refusal;
use crate::observed::{Address, Link, LinkKind, Observed, Route};
use crate::plan::{Lent, plan_bridged, plan_nat, plan_release};
use crate::step::Step;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn name(text: &str) -> LinkName {
    LinkName::new(text).expect(text)
}

fn link(index: u32, name: &str, kind: LinkKind) -> Link {
    let physical = kind == LinkKind::Plain;
    Link {
        index,
        name: name.into(),
        mac: Some(MAC),
        kind,
        up: true,
        carrier: true,
        master: None,
        physical,
        wireless: false,
    }
}

const BRIDGE: LinkKind = LinkKind::Bridge { stp: false, forward_delay: 0 };

fn address(link: u32, net: &str) -> Address {
    Address { link, net: net.parse().expect(net), permanent: true }
}

fn default_route(gateway: &str) -> Route {
    Route {
        destination: "0.0.0.0/0".parse().expect("net"),
        gateway: Some(gateway.parse().expect("address")),
        metric: None,
        source: None,
        table: 254,
        protocol: 3,
        scope: 0,
        onlink: false,
    }
}

fn client(link: &str) -> Vec<String> {
    format!("udhcpc -b -p /run/udhcpc.{link}.pid -i {link}").split(' ').map(str::to_owned).collect()
}

/// A host with one card that has an address and a default route.
fn host() -> Observed {
    Observed {
        links: vec![link(2, "eth0", LinkKind::Plain)],
        addresses: vec![address(2, "192.0.2.7/24")],
        routes: vec![(2, default_route("192.0.2.1"))],
        ..Observed::default()
    }
}

/// The same host with the card in the bridge.
fn bridged_host() -> Observed {
    let mut seen = host();
    seen.links[0].master = Some(3);
    seen.links.push(link(3, "qx0", BRIDGE));
    seen.addresses[0].link = 3;
    seen.routes[0].0 = 3;
    seen
}

fn wanted() -> Bridged {
    Bridged { bridge: name("qx0"), nic: name("eth0") }
}

fn words(steps: &[Step]) -> Vec<String> {
    steps.iter().map(Step::to_string).collect()
}

fn nat() -> Nat {
    Nat { bridge: name("qx0"), subnet: "10.200.0.0/24".parse().expect("net"), mac: MAC }
}

#[test]
fn nat_plans() {
    let with = |change: &dyn Fn(&mut Observed)| {
        let mut seen = host();
        seen.links.push(link(3, "qx0", BRIDGE));
        seen.addresses.push(address(3, "10.200.0.1/24"));
        change(&mut seen);
        plan_nat(&nat(), &seen).map(|steps| words(&steps))
    };
    let ok = |steps: &[&str]| Ok(steps.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    assert_eq!(with(&|_| {}), ok(&[]), "nothing to do");
    assert_eq!(
        plan_nat(&nat(), &host()).map(|s| words(&s)),
        ok(&["making the bridge qx0", "switching qx0 on", "adding 10.200.0.1/24 to qx0"])
    );
    assert_eq!(with(&|s| s.links[1].up = false), ok(&["switching qx0 on"]));
    assert_eq!(
        with(&|s| s.links[1].kind = LinkKind::Bridge { stp: true, forward_delay: 0 }),
        ok(&["switching spanning tree of qx0 off"])
    );
    assert_eq!(
        with(&|s| s.addresses[1] = address(3, "10.201.0.1/24")),
        ok(&["removing 10.201.0.1/24 from qx0", "adding 10.200.0.1/24 to qx0"])
    );
    assert_eq!(
        with(&|s| s.links[1].kind = LinkKind::Virtual),
        Err(Refusal::NotABridge { name: name("qx0") })
    );
    let refusal = with(&|s| s.addresses[0] = address(2, "10.200.0.77/16")).expect_err("overlap");
    assert!(refusal.to_string().contains("overlaps 10.200.0.77/16 on eth0"), "{refusal}");
}

#[test]
fn bridging_moves_everything_in_an_order_that_works() {
    let seen = host();
    let lent = Lent::of(&name("eth0"), &seen);
    let steps = plan_bridged(&wanted(), &lent, &seen).expect("plan");
    assert_eq!(
        words(&steps),
        [
            "making the bridge qx0",
            "switching qx0 on",
            "making eth0 a port of qx0",
            "removing the route to 0.0.0.0/0 over eth0",
            "removing 192.0.2.7/24 from eth0",
            "adding 192.0.2.7/24 to qx0",
            "adding the route to 0.0.0.0/0 over qx0",
        ]
    );
    let after = bridged_host();
    assert_eq!(plan_bridged(&wanted(), &lent, &after), Ok(vec![]), "once there, nothing is left to do");
    let mut lost = bridged_host();
    lost.addresses.clear();
    lost.routes.clear();
    let steps = plan_bridged(&wanted(), &lent, &lost).expect("plan");
    assert_eq!(words(&steps), ["adding 192.0.2.7/24 to qx0", "adding the route to 0.0.0.0/0 over qx0"]);
}

#[test]
fn a_dhcp_client_moves_along_and_owns_its_addresses() {
    let mut seen = host();
    seen.clients.insert(name("eth0"), client("eth0"));
    let lent = Lent::of(&name("eth0"), &seen);
    let steps = plan_bridged(&wanted(), &lent, &seen).expect("plan");
    assert_eq!(steps.first(), Some(&Step::StopClient { link: name("eth0") }));
    assert_eq!(steps.last(), Some(&Step::StartClient { link: name("qx0"), argv: client("qx0") }));

    let mut renewed = bridged_host();
    renewed.clients.insert(name("qx0"), client("qx0"));
    renewed.addresses[0] = address(3, "192.0.2.99/24");
    assert_eq!(plan_bridged(&wanted(), &lent, &renewed), Ok(vec![]), "another lease is no fault");

    let mut deleted = host();
    deleted.addresses.clear();
    deleted.routes.clear();
    deleted.clients.insert(name("qx0"), client("qx0"));
    let steps = words(&plan_bridged(&wanted(), &lent, &deleted).expect("plan"));
    assert_eq!(steps.first().map(String::as_str), Some("ending the DHCP client of qx0"), "it is deaf now");
    assert_eq!(steps.last().map(String::as_str), Some("starting a DHCP client on qx0"));
}

#[test]
fn release_gives_back_what_is_there_and_what_is_owed() {
    let lent = Lent::of(&name("eth0"), &host());
    let back = ["adding 192.0.2.7/24 to eth0", "adding the route to 0.0.0.0/0 over eth0"];
    let steps = words(&plan_release(&name("qx0"), Some(&lent), &bridged_host()));
    assert_eq!(steps[0], "removing the bridge qx0");
    assert_eq!(steps[1..], back);

    let mut half = bridged_host();
    half.addresses.clear();
    half.routes.clear();
    assert_eq!(words(&plan_release(&name("qx0"), Some(&lent), &half))[1..], back, "half a move is undone");
    assert!(plan_release(&name("qx0"), Some(&lent), &host()).is_empty(), "nothing to give back");
    assert!(plan_release(&name("qx0"), None, &host()).is_empty(), "nothing there");

    let dhcp = Lent { client: Some(client("eth0")), ..lent };
    let mut renewed = bridged_host();
    renewed.addresses[0] = address(3, "192.0.2.99/24");
    let steps = words(&plan_release(&name("qx0"), Some(&dhcp), &renewed));
    assert_eq!(
        steps,
        ["removing the bridge qx0", "starting a DHCP client on eth0"],
        "the client gets its own"
    );
    let mut started = host();
    started.clients.insert(name("eth0"), client("eth0"));
    assert!(plan_release(&name("qx0"), Some(&dhcp), &started).is_empty(), "it got one");
    started.addresses.clear();
    started.routes.clear();
    assert_eq!(words(&plan_release(&name("qx0"), Some(&dhcp), &started)), back, "it got none");
}

#[test]
fn cards_that_can_not_be_bridged_are_refused() {
    type Change = fn(&mut Observed);
    let cases: [(Change, &str); 8] = [
        (|s| s.links.clear(), "there is no network card named eth0"),
        (|s| s.links[0].kind = BRIDGE, "eth0 is a bridge itself"),
        (|s| s.links[0].kind = LinkKind::Virtual, "eth0 is not a physical"),
        (|s| s.links[0].physical = false, "eth0 is not a physical"),
        (|s| s.links[0].wireless = true, "eth0 is wireless"),
        (|s| s.shared = vec![2], "route over several links"),
        (
            |s| {
                s.links.push(link(8, "br-lan", BRIDGE));
                s.links[0].master = Some(8);
            },
            "eth0 belongs to br-lan already",
        ),
        (|s| s.links.push(link(8, "qx0", LinkKind::Virtual)), "qx0 exists already and is not a bridge"),
    ];
    for (change, why) in cases {
        let mut seen = host();
        change(&mut seen);
        let lent = Lent::of(&name("eth0"), &seen);
        let refusal = plan_bridged(&wanted(), &lent, &seen).expect_err(why).to_string();
        assert!(refusal.contains(why), "{refusal} / {why}");
    }
}
