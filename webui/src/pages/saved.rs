//! What stands above every list: saved views; and the tags of what is listed.

use crate::flash::{Flash, local};
use crate::forms::filing::tags_changed;
use crate::submission::Submission;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_types::command::OrganizeCommand;
use hostd_types::*;
use std::collections::BTreeMap;

/// `POST /views`: saves the list's address under a name.
pub(crate) async fn save(submission: Submission) -> Response {
    let fields = &submission.fields;
    let named = fields.text("list");
    let Some(list) = ListName::ALL.into_iter().find(|list| list.as_str() == named) else {
        return submission.refused("/", Problem::field("/list", "There is no such list."));
    };
    let (name, query) = (fields.text("name"), fields.text("query"));
    let back = if query.is_empty() { format!("/{named}") } else { format!("/{named}?{query}") };
    let user = submission.visit.ctx.user();
    let view = SaveView { name, list, query };
    let command = OrganizeCommand::SaveView { id: ViewId::new(), user, view };
    submission.act(Command::Organize(command), local(&back), "The view is saved.").await
}

/// `POST /views/{id}/delete`
pub(crate) async fn delete(Path(id): Path<String>, submission: Submission) -> Response {
    let back = submission.fields.text("back");
    match submission.visit.id("saved view", &id) {
        Ok(id) => {
            let command = OrganizeCommand::DeleteView { id, user: submission.visit.ctx.user() };
            submission.act(Command::Organize(command), local(&back), "The view is deleted.").await
        }
        Err(error) => error.into_response(),
    }
}

/// `POST /tags`: the tags of a volume, image or network, from its row.
pub(crate) async fn tag(submission: Submission) -> Response {
    let fields = &submission.fields;
    let (kind, id) = (fields.text("kind"), fields.text("id"));
    let filed = match kind.as_str() {
        "volume" => labels(&submission, Kind::Volume, &id).await,
        "image" => labels(&submission, Kind::Image, &id).await,
        "network" => labels(&submission, Kind::Network, &id).await,
        _ => Err(Problem::field("/kind", "Volumes, images and networks have their tags here.")),
    };
    let back = format!("/{kind}s");
    let (kind, now) = match filed {
        Ok(filed) => filed,
        Err(problem) => return submission.refused("/", problem),
    };
    let tags = match parse_tags(&fields.text("tags")) {
        Ok(tags) => tags,
        Err(detail) => return Flash::bad(&Problem::field("/set", detail)).then(&back),
    };
    let filing = tags_changed(&now, tags);
    if filing == EditFiling::default() {
        return Flash::good("Nothing was changed.").then(&back);
    }
    let command = OrganizeCommand::File { kind, id, filing };
    submission.act(Command::Organize(command), &back, "The tags are saved.").await
}

async fn labels(
    submission: &Submission,
    kind: Kind,
    id: &str,
) -> Result<(Kind, BTreeMap<String, String>), Problem> {
    let core = &submission.visit.core;
    let unknown = || Problem::not_found(kind.as_str(), id);
    let meta = match kind {
        Kind::Volume => core.volume(id.parse().map_err(|_| unknown())?).await?.volume.meta,
        Kind::Image => core.image(id.parse().map_err(|_| unknown())?).await?.image.meta,
        Kind::Network => core.network(id.parse().map_err(|_| unknown())?).await?.network.meta,
        _ => return Err(unknown()),
    };
    Ok((kind, meta.labels))
}
