//! Join tokens and what they let in.

use crate::cluster_record::founded;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn secret() -> SecretHash {
    SecretHash("5ec4e7".repeat(8))
}

impl Fixture {
    /// A token that is valid for `seconds` from its own entry on.
    pub async fn join_token(&self, seconds: i64) -> JoinTokenId {
        let id = JoinTokenId::new();
        // The hash differs from token to token.
        let secret = SecretHash(format!("{}{id}", secret().0));
        let expires_at = self.now().plus_seconds(1 + seconds);
        self.ok(Command::Cluster(ClusterCommand::CreateToken { id, secret, expires_at })).await;
        id
    }

    /// A member called `name`.
    pub async fn member(&self, name: &str) -> (HostId, NodeId) {
        let token = self.join_token(60).await;
        let (host, node) = (HostId::new(), NodeId::random());
        self.ok(join(token, host, node, name)).await;
        (host, node)
    }
}

pub fn join(token: JoinTokenId, host: HostId, node: NodeId, name: &str) -> Command {
    let public_key = Some("11".repeat(32));
    let status = HostStatus { version: "9".into(), level: LEVEL, public_key, ..HostStatus::default() };
    Command::Cluster(ClusterCommand::Join {
        token,
        secret: SecretHash(format!("{}{token}", secret().0)),
        host,
        node,
        name: name.into(),
        role: HostRole::Host,
        status,
    })
}

