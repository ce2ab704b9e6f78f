//! Serial ports: QEMU takes one client at a time, people come several at a time. One connection per machine is shared by
//! all its viewers; each begins with the recent history.

use hostd_types::VmId;
use std::collections::{HashMap, VecDeque};
use std::io::{self, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Bytes of history a viewer begins with.
const HISTORY: usize = 64 << 10;
/// Chunks a slow viewer may lag behind before it misses some.
const LAG: usize = 256;
/// What a viewer that missed output sees.
const MISSED: &[u8] = b"\r\n[some output was skipped]\r\n";

type Chunk = Arc<[u8]>;

/// What a viewer gets when it joins.
struct Joined {
    history: Vec<u8>,
    output: broadcast::Receiver<Chunk>,
}

enum Message {
    Join(oneshot::Sender<Joined>),
    Input(Vec<u8>),
}

/// The shared connections, by machine.
#[derive(Debug)]
pub(crate) struct Serials {
    hubs: Mutex<HashMap<VmId, mpsc::WeakSender<Message>>>,
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
    /// When the socket can't be reached.
    pub async fn open(&self, vm: VmId, socket: &Path, log: Option<&Path>) -> io::Result<DuplexStream> {
        // A hub may end between being found and being joined; the second try makes a new one.
        for _ in 0..2 {
            let hub = match self.find(vm) {
                Some(hub) => hub,
                None => self.connect(vm, socket, log).await?,
            };
            let (answer, joined) = oneshot::channel();
            if hub.send(Message::Join(answer)).await.is_ok()
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

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<VmId, mpsc::WeakSender<Message>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, vm: VmId) -> Option<mpsc::Sender<Message>> {
        self.map().get(&vm).and_then(mpsc::WeakSender::upgrade)
    }

    async fn connect(
        &self,
        vm: VmId,
        socket: &Path,
        log: Option<&Path>,
    ) -> io::Result<mpsc::Sender<Message>> {
        let stream = UnixStream::connect(socket).await?;
        // Read after connecting: nothing is missed; what comes in between may be seen twice.
        let history = match log {
            Some(log) => tail(log).await.unwrap_or_default(),
            None => Vec::new(),
        };
        let (sender, messages) = mpsc::channel(64);
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
                () = hub(stream, history.into(), messages) => {}
            }
        });
        Ok(sender)
    }
}

/// The last [`HISTORY`] bytes of a file.
async fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(HISTORY as u64))).await?;
    let mut bytes = Vec::new();
    file.take(HISTORY as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Owns the connection while anybody views it.
async fn hub(stream: UnixStream, mut history: VecDeque<u8>, mut messages: mpsc::Receiver<Message>) {
    let (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf) = stream.into_split();
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
            message = messages.recv() => match message {
                None => return,
                Some(Message::Join(answer)) => {
                    let history = history.iter().copied().collect();
                    let _ = answer.send(Joined { history, output: output.subscribe() });
                }
                Some(Message::Input(bytes)) => {
                    if to.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}

/// Carries bytes between one viewer and the hub until either ends.
async fn view(stream: DuplexStream, hub: mpsc::Sender<Message>, joined: Joined) {
    let Joined { history, mut output } = joined;
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
            if hub.send(Message::Input(buffer[..length].to_vec())).await.is_err() {
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
}
