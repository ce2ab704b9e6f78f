use crate::site::{DAY_S, Peer, SOON, Site, acquaint};
use hostd_peer::{Identity, Issuer, LinkError, PeerError, Renewal, Secret, request_key, request_nonce};
use hostd_types::{ClusterId, NodeId, Timestamp};
use std::os::unix::fs::PermissionsExt;

async fn refused(caller: &Peer, to: u64) -> String {
    match caller.call(to, b"hello").await {
        Err(LinkError::Refused(why)) => why,
        other => panic!("not refused but {other:?}"),
    }
}

#[tokio::test]
async fn without_an_identity_nobody_is_called_or_served() {
    let site = Site::new();
    let (one, outside) = (site.member(1), Peer::start());
    assert_eq!(outside.call(1, b"").await, Err(LinkError::Outside));
    one.link.set_override(NodeId(2), Some(outside.address()));
    assert!(matches!(one.call(2, b"").await, Err(LinkError::Unreachable(_))));
    // It joins, and works without a restart.
    outside.link.set_identity(Some(site.identity(2))).expect("an identity");
    one.call_until(2, Result::is_ok).await.expect("an answer");
}

#[tokio::test]
async fn a_removed_host_is_told_so_until_it_is_somebody_else() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    two.call(1, b"hello").await.expect("an answer");
    one.host.refuse(2, true, "two was removed on Monday");
    let told = two.call_until(1, Result::is_err).await;
    assert_eq!(told, Err(LinkError::Removed("two was removed on Monday".into())), "also while connected");
    one.host.admit(2);
    assert!(matches!(two.call(1, b"").await, Err(LinkError::Removed(_))), "it stays");
    two.link.set_identity(Some(site.identity(3))).expect("an identity");
    assert_eq!(two.call(1, b"new").await.expect("an answer"), b"0000000000000003 Work new");
}

#[tokio::test]
async fn what_a_host_was_told_and_never_heard_is_forgotten_with_its_identity() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    two.call(1, b"hello").await.expect("an answer");
    one.host.refuse(2, true, "two was removed on Monday");
    // It is told over the connection within a second, and makes no call that would notice.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    two.link.set_identity(Some(site.identity(3))).expect("an identity");
    assert_eq!(two.call(1, b"new").await.expect("an answer"), b"0000000000000003 Work new");
}

#[tokio::test]
async fn an_unknown_host_may_try_again() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    one.host.refuse(2, false, "nobody knows this host yet");
    assert_eq!(refused(&two, 1).await, "nobody knows this host yet");
    one.host.admit(2);
    two.call_until(1, Result::is_ok).await.expect("an answer");
}

#[tokio::test]
async fn another_cluster_is_refused_whoever_calls() {
    let (site, other) = (Site::new(), Site::new());
    let (one, stranger) = (site.member(1), other.member(2));
    stranger.link.set_override(NodeId(1), Some(one.address()));
    one.link.set_override(NodeId(2), Some(stranger.address()));
    for outcome in [stranger.call(1, b"").await, one.call(2, b"").await] {
        assert!(matches!(outcome, Err(LinkError::Unreachable(_))), "{outcome:?}");
    }
    // The same cluster's name does not help: another authority signed it.
    let forger = Site::of(site.cluster).member(2);
    forger.link.set_override(NodeId(1), Some(one.address()));
    assert!(forger.call(1, b"").await.is_err());
    assert_eq!(one.host.called() + stranger.host.called(), 0);
}

#[tokio::test]
async fn a_host_that_is_another_member_is_not_taken_for_the_one_that_is_called() {
    let site = Site::new();
    let (one, three) = (site.member(1), site.member(3));
    one.link.set_override(NodeId(2), Some(three.address()));
    assert!(matches!(one.call(2, b"").await, Err(LinkError::Unreachable(_))));
    assert_eq!(three.host.called(), 0);
}

#[tokio::test]
async fn a_host_from_before_a_recovery_must_join_again() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    two.call(1, b"").await.expect("an answer");
    one.link.set_identity(Some(site.identity(1).of_generation(1))).expect("an identity");
    let told = two.call_until(1, |outcome| matches!(outcome, Err(LinkError::Removed(_)))).await;
    assert!(told.expect_err("refused").to_string().contains("recovered"));
    assert!(refused(&one, 2).await.contains("before its recovery"));
}

#[tokio::test]
async fn an_ended_certificate_is_refused_unless_the_own_clock_is_wrong() {
    let (site, now) = (Site::new(), Timestamp::now());
    let ended = site.signed(2, 0, now.plus_seconds(-100 * DAY_S));
    let (one, two) = (site.member(1), Peer::start());
    two.link.set_identity(Some(ended)).expect("an identity");
    acquaint(&[(1, &one), (2, &two)]);
    assert!(refused(&two, 1).await.contains("CertificateExpired"));
    assert!(matches!(one.call(2, b"").await, Err(LinkError::Unreachable(why)) if why.contains("xpired")));
    // As if the clock were far ahead: the own certificate has ended, too. The cluster holds together.
    one.link.set_identity(Some(site.signed(1, 0, now.plus_seconds(-3000 * DAY_S)))).expect("an identity");
    one.call_until(2, Result::is_ok).await.expect("an answer");
    // Certificates from the future: the clock stands in the past.
    let three = Peer::start();
    three.link.set_identity(Some(site.signed(3, 0, now.plus_seconds(3000 * DAY_S)))).expect("an identity");
    three.link.set_override(NodeId(1), Some(one.address()));
    three.call(1, b"").await.expect("an answer");
}

