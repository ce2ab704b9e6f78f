//! Hosts get other addresses, one of them or all at once; and a survivor is told by command line to go on alone.

use crate::fleet::Hosts;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// Where a host is after the move.
fn next(i: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 9, i as u8 + 1)
}

fn held(view: &Value) -> bool {
    view["quorum"]["held"] == true
}

/// Every member of a view is up, and its row names its new address.
fn all_moved(view: &Value) -> bool {
    let rows = view["members"].as_array().unwrap();
    rows.iter()
        .all(|row| row["liveness"] == "up" && row["status"]["addresses"].to_string().contains("10.77.9."))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_moves_without_help_and_all_at_once_with_a_word_to_one_of_them() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let writer = hosts.write(0);
    let one = hosts.id(2).await;
    hosts.readdress(2, Ipv4Addr::new(10, 77, 8, 3)).unwrap();
    writer.goes_on(20).await;
    for i in 0..3 {
        let there = |view: &Value| {
            let row = crate::fleet::member(view, &one).unwrap();
            row["liveness"] == "up" && row["status"]["addresses"].to_string().contains("10.77.8.3")
        };
        hosts.admin(i).sees("the host at its new address", there).await;
    }
    // Who follows is told: who leads would find the others by itself then.
    let view = hosts.view(0).await;
    let told = usize::from(view["leader"] == view["here"]);
    for i in 0..3 {
        hosts.readdress(i, next(i)).unwrap();
    }
    for i in 0..3 {
        hosts.admin(i).sees("no majority", |view| !held(view)).await;
    }
    // It makes itself known to those it was told of, and they hear from it where the rest is.
    let others: Vec<usize> = (0..3).filter(|i| *i != told).collect();
    for i in &others {
        let at = format!("{}:8444", next(*i));
        hosts.qx_ok(told, &["cluster", "set-peer", &format!("h{}", i + 1), &at]);
        let shown = hosts.qx_ok(told, &["cluster", "show"]);
        assert!(shown.contains(&format!("{at} (set here)")), "{shown}");
    }
    for i in 0..3 {
        hosts.admin(i).sees("everybody at a new address", |view| held(view) && all_moved(view)).await;
    }
    writer.goes_on(10).await;
    let acknowledged = writer.end().await;
    for i in others {
        hosts.qx_ok(told, &["cluster", "set-peer", &format!("h{}", i + 1)]);
    }
    hosts.crash(told).unwrap();
    hosts.restart(told).await.unwrap();
    hosts.admin(told).sees("all without a word", |view| held(view) && all_moved(view)).await;
    hosts.kept(&[0, 1, 2], &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_is_told_by_command_line_that_the_others_are_gone() {
    let Some(mut hosts) = Hosts::joined(3).await else { return };
    let (early, said) = hosts.qx(0, &["cluster", "recover", "--i-have-powered-off", "h2", "h3"]);
    assert!(!early, "the others answer: {said}");
    for lost in [1, 2] {
        hosts.power_cut(lost).unwrap();
    }
    let alone = |view: &Value| {
        let up = |row: &&Value| row["liveness"] == "up";
        !held(view) && view["members"].as_array().unwrap().iter().filter(up).count() == 1
    };
    hosts.admin(0).sees("nobody else", alone).await;
    for wrong in [vec!["h2"], vec!["h2", "h4"], vec![]] {
        let words = [vec!["cluster", "recover", "--i-have-powered-off"], wrong].concat();
        let (success, said) = hosts.qx(0, &words);
        assert!(!success && said.len() > 20, "{words:?}: {said}");
    }
    hosts.qx_ok(0, &["cluster", "recover", "--i-have-powered-off", "h2", "h3"]);
    hosts.admin(0).sees("a majority of one", held).await;
    hosts.admin(0).create_vm("new", json!({})).await;
    hosts.restart(1).await.unwrap();
    hosts.admin(1).sees("it was removed", |view| view["condition"] == "removed").await;
    assert!(hosts.qx_ok(1, &["cluster", "leave", "--yes", "h2"]).contains("a cluster of its own"));
}
