//! One way to page through any table: filter, order, cursor.

use crate::error::read_failed;
use crate::rows::Sort;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hostd_types::{FolderPlace, ListParams, Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row, SqlitePool};

/// What is listed. All texts are constants of this crate; what a client sends is only ever bound.
pub(crate) struct Listing<'a> {
    pub(crate) table: &'static str,
    /// Columns to select.
    pub(crate) columns: &'static str,
    /// Key column that settles equal sort values.
    pub(crate) key: &'static str,
    /// Column [`ListParams::state`] compares with.
    pub(crate) state: Option<&'static str>,
    /// Column [`ListParams::host`] compares with.
    pub(crate) host: Option<&'static str>,
    /// Rows have tags, in the column `meta`.
    pub(crate) tags: bool,
    /// Rows are in folders, by the column `spec`.
    pub(crate) folders: bool,
    pub(crate) sorts: &'static [Sort],
    /// Descending when the client names no order.
    pub(crate) newest_first: bool,
    /// Only rows with this value in this column.
    pub(crate) only: Option<(&'static str, &'a str)>,
}

/// The folder of a machine, as the index has it.
const FOLDER: &str = "json_extract(spec, '$.filing.folder')";
/// What says that a machine is a template, as the index has it; nothing says that it is none.
const TEMPLATE: &str = "json_extract(spec, '$.lineage.template')";
/// A folder and all below it.
const BELOW: &str = "WITH RECURSIVE tree (id) AS (VALUES (?) UNION ALL SELECT folder.id FROM folder \
                     JOIN tree ON folder.parent = tree.id) SELECT id FROM tree";

/// Rows of one page.
pub(crate) struct Rows {
    pub(crate) rows: Vec<SqliteRow>,
    pub(crate) total: u64,
    pub(crate) next: Option<String>,
}

/// Where a page ended.
#[derive(Serialize, Deserialize)]
struct Cursor {
    sort: String,
    desc: bool,
    value: String,
    key: String,
}

impl Cursor {
    fn parse(text: &str, sort: &Sort, desc: bool) -> Result<Self, Problem> {
        let bad = || {
            Problem::new(
                ProblemKind::BadRequest,
                "The cursor is not one of this list; begin with its first page.",
            )
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| bad())?;
        let number = !sort.integer || cursor.value.parse::<i64>().is_ok();
        if cursor.sort == sort.wire && cursor.desc == desc && number { Ok(cursor) } else { Err(bad()) }
    }

    fn text(&self) -> Result<String, Problem> {
        serde_json::to_vec(self).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)).map_err(read_failed)
    }
}

/// `text` as the middle of a LIKE pattern with `\` as the escape.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Conditions of tags, templates and folders, each with what is bound in it.
fn filing(listing: &Listing<'_>, params: &ListParams) -> Result<Vec<(String, Vec<String>)>, Problem> {
    let mut conditions = Vec::new();
    let tags = if listing.tags { params.tags()? } else { Vec::new() };
    for tag in tags {
        // A key has no quotes in it.
        let label = format!("$.labels.\"{}\"", tag.key);
        conditions.push(match tag.value {
            None => ("json_type(meta, ?) IS NOT NULL".into(), vec![label]),
            Some(value) => ("json_extract(meta, ?) = ?".into(), vec![label, value]),
        });
    }
    if let (true, Some(template)) = (listing.folders, params.template) {
        conditions
            .push((format!("{TEMPLATE} IS {}", if template { "NOT NULL" } else { "NULL" }), Vec::new()));
    }
    if let (true, Some(FolderPlace(place))) = (listing.folders, params.folder) {
        match place.map(|id| id.to_string()) {
            // Everything is below the top.
            None if params.below => {}
            None => conditions.push((format!("{FOLDER} IS NULL"), Vec::new())),
            Some(id) if params.below => conditions.push((format!("{FOLDER} IN ({BELOW})"), vec![id])),
            Some(id) => conditions.push((format!("{FOLDER} = ?"), vec![id])),
        }
    }
    Ok(conditions)
}

