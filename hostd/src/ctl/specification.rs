//! `qx specification`: customization specifications.

use super::customize::{self, Guest, put_password};
use super::{Session, Stop, lookup::id, output};
use clap::Subcommand;
use hostd_core::SpecificationView;
use hostd_types::{CopySpecification, Customization};
use hyper::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/specifications";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List them, with how many machines were made with each
    List,
    /// What machines get from one
    Show { id: String },
    /// Make one
    Create {
        name: String,
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        guest: Box<Guest>,
    },
    /// Change one; machines keep what they got
    Edit {
        id: String,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        guest: Box<Guest>,
    },
    /// Make a copy, with its passwords
    Copy { id: String, name: String },
    /// Delete one; machines keep what they got
    Delete { id: String },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    let one =
        async |text: &str| Ok::<_, Stop>(format!("{PATH}/{}", id(session, "specifications", text).await?));
    match verb {
        Verb::List => {
            let page: Value = session.client.get(PATH).await?;
            output::page(session, page, ["NAME", "FOR", "MACHINES", "ID"], |view: SpecificationView| {
                let spec = view.specification.spec;
                let family = if spec.customization.windows.is_some() { "Windows" } else { "Linux" };
                [spec.name, family.into(), view.vms.to_string(), view.specification.id.to_string()]
            })
        }
        Verb::Show { id } => {
            let view: Value = session.client.get(&one(&id).await?).await?;
            if session.json {
                output::json(&view);
                return Ok(());
            }
            let view: SpecificationView = output::typed(view)?;
            let spec = view.specification.spec;
            output::say!("{}: {} machines were made with it", spec.name, view.vms);
            for (what, said) in customize::facts(&spec.customization) {
                output::say!("{what:<14} {said}");
            }
            view.warnings.iter().for_each(|warning| eprintln!("qx: warning: {warning}"));
            Ok(())
        }
        Verb::Create { name, description, guest } => {
            let mut custom = Customization::default();
            let typed = guest.put(&mut custom).await?;
            let mut body = json!({"name": name, "description": description, "customization": custom});
            put_password(&mut body, "/customization", typed);
            told(session, session.client.ask(Method::POST, PATH, Some(&body)).await?)
        }
        Verb::Edit { id, name, description, guest } => {
            let path = one(&id).await?;
            let mut body = json!({});
            for (field, new) in [("name", name), ("description", description)] {
                if let Some(new) = new {
                    body[field] = new.into();
                }
            }
            if !guest.is_empty() {
                let now: Value = session.client.get(&path).await?;
                let mut custom: Customization = output::typed(now["spec"]["customization"].clone())?;
                let typed = guest.put(&mut custom).await?;
                body["customization"] = json!(custom);
                put_password(&mut body, "/customization", typed);
            }
            told(session, session.client.ask(Method::PATCH, &path, Some(&body)).await?)
        }
        Verb::Copy { id, name } => {
            let path = format!("{}/copy", one(&id).await?);
            told(session, session.client.ask(Method::POST, &path, Some(&CopySpecification { name })).await?)
        }
        Verb::Delete { id } => {
            let _: Value = session.client.ask(Method::DELETE, &one(&id).await?, None::<&()>).await?;
            if !session.json {
                output::say!("{id}: deleted");
            }
            Ok(())
        }
    }
}

fn told(session: &Session, view: Value) -> Result<(), Stop> {
    if session.json {
        output::json(&view);
        return Ok(());
    }
    let view: SpecificationView = output::typed(view)?;
    output::say!("{}  {}", view.specification.id, view.specification.spec.name);
    view.warnings.iter().for_each(|warning| eprintln!("qx: warning: {warning}"));
    Ok(())
}
