//! Replacing the authority: phases follow the rows, and members that are off are named.

use crate::cluster_record::{authority, founded};
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn rotate(certificate: &str) -> Command {
    let authority = Authority { certificate: certificate.into(), ..authority() };
    Command::Cluster(ClusterCommand::RotateAuthority { authority, fingerprint: "new".into() })
}

fn step(from: RotationPhase) -> Command {
    Command::Cluster(ClusterCommand::StepRotation { from })
}

fn report(id: HostId, trusts: &[&str], signer: &str) -> Command {
    let status = HostStatus {
        trusts: trusts.iter().map(|print| (*print).to_owned()).collect(),
        authority: Some(signer.into()),
        ..HostStatus::default()
    };
    Command::Host(HostCommand::Report { id, name: String::new(), status })
}

/// The certificates of the authorities, the one that signs last.
async fn authorities(f: &Fixture) -> Vec<String> {
    let status = f.cluster.store().cluster().await.unwrap().unwrap().status;
    status.authorities.into_iter().map(|authority| authority.certificate).collect()
}

#[tokio::test]
async fn each_phase_waits_for_every_member_and_names_whom() {
    let (f, _) = founded().await;
    let old = authorities(&f).await[0].clone();
    f.ok(rotate("next")).await;
    assert_eq!(authorities(&f).await, ["next".to_owned(), old.clone()], "the old one still signs");
    assert_eq!(f.refused(rotate("another")).await.kind, ProblemKind::WrongState);
    let early = f.refused(step(RotationPhase::Trusting)).await;
    assert!(early.kind == ProblemKind::WrongState && early.detail.contains("h1"), "{early:?}");
    f.ok(report(f.host, &["old", "new"], "old")).await;
    f.ok(step(RotationPhase::Trusting)).await;
    assert_eq!(authorities(&f).await, [old, "next".to_owned()], "the new one signs");
    assert_eq!(f.refused(step(RotationPhase::Trusting)).await.kind, ProblemKind::WrongState, "taken twice");
    let early = f.refused(step(RotationPhase::Renewing)).await;
    assert!(early.detail.contains("h1"), "{early:?}");
    f.ok(report(f.host, &["old", "new"], "new")).await;
    f.ok(step(RotationPhase::Renewing)).await;
    assert_eq!(authorities(&f).await, ["next"]);
    assert_eq!(f.cluster.store().cluster().await.unwrap().unwrap().status.rotation, None);
}

#[tokio::test]
async fn a_member_that_is_passed_over_is_not_waited_for() {
    let (f, _) = founded().await;
    let without = |hosts: Vec<HostId>| Command::Cluster(ClusterCommand::RotateWithout { hosts });
    assert_eq!(f.refused(without(vec![f.host])).await.kind, ProblemKind::WrongState, "nothing is replaced");
    f.ok(rotate("next")).await;
    assert_eq!(f.refused(without(vec![HostId::new()])).await.kind, ProblemKind::NotFound);
    f.ok(without(vec![f.host])).await;
    f.ok(step(RotationPhase::Trusting)).await;
    f.ok(step(RotationPhase::Renewing)).await;
    assert_eq!(authorities(&f).await, ["next"]);
}
