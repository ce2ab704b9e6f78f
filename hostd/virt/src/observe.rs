//! What libvirt shows: every domain, its state with the reason in words, and the definition in force.
//!
//! Reading and parsing definitions is the expensive part, so they are kept until an event names the domain, and for
//! half a minute at most. Only calls that a stuck QEMU can't hold up are used.

use crate::Hypervisor;
use crate::call::QUICK;
use crate::connection::{Shared, locked};
use crate::definition::{self, Definition};
use crate::error::VirtError;
use crate::plan::DomainShape;
use crate::stats;
use hostd_types::{VmId, VmState};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use virt::connect::Connect;
use virt::error::Error;
use virt_sys as sys;

/// Longest time a definition is believed without an event about it.
const BELIEVED: Duration = Duration::from_secs(30);

/// A domain as libvirt shows it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDomain {
    /// The machine; the UUID of a domain that Quantix did not make.
    pub vm: VmId,
    /// What it does.
    pub state: VmState,
    /// Why, in words, when libvirt knows.
    pub reason: Option<String>,
    /// Generation in our metadata of the persistent definition; none: not made by Quantix, or the metadata was removed.
    pub generation: Option<u64>,
    /// It has a definition that outlives its QEMU.
    pub persistent: bool,
    /// The definition in force: the live one if it is active. Compare with [`crate::drift`].
    pub shape: DomainShape,
    /// The definition of its next start, if it is active.
    pub saved: Option<DomainShape>,
}

/// What is known of one domain's definitions.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) definition: Definition,
    saved: Option<DomainShape>,
    persistent: bool,
    active: bool,
    read_at: Instant,
}

/// Definitions read before.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    known: HashMap<VmId, Arc<Known>>,
    /// Counts what was forgotten: a definition read before an event and kept after it would be stale.
    epoch: u64,
}

impl Definitions {
    pub(crate) fn forget(&mut self, vm: VmId) {
        self.known.remove(&vm);
        self.epoch += 1;
    }
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.epoch += 1;
    }
}

impl Hypervisor {
    /// All domains, also those that Quantix did not make.
    ///
    /// # Errors
    /// When libvirt does not answer.
    pub async fn domains(&self) -> Result<Vec<SeenDomain>, VirtError> {
        let shared = Arc::clone(&self.shared);
        let work = move |connect: &Connect| look(&shared, connect);
        self.shared.call(&self.shared.observe, "list the domains", QUICK, work).await
    }
}

