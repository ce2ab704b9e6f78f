//! Starting and stopping: what is opened in which order.

use crate::access::{Hasher, InitialPassword, IsolatedSessions, LastSeen, Limiter};
use crate::console::{Serials, Tickets, Viewers};
use crate::error::{chain, internal, net};
use crate::facts::{Clock, Machine};
use crate::faults::Faults;
use crate::federation::{Keeping, Neighbours, Renewals, Wire, keys};
use crate::isolated::Isolated;
use crate::libvirt_name::LibvirtNames;
use crate::live::Live;
use crate::merges::Merges;
use crate::picture::Pictures;
use crate::pool::Pool;
use crate::reconcile::{History, Minutes, Registry, Seconds, Wakes};
use crate::requests::Requests;
use crate::role;
use crate::{Core, ReconcilerView, Settings};
use hostd_cluster::{Cluster, Local, Store};
use hostd_net::Nets;
use hostd_peer::{Identity, Link};
use hostd_types::command::NetworkCommand;
use hostd_types::*;
use hostd_virt::{Hypervisor, VirtSettings};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Key in the host's own store: the network `default` was made once; deleting it is final.
const DEFAULT_NETWORK_KEY: &str = "default_network";
/// Longest time work under way may take to end at shutdown.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Everything the core owns.
pub(crate) struct Inner {
    pub settings: Settings,
    pub cluster: Cluster,
    /// The link to other members.
    pub wire: Wire,
    /// This host is where it belongs: nothing acts on the state while it moves from one cluster into another.
    pub settled: watch::Sender<bool>,
    /// One move at a time.
    pub moving: Mutex<()>,
    pub nets: Nets,
    /// What this host is for.
    pub role: HostRole,
    pub hypervisor: Hypervisor,
    pub pool: Pool,
    pub machine: Machine,
    pub acceleration: OnceCell<Acceleration>,
    pub clock: Clock,
    pub requests: Requests,
    /// Held while a device of this host is given to a machine.
    pub giving: Mutex<()>,
    pub live: Live,
    pub limiter: Limiter,
    pub hasher: Hasher,
    pub last_seen: LastSeen,
    pub isolated: IsolatedSessions,
    pub isolated_vms: Isolated,
    pub initial_password: InitialPassword,
    pub tickets: Tickets,
    pub serials: Serials,
    pub viewers: Viewers,
    /// Small pictures of screens.
    pub pictures: Pictures,
    pub history: History,
    pub seconds: Seconds,
    /// A day of each machine's load.
    pub minutes: Minutes,
    pub faults: Faults,
    pub merges: Merges,
    pub watchdog: crate::watchdog::Known,
    /// How keeping this host's certificate goes.
    pub keeping: Keeping,
    /// The certificates this host gives to others.
    pub renewals: Renewals,
    /// The search for neighbours, while there is one.
    pub neighbours: Neighbours,
    pub wakes: Wakes,
    /// Domains of libvirt that are not ours.
    pub foreign_domains: AtomicU64,
    pub libvirt_names: LibvirtNames,
    /// The networks were looked at since the daemon started.
    pub networks_seen: AtomicBool,
    pub registry: OnceLock<Registry>,
    /// Owns every task this crate spawns.
    pub tracker: TaskTracker,
    /// Asks them to end.
    pub stop: CancellationToken,
}