#[tokio::test]
async fn a_renewal_keeps_connections_and_another_identity_ends_them() {
    let site = Site::new();
    let (one, two) = (site.member(1), site.member(2));
    acquaint(&[(1, &one), (2, &two)]);
    let link = one.link.clone();
    let call = || {
        let link = link.clone();
        tokio::spawn(
            async move { link.call(NodeId(2), hostd_peer::Lane::Work, b"slow".to_vec(), SOON).await },
        )
    };
    let waiting = call();
    while two.host.called() < 1 {
        tokio::task::yield_now().await;
    }
    one.link.set_identity(Some(site.identity(1))).expect("renewed");
    two.link.set_identity(Some(site.identity(2))).expect("renewed");
    one.call(2, b"").await.expect("an answer");
    two.host.go.notify_one();
    assert_eq!(waiting.await.expect("no panic").expect("an answer"), b"at last");
    let waiting = call();
    while two.host.called() < 3 {
        tokio::task::yield_now().await;
    }
    one.link.set_identity(None).expect("left");
    assert!(matches!(waiting.await.expect("no panic"), Err(LinkError::Lost(_))));
    assert_eq!(one.call(2, b"").await, Err(LinkError::Outside));
}

#[tokio::test]
async fn two_authorities_are_trusted_during_a_rotation_and_the_old_one_not_after() {
    let (old, new) = (Site::new(), Site::new());
    let new = Site {
        cluster: old.cluster,
        ..Site { issuer: Issuer::generate(old.cluster, Timestamp::now()).expect("made"), ..new }
    };
    let both = vec![old.issuer.certificate().to_owned(), new.issuer.certificate().to_owned()];
    let (one, two) = (Peer::start(), Peer::start());
    let set = |peer: &Peer, identity: Identity| peer.link.set_identity(Some(identity)).expect("an identity");
    set(&one, old.identity(1).trusting(both.clone()).expect("both"));
    set(&two, new.identity(2).trusting(both).expect("both"));
    acquaint(&[(1, &one), (2, &two)]);
    one.call(2, b"").await.expect("an answer");
    two.call(1, b"").await.expect("an answer");
    set(&two, new.identity(2));
    one.call_until(2, Result::is_err).await.expect_err("its authority is gone");
    set(&one, new.identity(1));
    one.call_until(2, Result::is_ok).await.expect("an answer");
}

#[test]
fn an_identity_is_kept_for_its_owner_alone_and_damage_is_told() {
    let (site, dir) = (Site::new(), tempfile::tempdir().expect("a scratch directory"));
    let keys = dir.path().join("keys");
    assert!(Identity::load(&keys).expect("no identity yet").is_none());
    let identity = site.signed(7, 3, Timestamp::now());
    identity.save(&keys).expect("saved");
    identity.save(&keys).expect("saved again");
    let loaded = Identity::load(&keys).expect("loaded").expect("an identity");
    assert_eq!((loaded.node(), loaded.generation(), loaded.cluster()), (NodeId(7), 3, site.cluster));
    assert_eq!((loaded.key_pem(), loaded.chain_pem()), (identity.key_pem(), identity.chain_pem()));
    assert_eq!((loaded.secret(), loaded.authorities()), (identity.secret(), identity.authorities()));
    let path = keys.join("member.json");
    let mode = |path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&keys)), (0o600, 0o700));
    assert_eq!(std::fs::read_dir(&keys).expect("listed").count(), 1, "nothing is left aside");
    let shown = format!("{identity:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains(&identity.key_pem()[40..80]), "{shown}");
    std::fs::write(&path, "{}").expect("written");
    assert!(matches!(Identity::load(&keys), Err(PeerError::Damaged { .. })));
    Identity::forget(&keys).expect("removed");
    Identity::forget(&keys).expect("nothing to remove");
    assert!(Identity::load(&keys).expect("none").is_none());
}

#[test]
fn parts_that_do_not_fit_are_no_identity() {
    let (site, other) = (Site::new(), Site::new());
    let good = site.identity(1);
    let build = |node: u64, chain: &str, key: &str, trusted: &str, cluster: ClusterId| {
        let secret = Secret::generate().expect("random");
        Identity::new(cluster, NodeId(node), 0, chain.into(), key, vec![trusted.into()], secret)
    };
    let (chain, key, trusted) = (good.chain_pem(), good.key_pem(), site.issuer.certificate());
    assert!(build(1, chain, key, trusted, site.cluster).is_ok());
    assert!(build(2, chain, key, trusted, site.cluster).is_err(), "another node's");
    assert!(build(1, chain, key, trusted, other.cluster).is_err(), "another cluster's");
    assert!(build(1, chain, other.identity(1).key_pem(), trusted, site.cluster).is_err(), "another key");
    assert!(build(1, chain, key, other.issuer.certificate(), site.cluster).is_err(), "not trusted");
    assert!(build(1, "", key, trusted, site.cluster).is_err());
}

