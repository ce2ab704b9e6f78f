//! `/api/v1/cluster`

use crate::http::answer::{Answer, Tagged};
use crate::http::body::{HostBody, Id, JsonBody, Params};
use crate::http::problem::Refusals;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hostd_core::{
    Admission, AdmissionPreview, AdmissionRequest, Certificates, ClusterView, CodeGrant, CodeProof,
    CodeReply, CodeRequest, Condition, Core, JoinPreview, NeighboursView, NewJoinToken, RenewalAnswer,
    RenewalHello, RenewalNonce, RenewalRequest,
};
use hostd_edge::{Client, Who};
use hostd_types::command::{ClusterCommand, Command};
use hostd_types::{
    ClusterRecord, HostId, HostRole, JOIN_TOKEN_MAX_S, JoinToken, JoinTokenId, Page, Problem, ProblemKind,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use utoipa::{IntoParams, ToSchema};

/// Seconds a join token is valid when nobody says how long.
const JOIN_TOKEN_S: u32 = 3600;

/// Body of `PATCH /api/v1/cluster`; absent fields stay.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EditCluster {
    /// Its name, for people: 1 to 63 printable characters.
    pub name: Option<String>,
    /// Most members that vote: 3, 5 or 7.
    pub voters: Option<u8>,
}

/// Body of `POST /api/v1/cluster/tokens`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreateJoinToken {
    /// Seconds it is valid, 1 to 86400; an hour when absent.
    #[serde(default = "join_token_s")]
    #[schema(minimum = 1, maximum = 86400)]
    pub valid_s: u32,
}

const _: () = assert!(JOIN_TOKEN_MAX_S == 86_400, "the document names the longest time");

fn join_token_s() -> u32 {
    JOIN_TOKEN_S
}

/// Body of `POST /api/v1/cluster/preview`.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct PreviewJoin {
    /// A join token's text, `qxj1_…`.
    pub token: String,
}

/// Body of `POST /api/v1/cluster/join`.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct JoinCluster {
    /// A join token's text, `qxj1_…`.
    pub token: String,
    /// What this host is to be in the cluster for; absent: what its daemon was started as. Anything else is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<HostRole>,
}

/// Body of `POST /api/v1/cluster/leave`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LeaveCluster {
    /// This host's name, to confirm.
    pub confirm: String,
}

/// Body of `POST /api/v1/cluster/recover`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RecoverCluster {
    /// Names of all other hosts: you vouch that they are powered off.
    pub powered_off: Vec<String>,
}

/// Body of `PUT /api/v1/cluster/hosts/{id}/address`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SetPeer {
    /// Where this host reaches it (`address:port`); absent or `null`: where it says itself.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
}

/// Body of `POST /api/v1/cluster/neighbours/{id}/token`.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TypedCode {
    /// The eight digits that the neighbour shows.
    pub code: String,
}

/// A join token as text.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct JoinTokenText {
    /// `qxj1_…`; of use for a preview and for joining.
    pub text: String,
}

/// Body of `POST /api/v1/cluster/rotation/without`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RotateWithout {
    /// The members that are not waited for.
    pub hosts: Vec<HostId>,
}

/// How the host stands to its cluster now; `GET /api/v1/cluster` tells when it has arrived.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// In a word.
    pub condition: Condition,
}

/// The parameters of a removal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RemoveParams {
    /// The host's name, to confirm.
    #[serde(default)]
    pub confirm: String,
}

/// The cluster with its members, as this host sees it
#[utoipa::path(get, path = "/api/v1/cluster", tag = "cluster", responses(
    (status = 200, body = ClusterView), Refusals))]
pub async fn get_cluster(State(core): State<Core>) -> Answer<Json<ClusterView>> {
    Ok(Json(core.cluster_view().await?))
}