#[tokio::test]
async fn a_token_lets_one_host_in_and_the_same_join_again_is_the_same_join() {
    let (f, _) = founded().await;
    let store = f.cluster.store();
    let token = f.join_token(60).await;
    let (host, node) = (HostId::new(), NodeId::random());
    let first = f.ok(join(token, host, node, "h2")).await;
    let row = store.host(host).await.unwrap().expect("the member");
    assert_eq!(
        (row.spec.node, row.spec.role, row.status.version.as_str()),
        (Some(node), HostRole::Host, "9")
    );
    assert_eq!(first.subject, Some(row.subject()));
    let used = store.join_token(token).await.unwrap().expect("the token").used_by.expect("its use");
    assert_eq!((used.host, used.node, used.name.as_str(), used.at), (host, node, "h2", f.now()));

    let again = f.ok(join(token, host, node, "h2")).await;
    assert_eq!(again.subject, first.subject);
    assert_eq!(store.host(host).await.unwrap(), Some(row));
    let asked = ["cluster.join as a host", "cluster.join asked again, by the same key"];
    assert_eq!(f.events(host).await, asked);

    // Whoever knows the token, the host and its node has another key.
    let mut other = join(token, host, node, "h2");
    let Command::Cluster(ClusterCommand::Join { status, .. }) = &mut other else { unreachable!("a join") };
    status.public_key = Some("22".repeat(32));
    let twice = f.refused(other).await;
    assert_eq!(twice.kind, ProblemKind::Conflict, "{twice:?}");
    assert!(twice.detail.contains("by another key"), "{twice:?}");
    assert_eq!(f.events(host).await, asked);

    for (host, node) in [(HostId::new(), NodeId::random()), (host, NodeId::random())] {
        let twice = f.refused(join(token, host, node, "h3")).await;
        assert_eq!(twice.kind, ProblemKind::Conflict, "{twice:?}");
        assert!(twice.detail.contains("h2 joined with this token"), "{twice:?}");
    }
    assert_eq!(store.hosts().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_wrong_ended_or_revoked_token_lets_nobody_in() {
    let (f, _) = founded().await;
    let (host, node) = (HostId::new(), NodeId::random());
    let good = f.join_token(60).await;
    let Command::Cluster(ClusterCommand::Join { host: h, node: n, name, role, status, .. }) =
        join(good, host, node, "h2")
    else {
        unreachable!("join makes a join")
    };
    let secret = SecretHash("wrong".into());
    let wrong = ClusterCommand::Join { token: good, secret, host: h, node: n, name, role, status };
    let wrong = f.refused(Command::Cluster(wrong)).await;
    let unknown = f.refused(join(JoinTokenId::new(), host, node, "h2")).await;
    assert_eq!((wrong.kind, unknown.kind), (ProblemKind::Forbidden, ProblemKind::Forbidden));
    assert_eq!(wrong, unknown, "who guesses learns which tokens there are");

    let revoked = f.join_token(60).await;
    f.ok(Command::Cluster(ClusterCommand::RevokeToken { id: revoked })).await;
    assert_eq!(f.refused(join(revoked, host, node, "h2")).await, unknown);
    let again = f.refused(Command::Cluster(ClusterCommand::RevokeToken { id: revoked })).await;
    assert_eq!(again.kind, ProblemKind::NotFound);

    // The next entry is one second later: a token has ended at its end.
    let short = f.join_token(1).await;
    let ended = f.refused(join(short, host, node, "h2")).await;
    assert_eq!(ended.kind, ProblemKind::Forbidden);
    assert!(ended.detail.contains("ended at"), "{ended:?}");
    f.ok(join(good, host, node, "h2")).await;
    let used = f.refused(Command::Cluster(ClusterCommand::RevokeToken { id: good })).await;
    assert_eq!(used.kind, ProblemKind::WrongState, "{used:?}");

    let listed: Vec<JoinTokenId> =
        f.cluster.store().join_tokens().await.unwrap().into_iter().map(|token| token.id).collect();
    assert_eq!(listed, [short, good], "newest first");
    f.advance(1000);
    f.ok(Command::Task(TaskCommand::Prune { before: f.now() })).await;
    assert_eq!(f.cluster.store().join_tokens().await.unwrap(), []);
}

#[tokio::test]
async fn a_secret_is_in_no_event_and_in_no_record() {
    let (f, _) = founded().await;
    let id = f.join_token(60).await;
    f.member("h2").await;
    let list = ListParams { limit: Some(500), ..ListParams::default() };
    let events = f.cluster.store().events(&list, None).await.unwrap();
    let tokens = f.cluster.store().join_tokens().await.unwrap();
    let told = serde_json::to_string(&(events, tokens)).unwrap();
    assert!(!told.contains(&secret().0) && !told.contains("sealed"), "a secret in the audit trail: {told}");
    assert_eq!(f.events(id).await.len(), 1);
}

#[tokio::test]
async fn names_that_hosts_have_get_a_number() {
    let (f, _) = founded().await;
    for (asked, gets) in [("H1", "H1-2"), ("h1", "h1-3"), ("h1-2", "h1-2-2"), ("other", "other")] {
        let token = f.join_token(60).await;
        let host = HostId::new();
        assert_eq!(f.cluster.store().joining_name(host, asked).await.unwrap(), gets);
        let joined = f.ok(join(token, host, NodeId::random(), asked)).await;
        assert_eq!(joined.subject.map(|subject| subject.name).as_deref(), Some(gets));
        assert_eq!(f.cluster.store().joining_name(host, asked).await.unwrap(), gets, "it is a member now");
    }
}

#[tokio::test]
async fn a_member_joins_again_only_as_itself_and_nobody_takes_its_identity() {
    let (f, founder) = founded().await;
    let (host, node) = f.member("h2").await;
    let token = f.join_token(60).await;
    let other = f.refused(join(token, host, NodeId::random(), "h2")).await;
    assert_eq!(other.kind, ProblemKind::Conflict);
    assert!(other.detail.contains("Remove h2"), "{other:?}");
    for taken in [founder, node] {
        let same = f.refused(join(token, HostId::new(), taken, "h3")).await;
        assert_eq!(same.kind, ProblemKind::Conflict);
        assert!(same.detail.contains("has this identity"), "{same:?}");
    }
    // Its first token ended before it could use what it was given.
    let resumed = f.ok(join(token, host, node, "renamed")).await;
    assert_eq!(resumed.subject.map(|subject| subject.name).as_deref(), Some("h2"));
    assert!(f.cluster.store().join_token(token).await.unwrap().unwrap().used_by.is_some());
    assert_eq!(f.cluster.store().hosts().await.unwrap().len(), 2);
}
