//! Places for connections: nobody takes them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places, counted by who takes them.
pub(crate) struct Places<K> {
    taken: Mutex<HashMap<K, usize>>,
    each: usize,
    all: usize,
}

/// A place; free again when dropped.
pub(crate) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    key: K,
}

impl<K: Eq + Hash + Copy> Places<K> {
    /// So many for each, and so many for all together.
    pub fn new(each: usize, all: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), each, all })
    }

    /// A place for `key`, unless it has too many or there are none left.
    pub fn enter(self: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut taken = self.taken();
        let (all, own) = (taken.values().sum::<usize>(), taken.get(&key).copied().unwrap_or(0));
        if all >= self.all || own >= self.each {
            return None;
        }
        taken.insert(key, own + 1);
        Some(Place { places: self.clone(), key })
    }
}

impl<K> Places<K> {
    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_takes_its_share_and_places_come_back() {
        let places = Places::new(2, 3);
        let held = [places.enter(1), places.enter(1)];
        assert!(held.iter().all(Option::is_some) && places.enter(1).is_none());
        let other = places.enter(2);
        assert!(other.is_some() && places.enter(3).is_none(), "all are taken");
        drop((held, other));
        assert!(places.taken().is_empty());
    }
}
