//! Keeps what some member does not know out of the log, while versions are mixed.

use crate::engine::Engine;
use crate::error::{StateError, read_failed};
use crate::membership;
use crate::schema;
use hostd_types::{Command, FEDERATION, Problem, behind};
use rusqlite::Connection;

/// Refuses a command of a level that the state does not have, and takes fields out that are too new for it. The level never
/// falls in a group, so what is written later than it was read fits all the more.
///
/// # Errors
/// `WrongState`, naming the hosts that keep the level down; that the state can't be read.
pub(crate) async fn check(engine: &Engine, command: &mut Command) -> Result<(), Problem> {
    let needs = command.level();
    let mut without = command.clone();
    without.fit(FEDERATION);
    if needs <= FEDERATION && without == *command {
        // Whoever is in one group with others knows this.
        return Ok(());
    }
    let looked = engine.state().writer.run(move |db| Ok((schema::level(db)?, refusal(db, needs)?))).await;
    let (level, refusal) = looked.map_err(read_failed)?;
    command.fit(level);
    refusal.map_or(Ok(()), Err)
}

/// Why a command of the level `needs` is refused, if it is.
pub(crate) fn refusal(db: &Connection, needs: u16) -> Result<Option<Problem>, StateError> {
    let level = schema::level(db)?;
    if level >= needs {
        return Ok(None);
    }
    let behind = behind(&membership::all(db)?, needs);
    let detail = if behind.is_empty() {
        format!(
            "This needs level {needs}, and the state has level {level} yet. Every host knows more; try again."
        )
    } else {
        format!(
            "This needs level {needs}, and the cluster stays at level {level} because of {behind}. Update what is older, or \
             remove it if it is gone for good; the level then rises by itself."
        )
    };
    Ok(Some(Problem::wrong_state(detail)))
}
