//! `/api/v1/networks`

use crate::http::answer::{Accepted, Answer, Tagged};
use crate::http::body::{Id, Params, Placed};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use hostd_core::{Aged, Core, NetworkView};
use hostd_edge::Who;
use hostd_types::command::{Command, NetworkCommand};
use hostd_types::{CreateNetwork, ListParams, NetworkId, Page};

/// Networks
#[utoipa::path(get, path = "/api/v1/networks", tag = "networks", params(ListParams), responses(
    (status = 200, body = Page<Aged<NetworkView>>), Refusals))]
pub async fn list_networks(
    State(core): State<Core>,
    Params(list): Params<ListParams>,
) -> Answer<Json<Page<Aged<NetworkView>>>> {
    Ok(Json(core.aged_page(core.networks(&list).await?, |view| view.network.spec.host).await?))
}

/// Make a network
#[utoipa::path(post, path = "/api/v1/networks", tag = "networks", request_body = Placed<CreateNetwork>, responses(
    (status = 202, body = Accepted), Refusals))]
pub async fn create_network(
    State(core): State<Core>,
    Who(ctx): Who,
    placed: Placed<CreateNetwork>,
) -> Answer<Accepted> {
    let (host, network) = placed.resolve(&core).await?;
    let command = Command::Network(NetworkCommand::Create { id: NetworkId::new(), host, network });
    core.submit(&ctx, command).await?.try_into()
}

/// One network with its leases
#[utoipa::path(get, path = "/api/v1/networks/{id}", tag = "networks", params(("id" = NetworkId, Path)), responses(
    (status = 200, body = Aged<NetworkView>), Refusals))]
pub async fn get_network(
    State(core): State<Core>,
    Id(id): Id<NetworkId>,
) -> Answer<Tagged<Aged<NetworkView>>> {
    let view = core.network(id).await?;
    let (generation, host) = (view.network.meta.generation, view.network.spec.host);
    Ok(Tagged(generation, core.aged(view, host).await?))
}

/// Delete a network no machine is plugged into
#[utoipa::path(delete, path = "/api/v1/networks/{id}", tag = "networks", params(("id" = NetworkId, Path)), responses(
    (status = 202, body = Accepted), Refusals))]
pub async fn delete_network(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<NetworkId>,
) -> Answer<Accepted> {
    core.submit(&ctx, Command::Network(NetworkCommand::Delete { id })).await?.try_into()
}
