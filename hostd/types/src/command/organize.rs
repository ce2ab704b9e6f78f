//! Commands about how people find things: folders, tags, notes, saved views. No host is asked; all of it is rows.

use crate::*;
use serde::{Deserialize, Serialize};

/// Commands about folders, tags, notes and saved views. All need the level [`LIFE`](crate::LIFE).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizeCommand {
    /// Make a folder.
    CreateFolder {
        /// Its id.
        id: FolderId,
        /// What is asked for.
        folder: CreateFolder,
    },
    /// Rename or move a folder, with everything in it.
    EditFolder {
        /// The folder.
        id: FolderId,
        /// Refuse when its generation is another (`If-Match`).
        expect: Option<u64>,
        /// What changes.
        edit: EditFolder,
    },
    /// Delete a folder; refused while something is in it, unless that moves to the folder above.
    DeleteFolder {
        /// The folder.
        id: FolderId,
        /// What is in it moves to the folder above.
        move_up: bool,
    },
    /// Move a machine into a folder, change its notes, or change the tags of anything that has some. The generation
    /// stays: nothing a guest sees depends on it.
    File {
        /// A machine, volume, image or network.
        kind: Kind,
        /// Its id.
        id: String,
        /// What changes.
        filing: EditFiling,
    },
    /// Save a view; one of the same name and list is replaced.
    SaveView {
        /// Its id, when it is new.
        id: ViewId,
        /// Whose; none for the local console.
        user: Option<UserId>,
        /// What is saved.
        view: SaveView,
    },
    /// Drop a saved view.
    DeleteView {
        /// The view.
        id: ViewId,
        /// Whose it must be.
        user: Option<UserId>,
    },
}

impl OrganizeCommand {
    /// Name of the command in events.
    pub(super) fn name(&self) -> String {
        match self {
            OrganizeCommand::CreateFolder { .. } => "folder.create".into(),
            OrganizeCommand::EditFolder { .. } => "folder.edit".into(),
            OrganizeCommand::DeleteFolder { .. } => "folder.delete".into(),
            OrganizeCommand::File { kind, .. } => format!("{}.file", kind.as_str()),
            OrganizeCommand::SaveView { .. } => "view.save".into(),
            OrganizeCommand::DeleteView { .. } => "view.delete".into(),
        }
    }

    /// What it is about, as far as the command tells.
    pub fn subject(&self) -> Subject {
        let named = |kind, id: &dyn ToString, name: &str| Subject {
            kind,
            id: id.to_string(),
            name: name.chars().take(name::NAME_MAX).collect(),
        };
        match self {
            OrganizeCommand::CreateFolder { id, folder } => named(Kind::Folder, id, &folder.name),
            OrganizeCommand::EditFolder { id, .. } | OrganizeCommand::DeleteFolder { id, .. } => {
                named(Kind::Folder, id, "")
            }
            OrganizeCommand::File { kind, id, .. } => named(*kind, id, ""),
            OrganizeCommand::SaveView { id, view, .. } => named(Kind::View, id, &view.name),
            OrganizeCommand::DeleteView { id, .. } => named(Kind::View, id, ""),
        }
    }
}
