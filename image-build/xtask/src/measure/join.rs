//! How long hosts take to become members of a cluster: from the request to a member that has caught up and brought what
//! it has.

use super::fleet::{Bed, PATIENCE, load};
use super::{Figure, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::Instant;

/// Joins a median is taken of.
const RUNS: usize = 7;
/// Machines of the host that brings some.
const MACHINES: usize = 50;

/// An empty host, a host with machines, and three hosts at once.
pub async fn times(checkout: &Checkout) -> Result<Vec<Figure>> {
    Ok(vec![one(checkout).await?, with_machines(checkout).await?, three(checkout).await?])
}

fn is_member(view: &Value) -> bool {
    view["condition"] == "member"
}

/// The sponsor counts `count` members, and each is in the group.
fn counts(view: &Value, count: usize) -> bool {
    let rows = view["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.len() == count && rows.iter().all(|row| row["role"] != "outside")
}

/// Host 1 joins host 0: seconds until the request was answered, and until it is a member.
async fn join(bed: &Bed) -> Result<(f64, f64)> {
    let token = bed.invite(0).await?;
    let begun = Instant::now();
    bed.ask_to_join(1, &token).await?;
    let answered = begun.elapsed().as_secs_f64();
    bed.until(1, "a member", is_member).await?;
    bed.until(0, "the member", |view| counts(view, 2)).await?;
    Ok((answered, begun.elapsed().as_secs_f64()))
}

async fn one(checkout: &Checkout) -> Result<Figure> {
    let bed = Bed::start(checkout, 2).await?;
    let (mut answered, mut runs) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let (answer, all) = join(&bed).await?;
        answered.push(rounded(answer));
        runs.push(rounded(all));
        if run + 1 < RUNS {
            let name = bed.hosts.name(1).to_owned();
            bed.hosts.console(1).post("/api/v1/cluster/leave", &json!({"confirm": name})).await?;
            bed.until(1, "alone", |view| view["condition"] == "alone").await?;
            bed.until(0, "alone", |view| counts(view, 1)).await?;
            bed.is_idle(1).await?;
        }
    }
    let detail = json!({"runs": runs, "answered": answered, "load": load()});
    let value = rounded(quantile(&mut runs.clone(), 0.5));
    Ok(Figure { measure: "join.one", value, unit: "s", goal: 0.5, detail })
}

async fn with_machines(checkout: &Checkout) -> Result<Figure> {
    let bed = Bed::start(checkout, 2).await?;
    bed.machines(1, MACHINES).await?;
    let (answered, member) = join(&bed).await?;
    let page = bed.hosts.console(0).get("/api/v1/vms?limit=500").await?;
    let came = page["items"].as_array().map_or(0, Vec::len);
    ensure!(came == MACHINES, "{came} of {MACHINES} machines came");
    let detail = json!({"machines": MACHINES, "answered": rounded(answered), "load": load()});
    Ok(Figure { measure: "join.vms50", value: rounded(member), unit: "s", goal: 3.0, detail })
}

async fn three(checkout: &Checkout) -> Result<Figure> {
    let bed = Bed::start(checkout, 3).await?;
    let begun = Instant::now();
    let (one, two) = (bed.invite(0).await?, bed.invite(0).await?);
    tokio::try_join!(bed.ask_to_join(1, &one), bed.ask_to_join(2, &two))?;
    let answered = rounded(begun.elapsed().as_secs_f64());
    for i in 1..3 {
        bed.until(i, "a member", is_member).await?;
    }
    for i in 0..3 {
        bed.until(i, "three members", |view| counts(view, 3)).await?;
    }
    let value = rounded(begun.elapsed().as_secs_f64());
    // Who votes is decided later, when members have been reliable for a while.
    bed.until(0, "three voters", |view| super::fleet::voters(view) == 3).await?;
    let voting = rounded(begun.elapsed().as_secs_f64());
    ensure!(begun.elapsed() < PATIENCE, "it took too long");
    let detail = json!({"answered": answered, "all_vote": voting, "load": load()});
    Ok(Figure { measure: "join.three", value, unit: "s", goal: 2.0, detail })
}
