//! Replacing the authority that signs the members' certificates, phase by phase.

use super::scope::Scope;
use super::{Done, Step};
use hostd_types::*;

/// Adds the new authority, which everybody is to trust before it signs anything.
pub(crate) fn begin(scope: &mut Scope<'_>, authority: &Authority, fingerprint: &str) -> Step<Done> {
    let mut cluster = scope.the_cluster()?;
    if let Some(rotation) = &cluster.status.rotation {
        let detail = format!("The authority is being replaced already, since {}.", rotation.began);
        return Err(Problem::wrong_state(detail).into());
    }
    // The one that signs stays the last.
    cluster.status.authorities.insert(0, authority.clone());
    cluster.status.rotation = Some(Rotation {
        phase: RotationPhase::Trusting,
        fingerprint: fingerprint.to_owned(),
        began: scope.entry.at,
        without: Vec::new(),
    });
    done(scope, &cluster, "a new authority; the members come to trust it".into())
}

/// Goes on without waiting for some members.
pub(crate) fn without(scope: &mut Scope<'_>, hosts: &[HostId]) -> Step<Done> {
    let mut cluster = scope.the_cluster()?;
    let Some(rotation) = &mut cluster.status.rotation else { return Err(none()) };
    let mut names = Vec::new();
    for id in hosts {
        names.push(scope.get::<Host>(*id)?.spec.name);
        if !rotation.without.contains(id) {
            rotation.without.push(*id);
        }
    }
    done(scope, &cluster, format!("goes on without {}", names.join(", ")))
}

/// Takes the step after `from`, once nobody is waited for.
pub(crate) fn step(scope: &mut Scope<'_>, from: RotationPhase) -> Step<Done> {
    let mut cluster = scope.the_cluster()?;
    let hosts = scope.all_hosts()?;
    let status = &mut cluster.status;
    let Some(rotation) = status.rotation.as_mut().filter(|rotation| rotation.phase == from) else {
        return Err(none());
    };
    let waits: Vec<&str> =
        rotation.waits_for(&hosts).into_iter().map(|host| host.spec.name.as_str()).collect();
    if !waits.is_empty() {
        let detail = format!("Not everybody is ready: {}.", waits.join(", "));
        return Err(Problem::wrong_state(detail).into());
    }
    let said = match from {
        RotationPhase::Trusting => {
            status.authorities.rotate_left(1);
            rotation.phase = RotationPhase::Renewing;
            "the new authority signs; the members renew their certificates"
        }
        RotationPhase::Renewing => {
            let old = status.authorities.len().saturating_sub(1);
            status.authorities.drain(..old);
            status.rotation = None;
            "the old authority is not trusted any more"
        }
    };
    done(scope, &cluster, said.into())
}

fn none() -> super::Rejection {
    Problem::wrong_state("The authority is not being replaced, or has got further.").into()
}

fn done(scope: &mut Scope<'_>, cluster: &ClusterRecord, detail: String) -> Step<Done> {
    scope.update(cluster)?;
    let subject = cluster.subject();
    scope.accepted(&subject, detail)?;
    Ok(Done::about(subject))
}

impl Scope<'_> {
    fn all_hosts(&self) -> Step<Vec<Host>> {
        let ids = self.names("SELECT id FROM host WHERE id <> ?1 ORDER BY id", "")?;
        ids.into_iter().map(|id| self.get::<Host>(id)).collect()
    }
}
