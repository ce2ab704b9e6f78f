//! API tokens of the person who is logged in.

use super::Answer;
use crate::filters;
use crate::forms::token::TokenForm;
use crate::page::{Refusal, answer, page};
use crate::submission::Submission;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use hostd_types::command::AccessCommand;
use hostd_types::{Command, NewToken, Problem, Timestamp, Token, TokenId};

/// The list with the form of a new token, and once its secret.
#[derive(Template)]
#[template(path = "tokens.html")]
pub(crate) struct TokensPage {
    pub(crate) layout: Layout,
    pub(crate) refusal: Refusal,
    pub(crate) tokens: Vec<Token>,
    pub(crate) fresh: Option<NewToken>,
    pub(crate) form: TokenForm,
    pub(crate) now: Timestamp,
}
page!(TokensPage, refusal);

async fn respond(
    visit: &Visit,
    form: TokenForm,
    fresh: Option<NewToken>,
    problem: Option<Problem>,
) -> Answer {
    Ok(answer(&TokensPage {
        layout: visit.layout("tokens", Section::Tokens, "API tokens"),
        refusal: Refusal(problem),
        tokens: visit.core.tokens(&visit.ctx).await.or_page(visit)?,
        fresh,
        form,
        now: Timestamp::now(),
    }))
}

/// `GET /tokens`
pub(crate) async fn show(visit: Visit) -> Answer {
    respond(&visit, TokenForm::default(), None, None).await
}

/// `POST /tokens`: the answer itself shows the secret; no redirect could carry it.
pub(crate) async fn create(submission: Submission) -> Answer {
    let visit = &submission.visit;
    let form = TokenForm::read(&submission.fields);
    let problem = match form.token() {
        Ok(body) => match visit.core.create_token(&visit.ctx, &body).await {
            Ok(fresh) => return respond(visit, TokenForm::default(), Some(fresh), None).await,
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    respond(visit, form, None, Some(problem)).await
}

/// `POST /tokens/{id}/revoke`
pub(crate) async fn revoke(Path(id): Path<String>, submission: Submission) -> Response {
    match submission.visit.id::<TokenId>("token", &id) {
        Ok(id) => {
            let command = Command::Access(AccessCommand::RevokeToken { id });
            submission.act(command, "/tokens", "The token is revoked.").await
        }
        Err(error) => error.into_response(),
    }
}
