//! The person who is logged in: password, session, colours.

use super::Answer;
use crate::filters;
use crate::flash::{Flash, local};
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, Section, Theme, Visit};
use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::{IntoResponse, Redirect, Response};
use hostd_core::Caller;
use hostd_types::{PASSWORD_MIN, Problem, Session};

/// The page.
#[derive(Template)]
#[template(path = "account.html")]
pub(crate) struct AccountPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) name: String,
    pub(crate) initial_password: bool,
    pub(crate) session: Option<Session>,
}
page!(AccountPage, refusal);

fn page_of(visit: &Visit, problem: Option<Problem>) -> AccountPage {
    let (name, initial_password, session) = match &visit.ctx.caller {
        Caller::User { user, session, .. } => (user.name.clone(), user.initial_password, session.clone()),
        Caller::Console => ("root on the local console".into(), false, None),
        Caller::Host => ("host".into(), false, None),
    };
    let layout = visit.layout("account", Section::Account, "Account");
    AccountPage { layout, refusal: Refusal(problem), name, initial_password, session }
}

/// `GET /account`
pub(crate) async fn show(visit: Visit) -> Answer {
    Ok(answer(&page_of(&visit, None)))
}

/// `POST /account/password`
pub(crate) async fn change_password(submission: Submission) -> Response {
    let visit = &submission.visit;
    let [current, new, again] = ["current", "new", "again"].map(|name| submission.fields.verbatim(name));
    let problem = if new == again {
        match visit.core.change_password(&visit.ctx, &current, &new).await {
            Ok(()) => {
                return Flash::good(
                    "The password is changed; your other sessions are ended. API tokens stay valid.",
                )
                .then("/account");
            }
            Err(problem) => problem,
        }
    } else {
        Problem::field("/again", "The two new passwords differ.")
    };
    answer(&page_of(visit, Some(problem)))
}

/// `POST /account/theme`: the choice is a cookie of this browser, for a year.
pub(crate) async fn choose_theme(submission: Submission) -> Response {
    let theme = Theme::named(&submission.fields.text("theme"));
    let cookie =
        format!("theme={}; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax", theme.as_str());
    let mut response = Redirect::to(local(&submission.fields.text("next"))).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
