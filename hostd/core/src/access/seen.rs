//! When each session was last used: in memory, written to the host's own store now and then, never to the log.

use crate::Core;
use hostd_types::*;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell};

/// Key in the host's own store: a JSON object of session id to Unix seconds.
const KEY: &str = "sessions_seen";
/// Written at most this often; a crash loses at most that much idle time.
const WRITE_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Seen {
    at: BTreeMap<SessionId, i64>,
    written: Option<Instant>,
}

/// Last use of the sessions on this host.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    seen: OnceCell<Mutex<Seen>>,
    /// Sessions touched in this very second need no lock of the async kind.
    recent: std::sync::Mutex<BTreeMap<SessionId, i64>>,
}

impl LastSeen {
    async fn load(&self, core: &Core) -> Result<&Mutex<Seen>, Problem> {
        let read = || async {
            let text = core.local().get(KEY).await?.unwrap_or_default();
            let at = serde_json::from_str(&text).unwrap_or_default();
            Ok(Mutex::new(Seen { at, written: None }))
        };
        self.seen.get_or_try_init(read).await
    }

    /// When `session` was last used, if this host knows.
    pub async fn get(&self, core: &Core, session: SessionId) -> Result<Option<Timestamp>, Problem> {
        let seen = self.load(core).await?.lock().await;
        Ok(seen.at.get(&session).map(|at| Timestamp::from_unix(*at)))
    }

    /// `session` is used now.
    pub async fn touch(&self, core: &Core, session: SessionId, now: Timestamp) -> Result<(), Problem> {
        let unix = now.unix();
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.get(&session) == Some(&unix) {
                return Ok(());
            }
            recent.retain(|_, at| *at == unix);
            recent.insert(session, unix);
        }
        let mut seen = self.load(core).await?.lock().await;
        seen.at.insert(session, unix);
        if seen.written.is_some_and(|at| at.elapsed() < WRITE_EVERY) {
            return Ok(());
        }
        seen.at.retain(|_, at| unix.saturating_sub(*at) <= SESSION_IDLE_S);
        seen.written = Some(Instant::now());
        let text = serde_json::to_string(&seen.at)
            .map_err(|e| crate::error::internal("The sessions' last use can't be written", e))?;
        core.local().put(KEY, &text).await
    }
}
