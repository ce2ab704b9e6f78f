//! Tables, and the API's JSON as it is.

use super::lookup::{Hosts, host, hosts};
use super::{Session, Stop};
use crate::client::Failure;
use hostd_core::{Aged, Silence};
use hostd_types::{ListParams, PAGE_MAX, Page};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{ErrorKind, Write};

/// Prints a line.
macro_rules! say {
    ($($text:tt)*) => { $crate::ctl::output::line(format_args!($($text)*)) };
}
pub(super) use say;

/// Prints a line. Whoever reads the output may have seen enough, as `head` does: then this program ends, quietly.
pub fn line(text: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = writeln!(out, "{text}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("qx: the output can't be written: {error}");
    std::process::exit(1);
}

/// Prints rows under headings, each column as wide as its widest cell.
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(printable)).collect();
    let width = |i: usize| {
        rows.iter().map(|r| r[i].chars().count()).chain([headings[i].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}")).collect();
        say!("{}", padded.join("  ").trim_end());
    };
    line(headings);
    for row in &rows {
        line(row.each_ref().map(String::as_str));
    }
}

/// Prints `label: value` lines.
pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, String)>) {
    for (label, value) in facts {
        say!("{:<14} {}", format!("{label}:"), printable(value));
    }
}

/// What was so of something on a host, and how long ago when that host does not answer now.
pub fn aged(state: &str, silent: Option<Silence>) -> String {
    match silent {
        None => state.to_owned(),
        Some(Silence { seen_s: Some(seconds), .. }) => format!("was {state}, {seconds} s ago"),
        Some(Silence { seen_s: None, .. }) => format!("was {state}, not seen since"),
    }
}

/// Prints the API's answer as it came.
pub fn json(value: &Value) {
    say!("{value:#}");
}

/// Reads a part of an answer as one of the product's types.
pub fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Stop> {
    serde_json::from_value(value).map_err(|e| Failure::Unclear(e.into()).into())
}

/// Text of others must not steer the terminal.
fn printable(text: String) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reads the rows of a collection, page after page, as one page.
pub async fn list(session: &Session, collection: &str, params: &ListParams) -> Result<Value, Stop> {
    let mut params = params.clone();
    let mut rows = Vec::new();
    let wanted = params.limit() as usize;
    loop {
        let query = serde_urlencoded::to_string(&params).map_err(|e| Failure::Unclear(e.into()))?;
        let mut page: Value = session.client.get(&format!("/api/v1/{collection}?{query}")).await?;
        if let Some(items) = page["items"].as_array_mut() {
            rows.append(items);
        }
        params.cursor = page["next"].as_str().map(str::to_owned);
        if params.cursor.is_none() || wanted < PAGE_MAX as usize {
            page["items"] = Value::Array(rows);
            return Ok(page);
        }
    }
}

/// Prints a whole collection, or what is on the host `on`, as [`page`] does. `row` gets the hosts, for their names.
pub async fn listed<T: DeserializeOwned, const N: usize>(
    session: &Session,
    collection: &str,
    on: Option<&str>,
    headings: [&str; N],
    row: impl Fn(&Hosts, Aged<T>) -> [String; N],
) -> Result<(), Stop> {
    let host = host(session, on).await?;
    let params = ListParams { limit: Some(PAGE_MAX), host, ..ListParams::default() };
    let rows = list(session, collection, &params).await?;
    let hosts = hosts(session).await?;
    page(session, rows, headings, |aged| row(&hosts, aged))
}

/// Prints a page of a collection: as JSON, or a row each.
pub fn page<T: DeserializeOwned, const N: usize>(
    session: &Session,
    page: Value,
    headings: [&str; N],
    row: impl Fn(T) -> [String; N],
) -> Result<(), Stop> {
    if session.json {
        json(&page);
        return Ok(());
    }
    let page: Page<T> = typed(page)?;
    table(headings, page.items.into_iter().map(row));
    Ok(())
}
