//! Serial ports: QEMU takes one client at a time, people come several at a time. One connection per machine is shared by
//! all its viewers; each begins with the recent history.

use hostd_types::VmId;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes of history a viewer begins with.
const HISTORY: usize = 64 << 10;
/// Chunks a slow viewer may lag behind before it misses some.
const LAG: usize = 256;
/// Chunks of input that wait for the guest to read them.
const TYPED: usize = 64;
/// A guest that reads nothing for this long loses what was typed.
const UNREAD: Duration = Duration::from_secs(2);
/// Longest time joining may take.
const JOIN_WITHIN: Duration = Duration::from_secs(5);
/// What a viewer that missed output sees.
const MISSED: &[u8] = b"\r\n[some output was skipped]\r\n";

type Chunk = Arc<[u8]>;

/// What a viewer gets when it joins.
struct Joined {
    history: Vec<u8>,
    output: broadcast::Receiver<Chunk>,
    input: mpsc::Sender<Vec<u8>>,
}

/// Asks a hub to let a viewer join; the hub lives while somebody holds a sender of it.
type Join = oneshot::Sender<Joined>;

/// The shared connections, by machine.
#[derive(Debug)]
pub(crate) struct Serials {
    hubs: Mutex<HashMap<VmId, mpsc::WeakSender<Join>>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Serials {
    /// Connections are carried by tasks of `tracker`, which end when `stop` asks them to.
    pub fn new(tracker: &TaskTracker, stop: &CancellationToken) -> Self {
        Self { hubs: Mutex::default(), tracker: tracker.clone(), stop: stop.clone() }
    }

    /// A viewer's stream of the serial port of `vm`: history, then what comes; what is written goes to the guest.
    ///
    /// # Errors
    /// When the socket can't be reached, or not in time.
    pub async fn open(&self, vm: VmId, socket: &Path, log: Option<&Path>) -> io::Result<DuplexStream> {
        timeout(JOIN_WITHIN, self.join(vm, socket, log)).await?
    }

    async fn join(&self, vm: VmId, socket: &Path, log: Option<&Path>) -> io::Result<DuplexStream> {
        // A hub may end between being found and being joined; the second try makes a new one.
        for _ in 0..2 {
            let hub = match self.find(vm) {
                Some(hub) => hub,
                None => self.connect(vm, socket, log).await?,
            };
            let (answer, joined) = oneshot::channel();
            if hub.send(answer).await.is_ok()
                && let Ok(joined) = joined.await
            {
                let (ours, theirs) = tokio::io::duplex(HISTORY);
                let stop = self.stop.clone();
                self.tracker.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = view(ours, hub, joined) => {}
                    }
                });
                return Ok(theirs);
            }
            self.map().remove(&vm);
        }
        Err(io::Error::new(io::ErrorKind::NotConnected, "the machine went off"))
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<VmId, mpsc::WeakSender<Join>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, vm: VmId) -> Option<mpsc::Sender<Join>> {
        self.map().get(&vm).and_then(mpsc::WeakSender::upgrade)
    }

    async fn connect(&self, vm: VmId, socket: &Path, log: Option<&Path>) -> io::Result<mpsc::Sender<Join>> {
        let stream = UnixStream::connect(socket).await?;
        // Read after connecting: nothing is missed; what comes in between may be seen twice.
        let history = match log {
            Some(log) => history(log).await,
            None => Vec::new(),
        };
        let (sender, joins) = mpsc::channel(64);
        {
            let mut map = self.map();
            map.retain(|_, hub| hub.strong_count() > 0);
            if let Some(other) = map.get(&vm).and_then(mpsc::WeakSender::upgrade) {
                return Ok(other); // somebody else was faster; our connection closes
            }
            map.insert(vm, sender.downgrade());
        }
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = hub(stream, history.into(), joins) => {}
            }
        });
        Ok(sender)
    }
}

/// The last [`HISTORY`] bytes of a log, and of the one before it where libvirt's log daemon began a new one just now.
async fn history(log: &Path) -> Vec<u8> {
    let tail = |log: PathBuf| hostd_virt::log_end(log, HISTORY as u64);
    let mut newest = tail(log.to_owned()).await.unwrap_or_default();
    if newest.len() < HISTORY {
        let mut before = tail(log.with_added_extension("0")).await.unwrap_or_default();
        before.append(&mut newest);
        newest = before.split_off(before.len().saturating_sub(HISTORY));
    }
    newest
}

/// Owns the connection while anybody views it. Input goes its own way: a guest that does not read, as one that is
/// paused, holds up neither output nor joins.
async fn hub(stream: UnixStream, history: VecDeque<u8>, joins: mpsc::Receiver<Join>) {
    let (from, to) = stream.into_split();
    let (input, typed) = mpsc::channel(TYPED);
    tokio::select! {
        () = show(from, history, joins, input) => {}
        () = feed(to, typed) => {}
    }
}

