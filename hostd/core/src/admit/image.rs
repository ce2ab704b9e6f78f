//! Rules for images.

use super::{Fields, list_names};
use crate::pool::{human, reserve};
use crate::snapshot::Snapshot;
use hostd_types::name::{check_description, check_name};
use hostd_types::*;

/// May this upload begin?
pub(super) fn create(
    name: &str,
    description: &str,
    announced: Option<u64>,
    sha256: Option<&str>,
    now: &Snapshot,
) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    wrong.check("/name", check_name(name));
    wrong.check("/description", check_description(description));
    if announced == Some(0) {
        wrong.add("/file", "The file is empty; choose a disk image or an ISO.");
    }
    if sha256.is_some_and(|hex| hex.len() != 64 || !hex.chars().all(|c| c.is_ascii_hexdigit())) {
        wrong.add("/expected_sha256", "A SHA-256 is 64 hexadecimal digits.");
    }
    wrong.done()?;
    match announced {
        Some(bytes) => room(bytes, &now.pool),
        None => Ok(()),
    }
}

/// Is there room for `bytes` in the pool?
///
/// # Errors
/// `Capacity`, with the sizes.
pub(crate) fn room(bytes: u64, pool: &PoolFacts) -> Result<(), Problem> {
    let usable = pool.free_bytes.saturating_sub(reserve(pool.total_bytes));
    if bytes <= usable {
        return Ok(());
    }
    let detail = format!(
        "The file has {}, the pool {} has room for {} more; delete images or disks first.",
        human(bytes),
        pool.name,
        human(usable)
    );
    Err(Problem::new(ProblemKind::Capacity, detail))
}

/// May this image be deleted?
pub(super) fn delete(id: ImageId, now: &Snapshot) -> Result<(), Problem> {
    let image = now.images.get(&id).ok_or_else(|| Problem::not_found("image", id))?;
    let name = &image.spec.name;
    let conflict = |detail: String| Err(Problem::new(ProblemKind::Conflict, detail));
    if !now.volumes.is_empty() {
        let disks = list_names(now.volumes.values().map(|v| v.spec.name.as_str()));
        return conflict(format!("Disks are layered over {name}: {disks}. Delete them first."));
    }
    if !now.vms.is_empty() {
        let vms = list_names(now.vms.iter().map(|vm| vm.spec.name.as_str()));
        return conflict(format!("{name} is in the CD-ROM drive of {vms}. Eject it first."));
    }
    match image.status.phase {
        Phase::Ready => Ok(()),
        Phase::Creating => Err(Problem::wrong_state(format!(
            "{name} is still being uploaded; cancel the upload's task instead."
        ))),
        Phase::Deleting => Err(Problem::wrong_state(format!("{name} is being deleted already."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    fn pool(free_bytes: u64) -> Snapshot {
        let pool =
            PoolFacts { name: "local".into(), total_bytes: 100 << 30, free_bytes, ..Default::default() };
        Snapshot { pool, ..Default::default() }
    }

    #[test]
    fn uploads_need_a_name_content_and_room() {
        let now = pool(10 << 30);
        create("cirros", "", Some(5 << 20), Some(&"aF".repeat(32)), &now).expect("fits");
        create("cirros", "", None, None, &now).expect("size unknown");
        for (name, announced, sha, pointer) in [
            ("../x", Some(1), None, "/name"),
            ("x", Some(0), None, "/file"),
            ("x", Some(1), Some("abc"), "/expected_sha256"),
        ] {
            let problem = create(name, "", announced, sha, &now).expect_err(pointer);
            assert!(problem.at(pointer).is_some(), "{problem:?}");
        }
        let full = create("x", "", Some(20 << 30), None, &now).expect_err("too large");
        assert_eq!(full.kind, ProblemKind::Capacity);
        assert!(full.detail.contains("20 GiB") && full.detail.contains("9.8 GiB"), "{}", full.detail);
    }

    #[test]
    fn images_in_use_stay() {
        let image = sample::disk_image("base", 1 << 30);
        let mut now = Snapshot { images: [(image.id, image.clone())].into(), ..Default::default() };
        delete(image.id, &now).expect("unused");
        now.vms = vec![sample::vm("web")];
        assert!(delete(image.id, &now).expect_err("in a drive").detail.contains("web"));
        let disk = sample::volume("web-disk0");
        now.volumes.insert(disk.id, disk);
        let problem = delete(image.id, &now).expect_err("backs a disk");
        assert_eq!(problem.kind, ProblemKind::Conflict);
        assert!(problem.detail.contains("web-disk0"));
    }
}
