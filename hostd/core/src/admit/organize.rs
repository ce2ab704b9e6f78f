//! Rules for folders, tags, notes and saved views: what texts may be. Whether a folder is there, empty or free of its name
//! is looked at when the command is applied, in the same breath.

use super::Fields;
use hostd_types::command::OrganizeCommand;
use hostd_types::name::check_title;
use hostd_types::*;
use std::collections::BTreeMap;

/// May this be organized so?
pub(super) fn organize(command: &OrganizeCommand) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    match command {
        OrganizeCommand::CreateFolder { folder, .. } => wrong.check("/name", check_title(&folder.name)),
        OrganizeCommand::EditFolder { edit, .. } => {
            if let Some(name) = &edit.name {
                wrong.check("/name", check_title(name));
            }
        }
        OrganizeCommand::File { filing, .. } => {
            check_tags(&mut wrong, "/set", &filing.set);
            for (index, key) in filing.remove.iter().enumerate() {
                wrong.check(&format!("/remove/{index}"), check_tag_key(key));
            }
            if let Some(notes) = &filing.notes {
                wrong.check("/notes", check_notes(notes));
            }
        }
        OrganizeCommand::SaveView { view, .. } => {
            wrong.check("/name", check_title(&view.name));
            wrong.check("/query", check_query(&view.query));
        }
        OrganizeCommand::DeleteFolder { .. } | OrganizeCommand::DeleteView { .. } => {}
    }
    wrong.done()
}

/// Notes what is wrong with how a new machine is filed.
pub(super) fn check_new(wrong: &mut Fields, filing: &NewFiling) {
    check_tags(wrong, "/filing/tags", &filing.tags);
    wrong.check("/filing/notes", check_notes(&filing.notes));
}

fn check_tags(wrong: &mut Fields, pointer: &str, tags: &BTreeMap<String, String>) {
    if tags.len() > TAGS_MAX {
        wrong.add(pointer, format!("These are {} tags; at most {TAGS_MAX} fit.", tags.len()));
    }
    for (key, value) in tags {
        if let Err(detail) = check_tag(key, value) {
            return wrong.add(pointer, detail);
        }
    }
}

/// A view's query is part of an address: what a browser would have written there.
fn check_query(query: &str) -> Result<(), String> {
    if query.len() > VIEW_QUERY_MAX {
        return Err(format!("The query is {} bytes long; at most {VIEW_QUERY_MAX} fit.", query.len()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$'()*+,;=:@/?%&[]".contains(c);
    match query.chars().find(|c| !plain(*c)) {
        Some(bad) => Err(format!("The character {bad:?} can't be in an address; escape it with %.")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(command: OrganizeCommand, pointer: &str) -> String {
        let problem = organize(&command).expect_err(pointer);
        problem.at(pointer).unwrap_or_else(|| panic!("{pointer} not in {problem:?}")).to_owned()
    }

    #[test]
    fn texts_are_checked_and_the_field_is_named() {
        let folder = |name: &str| OrganizeCommand::CreateFolder {
            id: FolderId::new(),
            folder: CreateFolder { name: name.into(), parent: None },
        };
        organize(&folder("Web tier")).expect("a good name");
        assert!(refused(folder("a/b"), "/name").contains("no slash"));
        let rename = EditFolder { name: Some(" ".into()), parent: None };
        refused(OrganizeCommand::EditFolder { id: FolderId::new(), expect: None, edit: rename }, "/name");
        let file = |filing| OrganizeCommand::File { kind: Kind::Vm, id: String::new(), filing };
        let set = |key: &str, value: &str| EditFiling {
            set: [(key.into(), value.into())].into(),
            ..EditFiling::default()
        };
        organize(&file(set("env", "prod"))).expect("a good tag");
        refused(file(set("a b", "")), "/set");
        refused(file(set("a", "1,2")), "/set");
        let many = (0..=TAGS_MAX).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(refused(file(EditFiling { set: many, ..EditFiling::default() }), "/set").contains("33 tags"));
        refused(
            file(EditFiling { remove: vec!["ok".into(), "\"".into()], ..EditFiling::default() }),
            "/remove/1",
        );
        let notes = |text: String| file(EditFiling { notes: Some(text), ..EditFiling::default() });
        organize(&notes("a\n\tb".repeat(100))).expect("plain notes");
        assert!(refused(notes("x".repeat(NOTES_MAX + 1)), "/notes").contains("16384"));
        refused(notes("\u{1b}[2J".into()), "/notes");
        let view = |name: &str, query: &str| OrganizeCommand::SaveView {
            id: ViewId::new(),
            user: None,
            view: SaveView { name: name.into(), list: ListName::Vms, query: query.into() },
        };
        organize(&view("Mine", "q=a%20b&tag=env%3Dprod")).expect("a good view");
        refused(view("", ""), "/name");
        refused(view("x", "q=\"><script>"), "/query");
        refused(view("x", &"q".repeat(VIEW_QUERY_MAX + 1)), "/query");
    }
}