#[test]
fn renewal_is_due_after_a_third_of_the_life() {
    let now = Timestamp::now();
    let identity = Site::new().signed(1, 0, now);
    let begun = now.plus_seconds(-DAY_S).unix();
    assert_eq!(identity.renew_at().unix(), begun + 30 * DAY_S);
    assert_eq!(identity.ends().unix(), begun + 90 * DAY_S);
}

#[test]
fn clocks_move_and_the_certificate_follows_only_one_that_is_right() {
    let made = Timestamp::now();
    let identity = Site::new().signed(1, 0, made);
    let after = |days: i64| made.plus_seconds(days * DAY_S);
    for (days, expected, why) in [
        (0, Renewal::NotDue, "fresh"),
        (28, Renewal::NotDue, "not a third yet"),
        (29, Renewal::Due, "a third of 90 days, one of which lies before its making"),
        (88, Renewal::Due, "the last day"),
        (90, Renewal::Doubtful, "ended: was it off, or is the clock ahead?"),
        (3650, Renewal::Doubtful, "ten years ahead"),
        (-2, Renewal::Doubtful, "before it begins"),
        (-3650, Renewal::Doubtful, "ten years behind"),
    ] {
        assert_eq!(identity.renewal(after(days)), expected, "day {days}: {why}");
    }
    for (days, expected, why) in [
        (10, Renewal::NotDue, "the others say that it is fresh: the own clock is wrong"),
        (200, Renewal::Due, "the others say so, too: it was off"),
        (-3650, Renewal::Due, "the others say so, too: it was signed by a clock ahead"),
    ] {
        assert_eq!(identity.renewal_for_sure(after(days)), expected, "day {days}: {why}");
    }
}

#[test]
fn a_host_that_nobody_knows_any_more_gets_a_certificate_over_the_key_the_cluster_knows() {
    let site = Site::new();
    let old = site.signed(1, 0, Timestamp::now().plus_seconds(-200 * DAY_S));
    // Meanwhile another authority signs, and the old one is not trusted any more.
    let next = Issuer::generate(site.cluster, Timestamp::now()).expect("an authority");
    let trusted = vec![next.certificate().to_owned()];
    let member = {
        let request = Identity::request(site.cluster, NodeId(2)).expect("a request");
        let chain = next.sign(&request.csr_pem, site.cluster, NodeId(2), Timestamp::now()).expect("signed");
        let (key, secret) = (&request.key_pem, site.secret.clone());
        Identity::new(site.cluster, NodeId(2), 0, chain, key, trusted.clone(), secret).expect("an identity")
    };
    let (hello, nonce) = ("a random word", "00ff");
    let sealed = member.seal_nonce(hello, nonce).expect("sealed");
    assert_eq!(old.open_nonce(hello, &sealed).expect("opened"), nonce);
    assert!(old.open_nonce("another word", &sealed).is_err(), "said to somebody else");
    let imposter = Site::of(site.cluster).identity(2).seal_nonce(hello, nonce).expect("sealed");
    assert!(old.open_nonce(hello, &imposter).is_err(), "a certificate of the cluster without its secret");
    let csr = old.request_again(nonce).expect("a request");
    assert_eq!(request_nonce(&csr).expect("read").as_deref(), Some(nonce));
    assert_eq!(request_key(&csr).expect("read"), old.public_key().expect("read"), "the key of its row");
    let stranger = Identity::request(site.cluster, NodeId(1)).expect("a request");
    assert_ne!(request_key(&stranger.csr_pem).expect("read"), old.public_key().expect("read"));
    assert!(request_key(&csr.replace('A', "B")).is_err(), "not signed by its key");
    assert_eq!(request_nonce(&stranger.csr_pem).expect("read"), None);

    let chain = next.sign(&csr, site.cluster, NodeId(1), Timestamp::now()).expect("signed");
    let sealed = member.seal_answer(&csr, &chain).expect("sealed");
    assert_eq!(old.open_answer(&csr, &sealed).expect("opened"), chain);
    assert!(old.open_answer(&stranger.csr_pem, &sealed).is_err(), "the answer to another request");
    assert!(Site::of(site.cluster).identity(1).open_answer(&csr, &sealed).is_err(), "another secret");
    let back = old.certified(chain.clone(), trusted).expect("certified");
    assert_eq!(back.authority().expect("read"), member.authority().expect("read"));
    assert_eq!(back.public_key().expect("read"), old.public_key().expect("read"));
    assert!(
        old.certified(chain, vec![site.issuer.certificate().to_owned()]).is_err(),
        "not signed by that one"
    );
}
