//! `qx cluster neighbours`, and joining one of them by its code.

use super::{Session, Stop, output};
use crate::http::v1::cluster::{JoinTokenText, TypedCode};
use anyhow::anyhow;
use hostd_core::{NeighbourView, NeighboursView};
use hyper::Method;
use serde_json::Value;

/// Looks for neighbours, or lists those that were found.
pub async fn neighbours(session: &Session, close: bool) -> Result<(), Stop> {
    let path = "/api/v1/cluster/neighbours";
    if close {
        session.client.ask::<()>(Method::DELETE, path, None::<&()>).await?;
        output::say!("the search has ended");
        return Ok(());
    }
    let mut answer: Value = session.client.get(path).await?;
    if answer["until"].is_null() {
        answer = session.client.ask(Method::POST, path, None::<&()>).await?;
    }
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let view: NeighboursView = output::typed(answer)?;
    output::facts(view.until.map(|until| ("Until", until.to_string())));
    output::facts(view.code.clone().map(|code| ("Code", code)));
    output::say!("");
    let row = |found: &NeighbourView| {
        let which = if found.same { "a member already" } else { "" };
        [found.name.clone(), found.site.clone(), which.into(), found.host.to_string()]
    };
    output::table(["NAME", "SITE", "", "ID"], view.found.iter().map(row));
    Ok(())
}

/// A join token of the neighbour called `name`, or with that id, for its code.
pub async fn token_of(session: &Session, name: &str, code: String) -> Result<String, Stop> {
    let view: NeighboursView = session.client.get("/api/v1/cluster/neighbours").await?;
    let mut named = view.found.iter().filter(|f| f.name == name || f.host.to_string() == name);
    let found = match (named.next(), named.next()) {
        (Some(found), None) => found,
        (Some(_), Some(_)) => return Err(anyhow!("several neighbours are called {name}; use the id").into()),
        (None, _) => {
            return Err(anyhow!("there is no neighbour {name}; list them with: qx cluster neighbours").into());
        }
    };
    let path = format!("/api/v1/cluster/neighbours/{}/token", found.host);
    let made: JoinTokenText = session.client.ask(Method::POST, &path, Some(&TypedCode { code })).await?;
    Ok(made.text)
}