/// Change the cluster's name, or how many members vote
#[utoipa::path(patch, path = "/api/v1/cluster", tag = "cluster", request_body = EditCluster, responses(
    (status = 200, body = ClusterRecord), Refusals))]
pub async fn edit_cluster(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(EditCluster { name, voters }): JsonBody<EditCluster>,
) -> Answer<Tagged<ClusterRecord>> {
    core.submit(&ctx, Command::Cluster(ClusterCommand::Edit { name, voters })).await?;
    let moving = || Problem::wrong_state("This host is on its way between two clusters.");
    let cluster = core.cluster_view().await?.cluster.ok_or_else(moving)?;
    Ok(Tagged(cluster.meta.generation, cluster))
}

/// Join tokens that were not taken back, the newest first
#[utoipa::path(get, path = "/api/v1/cluster/tokens", tag = "cluster", responses(
    (status = 200, body = Page<JoinToken>), Refusals))]
pub async fn list_join_tokens(State(core): State<Core>) -> Answer<Json<Page<JoinToken>>> {
    let items = core.join_tokens().await?;
    Ok(Json(Page { total: items.len() as u64, items, next: None }))
}

/// Allow one host to join; the text to carry there is in this answer and never again
#[utoipa::path(post, path = "/api/v1/cluster/tokens", tag = "cluster", request_body = CreateJoinToken, responses(
    (status = 201, body = NewJoinToken), Refusals))]
pub async fn create_join_token(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(body): JsonBody<CreateJoinToken>,
) -> Answer<(StatusCode, Json<NewJoinToken>)> {
    Ok((StatusCode::CREATED, Json(core.create_join_token(&ctx, body.valid_s).await?)))
}

/// Take a join token back that was not used
#[utoipa::path(delete, path = "/api/v1/cluster/tokens/{id}", tag = "cluster", params(("id" = JoinTokenId, Path)),
    responses((status = 204), Refusals))]
pub async fn revoke_join_token(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<JoinTokenId>,
) -> Answer<StatusCode> {
    core.submit(&ctx, Command::Cluster(ClusterCommand::RevokeToken { id })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What joining another cluster would do to this host; changes nothing
#[utoipa::path(post, path = "/api/v1/cluster/preview", tag = "cluster", request_body = PreviewJoin, responses(
    (status = 200, body = JoinPreview), Refusals))]
pub async fn preview_join(
    State(core): State<Core>,
    JsonBody(body): JsonBody<PreviewJoin>,
) -> Answer<Json<JoinPreview>> {
    Ok(Json(core.preview_join(&body.token).await?))
}

/// Join another cluster with everything this host has
#[utoipa::path(post, path = "/api/v1/cluster/join", tag = "cluster", request_body = JoinCluster, responses(
    (status = 202, body = Standing), Refusals))]
pub async fn join_cluster(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(body): JsonBody<JoinCluster>,
) -> Answer<(StatusCode, Json<Standing>)> {
    core.join_cluster(&ctx, &body.token, body.role).await?;
    under_way(&core).await
}

/// Leave the cluster with everything this host has and become a cluster of one
#[utoipa::path(post, path = "/api/v1/cluster/leave", tag = "cluster", request_body = LeaveCluster, responses(
    (status = 202, body = Standing), Refusals))]
pub async fn leave_cluster(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(body): JsonBody<LeaveCluster>,
) -> Answer<(StatusCode, Json<Standing>)> {
    core.leave_cluster(&ctx, &body.confirm).await?;
    under_way(&core).await
}

async fn under_way(core: &Core) -> Answer<(StatusCode, Json<Standing>)> {
    Ok((StatusCode::ACCEPTED, Json(Standing { condition: core.condition().await? })))
}

/// Remove a host that is gone, with the rows of everything on it
#[utoipa::path(delete, path = "/api/v1/cluster/hosts/{id}", tag = "cluster",
    params(("id" = HostId, Path), RemoveParams), responses((status = 204), Refusals))]
