//! The names that running machines go by inside libvirt when they have got another one meanwhile, as joining a cluster may
//! give them. libvirt renames only what is off: they keep them until then. In memory only; every look finds them again.

use hostd_types::VmId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The machines whose name inside libvirt is another one, with that.
#[derive(Debug, Default)]
pub(crate) struct LibvirtNames(Mutex<HashMap<VmId, String>>);

impl LibvirtNames {
    fn map(&self) -> MutexGuard<'_, HashMap<VmId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// These are all.
    pub fn note(&self, names: impl Iterator<Item = (VmId, String)>) {
        *self.map() = names.collect();
    }
    /// The name `vm` has inside libvirt, if it is another one.
    pub fn of(&self, vm: VmId) -> Option<String> {
        self.map().get(&vm).cloned()
    }
}
