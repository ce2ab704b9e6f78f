//! The part of forms that is about where something is filed: folder, tags, notes.

use crate::fields::{Fields, Reading};
use crate::forms::choice::plain_breaks;
use hostd_core::FolderView;
use hostd_types::*;
use std::collections::BTreeMap;

/// As typed. What a form did not send stays empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FilingForm {
    /// The folder's id; empty for none.
    pub(crate) folder: String,
    /// `env=prod, web`.
    pub(crate) tags: String,
    pub(crate) notes: String,
}

impl FilingForm {
    /// Filled from a machine.
    pub(crate) fn of(vm: &Vm) -> Self {
        Self {
            folder: vm.spec.filing.folder.map(|id| id.to_string()).unwrap_or_default(),
            tags: tags_text(&vm.meta.labels),
            notes: vm.spec.filing.notes.clone(),
        }
    }
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self {
            folder: fields.text("folder"),
            tags: fields.text("tags"),
            notes: plain_breaks(&fields.verbatim("notes")),
        }
    }
    fn folder(&self, reading: &mut Reading, pointer: &str) -> Option<FolderId> {
        match self.folder.as_str() {
            "" => None,
            id => reading.chosen(pointer, id, "a folder"),
        }
    }
    /// How a new machine is filed.
    pub(crate) fn new_filing(&self, reading: &mut Reading) -> NewFiling {
        let tags = read_tags(reading, "/filing/tags", &self.tags);
        let folder = self.folder(reading, "/filing/folder");
        NewFiling { folder, tags, notes: self.notes.clone() }
    }
    /// What is to change about `vm`; only what differs.
    pub(crate) fn edit(&self, vm: &Vm) -> Result<EditFiling, Problem> {
        let mut reading = Reading::default();
        let folder = self.folder(&mut reading, "/folder");
        let tags = read_tags(&mut reading, "/set", &self.tags);
        let change = EditFiling {
            folder: (folder != vm.spec.filing.folder).then_some(FolderPlace(folder)),
            notes: (self.notes != vm.spec.filing.notes).then(|| self.notes.clone()),
            ..tags_changed(&vm.meta.labels, tags)
        };
        reading.done(change)
    }
}

fn read_tags(reading: &mut Reading, pointer: &str, text: &str) -> BTreeMap<String, String> {
    parse_tags(text).unwrap_or_else(|detail| {
        reading.wrong(pointer, detail);
        BTreeMap::new()
    })
}

/// What makes `tags` out of `now`.
pub(crate) fn tags_changed(now: &BTreeMap<String, String>, tags: BTreeMap<String, String>) -> EditFiling {
    let remove = now.keys().filter(|key| !tags.contains_key(*key)).cloned().collect();
    let set = tags.into_iter().filter(|(key, value)| now.get(key) != Some(value)).collect();
    EditFiling { set, remove, ..EditFiling::default() }
}

/// Folders to choose from: value and words, as deep as they are.
pub(crate) fn options(folders: &[FolderView]) -> Vec<(String, String)> {
    folders.iter().map(|view| (view.folder.id.to_string(), view.path.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn only_what_differs_is_sent() {
        let mut vm = sample::vm("web-1", VmState::Off);
        vm.meta.labels = [("env".into(), "prod".into()), ("web".into(), String::new())].into();
        vm.spec.filing = Filing { folder: Some(FolderId::new()), notes: "a".into() };
        assert_eq!(FilingForm::of(&vm).edit(&vm), Ok(EditFiling::default()));
        let id = FolderId::new();
        let sent = Fields::new(
            [("folder", id.to_string()), ("tags", "env=test, new".into()), ("notes", "x\r\ny\r\n".into())]
                .map(|(n, v)| (n.to_owned(), v))
                .into(),
        );
        let edit = FilingForm::read(&sent).edit(&vm).expect("a good form");
        assert_eq!(edit.folder, Some(FolderPlace(Some(id))));
        assert_eq!(edit.set, [("env".into(), "test".into()), ("new".into(), String::new())].into());
        assert_eq!((edit.remove, edit.notes.as_deref()), (vec!["web".to_owned()], Some("x\ny")));
        let none = FilingForm { folder: String::new(), ..FilingForm::of(&vm) };
        assert_eq!(none.edit(&vm).expect("no folder").folder, Some(FolderPlace(None)));
        let wrong = FilingForm { folder: "no-id".into(), tags: "a b".into(), notes: String::new() };
        let problem = wrong.edit(&vm).expect_err("a bad form");
        assert!(problem.at("/folder").is_some() && problem.at("/set").is_some());
        let mut reading = Reading::default();
        wrong.new_filing(&mut reading);
        let problem = reading.done(()).expect_err("a bad form");
        assert!(problem.at("/filing/folder").is_some() && problem.at("/filing/tags").is_some());
    }
}
