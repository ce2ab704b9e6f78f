//! A host on its way: what joining would do, joining, leaving. Afterwards the browser's session is of no use any more: both
//! lead to the login page, which tells how far the host is.

use super::Answer;
use super::cluster::{record, respond};
use crate::error::query_value;
use crate::filters;
use crate::flash::Flash;
use crate::forms::cluster::ClusterForm;
use crate::page::{answer, page};
use crate::submission::Submission;
use crate::visit::{Frame, Layout, Section, Theme};
use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use hostd_core::{Destination, JoinPreview};
use hostd_edge::clear_session_cookie;
use hostd_types::{Clash, HostId};

/// What joining would do.
#[derive(Template)]
#[template(path = "join.html")]
pub(crate) struct JoinPage {
    pub(crate) layout: Layout,
    pub(crate) preview: JoinPreview,
    pub(crate) token: String,
}
page!(JoinPage);

impl JoinPage {
    /// The host gets another name there.
    fn renamed(&self) -> bool {
        self.preview.host.name != self.preview.host.becomes
    }
    /// What comes along: how many of what, and their names.
    fn belongings(&self) -> Vec<(String, String)> {
        let all = &self.preview.belongings;
        let said = |n: usize, one: &str, names: Vec<&str>| (crate::units::count(&n, one), names.join(", "));
        vec![
            said(all.vms.len(), "machine", all.vms.iter().map(|r| r.spec.name.as_str()).collect()),
            said(all.volumes.len(), "volume", all.volumes.iter().map(|r| r.spec.name.as_str()).collect()),
            said(all.images.len(), "image", all.images.iter().map(|r| r.spec.name.as_str()).collect()),
            said(all.networks.len(), "network", all.networks.iter().map(|r| r.spec.name.as_str()).collect()),
        ]
    }
    /// Names that change, but for the host's own, which stands above.
    fn renames(&self) -> impl Iterator<Item = &Clash> {
        let host = &self.preview.host.id;
        self.preview.clashes.iter().filter(move |clash| clash.id != *host)
    }
}

/// In the place of the login page while the host is on its way and nobody can log in. It asks for itself again until the
/// host has arrived.
#[derive(Template)]
#[template(path = "moving.html")]
pub(crate) struct MovingPage {
    pub(crate) layout: Layout,
    /// Name of this host.
    pub(crate) name: String,
    /// It joins; otherwise it leaves.
    pub(crate) joins: bool,
    /// Where to go after logging in.
    pub(crate) next: String,
}
page!(MovingPage);

impl MovingPage {
    /// The page in `frame` of a host on its way to `destination`. What is said on arrival waits for the page after it.
    pub(crate) fn answer(frame: Frame, destination: Destination, next: String) -> Response {
        let joins = destination == Destination::Cluster;
        let (page, title) = if joins { ("joining", "Joining") } else { ("leaving", "Leaving") };
        let layout = Frame { flash: None, ..frame }.layout(page, Section::None, title);
        let mut response = answer(&MovingPage { layout, name: hostd_core::hostname(), joins, next });
        set_cookie(&mut response, &arrived(destination).cookie());
        response
    }
    /// The address that shows this page, or what comes after it.
    fn again(&self) -> String {
        format!("/login?next={}", query_value(&self.next))
    }
}

/// What is said when the host has arrived.
fn arrived(destination: Destination) -> Flash {
    Flash::good(match destination {
        Destination::Cluster => {
            "This host is a member of its cluster now. Log in with the cluster's account."
        }
        Destination::Alone => {
            "This host is a cluster of its own now. Log in with the same name and password as before."
        }
    })
}

/// The answer to whoever sent the host on its way: they are logged out.
fn on_its_way(destination: Destination) -> Response {
    let mut response = arrived(destination).then("/login?next=/cluster");
    set_cookie(&mut response, &clear_session_cookie());
    response
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// `POST /cluster/neighbours`: begins to look for neighbours, or ends it.
pub(crate) async fn neighbours(submission: Submission) -> Response {
    let visit = &submission.visit;
    if submission.fields.text("action") == "close" {
        visit.core.close_neighbours();
        return Flash::good("The search has ended.").then("/cluster#neighbours");
    }
    match visit.core.open_neighbours(&visit.ctx).await {
        Ok(_) => Flash::good("Looking for neighbours for ten minutes.").then("/cluster#neighbours"),
        Err(problem) => submission.refused("/cluster", problem),
    }
}

/// `POST /cluster/neighbours/join`: gets a token for the code that the neighbour shows, and asks what joining would do.
pub(crate) async fn by_code(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = ClusterForm::read(&submission.fields, record(visit)?.as_ref());
    let id: HostId = visit.id("neighbour", &submission.fields.text("neighbour"))?;
    let asked = match visit.core.token_of_neighbour(id, &submission.fields.text("code")).await {
        Ok(token) => visit.core.preview_join(&token).await.map(|preview| (preview, token)),
        Err(problem) => Err(problem),
    };
    match asked {
        Ok((preview, token)) => {
            let layout = visit.layout("join", Section::Cluster, format!("Join {}", preview.name));
            Ok(answer(&JoinPage { layout, preview, token }))
        }
        Err(problem) => respond(visit, Some(form), None, Some(problem)).await,
    }
}

/// `POST /cluster/preview`: asks the token's cluster; changes nothing.
pub(crate) async fn preview(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = ClusterForm::read(&submission.fields, record(visit)?.as_ref());
    match visit.core.preview_join(&form.token).await {
        Ok(preview) => {
            let layout = visit.layout("join", Section::Cluster, format!("Join {}", preview.name));
            Ok(answer(&JoinPage { layout, preview, token: form.token }))
        }
        Err(problem) => respond(visit, Some(form), None, Some(problem)).await,
    }
}

/// `POST /cluster/join`
pub(crate) async fn join(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = ClusterForm::read(&submission.fields, record(visit)?.as_ref());
    match visit.core.join_cluster(&visit.ctx, &form.token, None).await {
        Ok(()) => Ok(on_its_way(Destination::Cluster)),
        Err(problem) => respond(visit, Some(form), None, Some(problem)).await,
    }
}

/// `POST /cluster/leave`
pub(crate) async fn leave(submission: Submission) -> Response {
    let visit = &submission.visit;
    let confirm = submission.fields.text("confirm");
    match visit.core.leave_cluster(&visit.ctx, &confirm).await {
        Ok(()) => on_its_way(Destination::Alone),
        Err(problem) => submission.refused("/cluster", problem),
    }
}
