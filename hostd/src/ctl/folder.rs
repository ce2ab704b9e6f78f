//! `qx folder` and `qx view`

use super::lookup::id;
use super::{Session, Stop, output};
use anyhow::anyhow;
use clap::{Subcommand, ValueEnum};
use hostd_core::FolderView;
use hostd_types::{CreateFolder, EditFolder, FolderId, FolderPlace, ListName, Page, SaveView, SavedView};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List folders with their machines
    List,
    /// Make one
    Create {
        /// Its path, such as /Production/Web; the folders above must be there
        path: String,
    },
    /// Give it another name
    Rename { folder: String, name: String },
    /// Move it, with everything in it, into another folder
    Move {
        folder: String,
        /// The folder it goes into; / is the top
        to: String,
    },
    /// Delete it; machines are never deleted with it
    Delete {
        folder: String,
        /// What is in it moves to the folder above; without this, only an empty folder is deleted
        #[arg(long)]
        move_up: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ListOf {
    Vms,
    Volumes,
    Images,
    Networks,
    Tasks,
    Events,
}

impl ListOf {
    fn name(self) -> ListName {
        match self {
            ListOf::Vms => ListName::Vms,
            ListOf::Volumes => ListName::Volumes,
            ListOf::Images => ListName::Images,
            ListOf::Networks => ListName::Networks,
            ListOf::Tasks => ListName::Tasks,
            ListOf::Events => ListName::Events,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum ViewVerb {
    /// List what you saved
    List,
    /// Save a view; one of the same name and list is replaced
    Save {
        list: ListOf,
        name: String,
        /// Filter and order, as in the list's address: state=running&tag=env%3Dprod
        #[arg(default_value = "")]
        query: String,
    },
    /// Drop one
    Delete { id: String },
}

async fn all(session: &Session) -> Result<Vec<FolderView>, Stop> {
    let page: Page<FolderView> = session.client.get("/api/v1/folders").await?;
    Ok(page.items)
}

/// The place of this path (`/` is the top) or id.
pub async fn place(session: &Session, text: &str) -> Result<FolderPlace, Stop> {
    let path = text.trim_end_matches('/');
    if path.is_empty() {
        return Ok(FolderPlace(None));
    }
    let wanted = format!("/{}", path.trim_start_matches('/'));
    let folders = all(session).await?;
    let found = folders
        .iter()
        .find(|view| view.path.eq_ignore_ascii_case(&wanted) || view.folder.id.to_string() == path);
    match found {
        Some(view) => Ok(FolderPlace(Some(view.folder.id))),
        None => Err(anyhow!("there is no folder {wanted}").into()),
    }
}

async fn folder(session: &Session, text: &str) -> Result<FolderId, Stop> {
    match place(session, text).await? {
        FolderPlace(Some(id)) => Ok(id),
        FolderPlace(None) => Err(anyhow!("the top is no folder").into()),
    }
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List => {
            let page: Value = session.client.get("/api/v1/folders").await?;
            output::page(session, page, ["PATH", "MACHINES", "WITH BELOW", "ID"], |view: FolderView| {
                let [own, all] = [view.vms, view.vms_in_all].map(|n| n.to_string());
                [view.path, own, all, view.folder.id.to_string()]
            })
        }
        Verb::Create { path } => {
            let (above, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", &path));
            let FolderPlace(parent) = place(session, above).await?;
            let body = CreateFolder { name: name.into(), parent };
            told(session, session.client.ask(Method::POST, "/api/v1/folders", Some(&body)).await?)
        }
        Verb::Rename { folder: text, name } => {
            change(session, &text, EditFolder { name: Some(name), parent: None }).await
        }
        Verb::Move { folder: text, to } => {
            let parent = Some(place(session, &to).await?);
            change(session, &text, EditFolder { name: None, parent }).await
        }
        Verb::Delete { folder: text, move_up } => {
            let id = folder(session, &text).await?;
            let path = format!("/api/v1/folders/{id}?move_up={move_up}");
            let _: Value = session.client.ask(Method::DELETE, &path, None::<&()>).await?;
            if !session.json {
                output::say!("{text}: deleted");
            }
            Ok(())
        }
    }
}

async fn change(session: &Session, text: &str, edit: EditFolder) -> Result<(), Stop> {
    let path = format!("/api/v1/folders/{}", folder(session, text).await?);
    told(session, session.client.ask(Method::PATCH, &path, Some(&edit)).await?)
}

fn told(session: &Session, view: Value) -> Result<(), Stop> {
    if session.json {
        output::json(&view);
    } else {
        output::say!("{}", view["path"].as_str().unwrap_or_default());
    }
    Ok(())
}

pub async fn run_view(session: &Session, verb: ViewVerb) -> Result<(), Stop> {
    match verb {
        ViewVerb::List => {
            let page: Value = session.client.get("/api/v1/views").await?;
            output::page(session, page, ["LIST", "NAME", "QUERY", "ID"], |view: SavedView| {
                [view.list.as_str().into(), view.name, view.query, view.id.to_string()]
            })
        }
        ViewVerb::Save { list, name, query } => {
            let body = SaveView { name, list: list.name(), query };
            let view: Value = session.client.ask(Method::POST, "/api/v1/views", Some(&body)).await?;
            if session.json {
                output::json(&view);
            } else {
                output::say!("{}: saved", view["name"].as_str().unwrap_or_default());
            }
            Ok(())
        }
        ViewVerb::Delete { id: text } => {
            let path = format!("/api/v1/views/{}", id(session, "views", &text).await?);
            let _: Value = session.client.ask(Method::DELETE, &path, None::<&()>).await?;
            Ok(())
        }
    }
}
