//! Carries bytes between a viewer and a console, and lets through what the viewer may do there.

use super::Duplex;
use super::rfb::{Client, PROBE};
use super::viewers::Seat;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::UnixStream;
use tokio::time::{interval, timeout};

/// Bytes on their way in each direction.
const BUFFER: usize = 64 << 10;
/// Time for QEMU to greet: it does so at once, unless it hangs.
const GREET_WITHIN: Duration = Duration::from_secs(5);
/// A screen that sent nothing for so long is asked whether it is there.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// A screen that does not answer for so long hangs.
const HUNG_AFTER: Duration = Duration::from_secs(15);
/// How QEMU greets.
const GREETING: usize = 12;

/// A screen that greeted.
pub(super) struct Greeted {
    stream: UnixStream,
    greeting: [u8; GREETING],
}

/// Connects to a screen. QEMU's socket takes connections even when QEMU hangs; only its greeting tells.
///
/// # Errors
/// `TimedOut` when QEMU does not greet, or why the socket can't be reached.
pub(super) async fn greet(socket: &Path) -> io::Result<Greeted> {
    let greeted = async {
        let mut stream = UnixStream::connect(socket).await?;
        let mut greeting = [0; GREETING];
        stream.read_exact(&mut greeting).await?;
        Ok(Greeted { stream, greeting })
    };
    timeout(GREET_WITHIN, greeted).await?
}

/// The viewer's end of a screen, and the work that carries its bytes; `seat` says whether it controls.
pub(super) fn screen(screen: Greeted, seat: Seat) -> (DuplexStream, impl Future<Output = ()> + Send) {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    (theirs, carry_screen(ours, screen, seat))
}

/// The same of a serial port, of which every byte typed acts.
pub(super) fn serial(
    port: impl Duplex + 'static,
    seat: Seat,
) -> (DuplexStream, impl Future<Output = ()> + Send) {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    (theirs, carry_serial(ours, port, seat))
}

async fn carry_screen(viewer: DuplexStream, Greeted { stream, greeting }: Greeted, seat: Seat) {
    let (mut typed, mut shown) = tokio::io::split(viewer);
    let (mut picture, mut machine) = stream.into_split();
    // When it was last heard, in milliseconds from the beginning.
    let (begun, heard) = (Instant::now(), AtomicU64::new(0));
    let passed = || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let down = async {
        shown.write_all(&greeting).await?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = picture.read(&mut buffer).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            heard.store(passed(), Relaxed);
            shown.write_all(&buffer[..length]).await?;
        }
    };
    let up = async {
        let (mut client, mut buffer) = (Client::new(), vec![0; BUFFER]);
        let mut ticks = interval(ASK_AFTER);
        loop {
            let mut out = tokio::select! {
                read = typed.read(&mut buffer) => {
                    let length = read?;
                    if length == 0 {
                        return io::Result::Ok(());
                    }
                    client.feed(&buffer[..length]);
                    client.next(seat.controls()).map_err(|_| io::ErrorKind::InvalidData)?
                }
                _ = ticks.tick() => Vec::new(),
            };
            let silent = Duration::from_millis(passed().saturating_sub(heard.load(Relaxed)));
            if client.talks() && silent > HUNG_AFTER {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if client.talks() && silent > ASK_AFTER {
                out.extend(PROBE);
            }
            timeout(HUNG_AFTER, machine.write_all(&out)).await??;
        }
    };
    let ended = tokio::select! { ended = down => ended, ended = up => ended };
    if let Err(error) = ended {
        tracing::info!(%error, "a screen's connection ended");
    }
    let _ = shown.shutdown().await;
}

