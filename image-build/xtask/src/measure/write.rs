//! What writing costs in a cluster of three hosts: requests over HTTPS, entries over TLS with certificates on both sides,
//! fsync on each.

use super::fleet::{Bed, load};
use super::{Figure, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::Result;
use hyper::Method;
use lab::http::Http;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Writes of one client that are timed, after a tenth as many that are not.
const WRITES: usize = 600;
/// Clients that write at the same time.
const CLIENTS: usize = 64;
/// How long they write.
const PERIOD: Duration = Duration::from_secs(5);

/// What is written.
#[derive(Debug, Clone)]
enum What {
    /// A row that no host acts on: what writing costs.
    Row,
    /// The description of this machine, which its host looks at then.
    Machine(String),
}

impl What {
    async fn write(&self, http: &mut Http, n: u64) -> Result<()> {
        match self {
            Self::Row => {
                let token = json!({});
                http.send(Method::POST, "/api/v1/cluster/tokens", Some(&token)).await?.success().map(drop)
            }
            Self::Machine(vm) => write(http, vm, &n.to_string()).await,
        }
    }
}

/// One client at the leader and at a follower, then many at the leader.
pub async fn times(checkout: &Checkout) -> Result<Vec<Figure>> {
    let bed = Bed::joined(checkout, 3).await?;
    let secret = bed.secret().await?;
    let leader = bed.leader().await?;
    let follower = (leader + 1) % 3;
    let vm = What::Machine(bed.machine(leader, "one").await?);
    bed.is_idle(leader).await?;
    let at_leader = one(&bed, leader, &secret, &What::Row).await?;
    let at_follower = one(&bed, follower, &secret, &What::Row).await?;
    let of_machine = rounded(quantile(&mut one(&bed, leader, &secret, &vm).await?, 0.5));
    let rows = vec![What::Row; CLIENTS];
    let (rate, rate_follower) =
        (many(&bed, leader, &secret, rows.clone()).await?, many(&bed, follower, &secret, rows).await?);
    let machines = bed.machines(leader, CLIENTS).await?.into_iter().map(What::Machine).collect();
    let rate_machines = many(&bed, leader, &secret, machines).await?;
    let ms = |measure, mut samples: Vec<f64>, share, who: &str| Figure {
        measure,
        value: rounded(quantile(&mut samples, share)),
        unit: "ms",
        goal: 2.0,
        detail: json!({"writes": WRITES, "at": who, "what": "POST of a join token", "load": load(),
            "patch_of_a_machine_p50_at_the_leader": of_machine}),
    };
    Ok(vec![
        ms("write3.p50", at_leader.clone(), 0.5, "the leader"),
        ms("write3.p99", at_leader, 0.99, "the leader"),
        ms("write3.follower.p50", at_follower.clone(), 0.5, "a follower"),
        ms("write3.follower.p99", at_follower, 0.99, "a follower"),
        Figure {
            measure: "write3.rate64",
            value: rate.round(),
            unit: "1/s",
            goal: 5000.0,
            detail: json!({"clients": CLIENTS, "at_a_follower": rate_follower.round(),
                "patches_of_machines_at_the_leader": rate_machines.round(), "load": load(),
                "note": "clients and three hosts share this machine"}),
        },
    ])
}

/// One write; acknowledged when it returns.
pub async fn write(http: &mut Http, vm: &str, text: &str) -> Result<()> {
    let body = json!({"description": text});
    http.send(Method::PATCH, &format!("/api/v1/vms/{vm}"), Some(&body)).await?.success().map(drop)
}

/// Milliseconds of each write of one client at host `i`.
async fn one(bed: &Bed, i: usize, secret: &str, what: &What) -> Result<Vec<f64>> {
    let mut http = bed.client(i, secret);
    let mut samples = Vec::with_capacity(WRITES);
    for n in 0..WRITES + WRITES / 10 {
        let begun = Instant::now();
        what.write(&mut http, n as u64).await?;
        if n >= WRITES / 10 {
            samples.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(samples)
}

/// Writes per second of many clients at host `i`, each of its own thing.
async fn many(bed: &Bed, i: usize, secret: &str, things: Vec<What>) -> Result<f64> {
    let mut clients = JoinSet::new();
    let begun = Instant::now();
    for what in things {
        let mut http = bed.client(i, secret);
        clients.spawn(async move {
            let mut written = 0_u64;
            while begun.elapsed() < PERIOD {
                what.write(&mut http, written).await?;
                written += 1;
            }
            anyhow::Ok(written)
        });
    }
    let mut all = 0;
    while let Some(written) = clients.join_next().await {
        all += written??;
    }
    Ok(all as f64 / begun.elapsed().as_secs_f64())
}
