//! Dumps of guests' memory that libvirt writes when a guest panics. There is room for a few.

use crate::Hypervisor;
use std::path::Path;
use std::time::SystemTime;

/// Where libvirt writes them; on the appliance that is on the data partition.
pub const DUMP_DIR: &str = "/var/lib/libvirt/qemu/dump";

impl Hypervisor {
    /// Removes all but the newest `keep` dumps of the domain called `name`; files of others are left alone. What can't be
    /// removed stays, and the log says so.
    pub async fn prune_dumps(&self, name: String, keep: usize) {
        let pruned = tokio::task::spawn_blocking(move || prune(Path::new(DUMP_DIR), &name, keep)).await;
        match pruned {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old dumps can't be removed"),
            Err(error) => tracing::warn!(%error, "old dumps can't be removed"),
        }
    }
}

fn prune(dir: &Path, name: &str, keep: usize) -> std::io::Result<()> {
    let mut dumps = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        // Of what stands there, not of what a link leads to.
        let kind = entry.metadata()?;
        if kind.is_file() && is_dump_of(&entry.file_name().to_string_lossy(), name) {
            dumps.push((kind.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
        }
    }
    dumps.sort();
    let old = dumps.len().saturating_sub(keep);
    dumps.into_iter().take(old).try_for_each(|(_, path)| std::fs::remove_file(path))
}

/// libvirt calls a dump `ID-NAME-YYYY-MM-DD-HH:MM:SS`, with at most 20 characters of the name (`virDomainDefGetShortName`).
fn is_dump_of(file: &str, name: &str) -> bool {
    let short: String = name.chars().take(20).collect();
    let Some((id, rest)) = file.split_once('-') else { return false };
    let time = rest.strip_prefix(&short).and_then(|rest| rest.strip_prefix('-'));
    let is_time =
        |time: &str| time.len() == 19 && time.chars().all(|c| c.is_ascii_digit() || "-:".contains(c));
    !id.is_empty() && id.chars().all(|c| c.is_ascii_digit()) && time.is_some_and(is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_the_name_that_libvirt_gives_it() {
        let long = "a-name-of-more-than-twenty-characters";
        for (file, name, is) in [
            ("3-web-2026-12-01-10:00:03", "web", true),
            ("3-web-2-2026-12-01-10:00:03", "web", false),
            ("3-web-2-2026-12-01-10:00:03", "web-2", true),
            ("12-a-name-of-more-than--2026-12-01-10:00:03", long, true),
            ("12-a-name-of-more-than-twenty-characters-2026-12-01-10:00:03", long, false),
            ("x-web-2026-12-01-10:00:03", "web", false),
            ("-web-2026-12-01-10:00:03", "web", false),
            ("3-web-2026-12-01-10:00", "web", false),
            ("3-web-2026-12-01-10:00:03.1", "web", false),
        ] {
            assert_eq!(is_dump_of(file, name), is, "{file} of {name}");
        }
    }

    #[test]
    fn the_newest_dumps_of_a_machine_stay_and_what_is_not_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let own = |id| format!("{id}-web-2026-12-01-10:00:0{id}");
        let others = ["7-web-2-2026-12-01-10:00:00", "notes", "9-web-old"].map(String::from);
        std::fs::create_dir(dir.path().join("4-web-2026-12-01-10:00:04")).expect("no dump");
        for (name, second) in
            [(own(2), 2), (own(3), 3), (own(1), 1)].into_iter().chain(others.clone().map(|o| (o, 0)))
        {
            let file = std::fs::File::create(dir.path().join(name)).expect("a dump");
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second))
                .expect("a time");
        }
        prune(dir.path(), "web", 2).expect("pruned");
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .expect("dumps")
            .map(|e| e.expect("a dump").file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        let mut stay = vec![own(2), own(3), "4-web-2026-12-01-10:00:04".into()];
        stay.extend(others);
        stay.sort();
        assert_eq!(left, stay);
    }
}
