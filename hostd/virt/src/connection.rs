//! The link to libvirt: one connection that carries events and tells when the daemon is lost, opened, watched and
//! re-opened by a thread of its own, and lanes of further connections for calls.
//!
//! A connection carries one call at a time. Two threads in one connection wait for each other inside libvirt's client
//! (and before libvirt 10.4 corrupt memory when it closes, CVE-2024-4418), and the daemon works on only
//! `max_client_requests` calls of a connection at once, five unless configured. So a call that hangs on a stuck
//! machine or daemon holds up nothing but itself.

use crate::error::{lost, unsupported};
use crate::event::{self, DomainEvent, Registration};
use crate::observe::Definitions;
use crate::plan::VirtSettings;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, watch};
use virt::connect::Connect;
use virt::error::Error;

/// Seconds between keepalive messages, and how many may stay unanswered.
const KEEPALIVE: (i32, u32) = (5, 3);
/// First and longest pause between two attempts to connect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Calls under way at once, by lane: those of people and reconcilers, looks at everything, statistics of each machine,
/// pictures of screens, calls about machines one call of which hangs, memory being written or read (whose number the
/// reconciler limits).
const CALLS: [usize; 6] = [16, 4, 8, 16, 48, 64];
/// Connections kept open in a lane while nobody uses them.
const IDLE: usize = 4;
/// Events kept for a slow receiver.
const EVENTS_KEPT: usize = 1024;

/// libvirt's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It answers.
    Up {
        /// The daemon's version, such as `9.0.0`.
        libvirt: String,
        /// QEMU's version; `unknown` when libvirt can't tell (no emulator installed).
        qemu: String,
    },
    /// It does not; calls fail until it is back.
    Down {
        /// Why, for people.
        reason: String,
    },
}

/// A lane of connections, each used by one call at a time.
#[derive(Debug)]
pub(crate) struct Lane {
    uri: String,
    /// Unused connections of the session `.0`.
    idle: Mutex<(u64, Vec<Connect>)>,
    pub(crate) permits: Arc<Semaphore>,
}

impl Lane {
    fn new(uri: &str, calls: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(calls));
        Arc::new(Self { uri: uri.to_owned(), idle: Mutex::default(), permits })
    }
    /// Runs `work` with a connection of its own; blocks. A connection that was lost is not used again.
    pub(crate) fn run<T>(&self, work: impl FnOnce(&Connect) -> Result<T, Error>) -> Result<T, Error> {
        let (session, kept) = {
            let mut idle = locked(&self.idle);
            (idle.0, idle.1.pop())
        };
        let connect = match kept {
            Some(connect) => connect,
            None => open(&self.uri)?,
        };
        let result = work(&connect);
        if !result.as_ref().is_err_and(lost) {
            let mut idle = locked(&self.idle);
            if idle.0 == session && idle.1.len() < IDLE {
                idle.1.push(connect);
                return result;
            }
        }
        drop(connect); // with no lock held: closing talks to the daemon
        result
    }
    /// Forgets the connections of earlier sessions.
    fn begin(&self, session: u64) {
        let old = std::mem::replace(&mut *locked(&self.idle), (session, Vec::new()));
        drop(old);
    }
}

fn open(uri: &str) -> Result<Connect, Error> {
    let connect = Connect::open(Some(uri))?;
    match connect.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1) {
        Err(error) if !unsupported(&error) => Err(error),
        _ => Ok(connect), // libvirt's in-process test driver has nobody to keep alive
    }
}

/// What the handle, the connector's thread and libvirt's callbacks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: VirtSettings,
    pub(crate) link: watch::Sender<Link>,
    pub(crate) events: broadcast::Sender<DomainEvent>,
    pub(crate) control: Arc<Lane>,
    pub(crate) observe: Arc<Lane>,
    pub(crate) stats: Arc<Lane>,
    pub(crate) pictures: Arc<Lane>,
    pub(crate) doubtful: Arc<Lane>,
    pub(crate) long: Arc<Lane>,
    /// Machines one call about which does not end.
    pub(crate) hanging: crate::call::Hanging,
    /// Machines whose picture is being taken: of one that hangs there is one call that never ends, not many.
    pub(crate) pictured: Arc<Mutex<std::collections::HashSet<hostd_types::VmId>>>,
    pub(crate) definitions: Mutex<Definitions>,
    pub(crate) loads: Mutex<crate::load::Known>,
    /// What machines can be given.
    pub(crate) offers: Mutex<crate::offers::Offers>,
    /// The processor, as guests in emulation and on hardware virtualization see it.
    pub(crate) cpus: Mutex<[Option<hostd_types::HostCpu>; 2]>,
    /// User and group that QEMU runs as, once asked; inner none: the daemon's own.
    pub(crate) qemu_user: Mutex<Option<Option<(u32, u32)>>>,
}

