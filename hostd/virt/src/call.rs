//! Calls with deadlines: libvirt's functions block, some for ever when a machine or the daemon hangs.
//!
//! A call about a machine that is late gives its place among the others up, and further calls about that machine have a lane
//! of their own until it ends: machines that hang wait for one another, and nobody else does.

use crate::connection::{Lane, Link, Shared, locked};
use crate::error::VirtError;
use hostd_types::VmId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;

/// Longest a call may take that only asks or flips a switch.
pub(crate) const QUICK: Duration = Duration::from_secs(10);
/// Longest a call may take that waits for QEMU to come or go: a start reads firmware and disks, a stuck QEMU takes
/// libvirt 10 s to kill.
pub(crate) const SLOW: Duration = Duration::from_secs(60);
/// After this long we ask whether the daemon still answers at all.
const DOUBT: Duration = Duration::from_secs(7);
/// How long that answer may take.
const PING: Duration = Duration::from_secs(2);

/// How many late calls there are about each machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hanging(Arc<Mutex<HashMap<VmId, usize>>>);

impl Hanging {
    fn is(&self, vm: VmId) -> bool {
        locked(&self.0).contains_key(&vm)
    }
    fn add(&self, vm: VmId) -> Late {
        *locked(&self.0).entry(vm).or_default() += 1;
        Late { vm, all: self.clone() }
    }
}

/// A late call about a machine; dropped when it ends.
#[derive(Debug)]
struct Late {
    vm: VmId,
    all: Hanging,
}

impl Drop for Late {
    fn drop(&mut self) {
        let mut all = locked(&self.all.0);
        match all.get_mut(&self.vm) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(all.remove(&self.vm)),
        }
    }
}

/// What a call has until it ends.
#[derive(Debug)]
struct Place {
    /// Its place in a lane.
    permit: Option<OwnedSemaphorePermit>,
    /// It is late.
    late: Option<Late>,
}

/// Gives a call's place up when its thread ends, whatever ends it.
struct Ends(Arc<Mutex<Option<Place>>>);

impl Drop for Ends {
    fn drop(&mut self) {
        drop(locked(&self.0).take());
    }
}

impl Shared {
    /// Runs `work` in a blocking thread with a connection of `lane`. A call that is late goes on in its thread, and
    /// keeps its place among the lane's calls until it ends.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        lane: &Arc<Lane>,
        operation: &'static str,
        limit: Duration,
        work: impl FnOnce(&Connect) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, VirtError> {
        self.call_about(lane, operation, None, limit, work).await
    }

    /// The same with the domain of machine `vm`, on the control lane.
    pub(crate) async fn on_domain<T: Send + 'static>(
        &self,
        operation: &'static str,
        vm: VmId,
        limit: Duration,
        work: impl FnOnce(&Connect, &Domain) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, VirtError> {
        let work = move |connect: &Connect| work(connect, &connect.lookup_domain_by_uuid(vm.uuid())?);
        self.call_about(&self.control, operation, Some(vm), limit, work).await
    }

    /// The same for what takes long while all is well, on a lane of its own.
    pub(crate) async fn long_on_domain<T: Send + 'static>(
        &self,
        operation: &'static str,
        vm: VmId,
        limit: Duration,
        work: impl FnOnce(&Connect, &Domain) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, VirtError> {
        let work = move |connect: &Connect| work(connect, &connect.lookup_domain_by_uuid(vm.uuid())?);
        self.call_about(&self.long, operation, Some(vm), limit, work).await
    }

    async fn call_about<T: Send + 'static>(
        &self,
        lane: &Arc<Lane>,
        operation: &'static str,
        vm: Option<VmId>,
        limit: Duration,
        work: impl FnOnce(&Connect) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, VirtError> {
        let end = Instant::now() + limit;
        self.must_be_up()?;
        let late = || VirtError::late(operation, limit.as_secs());
        let hangs = vm.is_some_and(|vm| self.hanging.is(vm));
        let lane = if hangs && !Arc::ptr_eq(lane, &self.long) { &self.doubtful } else { lane };
        let permit = timeout_at(end, Arc::clone(&lane.permits).acquire_owned()).await.map_err(|_| late())?;
        let place =
            Arc::new(Mutex::new(permit.ok().map(|permit| Place { permit: Some(permit), late: None })));
        let (own, held) = (Arc::clone(lane), Arc::clone(&place));
        let mut job: JoinHandle<Result<T, Error>> = spawn_blocking(move || {
            let _ends = Ends(held);
            own.run(work)
        });
        let late = || {
            if let (Some(vm), Some(place)) = (vm, &mut *locked(&place)) {
                place.late = Some(self.hanging.add(vm));
                if !hangs {
                    place.permit = None;
                }
            }
            late()
        };
        let doubt = (Instant::now() + DOUBT).min(end);
        let ended = match timeout_at(doubt, &mut job).await {
            Ok(ended) => ended,
            Err(_) => {
                self.ping().await?;
                timeout_at(end, job).await.map_err(|_| late())?
            }
        };
        match ended {
            Ok(result) => result.map_err(|error| VirtError::from_call(operation, vm, &error)),
            Err(panic) => Err(VirtError::local(operation, panic)),
        }
    }

    fn must_be_up(&self) -> Result<(), VirtError> {
        match &*self.link.borrow() {
            Link::Up { .. } => Ok(()),
            Link::Down { reason } => Err(VirtError::Down(reason.clone())),
        }
    }

    /// Whether the daemon answers a question that needs no machine.
    async fn ping(&self) -> Result<(), VirtError> {
        self.must_be_up()?;
        let lane = Arc::clone(&self.observe);
        match timeout(PING, spawn_blocking(move || lane.run(Connect::lib_version))).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(VirtError::Down(error.message().to_owned())),
            Ok(Err(panic)) => Err(VirtError::Down(panic.to_string())),
            Err(_) => Err(VirtError::Down("the libvirt daemon hangs".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::VirtSettings;
    use std::sync::mpsc::channel;

    #[tokio::test(flavor = "multi_thread")]
    async fn machines_that_hang_leave_room_for_others() {
        let shared = Arc::new(Shared::new(VirtSettings::new("test:///default", "/nonexistent")));
        shared.link.send_replace(Link::Up { libvirt: String::new(), qemu: String::new() });
        let moment = Duration::from_millis(20);
        let mut stuck = Vec::new();
        // More than the lane has places, two of each: the second finds the first hanging.
        for _ in 0..shared.control.permits.available_permits() + 1 {
            let vm = VmId::new();
            for _ in 0..2 {
                let (go, waits) = channel::<()>();
                let hang = move |_: &Connect| {
                    let _ = waits.recv();
                    Ok(())
                };
                let late = shared.call_about(&shared.control, "ask", Some(vm), moment, hang).await;
                assert!(late.expect_err("it hangs").retryable());
                stuck.push(go);
            }
            assert!(shared.hanging.is(vm));
        }
        let well = shared.call_about(&shared.control, "ask", Some(VmId::new()), SLOW, |_| Ok(7)).await;
        assert_eq!(well, Ok(7), "nobody waits for them");
        stuck.clear();
        while !locked(&shared.hanging.0).is_empty() {
            tokio::task::yield_now().await;
        }
    }
}
