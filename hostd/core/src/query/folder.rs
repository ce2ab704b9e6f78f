//! Reads of folders and saved views.

use super::found;
use crate::{Caller, Core, Ctx, FolderView};
use hostd_types::*;
use std::collections::BTreeMap;

impl Core {
    /// All folders as a tree: each after the one above it, by name.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn folders(&self) -> Result<Vec<FolderView>, Problem> {
        let (folders, vms) = (self.store().folders().await?, self.store().vms_by_folder().await?);
        Ok(tree(folders, &vms))
    }

    /// One folder.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn folder(&self, id: FolderId) -> Result<FolderView, Problem> {
        let view = self.folders().await?.into_iter().find(|view| view.folder.id == id);
        found(view, "folder", id)
    }

    /// What the caller likes to see of lists, by list and name.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn views(&self, ctx: &Ctx) -> Result<Vec<SavedView>, Problem> {
        self.store().views(ctx.user()).await
    }
}

impl Ctx {
    /// The person who asks; nobody on the local console.
    pub fn user(&self) -> Option<UserId> {
        match &self.caller {
            Caller::User { user, .. } => Some(user.id),
            Caller::Console | Caller::Host => None,
        }
    }
}

/// Folders in the order of the tree, with paths and counts.
fn tree(folders: Vec<Folder>, vms: &BTreeMap<Option<FolderId>, u64>) -> Vec<FolderView> {
    let mut inside: BTreeMap<Option<FolderId>, Vec<Folder>> = BTreeMap::new();
    for folder in folders {
        inside.entry(folder.spec.parent).or_default().push(folder);
    }
    let mut views = Vec::new();
    grow(&mut inside, vms, None, "", 1, &mut views);
    views
}

/// Adds what is in `parent`; tells the machines there in all. The depth of a tree is limited.
fn grow(
    inside: &mut BTreeMap<Option<FolderId>, Vec<Folder>>,
    vms: &BTreeMap<Option<FolderId>, u64>,
    parent: Option<FolderId>,
    path: &str,
    depth: u32,
    views: &mut Vec<FolderView>,
) -> u64 {
    let mut all = 0;
    for folder in inside.remove(&parent).unwrap_or_default() {
        let (id, path) = (folder.id, format!("{path}/{}", folder.spec.name));
        let own = vms.get(&Some(id)).copied().unwrap_or(0);
        let at = views.len();
        views.push(FolderView { folder, path: path.clone(), depth, vms: own, vms_in_all: own });
        let below = grow(inside, vms, Some(id), &path, depth + 1, views);
        views[at].vms_in_all += below;
        all += own + below;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_paths_and_counts_what_is_below() {
        let folder = |name: &str, parent: Option<FolderId>| Folder {
            id: FolderId::new(),
            meta: Meta::created(Timestamp::now(), &Actor::Console),
            spec: FolderSpec { name: name.into(), parent },
            status: FolderStatus {},
        };
        let lab = folder("Lab", None);
        let prod = folder("Production", None);
        let web = folder("Web tier", Some(prod.id));
        let vms = [(None, 9), (Some(prod.id), 2), (Some(web.id), 3)].into();
        let all = tree(vec![lab, prod, web], &vms);
        let told: Vec<_> = all.iter().map(|v| (v.path.as_str(), v.depth, v.vms, v.vms_in_all)).collect();
        assert_eq!(told, [("/Lab", 1, 0, 0), ("/Production", 1, 2, 5), ("/Production/Web tier", 2, 3, 3)]);
    }
}
