//! Whoever comes to the port for peers without the right papers, or with nothing sensible to say, is refused, is named
//! in the log once, and costs the host nothing.

use crate::bed::Bed;
use crate::fleet::Hosts;
use crate::stranger::{Paper, Papers, framed, greeting, knock, say};
use futures_util::StreamExt;
use hostd_peer::{Identity, Issuer, Secret};
use hostd_types::{ClusterId, NodeId, Timestamp};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

/// How often each stranger tries, after as many tenths to warm up.
const TRIES: usize = 200;
/// Of these, at the same time; fewer than may be unproven at once.
const AT_ONCE: usize = 12;
/// Bytes by which the daemon's memory may grow over all tries.
const GROWTH: u64 = 12 << 20;
/// Bytes of address space: far below one frame of 4 GiB.
const SPACE: u64 = 2 << 30;

/// A kind of stranger.
struct Stranger {
    what: &'static str,
    /// Shows these; without them it does not even speak TLS.
    papers: Option<Papers>,
    /// Says these, one after each frame it hears.
    words: Vec<Vec<u8>>,
    /// Is told so; otherwise it is hung up on.
    told: Option<&'static str>,
    /// What the log names it by, if not its address.
    known_as: Option<NodeId>,
}

impl Stranger {
    fn new(what: &'static str, papers: Papers, words: Vec<Vec<u8>>) -> Self {
        Self { what, papers: Some(papers), words, told: None, known_as: None }
    }

    /// Comes once.
    async fn come(&self, bed: &Bed, from: Ipv4Addr) {
        let mut tcp = knock(bed, from).await.unwrap();
        let heard = match &self.papers {
            None => say(&mut tcp, &self.words).await,
            Some(papers) => match papers.show(tcp).await {
                Ok(mut tls) => say(&mut tls, &self.words).await,
                Err(refused) => Err(refused),
            },
        };
        let heard = heard.unwrap_or_default();
        let Some(told) = self.told else {
            // An alert of TLS, a word of goodbye or the welcome of a member; never an answer.
            return assert!(heard.len() < 300, "{} was answered {heard:?}", self.what);
        };
        let frame: Value = rmp_serde::from_slice(&heard[4..]).unwrap();
        let text = frame["refused"]["text"].as_str().unwrap_or_default();
        assert!(text.contains(told) && frame["refused"]["removed"] == true, "{}: {frame}", self.what);
    }
}

/// An identity that another authority signed.
fn foreign(cluster: ClusterId, node: NodeId) -> Identity {
    let issuer = Issuer::generate(cluster, Timestamp::now()).unwrap();
    let request = Identity::request(cluster, node).unwrap();
    let chain = issuer.sign(&request.csr_pem, cluster, node, Timestamp::now()).unwrap();
    let trusted = vec![issuer.certificate().to_owned()];
    Identity::new(cluster, node, 0, chain, &request.key_pem, trusted, Secret::generate().unwrap()).unwrap()
}

/// Everybody who should not get in.
fn strangers(own: &Identity, to: NodeId, expired: &Identity, removed: &Identity) -> Vec<Stranger> {
    let (cluster, authority) = (own.cluster(), own.authorities()[0].clone());
    let papers = |own: Option<&Identity>, alpn| Papers::new(&authority, cluster, to, own, alpn);
    let hello = || vec![greeting(cluster)];
    let garbage: Vec<u8> = (0..5000_u32).map(|n| (n * 7919 % 256) as u8).collect();
    let (other, forged) = (foreign(ClusterId::new(), NodeId::random()), foreign(cluster, own.node()));
    let mut all = vec![
        Stranger { what: "no TLS", papers: None, words: vec![garbage.clone()], told: None, known_as: None },
        Stranger::new("no certificate", papers(None, true), hello()),
        Stranger::new("another cluster's certificate", papers(Some(&other), true), hello()),
        Stranger::new("a forged certificate", papers(Some(&forged), true), hello()),
        Stranger::new("an expired certificate", papers(Some(expired), true), hello()),
        Stranger::new("another protocol", papers(Some(own), false), hello()),
        Stranger::new("a greeting of 4 GiB", papers(Some(own), true), vec![vec![255; 4]]),
        Stranger::new("a garbled greeting", papers(Some(own), true), vec![garbage.clone()]),
        Stranger::new("a greeting that is none", papers(Some(own), true), vec![framed(&json!("alive"))]),
    ];
    let told = Some("was removed");
    all.push(Stranger { told, ..Stranger::new("a removed host", papers(Some(removed), true), hello()) });
    let known_as = Some(own.node());
    for (what, word) in [("a member's frame of 4 GiB", vec![255; 4]), ("a member's garbage", garbage)] {
        let words = vec![greeting(cluster), word];
        all.push(Stranger { known_as, ..Stranger::new(what, papers(Some(own), true), words) });
    }
    all
}

