//! The forms of snapshots.

use crate::fields::Fields;
use hostd_types::command::NewSnapshot;
use hostd_types::{CreateSnapshot, LayerMap, SnapshotId};

/// The form of a new snapshot, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SnapshotForm {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) quiesce: bool,
    pub(crate) include_memory: bool,
}

impl SnapshotForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self {
            name: fields.text("name"),
            description: fields.text("description"),
            quiesce: fields.ticked("quiesce"),
            include_memory: fields.ticked("include_memory"),
        }
    }
    /// The snapshot asked for.
    pub(crate) fn snapshot(&self) -> NewSnapshot {
        let Self { name, description, quiesce, include_memory } = self.clone();
        new(CreateSnapshot { name, description, quiesce, include_memory })
    }
}

/// The snapshot to take before going back, when the form asks for one.
pub(crate) fn first(fields: &Fields) -> Option<NewSnapshot> {
    let name = fields.text("snapshot_first");
    (!name.is_empty()).then(|| new(CreateSnapshot { name, ..CreateSnapshot::default() }))
}

fn new(asked: CreateSnapshot) -> NewSnapshot {
    NewSnapshot { id: SnapshotId::new(), asked, next: LayerMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_arrives() {
        let sent = [("name", " a "), ("description", "x"), ("quiesce", "on"), ("include_memory", "on")];
        let fields = Fields::new(sent.map(|(n, v)| (n.into(), v.into())).to_vec());
        let asked = SnapshotForm::read(&fields).snapshot().asked;
        let wanted =
            CreateSnapshot { name: "a".into(), description: "x".into(), quiesce: true, include_memory: true };
        assert_eq!(asked, wanted);
        assert!(first(&fields).is_none());
        let fields = Fields::new(vec![("snapshot_first".into(), "kept".into())]);
        assert_eq!(first(&fields).expect("one").asked.name, "kept");
    }
}