pub async fn remove_host(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<HostId>,
    Params(given): Params<RemoveParams>,
) -> Answer<StatusCode> {
    core.remove_host(&ctx, id, &given.confirm).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tell this host alone where another one is, when the cluster does not know
#[utoipa::path(put, path = "/api/v1/cluster/hosts/{id}/address", tag = "cluster", request_body = SetPeer,
    params(("id" = HostId, Path)), responses((status = 204), Refusals))]
pub async fn set_peer(
    State(core): State<Core>,
    Who(ctx): Who,
    Id(id): Id<HostId>,
    JsonBody(SetPeer { address }): JsonBody<SetPeer>,
) -> Answer<StatusCode> {
    core.set_peer(&ctx, id, address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Go on alone when the majority is lost for ever; all other hosts must join again
#[utoipa::path(post, path = "/api/v1/cluster/recover", tag = "cluster", request_body = RecoverCluster, responses(
    (status = 200, body = Standing), Refusals))]
pub async fn recover_cluster(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(body): JsonBody<RecoverCluster>,
) -> Answer<Json<Standing>> {
    core.recover_cluster(&ctx, &body.powered_off).await?;
    Ok(Json(Standing { condition: core.condition().await? }))
}

/// Replace the authority that signs the members' certificates; `GET /api/v1/cluster` tells how far it is
#[utoipa::path(post, path = "/api/v1/cluster/rotation", tag = "cluster", responses(
    (status = 202, body = Certificates), Refusals))]
pub async fn rotate_authority(
    State(core): State<Core>,
    Who(ctx): Who,
) -> Answer<(StatusCode, Json<Certificates>)> {
    Ok((StatusCode::ACCEPTED, Json(core.rotate_authority(&ctx).await?)))
}

/// Go on with that without waiting for some members; each gets a new certificate when it is back
#[utoipa::path(post, path = "/api/v1/cluster/rotation/without", tag = "cluster", request_body = RotateWithout,
    responses((status = 202, body = Certificates), Refusals))]
pub async fn rotate_without(
    State(core): State<Core>,
    Who(ctx): Who,
    JsonBody(RotateWithout { hosts }): JsonBody<RotateWithout>,
) -> Answer<(StatusCode, Json<Certificates>)> {
    Ok((StatusCode::ACCEPTED, Json(core.rotate_without(&ctx, hosts).await?)))
}

/// The search for neighbours on this host's network, and the code it shows
#[utoipa::path(get, path = "/api/v1/cluster/neighbours", tag = "cluster", responses(
    (status = 200, body = NeighboursView), Refusals))]
pub async fn get_neighbours(State(core): State<Core>) -> Answer<Json<NeighboursView>> {
    Ok(Json(core.neighbours().await?))
}

/// Look for neighbours by multicast DNS for ten minutes, and show a code with which one of them may join
#[utoipa::path(post, path = "/api/v1/cluster/neighbours", tag = "cluster", responses(
    (status = 201, body = NeighboursView), Refusals))]
pub async fn open_neighbours(
    State(core): State<Core>,
    Who(ctx): Who,
) -> Answer<(StatusCode, Json<NeighboursView>)> {
    Ok((StatusCode::CREATED, Json(core.open_neighbours(&ctx).await?)))
}

/// End that search; the code is of no use any more
#[utoipa::path(delete, path = "/api/v1/cluster/neighbours", tag = "cluster", responses((status = 204), Refusals))]
pub async fn close_neighbours(State(core): State<Core>) -> Answer<StatusCode> {
    core.close_neighbours();
    Ok(StatusCode::NO_CONTENT)
}

/// A join token of a neighbour's cluster, for the code that the neighbour shows
#[utoipa::path(post, path = "/api/v1/cluster/neighbours/{id}/token", tag = "cluster", request_body = TypedCode,
    params(("id" = HostId, Path)), responses((status = 201, body = JoinTokenText), Refusals))]
