//! What a large cluster costs: many members in one process, with the transport that hosts use. The process is an example
//! of the log's crate; it prints what it found, and this names it.

use super::fleet::load;
use super::{Figure, rounded};
use crate::checkout::{Checkout, read};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The figures: reading on one member, and cost of all, idle and at fifty writes a second.
pub const NAMES: [&str; 5] =
    ["read.p50", "hosts100.idle.cpu", "hosts100.idle.mib", "hosts100.write50.cpu", "hosts100.write50.mib"];

/// Runs the example and reads what it prints.
pub fn costs(checkout: &Checkout) -> Result<Vec<Figure>> {
    let words =
        ["run", "-q", "--profile", "image", "--locked", "-p", "hostd-cluster", "--example", "hundred"];
    let told: Value = serde_json::from_str(&read(&mut checkout.cargo(&words))?).context("what it prints")?;
    // What the engine was judged by before it was written: a leader with a hundred members, both ends in one process.
    let goals = [("ms", 0.1), ("%", 1.0), ("MiB", 130.0), ("%", 14.0), ("MiB", 130.0)];
    let figure = |(measure, (unit, goal)): (&'static str, (&'static str, f64))| {
        let value = told[measure].as_f64().with_context(|| format!("{measure} is missing: {told}"))?;
        let detail = json!({"all": told["detail"], "load": load()});
        Ok(Figure { measure, value: rounded(value), unit, goal, detail })
    };
    NAMES.into_iter().zip(goals).map(figure).collect()
}
