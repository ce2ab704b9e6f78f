//! How often things happened.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Counts by name; all clones count together.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    pub fn add(&self, what: &'static str) {
        self.more(what, 1);
    }

    pub fn more(&self, what: &'static str, often: u64) {
        *self.0.lock().unwrap().entry(what).or_default() += often;
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap().clone()
    }
}
