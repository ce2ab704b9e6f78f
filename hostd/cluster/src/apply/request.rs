//! What is remembered of requests, so that each acts once at most, however often and however late it comes.
//!
//! Times in entries are those of their proposers' clocks, and one of them may be years off: no clock alone makes anything
//! forgotten.

use crate::error::StateError;
use crate::remembered::Remembered;
use crate::rows::millis;
use crate::schema;
use hostd_types::{Entry, LEASES, Outcome, Problem};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// How long a request is remembered at least, milliseconds of the entries' own time.
const REMEMBER_MS: i64 = 15 * 60 * 1000;
/// How many entries long at least.
const REMEMBER_ENTRIES: u64 = 10_000;
/// Entries after which what is old is looked for: that reads every request remembered. Of two, the first below the level
/// that knows leases, as older versions do: all must forget at the same entry.
const EVERY: [u64; 2] = [64, 1024];

/// What became of a request.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Refused {
        refused: Problem,
        /// The submission's time.
        at: i64,
        /// Position of the entry.
        index: u64,
    },
    Acted(Remembered),
}

/// The answer to a request that acted already, or that was refused when it was submitted then or later: whoever was told
/// so does not expect a copy that was long on its way to act. One that is submitted again after that is looked at anew.
pub(super) fn recall(db: &Connection, entry: &Entry) -> Result<Option<Result<Outcome, Problem>>, StateError> {
    let kept: Option<String> = db
        .prepare_cached("SELECT outcome FROM request WHERE id = ?1")?
        .query_row([entry.request.to_string()], |r| r.get(0))
        .optional()?;
    let Some(kept) = kept else { return Ok(None) };
    Ok(match serde_json::from_str(&kept)? {
        Kept::Acted(remembered) => Some(remembered.answer(&entry.command)),
        Kept::Refused { refused, at, .. } if millis(entry.at) <= at => Some(Err(refused)),
        Kept::Refused { .. } => None,
    })
}

/// Remembers what a request came to at `index`.
pub(super) fn remember(
    db: &Connection,
    index: u64,
    entry: &Entry,
    result: &Result<Outcome, Problem>,
) -> Result<(), StateError> {
    let at = millis(entry.at);
    let kept = match result {
        Ok(outcome) => Kept::Acted(Remembered::new(&entry.command, outcome.clone())),
        Err(refused) => Kept::Refused { refused: refused.clone(), at, index },
    };
    db.prepare_cached("INSERT OR REPLACE INTO request (id, at, outcome) VALUES (?1, ?2, ?3)")?
        .execute(params![entry.request.to_string(), at, serde_json::to_string(&kept)?])?;
    Ok(())
}

/// Forgets requests that are old both by the time `now` and by the number of entries up to `index`.
pub(super) fn forget(db: &Connection, index: u64, now: i64) -> Result<(), StateError> {
    if !index.is_multiple_of(EVERY[0]) {
        return Ok(());
    }
    let often = schema::level(db)? < LEASES;
    if index.is_multiple_of(EVERY[usize::from(!often)])
        && let Some(before) = index.checked_sub(REMEMBER_ENTRIES)
    {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        // A time that is far ahead comes from a clock that was.
        db.prepare_cached(
            "DELETE FROM request WHERE (at < ?1 OR at > ?2) AND json_extract(outcome, '$.index') < ?3",
        )?
        .execute(params![
            now.saturating_sub(REMEMBER_MS),
            now.saturating_add(REMEMBER_MS),
            before
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::command::*;
    use hostd_types::*;

    const FIRST: i64 = 1_800_000_000;

    #[test]
    fn what_is_old_by_clock_and_by_entries_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let db = schema::open_state(&dir.path().join("state.db")).unwrap();
        let entry = |at| Entry {
            version: ENTRY_VERSION,
            request: RequestId::new(),
            at: Timestamp::from_unix(at),
            by: Actor::Console,
            task: TaskId::new(),
            command: Command::Cluster(ClusterCommand::Raise { level: 1 }),
        };
        let did = |index| Ok(Outcome { index, task: None, subject: None });
        let (old, ahead, refused) = (entry(FIRST), entry(FIRST * 2), entry(FIRST));
        remember(&db, 7, &old, &did(7)).unwrap();
        remember(&db, 7, &ahead, &did(7)).unwrap();
        let no = Err(Problem::new(ProblemKind::Exists, "no"));
        remember(&db, 7, &refused, &no).unwrap();
        let kept = |entry: &Entry| recall(&db, entry).unwrap().is_some();
        let late = (FIRST + 901) * 1000;
        schema::migrate(&db, 1, LEASES).unwrap();
        for (index, now) in [(2048, late), (10_240, FIRST * 1000), (10_241, late), (10_112, late)] {
            forget(&db, index, now).unwrap();
            assert!(kept(&old) && kept(&refused), "entry {index}");
        }
        forget(&db, 10_240, late).unwrap();
        assert!(!kept(&old) && !kept(&ahead) && !kept(&refused));
    }
}
