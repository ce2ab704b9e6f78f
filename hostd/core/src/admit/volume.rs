//! Rules for volumes on their own.

use super::{Fields, check_size};
use crate::snapshot::Snapshot;
use hostd_types::name::check_name;
use hostd_types::*;

/// May this volume be made?
pub(super) fn create(volume: &CreateVolume) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    wrong.check("/name", check_name(&volume.name));
    wrong.check("/size_bytes", check_size(volume.size_bytes));
    wrong.done()
}

/// May this volume be deleted?
pub(super) fn delete(id: VolumeId, now: &Snapshot) -> Result<(), Problem> {
    let volume = now.volumes.get(&id).ok_or_else(|| Problem::not_found("volume", id))?;
    let name = &volume.spec.name;
    if volume.spec.vm.is_some() {
        let detail = format!("{name} is a disk of a machine; delete the machine with its disks instead.");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    match volume.status.phase {
        Phase::Ready => Ok(()),
        Phase::Creating => Err(Problem::wrong_state(format!("{name} is still being made; wait for it."))),
        Phase::Deleting => Err(Problem::wrong_state(format!("{name} is being deleted already."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn sizes_and_names_have_limits() {
        let body =
            |name: &str, size_bytes| CreateVolume { name: name.into(), size_bytes, format: DiskFormat::Raw };
        create(&body("data", 1 << 30)).expect("a good volume");
        let problem = create(&body("../x", 5)).expect_err("two wrong fields");
        assert!(problem.at("/name").is_some() && problem.at("/size_bytes").is_some());
        assert!(problem.at("/size_bytes").expect("size").contains("64 TiB"));
        create(&body("x", (64 << 40) + 1)).expect_err("too large");
    }

    #[test]
    fn only_free_ready_volumes_go() {
        let mut volume = sample::volume("data");
        let id = volume.id;
        let check =
            |v: &Volume| delete(id, &Snapshot { volumes: [(id, v.clone())].into(), ..Default::default() });
        check(&volume).expect("free and ready");
        volume.status.phase = Phase::Creating;
        assert_eq!(check(&volume).expect_err("creating").kind, ProblemKind::WrongState);
        volume.status.phase = Phase::Ready;
        volume.spec.vm = Some(VmId::new());
        assert_eq!(check(&volume).expect_err("attached").kind, ProblemKind::Conflict);
        assert_eq!(delete(id, &Snapshot::default()).expect_err("none").kind, ProblemKind::NotFound);
    }
}