impl Shared {
    pub(crate) fn new(settings: VirtSettings) -> Self {
        let link = watch::Sender::new(Link::Down { reason: "connecting".into() });
        Self {
            link,
            events: broadcast::Sender::new(EVENTS_KEPT),
            control: Lane::new(&settings.uri, CALLS[0]),
            observe: Lane::new(&settings.uri, CALLS[1]),
            stats: Lane::new(&settings.uri, CALLS[2]),
            pictures: Lane::new(&settings.uri, CALLS[3]),
            doubtful: Lane::new(&settings.uri, CALLS[4]),
            long: Lane::new(&settings.uri, CALLS[5]),
            hanging: crate::call::Hanging::default(),
            pictured: Arc::default(),
            definitions: Mutex::default(),
            loads: Mutex::default(),
            offers: Mutex::default(),
            cpus: Mutex::default(),
            qemu_user: Mutex::default(),
            settings,
        }
    }

    fn down(&self, reason: String) {
        let down = Link::Down { reason };
        if *self.link.borrow() != down {
            tracing::warn!(link = ?down, "libvirt does not answer");
            self.link.send_replace(down);
        }
    }

    /// Begins session `number`: what was known from an earlier one is not true any more.
    fn begin(&self, number: u64) {
        *locked(&self.qemu_user) = None;
        locked(&self.definitions).clear();
        let lanes = [&self.control, &self.observe, &self.stats, &self.pictures, &self.doubtful, &self.long];
        for lane in lanes {
            lane.begin(number);
        }
    }
}

/// Locks, and takes the content even if a panic poisoned it: what we keep behind locks is never half-written.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the connector's thread is told.
#[derive(Debug)]
pub(crate) enum Note {
    /// A connection of session `session` was lost.
    Lost { session: u64, reason: String },
    /// The last handle is gone.
    Stop,
}

/// Owns the connector's thread; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Connector {
    notes: Sender<Note>,
}

impl Connector {
    pub(crate) fn spawn(shared: Arc<Shared>) -> Self {
        let (notes, inbox) = channel();
        let own = notes.clone();
        let thread = std::thread::Builder::new().name("libvirt-link".into());
        if let Err(error) = thread.spawn(move || connect_forever(&shared, &own, &inbox)) {
            tracing::error!(%error, "no thread for libvirt's connections; virtual machines can't be managed");
        }
        Self { notes }
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = self.notes.send(Note::Stop);
    }
}

fn connect_forever(shared: &Arc<Shared>, notes: &Sender<Note>, inbox: &Receiver<Note>) {
    let mut pause = PAUSE.0;
    for number in 1.. {
        match Session::open(shared, notes, number) {
            Ok(session) => {
                pause = PAUSE.0;
                tracing::info!(libvirt = session.libvirt, qemu = session.qemu, "libvirt answers");
                shared.begin(number);
                locked(&shared.offers).clone_from(&session.offers);
                locked(&shared.cpus).clone_from(&session.cpus);
                let (libvirt, qemu) = (session.libvirt.clone(), session.qemu.clone());
                shared.link.send_replace(Link::Up { libvirt, qemu });
                match wait_for_loss(inbox, number) {
                    Some(reason) => shared.down(reason),
                    None => return shared.begin(number + 1),
                }
            }
            Err(error) => shared.down(error.message().to_owned()),
        }
        if stopped_within(inbox, pause) {
            return;
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Waits until session `number` loses a connection; none when it is time to stop.
fn wait_for_loss(inbox: &Receiver<Note>, number: u64) -> Option<String> {
    loop {
        match inbox.recv() {
            Ok(Note::Lost { session, reason }) if session == number => return Some(reason),
            Ok(Note::Lost { .. }) => {} // an older session's other connections
            Ok(Note::Stop) | Err(_) => return None,
        }
    }
}

fn stopped_within(inbox: &Receiver<Note>, pause: Duration) -> bool {
    let end = std::time::Instant::now() + pause;
    loop {
        match inbox.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
            Ok(Note::Lost { .. }) => {}
            Ok(Note::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// The connection of events, with its callbacks; dropping it takes the callbacks back.
struct Session {
    _registrations: Vec<Registration>,
    libvirt: String,
    qemu: String,
    offers: crate::offers::Offers,
    cpus: [Option<hostd_types::HostCpu>; 2],
}

impl Session {
    fn open(shared: &Arc<Shared>, notes: &Sender<Note>, number: u64) -> Result<Self, Error> {
        event::run_loop();
        let connect = open(&shared.settings.uri)?;
        let mut registrations = vec![event::on_close(&connect, notes.clone(), number)?];
        registrations.extend(event::on_domain_events(&connect, Arc::downgrade(shared))?);
        let libvirt = version(connect.lib_version()?);
        let qemu = connect.hyp_version().map_or_else(|_| "unknown".into(), version);
        let offers = crate::offers::ask(&connect);
        let cpus = [false, true].map(|kvm| crate::offers_cpu::ask(&connect, kvm));
        Ok(Self { _registrations: registrations, libvirt, qemu, offers, cpus })
    }
}

/// libvirt's packed version number as text.
fn version(packed: u32) -> String {
    format!("{}.{}.{}", packed / 1_000_000, packed / 1000 % 1000, packed % 1000)
}
