//! `qx token` and `qx user`

use super::lookup::id;
use super::{Session, Stop, output};
use crate::http::v1::access::GeneratedPassword;
use clap::Subcommand;
use hostd_types::{CreateToken, Token};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// List API tokens
    List,
    /// Make a token and print its secret; it can't be shown again
    Create {
        name: String,
        /// Days it lives, 1 to 365
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// Take one back at once
    Revoke { id: String },
}

#[derive(Debug, Subcommand)]
pub enum UserVerb {
    /// Give the administrator a new, generated password and print it; their sessions end
    ResetPassword,
}

pub async fn run_token(session: &Session, verb: TokenVerb) -> Result<(), Stop> {
    match verb {
        TokenVerb::List => {
            let page: Value = session.client.get("/api/v1/tokens").await?;
            output::page(session, page, ["NAME", "EXPIRES", "ID"], |token: Token| {
                [token.name, token.expires_at.to_string(), token.id.to_string()]
            })
        }
        TokenVerb::Create { name, days } => {
            let body = CreateToken { name, days };
            let made: Value = session.client.ask(Method::POST, "/api/v1/tokens", Some(&body)).await?;
            if session.json {
                output::json(&made);
            } else {
                output::say!("{}", made["secret"].as_str().unwrap_or_default());
            }
            Ok(())
        }
        TokenVerb::Revoke { id: name } => {
            let path = format!("/api/v1/tokens/{}", id(session, "tokens", &name).await?);
            session.client.ask::<()>(Method::DELETE, &path, None::<&()>).await?;
            output::say!("{name}: revoked");
            Ok(())
        }
    }
}

pub async fn run_user(session: &Session, verb: UserVerb) -> Result<(), Stop> {
    match verb {
        UserVerb::ResetPassword => {
            let path = "/api/v1/account/reset-password";
            let new: GeneratedPassword = session.client.ask(Method::POST, path, None::<&()>).await?;
            if session.json {
                output::say!("{}", serde_json::json!({"name": new.name, "password": new.password}));
            } else {
                output::facts([("Name", new.name), ("Password", new.password)]);
            }
            Ok(())
        }
    }
}
