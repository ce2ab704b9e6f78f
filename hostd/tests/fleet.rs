//! Several hosts for one test, and the words tests of clusters speak to them in.

use crate::admin::Admin;
use crate::bed::{program, scratch};
use lab::fleet::Fleet;
use std::ops::{Deref, DerefMut};
use tempfile::TempDir;

/// Hosts on one switch; numbered from 0.
pub struct Hosts {
    fleet: Fleet,
    _dir: TempDir,
}

impl Deref for Hosts {
    type Target = Fleet;
    fn deref(&self) -> &Fleet {
        &self.fleet
    }
}

impl DerefMut for Hosts {
    fn deref_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }
}

impl Hosts {
    /// Fresh hosts, each a cluster of one, or `None` where none can be made.
    pub async fn start(count: usize) -> Option<Self> {
        if let Some(why) = Fleet::missing() {
            eprintln!("skipped: {why}");
            return None;
        }
        let dir = scratch();
        let fleet = Fleet::start(&program(), dir.path(), count).await.unwrap();
        Some(Self { fleet, _dir: dir })
    }

    /// The administrator of host `i`, at its console.
    pub fn admin(&self, i: usize) -> Admin {
        Admin::of(self.host(i))
    }
}
