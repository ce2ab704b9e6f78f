//! What is in the CD-ROM drives of a definition, and what is to be changed about it.

use crate::domain_xml::FIRST_DRIVE;
use crate::plan::{DomainPlan, DomainShape};
use std::path::{Path, PathBuf};

/// A drive that does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumChange {
    /// The drive's name in the definition: `sda`.
    pub target: String,
    /// Its number, from 1.
    pub number: usize,
    /// What it holds.
    pub holds: Option<PathBuf>,
    /// What it should hold.
    pub wanted: Option<PathBuf>,
}

/// The drives of a definition that do not hold what the plan wants. One that is to go at the next power-off is emptied
/// before; one that is to come has nothing yet. Pure.
pub fn media_changes(plan: &DomainPlan, seen: &DomainShape) -> Vec<MediumChange> {
    let first = (FIRST_DRIVE.to_owned(), seen.cdrom.clone());
    let further = seen.more_cdroms.iter().map(|drive| (drive.target.clone(), drive.file.clone()));
    let wanted = |index: usize| match index.checked_sub(1) {
        None => plan.cdrom.clone(),
        Some(further) => plan.more_cdroms.get(further).cloned().flatten(),
    };
    std::iter::once(first)
        .chain(further)
        .enumerate()
        .map(|(index, (target, holds))| MediumChange {
            target,
            number: index + 1,
            holds,
            wanted: wanted(index),
        })
        .filter(|change| change.holds != change.wanted)
        .collect()
}

impl MediumChange {
    /// The difference in words.
    pub(crate) fn told(&self) -> String {
        let file = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let drive = if self.number == 1 { String::new() } else { format!(" {}", self.number) };
        let holds =
            self.holds.as_deref().map_or_else(|| "is empty".to_owned(), |p| format!("holds {}", file(p)));
        let wanted = self.wanted.as_deref().map_or_else(|| "nothing".to_owned(), file);
        format!("the CD-ROM drive{drive} {holds}, wanted {wanted}")
    }
}