impl Core {
    /// Opens the state, makes the first administrator and the default network at first start, starts the reconcilers.
    ///
    /// # Errors
    /// When the state, the pool or the host's network can't be opened; the message says what to do. A libvirt that does
    /// not answer is no error: it is tried again.
    pub async fn start(settings: Settings) -> Result<Self, Problem> {
        std::fs::create_dir_all(&settings.run_dir)
            .map_err(|e| internal(&format!("{} can't be made", settings.run_dir.display()), e))?;
        let wire = Wire::default();
        let carrier = Arc::new(wire.clone());
        let cluster = Cluster::open(&settings.state_dir, hostd_cluster::Settings::default(), carrier).await;
        let cluster = cluster.map_err(|error| {
            tracing::error!(%error, "the state can't be opened");
            Problem::from(error)
        })?;
        let role = role::settle(&cluster, settings.role).await?;
        let pool = Pool::at(&settings.pool_dir);
        let virt = VirtSettings::new(settings.libvirt_uri.clone(), settings.run_dir.join("vm"));
        let hypervisor = match role {
            HostRole::Host => {
                let place = settings.pool_dir.display();
                pool.make().map_err(|e| internal(&format!("{place} can't be used as a pool"), e))?;
                Hypervisor::start(virt)
            }
            HostRole::Witness => {
                cluster.lead_last();
                Hypervisor::absent(virt, role::RUNS_NONE)
            }
        };
        let nets =
            Nets::start(settings.run_dir.join("net"), settings.state_dir.join("leases")).map_err(net)?;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let link = Link::start(settings.peer_listen, Arc::new(wire.clone()), stop.clone(), &tracker);
        wire.connect(link.map_err(|error| {
            let why = chain(&error);
            Problem::new(ProblemKind::Internal, format!("The port for other hosts can't be opened: {why}."))
        })?);
        let settled = cluster.switching().await?.is_none();
        let core = Self(Arc::new(Inner {
            cluster,
            wire,
            settled: watch::Sender::new(settled),
            moving: Mutex::default(),
            nets,
            role,
            hypervisor,
            pool,
            machine: Machine::read(),
            acceleration: OnceCell::new(),
            clock: Clock::default(),
            requests: Requests::default(),
            giving: Mutex::default(),
            live: Live::default(),
            limiter: Limiter::default(),
            hasher: Hasher::default(),
            last_seen: LastSeen::default(),
            isolated: IsolatedSessions::default(),
            isolated_vms: Isolated::default(),
            initial_password: InitialPassword::new(&settings.run_dir),
            tickets: Tickets::default(),
            serials: Serials::new(&tracker, &stop),
            viewers: Viewers::default(),
            pictures: Pictures::default(),
            history: History::default(),
            seconds: Seconds::default(),
            minutes: Minutes::below(&settings.state_dir),
            faults: Faults::default(),
            merges: Merges::default(),
            watchdog: crate::watchdog::Known::default(),
            keeping: Keeping::default(),
            renewals: Renewals::new()?,
            neighbours: Neighbours::default(),
            wakes: Wakes::default(),
            foreign_domains: AtomicU64::new(0),
            libvirt_names: LibvirtNames::default(),
            networks_seen: AtomicBool::new(false),
            registry: OnceLock::new(),
            tracker,
            stop,
            settings,
        }));
        core.0.wire.serve(&core);
        core.begin().await?;
        Ok(core)
    }

    async fn begin(&self) -> Result<(), Problem> {
        self.0.clock.note(self.local()).await?;
        self.remember_acts().await?;
        if *self.0.settled.borrow() {
            self.begin_settled().await?;
        } else {
            self.finish_move();
        }
        let probing = self.clone();
        self.0.tracker.spawn(async move {
            let stop = probing.0.stop.clone();
            let _ = stop.run_until_cancelled(probing.acceleration()).await;
        });
        if self.0.registry.set(Registry::start(self)).is_err() {
            tracing::error!("the reconcilers were started twice");
        }
        Ok(())
    }

    /// What a host that is where it belongs makes sure of. A member of several can do it later, when it reaches the others:
    /// nothing here may wait for them.
    async fn begin_settled(&self) -> Result<(), Problem> {
        let hosts = self.store().hosts().await?;
        let alone = hosts.is_empty() || (hosts.len() == 1 && hosts[0].id == self.host());
        if !alone {
            return self.link_as(Identity::load(&self.settings().keys_dir()).map_err(keys)?);
        }
        self.ensure_cluster().await?;
        self.report_host().await?;
        self.ensure_administrator().await?;
        if self.is_witness() {
            return Ok(());
        }
        if let Err(problem) = self.ensure_default_network().await {
            // The host is of use without it, and it is tried again at the next start.
            tracing::warn!(%problem, "the default network can't be made");
        }
        Ok(())
    }

    /// Makes the network `default` once: NAT on a free subnet.
    async fn ensure_default_network(&self) -> Result<(), Problem> {
        if self.local().get(DEFAULT_NETWORK_KEY).await?.is_some() {
            return Ok(());
        }
        let existing = self.store().networks_on(self.host()).await?;
        if existing.is_empty() {
            let Some(subnet) = self.0.nets.free_subnet(&[]).await.map_err(net)? else {
                tracing::warn!("no private subnet is free for a default network");
                return Ok(());
            };
            let network = CreateNetwork {
                name: "default".into(),
                description: "Machines reach the world through this host.".into(),
                mode: NetworkMode::Nat { subnet },
            };
            let id = NetworkId::new();
            self.report(Command::Network(NetworkCommand::Create { id, host: self.host(), network })).await?;
        }
        self.local().put(DEFAULT_NETWORK_KEY, "made").await
    }

    /// Ends: work under way is stopped and awaited, then the state is closed. Machines go on.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(STOP_WITHIN, self.0.tracker.wait()).await.is_err() {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
        self.0.cluster.shutdown().await;
    }

    /// This host.
    pub fn host(&self) -> HostId {
        self.0.cluster.host()
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn store(&self) -> &Store {
        self.0.cluster.store()
    }

    pub(crate) fn local(&self) -> &Local {
        self.0.cluster.local()
    }

    pub(crate) fn boot_id(&self) -> &str {
        &self.0.machine.boot_id
    }

    pub(crate) fn reconcilers(&self) -> Vec<ReconcilerView> {
        self.0.registry.get().map(Registry::views).unwrap_or_default()
    }
}
