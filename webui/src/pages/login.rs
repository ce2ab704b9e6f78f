//! Logging in and out.

use super::cluster_move::MovingPage;
use crate::error::query_value;
use crate::fields::Fields;
use crate::flash::{Flash, local};
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Frame, Layout, Section, Theme};
use crate::{filters, page::Page as _};
use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use hostd_core::{Caller, Core};
use hostd_edge::{Client, PageForm, Who, clear_session_cookie, session_cookie};
use hostd_types::command::AccessCommand;
use hostd_types::{Command, Credentials};
use serde::Deserialize;

/// The login page.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) name: String,
    pub(crate) next: String,
}
page!(LoginPage, refusal);

/// Where to go after logging in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Next {
    next: String,
}

/// `GET /login`; whoever is logged in goes on. While the host is on its way between two clusters, how far that is.
pub(crate) async fn show(
    State(core): State<Core>,
    Query(query): Query<Next>,
    who: Option<Who>,
    request: Request,
) -> Response {
    let next = local(&query.next).to_owned();
    if who.is_some() {
        return Redirect::to(&next).into_response();
    }
    let (parts, _) = request.into_parts();
    let frame = Frame::anonymous(&parts);
    if let Ok(Some(destination)) = core.destination().await {
        return MovingPage::answer(frame, destination, next);
    }
    let layout = frame.layout("login", Section::None, "Log in");
    answer(&LoginPage { layout, refusal: Refusal::default(), name: String::new(), next })
}

/// `POST /login`
pub(crate) async fn log_in(
    State(core): State<Core>,
    client: Client,
    headers: axum::http::HeaderMap,
    PageForm(pairs): PageForm<Vec<(String, String)>>,
) -> Response {
    let fields = Fields::new(pairs);
    let next = local(fields.find("next").unwrap_or("/")).to_owned();
    let credentials = Credentials { name: fields.text("name"), password: fields.verbatim("password") };
    match core.login(&credentials, client.address, &client.agent).await {
        Ok((_, _, secret)) => match HeaderValue::from_str(&session_cookie(&secret)) {
            Ok(cookie) => ([(SET_COOKIE, cookie)], Redirect::to(&next)).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Err(problem) => {
            let retry = problem.retry_after;
            let theme = axum_extra::extract::CookieJar::from_headers(&headers)
                .get("theme")
                .map(|c| Theme::named(c.value()))
                .unwrap_or_default();
            let frame =
                Frame { theme, path: format!("/login?next={}", query_value(&next)), ..Frame::default() };
            let layout = frame.layout("login", Section::None, "Log in");
            let page = LoginPage { layout, refusal: Refusal(Some(problem)), name: credentials.name, next };
            debug_assert!(page.status().is_client_error() || page.status().is_server_error());
            let mut response = answer(&page);
            if let Some(seconds) = retry {
                response.headers_mut().insert(axum::http::header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
    }
}

/// `POST /logout`
pub(crate) async fn log_out(submission: Submission) -> Response {
    if let Caller::User { session: Some(session), .. } = &submission.visit.ctx.caller {
        let command = Command::Access(AccessCommand::Logout { id: session.id });
        if let Err(problem) = submission.submit(command).await {
            return submission.refused("/", problem);
        }
    }
    let mut response = Flash::good("You are logged out.").then("/login");
    if let Ok(cookie) = HeaderValue::from_str(&clear_session_cookie()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
