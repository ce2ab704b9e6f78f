//! What to do about each image; pure.

use crate::reconcile::volumes::MISSING;
use hostd_types::*;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nobody feeds its upload: remove what came, report the failure.
    GiveUp,
    /// Remove its file, then report it gone.
    Remove,
    /// Report what was seen of a ready one.
    Report {
        /// Its file is missing.
        missing: bool,
    },
}

/// Plans one image. `exists`: its file is there; `uploading`: this daemon is receiving it.
pub(super) fn plan(image: &Image, exists: bool, uploading: bool) -> Option<Step> {
    match image.status.phase {
        Phase::Creating if uploading => None,
        Phase::Creating => Some(Step::GiveUp),
        Phase::Deleting => Some(Step::Remove),
        Phase::Ready => {
            let told = image.status.fault.as_deref() == Some(MISSING);
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
        let table = [
            (Phase::Creating, false, false, true, None),
            (Phase::Creating, false, false, false, Some(Step::GiveUp)),
            (Phase::Creating, false, true, false, Some(Step::GiveUp)),
            (Phase::Deleting, false, true, false, Some(Step::Remove)),
            (Phase::Ready, false, true, false, None),
            (Phase::Ready, false, false, false, Some(Step::Report { missing: true })),
            (Phase::Ready, true, true, false, Some(Step::Report { missing: false })),
            (Phase::Ready, true, false, false, None),
        ];
        for (phase, told, exists, uploading, step) in table {
            let mut image = sample::iso("x");
            image.status.phase = phase;
            image.status.fault = told.then(|| MISSING.to_owned());
            assert_eq!(plan(&image, exists, uploading), step, "{phase:?} {told} {exists}");
        }
    }
}