/// The daemon's memory and address space in bytes.
fn memory(bed: &Bed) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bed.host.pid().unwrap())).unwrap();
    let kib = |field: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (kib("VmRSS:") << 10, kib("VmPeak:") << 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_are_named_once_and_cost_nothing() {
    // A certificate that ended ten days ago was signed a hundred days ago.
    let Some(mut bed) = Bed::start_at("-100d").await else { return };
    let cluster = serde_json::from_value(bed.view().await.unwrap()["cluster"]["id"].clone()).unwrap();
    let expired = Paper::new(cluster).join(&mut bed).await;
    // Its own certificate is renewed half-way, while nobody doubts its clock.
    let first = bed.view().await.unwrap()["certificates"]["ends"].clone();
    bed.crash_into(Some("-45d")).await;
    bed.sees("a new certificate", |view| view["certificates"]["ends"] != first).await;
    bed.crash_into(None).await;
    let own = Paper::new(cluster).join(&mut bed).await;
    let gone = Paper::new(cluster);
    let removed = gone.join(&mut bed).await;
    let name = bed.view().await.unwrap();
    let row = crate::fleet::member(&name, &gone.host.to_string()).unwrap().clone();
    let path = format!("cluster/hosts/{}?confirm={}", gone.host, row["spec"]["name"].as_str().unwrap());
    let answer = bed.delete(&path).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    let view = bed.view().await.unwrap();
    let here = crate::fleet::member(&view, view["here"].as_str().unwrap()).unwrap();
    let to: NodeId = serde_json::from_value(here["spec"]["node"].clone()).unwrap();
    let all = strangers(&own, to, &expired, &removed);

    let begun = Instant::now();
    everybody_comes(&bed, &all, TRIES / 10).await;
    let before = memory(&bed);
    everybody_comes(&bed, &all, TRIES).await;
    let after = memory(&bed);
    let minutes = begun.elapsed().as_secs() / 60;
    let tries = all.len() * TRIES;
    eprintln!("{tries} tries in {:.1} s, memory {before:?} -> {after:?}", begun.elapsed().as_secs_f64());
    assert!(after.0 < before.0 + GROWTH, "memory grew: {before:?} -> {after:?}");
    assert!(after.1 < before.1 + SPACE, "address space grew: {before:?} -> {after:?}");
    let log = std::fs::read_to_string(bed.host.log()).unwrap();
    for (number, stranger) in (1..).zip(&all) {
        let who = stranger.known_as.map_or_else(|| address(number).to_string(), |node| node.to_string());
        let mark = format!("peer={who}");
        let names = |line: &&str| line.split(' ').any(|word| word == mark);
        let named = log.lines().filter(names).count() as u64;
        assert!(
            (1..=1 + minutes).contains(&named),
            "{} is named {named} times in {minutes} min",
            stranger.what
        );
    }
    assert_eq!(bed.view().await.unwrap()["quorum"]["held"], true);
    bed.create_vm("after", json!({})).await;
}

/// Where a stranger comes from.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, number)
}

async fn everybody_comes(bed: &Bed, all: &[Stranger], times: usize) {
    for (number, stranger) in (1..).zip(all) {
        let coming = (0..times).map(|_| stranger.come(bed, address(number)));
        futures_util::stream::iter(coming).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
}

/// What others may do with `path` and what is below it, but for the leases that the DHCP server writes.
fn open_to_others(path: &Path, found: &mut Vec<String>) {
    let about = std::fs::symlink_metadata(path).unwrap();
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        found.push(format!("{} {mode:o}", path.display()));
    }
    let entries = if about.is_dir() { Some(std::fs::read_dir(path).unwrap()) } else { None };
    for entry in entries.into_iter().flatten().map(|entry| entry.unwrap()) {
        if entry.file_name() != "leases" {
            open_to_others(&entry.path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_of_the_machine_read_nothing_of_the_state_and_no_row_has_a_key() {
    let Some(mut hosts) = Hosts::joined(2).await else { return };
    for i in 0..2 {
        let mut found = Vec::new();
        open_to_others(&hosts.host(i).state(), &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
    let state = hosts.host(1).state();
    for name in ["local.db", "local.db-wal", "state.db", "state.db-wal", "log.db", "log.db-wal"] {
        let bytes = std::fs::read(state.join(name)).unwrap_or_default();
        let found = bytes.windows(11).any(|window| window == b"PRIVATE KEY");
        assert!(!found, "{name} has a private key in it");
    }
    assert!(!state.join("keys/joining.json").exists(), "the key of a join that is done");
    // What an earlier version left open is closed at the next start.
    for name in ["", "local.db", "state.db", "log.db", "log.db-wal", "left-behind", "left-behind/state.db"] {
        let mode = if name.contains('.') { 0o644 } else { 0o755 };
        let path = state.join(name);
        if path.exists() {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
    }
    hosts.crash(1).unwrap();
    hosts.restart(1).await.unwrap();
    let mut found = Vec::new();
    open_to_others(&state, &mut found);
    assert!(found.is_empty(), "{found:?}");
    hosts.is_member(1, 0).await;
}