pub async fn token_of_neighbour(
    State(core): State<Core>,
    Id(id): Id<HostId>,
    JsonBody(TypedCode { code }): JsonBody<TypedCode>,
) -> Answer<(StatusCode, Json<JoinTokenText>)> {
    Ok((StatusCode::CREATED, Json(JoinTokenText { text: core.token_of_neighbour(id, &code).await? })))
}

/// First half of an exchange about the code that this host shows (asked by a neighbour)
#[utoipa::path(post, path = "/api/v1/cluster/admission/code", tag = "cluster", request_body = CodeRequest,
    security(()), responses((status = 200, body = CodeReply), Refusals))]
pub async fn answer_code(
    State(core): State<Core>,
    HostBody(asked): HostBody<CodeRequest>,
) -> Answer<Json<CodeReply>> {
    Ok(Json(core.answer_code(&asked)?))
}

/// Second half: a join token for who knows the code (asked by a neighbour)
#[utoipa::path(post, path = "/api/v1/cluster/admission/code/proof", tag = "cluster", request_body = CodeProof,
    security(()), responses((status = 200, body = CodeGrant), Refusals))]
pub async fn grant_code(
    State(core): State<Core>,
    HostBody(asked): HostBody<CodeProof>,
) -> Answer<Json<CodeGrant>> {
    Ok(Json(core.grant_code(&asked).await?))
}

/// What the request of a member must name that the others refuse; proves to it that this is a member (asked by that host)
#[utoipa::path(post, path = "/api/v1/cluster/admission/renew/hello", tag = "cluster", request_body = RenewalHello,
    security(()), responses((status = 200, body = RenewalNonce), Refusals))]
pub async fn greet_member(
    State(core): State<Core>,
    client: Client,
    HostBody(asked): HostBody<RenewalHello>,
) -> Answer<Json<RenewalNonce>> {
    Ok(Json(core.greet_member(&asked, Some(network(&client)?))?))
}

/// Another certificate for a member that the others refuse, for instance because its own ended (asked by that host)
#[utoipa::path(post, path = "/api/v1/cluster/admission/renew", tag = "cluster", request_body = RenewalRequest,
    security(()), responses((status = 200, body = RenewalAnswer), Refusals))]
pub async fn renew_member(
    State(core): State<Core>,
    client: Client,
    HostBody(asked): HostBody<RenewalRequest>,
) -> Answer<Json<RenewalAnswer>> {
    Ok(Json(core.renew_member(&asked, Some(network(&client)?)).await?))
}

/// What a host that shows a join token would become here (asked by that host)
#[utoipa::path(post, path = "/api/v1/cluster/admission/preview", tag = "cluster", request_body = AdmissionRequest,
    security(()), responses((status = 200, body = AdmissionPreview), Refusals))]
pub async fn preview_admission(
    State(core): State<Core>,
    client: Client,
    HostBody(asked): HostBody<AdmissionRequest>,
) -> Answer<Json<AdmissionPreview>> {
    Ok(Json(core.preview_admission(&asked, Some(network(&client)?)).await?))
}

/// Take a host in that shows a join token (asked by that host)
#[utoipa::path(post, path = "/api/v1/cluster/admission/join", tag = "cluster", request_body = AdmissionRequest,
    security(()), responses((status = 200, body = Admission), Refusals))]
pub async fn admit_host(
    State(core): State<Core>,
    client: Client,
    HostBody(asked): HostBody<AdmissionRequest>,
) -> Answer<Json<Admission>> {
    Ok(Json(core.admit_host(&asked, Some(network(&client)?)).await?))
}

/// The address a host asks from. Nothing of the host itself can join it, and guesses are counted by address.
fn network(client: &Client) -> Result<IpAddr, Problem> {
    client.address.ok_or_else(|| {
        Problem::new(ProblemKind::Forbidden, "Hosts that want to join ask over the network, by HTTPS.")
    })
}