/// The page that `params` asks for.
pub(crate) async fn page(
    pool: &SqlitePool,
    listing: &Listing<'_>,
    params: &ListParams,
) -> Result<Rows, Problem> {
    let sort = match &params.sort {
        None => listing.sorts.first(),
        Some(wire) => listing.sorts.iter().find(|s| s.wire == wire),
    };
    let sort = sort.ok_or_else(|| {
        let known: Vec<&str> = listing.sorts.iter().map(|s| s.wire).collect();
        Problem::field("/sort", format!("This list can be ordered by {}.", known.join(", ")))
    })?;
    let desc = params.desc || (params.sort.is_none() && listing.newest_first);
    let cursor = params.cursor.as_deref().map(|c| Cursor::parse(c, sort, desc)).transpose()?;

    let mut wheres = Vec::new();
    let mut values = SqliteArguments::default();
    let mut bind = |value: String| values.add(value).map_err(read_failed);
    if let Some((column, value)) = listing.only {
        wheres.push(format!("{column} = ?"));
        bind(value.into())?;
    }
    if let Some(q) = params.q.as_deref().filter(|q| !q.is_empty()) {
        wheres.push("name LIKE ? ESCAPE '\\'".into());
        bind(containing(q))?;
    }
    if let (Some(column), Some(state)) = (listing.state, params.state.as_deref().filter(|s| !s.is_empty())) {
        wheres.push(format!("{column} = ?"));
        bind(state.into())?;
    }
    if let (Some(column), Some(host)) = (listing.host, params.host) {
        wheres.push(format!("{column} = ?"));
        bind(host.to_string())?;
    }
    for (condition, bound) in filing(listing, params)? {
        wheres.push(condition);
        bound.into_iter().try_for_each(&mut bind)?;
    }
    let filter = if wheres.is_empty() { String::new() } else { format!(" WHERE {}", wheres.join(" AND ")) };
    let table = listing.table;
    let count = format!("SELECT count(*) FROM {table}{filter}");
    let count = sqlx::query_with(AssertSqlSafe(count), values.clone());
    let total: i64 = count.fetch_one(pool).await.and_then(|row| row.try_get(0)).map_err(read_failed)?;

    let (order, beyond) = if desc { ("DESC", "<") } else { ("ASC", ">") };
    let (column, key) = (sort.column, listing.key);
    if let Some(cursor) = cursor {
        wheres.push(format!("({column}, {key}) {beyond} (?, ?)"));
        let failed = match (sort.integer, cursor.value.parse::<i64>()) {
            (true, Ok(number)) => values.add(number),
            (true, Err(_)) | (false, _) => values.add(cursor.value),
        };
        failed.and_then(|()| values.add(cursor.key)).map_err(read_failed)?;
    }
    let filter = if wheres.is_empty() { String::new() } else { format!(" WHERE {}", wheres.join(" AND ")) };
    let limit = params.limit() as usize;
    values.add(i64::from(params.limit()) + 1).map_err(read_failed)?;
    let select = format!(
        "SELECT {}, CAST({column} AS TEXT) AS sort_value, CAST({key} AS TEXT) AS sort_key \
         FROM {table}{filter} ORDER BY {column} {order}, {key} {order} LIMIT ?",
        listing.columns
    );
    let mut rows =
        sqlx::query_with(AssertSqlSafe(select), values).fetch_all(pool).await.map_err(read_failed)?;
    let mut next = None;
    if rows.len() > limit {
        rows.truncate(limit);
        if let Some(last) = rows.last() {
            let value = last.try_get("sort_value").map_err(read_failed)?;
            let key = last.try_get("sort_key").map_err(read_failed)?;
            next = Some(Cursor { sort: sort.wire.into(), desc, value, key }.text()?);
        }
    }
    Ok(Rows { rows, total: total.unsigned_abs(), next })
}
