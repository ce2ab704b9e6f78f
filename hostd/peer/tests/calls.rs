use crate::site::{Peer, SOON, Site, acquaint};
use hostd_peer::{BODY_MOST, Lane, LinkError};
use hostd_types::NodeId;
use std::time::{Duration, Instant};

fn two(site: &Site) -> (Peer, Peer) {
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    (one, two)
}

#[tokio::test]
async fn members_call_each_other_on_both_lanes_and_are_known_by_their_certificates() {
    let (one, two) = two(&Site::new());
    assert_eq!(two.link.heard(NodeId(1)), None);
    assert_eq!(one.call(2, b"hello").await.expect("an answer"), b"0000000000000001 Work hello");
    assert_eq!(two.call(1, b"").await.expect("an answer"), b"0000000000000002 Work ");
    let answer = one.link.call(NodeId(2), Lane::Consensus, b"vote".to_vec(), SOON).await;
    assert_eq!(answer.expect("an answer"), b"0000000000000001 Consensus vote");
    assert!(one.link.heard(NodeId(2)).is_some() && two.link.heard(NodeId(1)).is_some());
    one.end().await;
    two.end().await;
}

#[tokio::test]
async fn large_bodies_go_both_ways_and_too_large_ones_are_told() {
    let (one, _two) = two(&Site::new());
    let body: Vec<u8> = (0..BODY_MOST - 100).map(|n| n as u8).collect();
    let answer = one.call(2, &body).await.expect("an answer");
    assert!(answer.ends_with(&body));
    assert_eq!(one.call(2, &vec![0; BODY_MOST + 1]).await, Err(LinkError::TooLong(BODY_MOST + 1)));
    assert!(matches!(one.call(2, b"flood").await, Err(LinkError::Failed(_))));
    assert!(one.call(2, b"still there").await.is_ok());
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_own_call_alone() {
    let (one, _two) = two(&Site::new());
    assert!(matches!(one.call(2, b"panic").await, Err(LinkError::Failed(_))));
    assert!(one.call(2, b"next").await.is_ok());
}

#[tokio::test]
async fn answers_come_in_any_order_and_slow_ones_block_nobody() {
    let (one, two) = two(&Site::new());
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let link = one.link.clone();
            tokio::spawn(async move { link.call(NodeId(2), Lane::Work, b"slow".to_vec(), SOON).await })
        })
        .collect();
    let quick = (0..500_u32).map(|n| {
        let link = one.link.clone();
        async move {
            let body = n.to_be_bytes().to_vec();
            let answer = link.call(NodeId(2), Lane::Work, body.clone(), SOON).await.expect("an answer");
            assert!(answer.ends_with(&body));
        }
    });
    futures_util::future::join_all(quick).await;
    assert!(slow.iter().all(|task| !task.is_finished()));
    while slow.iter().any(|task| !task.is_finished()) {
        two.host.go.notify_waiters();
        tokio::task::yield_now().await;
    }
    for task in slow {
        assert_eq!(task.await.expect("no panic").expect("an answer"), b"at last");
    }
}

#[tokio::test]
async fn too_many_calls_wait_at_the_caller_and_are_not_sent() {
    let (one, two) = two(&Site::new());
    let calls: Vec<_> = (0..400)
        .map(|_| {
            let link = one.link.clone();
            tokio::spawn(async move { link.call(NodeId(2), Lane::Work, b"slow".to_vec(), SOON).await })
        })
        .collect();
    let deadline = Instant::now() + SOON;
    while two.host.called() < 256 {
        assert!(Instant::now() < deadline, "{} calls arrived", two.host.called());
        tokio::task::yield_now().await;
    }
    // The other lane is free, and after its round trip nothing more has come on this one.
    let answer = one.link.call(NodeId(2), Lane::Consensus, b"vote".to_vec(), SOON).await;
    assert!(answer.is_ok());
    assert_eq!(two.host.called(), 257);
    while calls.iter().any(|task| !task.is_finished()) {
        two.host.go.notify_waiters();
        tokio::task::yield_now().await;
    }
    assert_eq!(two.host.called(), 401);
}

