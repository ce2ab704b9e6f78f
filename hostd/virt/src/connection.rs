//! The link to libvirt: three connections of one session, opened, watched and re-opened by a thread of their own.
//!
//! Control, observation (with events) and statistics each have a connection, because libvirt answers only a few
//! requests of one connection at a time and one stuck machine must not hold up the others.

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
/// Calls under way at once on one connection; the daemon's `max_client_requests` is meant to be 64.
const CALLS: usize = 32;
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

/// One connection's place: the connection of the current session, and how many calls it may carry.
#[derive(Debug)]
pub(crate) struct Lane {
    connect: Mutex<Option<Connect>>,
    pub(crate) permits: Arc<Semaphore>,
}

impl Lane {
    fn new(calls: usize) -> Self {
        Self { connect: Mutex::new(None), permits: Arc::new(Semaphore::new(calls)) }
    }
    /// The connection, when the link is up.
    pub(crate) fn connect(&self) -> Option<Connect> {
        locked(&self.connect).clone()
    }
}

/// What the handle, the connector's thread and libvirt's callbacks share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: VirtSettings,
    pub(crate) link: watch::Sender<Link>,
    pub(crate) events: broadcast::Sender<DomainEvent>,
    pub(crate) control: Lane,
    pub(crate) observe: Lane,
    pub(crate) stats: Lane,
    pub(crate) definitions: Mutex<Definitions>,
    pub(crate) loads: Mutex<crate::load::Known>,
    /// User and group that QEMU runs as, once asked; inner none: the daemon's own.
    pub(crate) qemu_user: Mutex<Option<Option<(u32, u32)>>>,
}

impl Shared {
    pub(crate) fn new(settings: VirtSettings) -> Self {
        let link = watch::Sender::new(Link::Down { reason: "connecting".into() });
        Self {
            settings,
            link,
            events: broadcast::Sender::new(EVENTS_KEPT),
            control: Lane::new(CALLS),
            observe: Lane::new(CALLS),
            stats: Lane::new(CALLS),
            definitions: Mutex::default(),
            loads: Mutex::default(),
            qemu_user: Mutex::default(),
        }
    }

    /// Why there is no connection at the moment.
    pub(crate) fn down_reason(&self) -> String {
        match &*self.link.borrow() {
            Link::Down { reason } => reason.clone(),
            Link::Up { .. } => "the connection was just lost".into(),
        }
    }

    fn install(&self, session: Option<&Session>) {
        *locked(&self.qemu_user) = None;
        locked(&self.definitions).clear();
        let lanes = [&self.control, &self.observe, &self.stats];
        for (index, lane) in lanes.into_iter().enumerate() {
            let connect = session.map(|s| s.connects[index].clone());
            // The old connection is closed after the lock is free: closing may wait for the daemon.
            let old = std::mem::replace(&mut *locked(&lane.connect), connect);
            drop(old);
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
    for number in 0.. {
        let reason = match Session::open(shared, notes, number) {
            Ok(session) => {
                pause = PAUSE.0;
                tracing::info!(libvirt = session.libvirt, qemu = session.qemu, "libvirt answers");
                shared.install(Some(&session));
                let (libvirt, qemu) = (session.libvirt.clone(), session.qemu.clone());
                shared.link.send_replace(Link::Up { libvirt, qemu });
                let lost = wait_for_loss(inbox, number);
                shared.install(None);
                match lost {
                    Some(reason) => reason,
                    None => return,
                }
            }
            Err(error) => error.message().to_owned(),
        };
        let down = Link::Down { reason };
        if *shared.link.borrow() != down {
            tracing::warn!(link = ?down, "libvirt does not answer");
            shared.link.send_replace(down);
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

/// Three open connections with their callbacks; dropping it takes the callbacks back.
struct Session {
    _registrations: Vec<Registration>, // before the connections they belong to
    connects: [Connect; 3],
    libvirt: String,
    qemu: String,
}

impl Session {
    fn open(shared: &Arc<Shared>, notes: &Sender<Note>, number: u64) -> Result<Self, Error> {
        event::run_loop();
        let uri = Some(shared.settings.uri.as_str());
        let connects = [Connect::open(uri)?, Connect::open(uri)?, Connect::open(uri)?];
        let mut registrations = Vec::new();
        for connect in &connects {
            connect.set_keep_alive(KEEPALIVE.0, KEEPALIVE.1)?;
            registrations.push(event::on_close(connect, notes.clone(), number)?);
        }
        registrations.extend(event::on_domain_events(&connects[1], Arc::downgrade(shared))?);
        let libvirt = version(connects[1].lib_version()?);
        let qemu = connects[1].hyp_version().map_or_else(|_| "unknown".into(), version);
        Ok(Self { _registrations: registrations, connects, libvirt, qemu })
    }
}

/// libvirt's packed version number as text.
fn version(packed: u32) -> String {
    format!("{}.{}.{}", packed / 1_000_000, packed / 1000 % 1000, packed % 1000)
}