async fn carry_serial(viewer: DuplexStream, port: impl Duplex, seat: Seat) {
    let (mut typed, mut shown) = tokio::io::split(viewer);
    let (mut output, mut input) = tokio::io::split(port);
    let down = async {
        let _ = tokio::io::copy(&mut output, &mut shown).await;
    };
    let up = async {
        let mut buffer = vec![0; 4096];
        while let Ok(length @ 1..) = typed.read(&mut buffer).await {
            if seat.controls() && input.write_all(&buffer[..length]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! { () = down => {}, () = up => {} }
    let _ = shown.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::super::viewers::Viewers;
    use super::*;
    use crate::{ConsoleKind, ConsoleMode, Viewer};
    use hostd_types::*;
    use tokio::net::UnixListener;

    fn seat(viewers: &Viewers, vm: VmId, kind: ConsoleKind) -> (ViewerId, Seat) {
        let (id, since) = (ViewerId::new(), Timestamp::now());
        let viewer = Viewer {
            id,
            who: "ann".into(),
            link: None,
            since,
            may_control: true,
            controls: false,
            watching: false,
        };
        (id, viewers.enter((vm, kind), "web", viewer, ConsoleMode::Control).expect("a place"))
    }

    #[tokio::test]
    async fn keys_reach_the_screen_from_who_controls_it_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("listener");
        let qemu = async {
            let (mut qemu, _) = listener.accept().await.expect("a viewer");
            qemu.write_all(b"RFB 003.008\n").await.expect("the greeting");
            qemu
        };
        let (mut qemu, greeted) = tokio::join!(qemu, greet(&socket));
        let (viewers, vm) = (Viewers::default(), VmId::new());
        let (id, seat) = seat(&viewers, vm, ConsoleKind::Vnc);
        let (mut viewer, work) = screen(greeted.expect("greeted"), seat);
        let work = tokio::spawn(work);
        let mut greeting = [0; 12];
        viewer.read_exact(&mut greeting).await.expect("the greeting");
        viewer.write_all(b"RFB 003.008\n\x01\x01").await.expect("the handshake");
        let mut handshake = [0; 14];
        qemu.read_exact(&mut handshake).await.expect("the handshake");
        let key = |code| [4, 1, 0, 0, 0, 0, 0, code];
        viewer.write_all(&key(b'a')).await.expect("a key");
        let mut typed = [0; 8];
        qemu.read_exact(&mut typed).await.expect("the key");
        assert_eq!(typed, key(b'a'));
        viewers.set(vm, ConsoleKind::Vnc, id, ConsoleMode::Watch).expect("only looks");
        viewer.write_all(&key(b'b')).await.expect("a key that is dropped");
        viewer.write_all(&PROBE).await.expect("a look");
        let mut seen = [0; 10];
        qemu.read_exact(&mut seen).await.expect("the look");
        assert_eq!(seen, PROBE);
        drop(viewer);
        work.await.expect("the end");
        assert!(viewers.of(vm).screen.is_empty(), "they left");
    }

    #[tokio::test]
    async fn a_screen_that_does_not_greet_is_told_from_one_that_is_not_there() {
        let dir = tempfile::tempdir().expect("directory");
        let socket = dir.path().join("s");
        assert_eq!(greet(&socket).await.err().map(|e| e.kind()), Some(io::ErrorKind::NotFound));
        let _hung = UnixListener::bind(&socket).expect("listener");
        tokio::time::pause();
        assert_eq!(greet(&socket).await.err().map(|e| e.kind()), Some(io::ErrorKind::TimedOut));
    }

    #[tokio::test]
    async fn what_is_typed_on_a_serial_port_counts_from_who_controls_it_alone() {
        let (viewers, vm) = (Viewers::default(), VmId::new());
        let (_, first) = seat(&viewers, vm, ConsoleKind::Serial);
        let (id, second) = seat(&viewers, vm, ConsoleKind::Serial);
        let (port, mut guest) = tokio::io::duplex(1024);
        let (mut viewer, work) = serial(port, second);
        let work = tokio::spawn(work);
        viewer.write_all(b"lost").await.expect("typed");
        guest.write_all(b"login: ").await.expect("output");
        let mut seen = [0; 7];
        viewer.read_exact(&mut seen).await.expect("who only looks sees all");
        viewers.set(vm, ConsoleKind::Serial, id, ConsoleMode::Take).expect("taken");
        assert!(!first.controls());
        viewer.write_all(b"root").await.expect("typed");
        let mut typed = [0; 4];
        guest.read_exact(&mut typed).await.expect("typed");
        assert_eq!(&typed, b"root");
        drop(guest);
        work.await.expect("the end");
        assert_eq!(viewer.read(&mut seen).await.expect("the viewer sees the end"), 0);
    }
}