#[tokio::test]
async fn a_call_waits_no_longer_than_it_may() {
    let (one, _two) = two(&Site::new());
    let late = one.link.call(NodeId(2), Lane::Work, b"slow".to_vec(), Duration::from_millis(50)).await;
    assert_eq!(late, Err(LinkError::Late));
    assert!(matches!(one.call(3, b"").await, Err(LinkError::Unreachable(why)) if why.contains("no address")));
}

#[tokio::test]
async fn a_failure_is_told_at_once_while_the_next_attempt_is_far() {
    let site = Site::new();
    let one = site.member(1);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    one.link.set_override(NodeId(2), Some(closed));
    let within = Duration::from_millis(100);
    for _ in 0..3 {
        let failed = one.link.call(NodeId(2), Lane::Work, Vec::new(), within).await;
        assert!(matches!(&failed, Err(LinkError::Unreachable(why)) if why.contains("refused")), "{failed:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_off_is_told_at_once_while_it_is_tried_again() {
    let one = Site::new().member(1);
    // It hangs up twice, then says nothing, as a host behind a cut cable does.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    one.link.set_override(NodeId(2), Some(listener.local_addr().expect("bound")));
    let (held, mut silent) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        drop(listener.accept().await.expect("a connection"));
        drop(listener.accept().await.expect("a connection"));
        held.send(listener.accept().await.expect("a connection").0).expect("somebody waits");
        std::future::pending::<()>().await;
    });
    let io = loop {
        one.call(2, b"").await.expect_err("nobody answers");
        match silent.try_recv() {
            Ok(io) => break io,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    one.call(2, b"").await.expect_err("nobody answers");
    // The third attempt still waits for an answer.
    let mut greeting = [0; 4096];
    io.readable().await.expect("readable");
    assert!(io.try_read(&mut greeting).is_ok_and(|read| read > 0));
    assert!(io.try_read(&mut greeting).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn a_peer_that_comes_back_on_another_port_is_found_by_its_row() {
    let site = Site::new();
    let (one, two) = two(&site);
    one.call(2, b"hello").await.expect("an answer");
    two.end().await;
    one.call_until(2, Result::is_err).await.expect_err("it is off");
    let again = site.member(2);
    one.link.set_addresses([(NodeId(2), vec![again.address()])].into());
    one.call(2, b"hello").await.expect("an answer at the new address");
}

#[tokio::test]
async fn a_peer_that_connects_is_found_where_it_came_from() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    assert!(matches!(one.call(2, b"").await, Err(LinkError::Unreachable(_))));
    two.link.set_override(NodeId(1), Some(one.address()));
    two.call(1, b"here I am").await.expect("an answer");
    assert_eq!(one.link.addresses(NodeId(2)), [two.address()]);
    one.call(2, b"hello").await.expect("an answer");
}

#[tokio::test]
async fn of_several_addresses_the_one_with_the_right_host_wins() {
    let site = Site::new();
    let (one, two, three) = (site.member(1), site.member(2), site.member(3));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addresses = vec![silent.local_addr().expect("bound"), three.address(), two.address()];
    one.link.set_addresses([(NodeId(2), addresses)].into());
    assert_eq!(one.call(2, b"hello").await.expect("an answer"), b"0000000000000001 Work hello");
    assert_eq!((two.host.called(), three.host.called()), (1, 0));
    assert_eq!(one.link.addresses(NodeId(2))[0], two.address(), "the next time it is the first");
}

#[tokio::test]
async fn a_broken_connection_fails_its_calls_at_once() {
    let (one, two) = two(&Site::new());
    one.call(2, b"hello").await.expect("an answer");
    let link = one.link.clone();
    let waiting =
        tokio::spawn(async move { link.call(NodeId(2), Lane::Work, b"slow".to_vec(), 10 * SOON).await });
    while two.host.called() < 2 {
        tokio::task::yield_now().await;
    }
    two.end().await;
    let outcome = tokio::time::timeout(SOON, waiting).await.expect("at once").expect("no panic");
    assert!(matches!(outcome, Err(LinkError::Lost(_))), "{outcome:?}");
}
