//! What to do about each volume; pure.

use hostd_types::*;

/// Words for a volume or image whose file is gone.
pub(crate) const MISSING: &str = "the file is missing";

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Make its file, then report it ready.
    Make,
    /// Remove its file, then report it gone.
    Remove,
    /// Report what was seen of a ready one.
    Report {
        /// Its file is missing.
        missing: bool,
    },
}

/// Plans one volume. `exists`: its file is there; `failed`: making it failed and its machine's undoing is under way.
pub(super) fn plan(volume: &Volume, exists: bool, failed: bool) -> Option<Step> {
    match volume.status.phase {
        Phase::Creating if failed => None,
        Phase::Creating => Some(Step::Make),
        // Files of a machine's disks are removed by the machine's own deletion, after its domain is gone.
        Phase::Deleting if volume.spec.vm.is_some() => None,
        Phase::Deleting => Some(Step::Remove),
        Phase::Ready => {
            let told = volume.status.fault.as_deref() == Some(MISSING);
            (told == exists).then_some(Step::Report { missing: !exists })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::sample;

    #[test]
    fn every_phase_has_its_step() {
        let fault = || Some(MISSING.to_owned());
        let table = [
            (Phase::Creating, None, false, false, Some(Step::Make)),
            (Phase::Creating, None, true, false, Some(Step::Make)),
            (Phase::Creating, None, false, true, None),
            (Phase::Deleting, None, true, false, Some(Step::Remove)),
            (Phase::Deleting, None, false, false, Some(Step::Remove)),
            (Phase::Ready, None, true, false, None),
            (Phase::Ready, None, false, false, Some(Step::Report { missing: true })),
            (Phase::Ready, fault(), false, false, None),
            (Phase::Ready, fault(), true, false, Some(Step::Report { missing: false })),
        ];
        for (phase, fault, exists, failed, step) in table {
            let mut volume = sample::volume("x");
            volume.status = VolumeStatus { phase, fault };
            assert_eq!(plan(&volume, exists, failed), step, "{:?}", volume.status);
        }
        let mut attached = sample::volume("x");
        attached.spec.vm = Some(VmId::new());
        attached.status.phase = Phase::Deleting;
        assert_eq!(plan(&attached, true, false), None);
    }
}