fn look(shared: &Shared, connect: &Connect) -> Result<Vec<SeenDomain>, Error> {
    let records = stats::of_all(connect, sys::VIR_DOMAIN_STATS_STATE, 0)?;
    locked(&shared.definitions).known.retain(|vm, _| records.iter().any(|r| r.vm == *vm));
    let mut seen = Vec::with_capacity(records.len());
    for record in records {
        let number = |name: &str| record.get(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let (state, reason) = (number("state.state"), number("state.reason"));
        let known = match definition_of(shared, connect, record.vm, is_active(state)) {
            Ok(known) => known,
            Err(error) if error.code().to_raw() == sys::VIR_ERR_NO_DOMAIN => continue, // gone meanwhile
            Err(error) => return Err(error),
        };
        // Of a guest that panicked QEMU may be kept.
        let kept = state == sys::VIR_DOMAIN_CRASHED && is_kept(connect, record.vm)?;
        let (state, reason) =
            if kept { (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_CRASHED) } else { (state, reason) };
        let (state, reason) = in_words(state, reason, known.definition.generation.is_some());
        seen.push(SeenDomain {
            vm: record.vm,
            state,
            reason: reason.map(str::to_owned),
            generation: known.definition.generation,
            persistent: known.persistent,
            shape: known.definition.shape.clone(),
            saved: known.saved.clone(),
        });
    }
    Ok(seen)
}

/// A domain that crashed still has its QEMU.
fn is_kept(connect: &Connect, vm: VmId) -> Result<bool, Error> {
    match connect.lookup_domain_by_uuid(vm.uuid()).and_then(|domain| domain.is_active()) {
        Err(error) if error.code().to_raw() == sys::VIR_ERR_NO_DOMAIN => Ok(false),
        other => other,
    }
}

/// The definition in force of a domain, with the generation of its persistent one.
pub(crate) fn definition_of(
    shared: &Shared,
    connect: &Connect,
    vm: VmId,
    active: bool,
) -> Result<Arc<Known>, Error> {
    let epoch = {
        let definitions = locked(&shared.definitions);
        if let Some(known) = definitions.known.get(&vm)
            && known.active == active
            && known.read_at.elapsed() < BELIEVED
        {
            return Ok(Arc::clone(known));
        }
        definitions.epoch
    };
    let domain = connect.lookup_domain_by_uuid(vm.uuid())?;
    let persistent = domain.is_persistent()?;
    let read = |flags| -> Result<Definition, Error> {
        Ok(definition::read(&domain.xml_desc(flags)?).unwrap_or_else(|error| {
            tracing::error!(%vm, error, "a definition can't be read");
            Definition::default()
        }))
    };
    let mut definition = read(0)?;
    let mut saved = None;
    if active && persistent {
        let next = read(sys::VIR_DOMAIN_XML_INACTIVE)?;
        definition.generation = next.generation;
        saved = Some(next.shape);
    }
    let known = Arc::new(Known { definition, saved, persistent, active, read_at: Instant::now() });
    let mut definitions = locked(&shared.definitions);
    if definitions.epoch == epoch {
        definitions.known.insert(vm, Arc::clone(&known));
    }
    Ok(known)
}

/// A QEMU process belongs to this libvirt state.
pub(crate) fn is_active(state: u32) -> bool {
    !matches!(state, sys::VIR_DOMAIN_NOSTATE | sys::VIR_DOMAIN_SHUTOFF | sys::VIR_DOMAIN_CRASHED)
}

/// libvirt's state and reason in ours. Definitions of `ours` stop the guest on a full disk and on nothing else.
fn in_words(state: u32, reason: u32, ours: bool) -> (VmState, Option<&'static str>) {
    match state {
        sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED => (VmState::Running, None),
        sys::VIR_DOMAIN_PAUSED => paused(reason, ours),
        sys::VIR_DOMAIN_SHUTDOWN => (VmState::Stopping, None),
        sys::VIR_DOMAIN_SHUTOFF => off(reason),
        sys::VIR_DOMAIN_CRASHED => (VmState::Crashed, Some("the guest panicked")),
        sys::VIR_DOMAIN_PMSUSPENDED => (VmState::Paused, Some("the guest sleeps")),
        _ => (VmState::Unknown, None),
    }
}

fn paused(reason: u32, ours: bool) -> (VmState, Option<&'static str>) {
    match reason {
        sys::VIR_DOMAIN_PAUSED_STARTING_UP => (VmState::Starting, None),
        sys::VIR_DOMAIN_PAUSED_SHUTTING_DOWN => (VmState::Stopping, None),
        sys::VIR_DOMAIN_PAUSED_IOERROR if ours => (VmState::Paused, Some("the disk is full")),
        sys::VIR_DOMAIN_PAUSED_IOERROR => (VmState::Paused, Some("a disk reports an I/O error")),
        sys::VIR_DOMAIN_PAUSED_WATCHDOG => (VmState::Paused, Some("the guest's watchdog fired")),
        sys::VIR_DOMAIN_PAUSED_CRASHED => (VmState::Paused, Some("the guest panicked")),
        sys::VIR_DOMAIN_PAUSED_MIGRATION => (VmState::Paused, Some("it is being migrated")),
        sys::VIR_DOMAIN_PAUSED_SAVE | sys::VIR_DOMAIN_PAUSED_DUMP => {
            (VmState::Paused, Some("its memory is being saved"))
        }
        sys::VIR_DOMAIN_PAUSED_SNAPSHOT | sys::VIR_DOMAIN_PAUSED_FROM_SNAPSHOT => {
            (VmState::Paused, Some("of a snapshot"))
        }
        _ => (VmState::Paused, None),
    }
}

fn off(reason: u32) -> (VmState, Option<&'static str>) {
    match reason {
        sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN => (VmState::Off, Some("guest shut down")),
        sys::VIR_DOMAIN_SHUTOFF_DESTROYED => (VmState::Off, Some("forced off")),
        sys::VIR_DOMAIN_SHUTOFF_CRASHED => (VmState::Crashed, Some("its QEMU ended unexpectedly")),
        sys::VIR_DOMAIN_SHUTOFF_MIGRATED => (VmState::Off, Some("migrated away")),
        sys::VIR_DOMAIN_SHUTOFF_SAVED => (VmState::Off, Some("its memory is saved")),
        sys::VIR_DOMAIN_SHUTOFF_FAILED => (VmState::Off, Some("it could not be started")),
        sys::VIR_DOMAIN_SHUTOFF_DAEMON => (VmState::Off, Some("killed by libvirt")),
        _ => (VmState::Off, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libvirts_states_become_ours_with_a_reason() {
        for ((state, reason), ours) in [
            ((sys::VIR_DOMAIN_RUNNING, 1), (VmState::Running, None)),
            ((sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_USER), (VmState::Paused, None)),
            ((sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_STARTING_UP), (VmState::Starting, None)),
            (
                (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR),
                (VmState::Paused, Some("the disk is full")),
            ),
            ((sys::VIR_DOMAIN_SHUTDOWN, 0), (VmState::Stopping, None)),
            ((sys::VIR_DOMAIN_SHUTOFF, 0), (VmState::Off, None)),
            (
                (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN),
                (VmState::Off, Some("guest shut down")),
            ),
            (
                (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_CRASHED),
                (VmState::Crashed, Some("its QEMU ended unexpectedly")),
            ),
            ((99, 0), (VmState::Unknown, None)),
        ] {
            assert_eq!(in_words(state, reason, true), ours);
        }
        let foreign = in_words(sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR, false);
        assert_eq!(foreign.1, Some("a disk reports an I/O error"));
    }
}