/// Passes output to all viewers and lets viewers join, until the guest ends or the last viewer leaves.
async fn show(
    mut from: OwnedReadHalf,
    mut history: VecDeque<u8>,
    mut joins: mpsc::Receiver<Join>,
    input: mpsc::Sender<Vec<u8>>,
) {
    let (output, _) = broadcast::channel::<Chunk>(LAG);
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = from.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &buffer[..length];
                history.extend(bytes);
                let excess = history.len().saturating_sub(HISTORY);
                history.drain(..excess);
                // Nobody may be listening at this very moment.
                let _ = output.send(bytes.into());
            }
            join = joins.recv() => {
                let Some(answer) = join else { return };
                let history = history.iter().copied().collect();
                let _ = answer.send(Joined { history, output: output.subscribe(), input: input.clone() });
            }
        }
    }
}

/// Writes what viewers type to the guest; drops all that waits when the guest does not read it in time.
async fn feed(mut to: OwnedWriteHalf, mut typed: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = typed.recv().await {
        match timeout(UNREAD, to.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => while typed.try_recv().is_ok() {},
        }
    }
}

/// Carries bytes between one viewer and the hub until either ends; `_hub` keeps the hub alive as long.
async fn view(stream: DuplexStream, _hub: mpsc::Sender<Join>, joined: Joined) {
    let Joined { history, mut output, input } = joined;
    let (mut from, mut to) = tokio::io::split(stream);
    let down = async {
        to.write_all(&history).await?;
        loop {
            match output.recv().await {
                Ok(chunk) => to.write_all(&chunk).await?,
                Err(broadcast::error::RecvError::Lagged(_)) => to.write_all(MISSED).await?,
                Err(broadcast::error::RecvError::Closed) => return Ok::<(), io::Error>(()),
            }
        }
    };
    let up = async {
        let mut buffer = vec![0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if input.send(buffer[..length].to_vec()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = down => {}
        () = up => {}
    }
    // The viewer sees the end.
    let _ = to.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    async fn read(stream: &mut DuplexStream, length: usize) -> String {
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.expect("bytes");
        String::from_utf8(bytes).expect("text")
    }

    #[tokio::test]
    async fn viewers_share_one_connection_and_begin_with_history() {
        let dir = tempfile::tempdir().expect("directory");
        let (socket, log) = (dir.path().join("s"), dir.path().join("log"));
        let mut long = vec![b'x'; HISTORY];
        long.extend(b"booted\n");
        std::fs::write(&log, &long).expect("log");
        let listener = UnixListener::bind(&socket).expect("listener");
        let (tracker, stop, vm) = (TaskTracker::new(), CancellationToken::new(), VmId::new());
        let serials = Serials::new(&tracker, &stop);
        let mut first = serials.open(vm, &socket, Some(&log)).await.expect("first");
        let (mut guest, _) = listener.accept().await.expect("one connection");
        assert!(read(&mut first, HISTORY).await.ends_with("xbooted\n"));
        guest.write_all(b"login: ").await.expect("output");
        assert_eq!(read(&mut first, 7).await, "login: ");
        let mut second = serials.open(vm, &socket, Some(&log)).await.expect("second");
        assert!(read(&mut second, HISTORY).await.ends_with("booted\nlogin: "));
        first.write_all(b"ab").await.expect("input");
        second.write_all(b"cd").await.expect("input");
        let mut typed = [0; 4];
        guest.read_exact(&mut typed).await.expect("typed");
        typed.sort_unstable();
        assert_eq!(&typed, b"abcd");
        drop((first, second));
        assert_eq!(guest.read(&mut typed).await.expect("the end"), 0);
        let mut third = serials.open(vm, &socket, None).await.expect("third");
        let (guest, _) = listener.accept().await.expect("a new connection");
        stop.cancel();
        tracker.close();
        tracker.wait().await;
        drop(guest);
        assert_eq!(third.read(&mut typed).await.expect("the end"), 0);
    }

    #[tokio::test]
    async fn a_guest_that_does_not_read_holds_up_nobody() {
        let dir = tempfile::tempdir().expect("directory");
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("listener");
        let (tracker, stop, vm) = (TaskTracker::new(), CancellationToken::new(), VmId::new());
        let serials = Serials::new(&tracker, &stop);
        let mut first = serials.open(vm, &socket, None).await.expect("first");
        let (mut guest, _) = listener.accept().await.expect("one connection");
        // Far more than the socket and the queue hold; it ends because what is not read is dropped.
        let paste = vec![b'p'; 1 << 20];
        let pasting = async { first.write_all(&paste).await.expect("input") };
        let others = async {
            let mut second = serials.open(vm, &socket, None).await.expect("a viewer joins");
            guest.write_all(b"output").await.expect("output");
            assert_eq!(read(&mut second, 6).await, "output");
        };
        timeout(4 * JOIN_WITHIN, async { tokio::join!(pasting, others) })
            .await
            .expect("nobody waits for ever");
        drop(first);
        tracker.close();
        timeout(4 * JOIN_WITHIN, tracker.wait()).await.expect("the viewers are gone, so the hub ends");
    }
}
