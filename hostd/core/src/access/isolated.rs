//! Sessions of a host that the others can't be reached from: they live in its memory and open this host alone, so that an
//! administrator is not locked out of the machines that run on it.

use hostd_types::{SecretHash, Session, SessionId};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions kept at most; the oldest go first.
const KEPT: usize = 64;

/// Sessions in memory, by the hash of their secret.
#[derive(Debug, Default)]
pub(crate) struct IsolatedSessions(Mutex<HashMap<SecretHash, Session>>);

impl IsolatedSessions {
    fn all(&self) -> MutexGuard<'_, HashMap<SecretHash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a session.
    pub fn open(&self, secret: SecretHash, session: Session) {
        let mut all = self.all();
        if all.len() >= KEPT {
            let oldest =
                all.iter().min_by_key(|(_, session)| session.created_at).map(|(hash, _)| hash.clone());
            oldest.and_then(|hash| all.remove(&hash));
        }
        all.insert(secret, session);
    }

    /// The session of a secret.
    pub fn get(&self, secret: &SecretHash) -> Option<Session> {
        self.all().get(secret).cloned()
    }

    /// Ends a session; tells whether it was one of these.
    pub fn end(&self, id: SessionId) -> bool {
        let mut all = self.all();
        let before = all.len();
        all.retain(|_, session| session.id != id);
        all.len() < before
    }

    /// Ends all sessions: what they were for is over, or their password is another one.
    pub fn clear(&self) {
        self.all().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::{Timestamp, UserId};

    fn session(at: i64) -> Session {
        Session {
            id: SessionId::new(),
            user: UserId::new(),
            created_at: Timestamp::from_unix(at),
            expires_at: Timestamp::from_unix(at + 100),
            address: String::new(),
            agent: String::new(),
        }
    }

    #[test]
    fn the_oldest_sessions_go_first() {
        let sessions = IsolatedSessions::default();
        for n in 0..70 {
            sessions.open(SecretHash(n.to_string()), session(n));
        }
        assert!(sessions.get(&SecretHash("0".into())).is_none());
        let last = sessions.get(&SecretHash("69".into())).expect("kept");
        assert!(sessions.end(last.id) && !sessions.end(last.id));
        sessions.clear();
        assert!(sessions.get(&SecretHash("68".into())).is_none());
    }
}
