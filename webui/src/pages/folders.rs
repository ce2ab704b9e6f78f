//! Folders: the tree, and one folder with the forms that change it.

use super::Answer;
use crate::filters;
use crate::flash::Flash;
use crate::forms::filing::options;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_core::FolderView;
use hostd_types::command::OrganizeCommand;
use hostd_types::{Command, CreateFolder, EditFolder, FolderId, FolderPlace, Problem};

/// The tree with the form of a new folder.
#[derive(Template)]
#[template(path = "folders.html")]
pub(crate) struct FoldersPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) folders: Vec<FolderView>,
    /// Name and folder above, as typed.
    pub(crate) form: (String, String),
    /// Folders to choose from.
    pub(crate) places: Vec<(String, String)>,
}
page!(FoldersPage, refusal);

/// One folder.
#[derive(Template)]
#[template(path = "folder.html")]
pub(crate) struct FolderPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) view: FolderView,
    /// Folders in it.
    pub(crate) inside: u64,
    /// Name and folder above, as typed.
    pub(crate) form: (String, String),
    /// Folders it may move into.
    pub(crate) places: Vec<(String, String)>,
}
page!(FolderPage, refusal);

fn above(text: &str) -> Result<Option<FolderId>, Problem> {
    match text {
        "" => Ok(None),
        id => id.parse().map(Some).map_err(|_| Problem::field("/parent", "Choose a folder.")),
    }
}

async fn tree(visit: &Visit, form: (String, String), problem: Option<Problem>) -> Answer {
    let folders = visit.core.folders().await.or_page(visit)?;
    let layout = visit.layout("folders", Section::Vms, "Folders").watching("folder vm");
    let places = options(&folders);
    Ok(answer(&FoldersPage { layout, refusal: Refusal(problem), folders, form, places }))
}

/// `GET /folders`
pub(crate) async fn show(visit: Visit) -> Answer {
    tree(&visit, Default::default(), None).await
}

/// `POST /folders`
pub(crate) async fn create(submission: Submission) -> Answer {
    let form = (submission.fields.text("name"), submission.fields.text("parent"));
    let problem = match above(&form.1) {
        Ok(parent) => {
            let folder = CreateFolder { name: form.0.clone(), parent };
            let command = OrganizeCommand::CreateFolder { id: FolderId::new(), folder };
            match submission.submit(Command::Organize(command)).await {
                Ok(_) => return Ok(Flash::good(format!("{} is made.", form.0)).then("/folders")),
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    tree(&submission.visit, form, Some(problem)).await
}

async fn one(
    visit: &Visit,
    id: FolderId,
    form: Option<(String, String)>,
    problem: Option<Problem>,
) -> Answer {
    let folders = visit.core.folders().await.or_page(visit)?;
    let Some(at) = folders.iter().position(|view| view.folder.id == id) else {
        return Err(visit.failed(Problem::not_found("folder", id)));
    };
    let view = folders[at].clone();
    // What is below follows it, deeper than it is.
    let below = folders[at + 1..].iter().take_while(|other| other.depth > view.depth).count();
    let inside = folders.iter().filter(|other| other.folder.spec.parent == Some(id)).count() as u64;
    let mut places = options(&folders);
    places.drain(at..=at + below);
    let form = form.unwrap_or_else(|| {
        let parent = view.folder.spec.parent.map(|id| id.to_string()).unwrap_or_default();
        (view.folder.spec.name.clone(), parent)
    });
    let layout = visit.layout("folder", Section::Vms, format!("{} · Folder", view.folder.spec.name));
    Ok(answer(&FolderPage { layout, refusal: Refusal(problem), view, inside, form, places }))
}

/// `GET /folders/{id}`
pub(crate) async fn show_one(visit: Visit, Path(id): Path<String>) -> Answer {
    let id = visit.id("folder", &id)?;
    one(&visit, id, None, None).await
}

/// `POST /folders/{id}`: another name, another place.
pub(crate) async fn edit(Path(id): Path<String>, submission: Submission) -> Answer {
    let visit = &submission.visit;
    let id: FolderId = visit.id("folder", &id)?;
    let form = (submission.fields.text("name"), submission.fields.text("parent"));
    let problem = match above(&form.1) {
        Ok(parent) => {
            let edit = EditFolder { name: Some(form.0.clone()), parent: Some(FolderPlace(parent)) };
            let expect = submission.fields.parsed("generation");
            let command = OrganizeCommand::EditFolder { id, expect, edit };
            match submission.submit(Command::Organize(command)).await {
                Ok(_) => return Ok(Flash::good("Saved.").then(&format!("/folders/{id}"))),
                Err(problem) => problem,
            }
        }
        Err(problem) => problem,
    };
    one(visit, id, Some(form), Some(problem)).await
}

/// `POST /folders/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Response {
    let id: FolderId = match submission.visit.id("folder", &id) {
        Ok(id) => id,
        Err(error) => return error.into_response(),
    };
    let move_up = submission.fields.text("content") == "move_up";
    let command = OrganizeCommand::DeleteFolder { id, move_up };
    match submission.submit(Command::Organize(command)).await {
        Ok(_) => Flash::good("The folder is deleted; no machine was.").then("/folders"),
        Err(problem) => submission.refused(&format!("/folders/{id}"), problem),
    }
}
