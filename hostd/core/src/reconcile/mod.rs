//! Background work: each reconciler makes one kind of thing on this host as it is wanted.
//!
//! The rules: a run takes no input (a wake-up carries no data), re-reads what is wanted and what is there, plans by a
//! pure function, acts, and reports; running it again when everything is right does nothing; a crash at any line is
//! repaired by the next run. Destroying comes last.

mod driver;
mod host;
mod images;
mod jobs;
mod layers;
mod leases;
mod minutes;
mod networks;
mod peers;
mod reach;
mod retention;
mod samples;
mod seconds;
mod told;
mod vms;
mod volumes;

pub(crate) use minutes::Minutes;
pub(crate) use samples::History;
pub(crate) use seconds::Seconds;

use crate::{Core, ReconcilerView};
use driver::Driven;
use hostd_types::*;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

/// One kind of background work.
pub(crate) trait Reconcile: Send + 'static {
    /// Its name on the host page.
    fn name(&self) -> &'static str;
    /// How often it runs without being woken.
    fn period(&self) -> Duration;
    /// Looks, plans, acts, reports.
    ///
    /// # Errors
    /// Why the whole run could not be done; it is tried again, less and less often.
    fn run(&mut self) -> impl Future<Output = Result<Summary, Problem>> + Send;
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Things looked at.
    pub checked: usize,
    /// Things changed or begun to change.
    pub changed: usize,
    /// Things that failed and are tried again.
    pub failed: usize,
    /// Run again after this time even if nothing wakes it.
    pub again: Option<Duration>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checked, {} changed", self.checked, self.changed)?;
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        Ok(())
    }
}

/// One bell per reconciler; ringing it twice runs it once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wakes {
    /// Machines.
    pub vms: Arc<Notify>,
    /// Volumes.
    pub volumes: Arc<Notify>,
    /// Layers of volumes.
    pub layers: Arc<Notify>,
    /// Images.
    pub images: Arc<Notify>,
    /// Networks.
    pub networks: Arc<Notify>,
    /// The host's own report.
    pub host: Arc<Notify>,
    /// The link to other members.
    pub peers: Arc<Notify>,
    /// How this host and the others reach each other.
    pub reach: Arc<Notify>,
    /// Leases and fences.
    pub leases: Arc<Notify>,
    /// Retention.
    pub retention: Arc<Notify>,
    /// Samples.
    pub samples: Arc<Notify>,
    /// Samples of every second.
    pub seconds: Arc<Notify>,
}

impl Wakes {
    /// Wakes whoever looks at things of `kind`.
    fn ring(&self, kind: Kind) {
        match kind {
            Kind::Vm => self.vms.notify_one(),
            Kind::Snapshot => {
                self.layers.notify_one();
                self.vms.notify_one();
            }
            Kind::Volume => {
                self.volumes.notify_one();
                self.layers.notify_one();
                self.vms.notify_one();
            }
            Kind::Image => self.images.notify_one(),
            Kind::Network => {
                self.networks.notify_one();
                self.vms.notify_one();
            }
            Kind::Task => {
                self.images.notify_one();
                self.layers.notify_one();
                self.vms.notify_one();
            }
            Kind::Host => {
                self.host.notify_one();
                self.peers.notify_one();
                self.leases.notify_one();
            }
            Kind::Cluster => {
                // What it reports depends on the level.
                self.host.notify_one();
                self.peers.notify_one();
            }
            Kind::JoinToken
            | Kind::Event
            | Kind::User
            | Kind::Token
            | Kind::Session
            | Kind::ConsoleLink
            | Kind::Folder
            | Kind::View
            | Kind::Specification => {}
        }
    }
    pub fn ring_all(&self) {
        let machines = [&self.vms, &self.volumes, &self.layers, &self.images, &self.networks];
        for bell in machines.into_iter().chain([&self.host, &self.peers]) {
            bell.notify_one();
        }
    }
}

