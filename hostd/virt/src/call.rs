//! Calls with deadlines: libvirt's functions block, some for ever when a machine or the daemon hangs.

use crate::connection::{Lane, Link, Shared};
use crate::error::VirtError;
use hostd_types::VmId;
use std::sync::Arc;
use std::time::Duration;
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
        let permit = timeout_at(end, Arc::clone(&lane.permits).acquire_owned()).await.map_err(|_| late())?;
        let own = Arc::clone(lane);
        let mut job: JoinHandle<Result<T, Error>> = spawn_blocking(move || {
            let _permit = permit;
            own.run(work)
        });
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
