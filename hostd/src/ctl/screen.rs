//! `qx vm screen`: a machine's screen for a viewer on this machine, such as virt-viewer, through our own door. The viewer
//! speaks plain VNC to a loopback address; from there on everything goes over the console's authenticated WebSocket.

use super::far::{Far, FarHost};
use super::lookup::id;
use super::{Session, Stop, output};
use crate::client::Failure;
use anyhow::{Context, anyhow, ensure};
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

#[derive(Debug, clap::Args)]
pub struct Screen {
    id: String,
    /// Where the viewer connects; an address of this machine alone
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Write a file that virt-viewer opens (remote-viewer FILE)
    #[arg(long, value_name = "FILE")]
    vv: Option<PathBuf>,
    /// Only look
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    far: FarHost,
}

trait Way: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Way for T {}

type Socket = WebSocketStream<Box<dyn Way>>;

/// Waits for one viewer and carries its screen until either side ends.
pub async fn run(session: &Session, screen: Screen) -> Result<(), Stop> {
    let loopback = screen.listen.ip().is_loopback();
    check(loopback)?;
    let far = screen.far.clone().open()?;
    let listener =
        TcpListener::bind(screen.listen).await.with_context(|| format!("listening on {}", screen.listen))?;
    let address = listener.local_addr().context("listening")?;
    if let Some(file) = &screen.vv {
        write_vv(file, &screen.id, address).with_context(|| file.display().to_string())?;
        output::say!("remote-viewer {}", file.display());
    }
    eprintln!("One viewer may connect to {address} (VNC). Ctrl-C ends it.");
    let (viewer, from) = listener.accept().await.context("waiting for a viewer")?;
    drop(listener); // nobody else
    check(from.ip().is_loopback())?;
    let mode = if screen.watch { "watch" } else { "control" };
    let socket = match &far {
        Some(far) => open_far(far, &screen.id, mode).await?,
        None => open_here(session, &screen.id, mode).await?,
    };
    let why = carry(viewer, socket).await?;
    eprintln!("{why}");
    Ok(())
}

fn check(loopback: bool) -> anyhow::Result<()> {
    ensure!(
        loopback,
        "a screen has no password here: only a loopback address is listened on (127.0.0.1 or ::1)"
    );
    Ok(())
}

fn write_vv(file: &Path, name: &str, address: SocketAddr) -> std::io::Result<()> {
    let title: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut out =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    write!(
        out,
        "[virt-viewer]\ntype=vnc\nhost={}\nport={}\ntitle={title}\ndelete-this-file=1\n",
        address.ip(),
        address.port()
    )
}

async fn open_here(session: &Session, name: &str, mode: &str) -> Result<Socket, Stop> {
    let path = format!("/api/v1/vms/{}/console", id(session, "vms", name).await?);
    let asked = json!({"console": "vnc", "mode": mode});
    let ticket = session.client.ask(Method::POST, &path, Some(&asked)).await?;
    let stream = UnixStream::connect(session.client.socket()).await.context("connecting to hostd")?;
    open(Box::new(stream), ("ws", "localhost"), &ticket, None).await
}

async fn open_far(far: &Far, name: &str, mode: &str) -> Result<Socket, Stop> {
    let id = match uuid::Uuid::parse_str(name) {
        Ok(id) => id.to_string(),
        Err(_) => {
            let query = serde_urlencoded::to_string([("q", name), ("limit", "500")]).context("the name")?;
            let page = far.ask(Method::GET, &format!("/api/v1/vms?{query}"), None).await?;
            let rows = page["items"].as_array().cloned().unwrap_or_default();
            let named = |row: &&Value| {
                row["spec"]["name"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name))
            };
            let found = rows.iter().find(named).and_then(|row| row["id"].as_str());
            found.ok_or_else(|| anyhow!("there is no {name:?} among the vms"))?.to_owned()
        }
    };
    let asked = json!({"console": "vnc", "mode": mode});
    let ticket = far.ask(Method::POST, &format!("/api/v1/vms/{id}/console"), Some(&asked)).await?;
    let stream = far.connect().await?;
    open(Box::new(stream), ("wss", far.address()), &ticket, Some(far.authorization())).await
}

async fn open(
    stream: Box<dyn Way>,
    (scheme, host): (&str, &str),
    ticket: &Value,
    authorization: Option<String>,
) -> Result<Socket, Stop> {
    let ticket = ticket["ticket"].as_str().ok_or_else(|| Failure::Unclear(anyhow!("no ticket")))?;
    let mut request = format!("{scheme}://{host}/api/v1/console?ticket={ticket}")
        .into_client_request()
        .context("the console's address")?;
    if let Some(value) = authorization {
        let value = HeaderValue::try_from(value).context("the token")?;
        request.headers_mut().insert("authorization", value);
    }
    let (socket, _) = client_async(request, stream).await.context("opening the console")?;
    Ok(socket)
}

async fn carry(viewer: TcpStream, socket: Socket) -> Result<String, Stop> {
    let (mut typed, mut shown) = viewer.into_split();
    let (mut sink, mut source) = socket.split();
    let mut buffer = vec![0; 64 << 10];
    loop {
        tokio::select! {
            read = typed.read(&mut buffer) => {
                let length = read.context("reading from the viewer")?;
                if length == 0 {
                    let _ = sink.close().await;
                    return Ok("the viewer left".into());
                }
                let bytes = buffer[..length].to_vec();
                sink.send(Message::Binary(bytes.into())).await.context("sending to the machine")?;
            }
            message = source.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    shown.write_all(&bytes).await.context("writing to the viewer")?;
                }
                Some(Ok(Message::Close(Some(frame)))) => return Ok(frame.reason.to_string()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok("the connection broke".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_s_file_names_the_loopback_address_and_is_private() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("web.vv");
        write_vv(&file, "web\nhost=evil", "127.0.0.1:5901".parse().expect("an address")).expect("written");
        let text = std::fs::read_to_string(&file).expect("the file");
        assert!(text.contains("\nhost=127.0.0.1\nport=5901\ntitle=webhost=evil\n"), "{text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().expect("the file").permissions());
        assert_eq!(mode & 0o777, 0o600);
        check(false).expect_err("a screen is never open to the network");
    }
}
