//! Talking over the network from any of a case's namespaces: one-line servers, and questions to them and to DNS.

use nix::sched::{CloneFlags, setns};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `work` returns on a thread in network namespace `space` (empty: here).
fn within<T: Send + 'static>(space: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let file =
        (!space.is_empty()).then(|| std::fs::File::open(format!("/run/netns/{space}")).expect("namespace"));
    let thread = std::thread::spawn(move || {
        if let Some(file) = file {
            setns(file, CloneFlags::CLONE_NEWNET).expect("entering the namespace");
        }
        work()
    });
    thread.join().expect("thread")
}

/// Says `text` to everybody who connects to `port` of any address in `space`, until the case ends.
pub fn serve(space: &str, port: u16, text: &'static str) {
    let listener = within(space, move || TcpListener::bind(("0.0.0.0", port)).expect("port"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            // Whoever hangs up early gets less.
            drop(stream.write_all(text.as_bytes()));
        }
    });
}

/// What the server at `address` says to somebody in `space`; none when it can't be reached.
pub fn hear(space: &str, address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().expect(address);
    within(space, move || {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    })
}

/// The address the DNS server at `server` has for `name`, asked from `space`.
pub fn resolve(space: &str, server: &str, name: &str) -> Option<Ipv4Addr> {
    // RFC 1035: header with id 7, recursion desired, one question; then the name, type A, class IN.
    let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
    question.extend(name.as_bytes());
    question.extend([0, 0, 1, 0, 1]);
    let server = format!("{server}:53");
    within(space, move || {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        socket.send_to(&question, server).ok()?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).ok()?;
        // One answer; its last four bytes are the address.
        let last: [u8; 4] = answer[..length].last_chunk().copied()?;
        (answer[7] == 1).then(|| last.into())
    })
}
