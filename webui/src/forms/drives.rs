//! The further CD-ROM drives of a machine.

use crate::fields::{Fields, Reading};
use hostd_types::{ImageId, MORE_CDROMS_MAX, VmSpec};

/// What a drive is that holds nothing; no drive at all is an empty text.
pub(crate) const EMPTY: &str = "empty";

/// The further drives as typed, those that are there first: [`EMPTY`] or an image each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DrivesForm {
    pub(crate) more: [String; MORE_CDROMS_MAX],
}

impl DrivesForm {
    /// Those of a machine.
    pub(crate) fn of(spec: &VmSpec) -> Self {
        let drives =
            spec.more_cdroms.iter().map(|drive| drive.map_or_else(|| EMPTY.into(), |id| id.to_string()));
        Self::with(drives)
    }
    /// What was sent; what was not stays as it is in `now`.
    pub(crate) fn read(fields: &Fields, now: Self) -> Self {
        let [one, two, three] = now.more;
        let or = |name: &str, now: String| if fields.ticked(name) { fields.text(name) } else { now };
        let sent = [or("cdrom1", one), or("cdrom2", two), or("cdrom3", three)];
        Self::with(sent.into_iter())
    }
    fn with(drives: impl Iterator<Item = String>) -> Self {
        let mut there = drives.filter(|drive| !drive.is_empty());
        Self { more: std::array::from_fn(|_| there.next().unwrap_or_default()) }
    }
    /// Takes out what is in them: another host has other images.
    pub(crate) fn eject(&mut self) {
        self.more.iter_mut().filter(|drive| !drive.is_empty()).for_each(|drive| *drive = EMPTY.into());
    }
    /// There is one.
    pub(crate) fn any(&self) -> bool {
        self.more.iter().any(|drive| !drive.is_empty())
    }
    /// The drives asked for.
    pub(crate) fn cdroms(&self, reading: &mut Reading) -> Vec<Option<ImageId>> {
        let there = self.more.iter().enumerate().filter(|(_, drive)| !drive.is_empty());
        let read = |(index, drive): (usize, &String)| {
            if drive == EMPTY {
                None
            } else {
                reading.chosen(&format!("/more_cdroms/{index}"), drive, "an image")
            }
        };
        there.map(read).collect()
    }
}
