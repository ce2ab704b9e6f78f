//! The form of a copy of a machine.

use super::customize::CustomizeForm;
use crate::fields::{Fields, Reading};
use hostd_types::{CloneMode, CloneVm, Problem, Vm};

/// The form, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CloneForm {
    pub(crate) name: String,
    /// `full`, `linked` or `test`.
    pub(crate) mode: String,
    /// The snapshot that is copied; empty: what the machine is now.
    pub(crate) snapshot: String,
    pub(crate) description: String,
    pub(crate) quiesce: bool,
    pub(crate) start: bool,
    /// The guest is told what the form says, not what that of the source was told.
    pub(crate) own: bool,
    pub(crate) custom: CustomizeForm,
}

impl CloneForm {
    /// What is offered for a copy of `vm`.
    pub(crate) fn of(vm: &Vm, snapshot: &str) -> Self {
        let mut custom = CustomizeForm::of(vm);
        custom.at = "/customization";
        // Two guests can't have the same addresses.
        custom.cards.iter_mut().for_each(|card| *card = Default::default());
        custom.network_config.clear();
        Self {
            name: String::new(),
            mode: CloneMode::Full.as_str().into(),
            snapshot: snapshot.into(),
            description: vm.spec.description.clone(),
            custom,
            ..Self::default()
        }
    }
    /// What was sent.
    pub(crate) fn read(fields: &Fields, cards: usize) -> Self {
        Self {
            name: fields.text("name"),
            mode: fields.text("mode"),
            snapshot: fields.text("snapshot"),
            description: fields.text("description"),
            quiesce: fields.ticked("quiesce"),
            start: fields.ticked("start"),
            own: fields.ticked("own"),
            custom: CustomizeForm::read(fields, "/customization", cards),
        }
    }
    /// The copy asked for, of a machine with so many cards.
    ///
    /// # Errors
    /// The fields that make no sense.
    pub(crate) fn copy(&self, cards: usize) -> Result<CloneVm, Problem> {
        let mut reading = Reading::default();
        let custom = match self.own {
            true => Some(self.custom.customization(&mut reading, &vec![true; cards]).unwrap_or_default()),
            false => None,
        };
        let snapshot = match self.snapshot.as_str() {
            "" => None,
            text => reading.chosen("/snapshot", text, "a snapshot"),
        };
        let mode = CloneMode::ALL.into_iter().find(|mode| mode.as_str() == self.mode).unwrap_or_default();
        reading.done(CloneVm {
            name: self.name.clone(),
            description: Some(self.description.clone()),
            mode,
            snapshot,
            customization: custom,
            filing: None,
            quiesce: self.quiesce,
            start: self.start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::SnapshotId;

    #[test]
    fn every_field_arrives() {
        let id = SnapshotId::new();
        let sent = [
            ("name", " web2 "),
            ("mode", "linked"),
            ("snapshot", &id.to_string()),
            ("description", "x"),
            ("quiesce", "on"),
            ("start", "on"),
            ("own", "on"),
            ("hostname", "{{vm.name}}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let fields = Fields::new(sent.to_vec());
        let copy = CloneForm::read(&fields, 1).copy(1).expect("a copy");
        assert_eq!((copy.name.as_str(), copy.mode, copy.snapshot), ("web2", CloneMode::Linked, Some(id)));
        assert!(copy.quiesce && copy.start && copy.description.as_deref() == Some("x"));
        assert_eq!(copy.customization.expect("its own").hostname, "{{vm.name}}");
        let plain = CloneForm::read(&Fields::new(vec![("name".into(), "a".into())]), 0).copy(0);
        let plain = plain.expect("a copy");
        assert_eq!((plain.mode, plain.customization, plain.snapshot), (CloneMode::Full, None, None));
        let odd = Fields::new(vec![("snapshot".into(), "x".into())]);
        assert!(CloneForm::read(&odd, 0).copy(0).expect_err("no snapshot").at("/snapshot").is_some());
    }
}