/// All reconcilers; one that is not wired does not compile.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Absent on a witness.
    machines: Option<Machines>,
    host: Driven,
    peers: Driven,
    reach: Driven,
    leases: Driven,
    retention: Driven,
    samples: Driven,
    seconds: Driven,
}

/// Those of what a host holds.
#[derive(Debug)]
struct Machines {
    networks: Driven,
    volumes: Driven,
    layers: Driven,
    images: Driven,
    vms: Driven,
}

impl Machines {
    fn start(core: &Core) -> Self {
        let wakes = &core.0.wakes;
        Self {
            networks: Driven::start(core, networks::Networks::new(core), &wakes.networks),
            volumes: Driven::start(core, volumes::Volumes::new(core), &wakes.volumes),
            layers: Driven::start(core, layers::LayersOfDisks::new(core), &wakes.layers),
            images: Driven::start(core, images::Images::new(core), &wakes.images),
            vms: Driven::start(core, vms::Vms::new(core), &wakes.vms),
        }
    }

    fn all(&self) -> [&Driven; 5] {
        let Self { vms, volumes, layers, images, networks } = self;
        [vms, volumes, layers, images, networks]
    }
}

impl Registry {
    /// Starts all of them; on a witness those that have something to do there.
    pub fn start(core: &Core) -> Self {
        let wakes = &core.0.wakes;
        core.0.tracker.spawn(activate(core.clone()));
        Self {
            machines: (!core.is_witness()).then(|| Machines::start(core)),
            host: Driven::start(core, host::HostReport::new(core), &wakes.host),
            peers: Driven::start(core, peers::Peers::new(core), &wakes.peers),
            reach: Driven::start(core, reach::Reach::new(core), &wakes.reach),
            leases: Driven::start(core, leases::Leases::new(core), &wakes.leases),
            retention: Driven::start(core, retention::Retention::new(core), &wakes.retention),
            samples: Driven::start(core, samples::Samples::new(core), &wakes.samples),
            seconds: Driven::start(core, seconds::LiveLoads::new(core), &wakes.seconds),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Driven> {
        let Self { machines, host, peers, reach, leases, retention, samples, seconds } = self;
        machines
            .iter()
            .flat_map(Machines::all)
            .chain([host, peers, reach, leases, retention, samples, seconds])
    }

    /// How each is doing.
    pub fn views(&self) -> Vec<ReconcilerView> {
        self.all().map(Driven::view).collect()
    }
}

/// Turns changes of the state and events of libvirt into wake-ups, and passes changes on to whoever listens.
async fn activate(core: Core) {
    let mut changes = core.0.cluster.changes();
    let mut events = core.0.hypervisor.events();
    let mut link = core.0.hypervisor.link();
    let mut replaced = core.0.cluster.state_changed();
    let wakes = core.0.wakes.clone();
    loop {
        tokio::select! {
            () = core.0.stop.cancelled() => return,
            change = changes.recv() => match change {
                Ok(change) => {
                    if change.kind == Kind::User {
                        core.0.isolated.clear();
                    }
                    wakes.ring(change.kind);
                    core.0.live.forward(change);
                }
                Err(RecvError::Lagged(count)) => {
                    wakes.ring_all();
                    core.0.live.missed(count);
                }
                Err(RecvError::Closed) => return,
            },
            changed = replaced.changed() => match changed {
                Ok(()) => {
                    wakes.ring_all();
                    core.0.live.missed(1);
                }
                Err(_) => return,
            },
            event = events.recv() => match event {
                Ok(event) => {
                    wakes.vms.notify_one();
                    if let Some(told) = event.told {
                        core.0.tracker.spawn(told::tell(core.clone(), event.vm, told));
                    }
                }
                Err(RecvError::Lagged(_)) => wakes.vms.notify_one(),
                Err(RecvError::Closed) => return,
            },
            changed = link.changed() => match changed {
                Ok(()) => {
                    wakes.vms.notify_one();
                    wakes.layers.notify_one();
                    wakes.host.notify_one();
                    core.0.live.tell(Kind::Host, core.host());
                }
                Err(_) => return,
            },
        }
    }
}
