//! `qx cluster cpu`: the processor that machines in the CPU mode Flexible see.

use super::lookup::hosts;
use super::{Session, Stop, output};
use crate::http::v1::cpu::ChooseCpu;
use clap::Args;
use hostd_types::{CpuBaseline, HostId};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Args)]
pub struct Given {
    /// Choose a named model that every host can run
    #[arg(long, conflicts_with = "automatic")]
    model: Option<String>,
    /// Let it be the best that all hosts have in common
    #[arg(long)]
    automatic: bool,
}

pub async fn run(session: &Session, Given { model, automatic }: Given) -> Result<(), Stop> {
    const PATH: &str = "/api/v1/cluster/cpu";
    let answer: Value = match model.is_some() || automatic {
        true => session.client.ask(Method::PUT, PATH, Some(&ChooseCpu { model })).await?,
        false => session.client.get(PATH).await?,
    };
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let baseline: CpuBaseline = output::typed(answer)?;
    let names = hosts(session).await?;
    let listed = |ids: &[HostId]| ids.iter().map(|id| names.name(*id)).collect::<Vec<_>>().join(", ");
    let model = baseline.model.as_ref().map_or_else(|| "each host's own".to_owned(), |model| model.label());
    let by = if baseline.chosen.is_some() { "chosen" } else { "automatic" };
    output::facts([("Flexible", format!("{model} ({by})"))]);
    let told = [
        ("Limited by", listed(&baseline.limited_by)),
        ("Can't run it", listed(&baseline.unable)),
        ("Emulate", listed(&baseline.emulating)),
        ("Not told yet", listed(&baseline.untold)),
        ("All can run", baseline.models.join(" ")),
    ];
    output::facts(told.into_iter().filter(|(_, text)| !text.is_empty()));
    Ok(())
}
