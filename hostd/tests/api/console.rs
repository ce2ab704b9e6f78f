//! `/api/v1/console`: a guest's bytes over a WebSocket.

use crate::bed::{Bed, PATIENCE};
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use lab::http::Http;
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

pub type Socket = WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

/// Opens the console as a page of `origin` would, with the cookie of `browser`.
async fn open(bed: &Bed, cookie: &str, origin: &str, ticket: &str) -> Result<Socket, Error> {
    open_with(bed, &[("origin", origin), ("cookie", cookie)], ticket).await
}

async fn open_with(bed: &Bed, fields: &[(&'static str, &str)], ticket: &str) -> Result<Socket, Error> {
    open_at(bed, fields, &format!("/api/v1/console?ticket={ticket}")).await
}

pub async fn open_at(bed: &Bed, fields: &[(&'static str, &str)], path: &str) -> Result<Socket, Error> {
    let address = format!("wss://{}{path}", bed.host.address());
    let mut request = address.into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = lab::tls::connect(&bed.host.address()).await.unwrap();
    client_async(request, stream).await.map(|(socket, _)| socket)
}

pub async fn ticket(browser: &mut Http, vm: &str, console: &str) -> String {
    let path = format!("/api/v1/vms/{vm}/console");
    let ticket = browser.post(&path, &json!({"console": console})).await.unwrap();
    ticket["ticket"].as_str().unwrap().to_owned()
}

pub async fn read_until(socket: &mut Socket, what: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reading = async {
        while !bytes.windows(what.len()).any(|w| w == what) {
            match socket.next().await.unwrap().unwrap() {
                Message::Binary(more) => bytes.extend_from_slice(&more),
                Message::Ping(_) | Message::Pong(_) | Message::Text(_) => {}
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("the guest's output");
    bytes
}

pub async fn close_code(socket: &mut Socket) -> u16 {
    let closing = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?} instead of a close"),
            }
        }
    };
    timeout(PATIENCE, closing).await.expect("a close")
}

#[tokio::test]
async fn consoles_need_the_cookie_this_origin_and_a_fresh_ticket() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "hello from the guest").await;
    let disks = json!([{"from": "image", "image": image}]);
    let vm = bed.create_vm("talker", json!({"disks": disks, "start": true})).await;
    let (mut browser, cookie) = bed.log_in().await;
    let url = bed.host.url();

    let used = ticket(&mut browser, &vm, "serial").await;
    let foreign = open(&bed, &cookie, "https://evil.example", &used).await;
    assert!(matches!(&foreign, Err(Error::Http(answer)) if answer.status() == 403), "{foreign:?}");
    let nobody = open(&bed, "a=b", &url, &used).await;
    assert!(matches!(&nobody, Err(Error::Http(answer)) if answer.status() == 401), "{nobody:?}");

    let mut serial = open(&bed, &cookie, &url, &used).await.unwrap();
    read_until(&mut serial, b"hello from the guest").await;
    let mut again = open(&bed, &cookie, &url, &used).await.unwrap();
    assert_eq!(close_code(&mut again).await, 4401, "a ticket opens one console once");

    let fresh = ticket(&mut browser, &vm, "vnc").await;
    let mut screen = open(&bed, &cookie, &url, &fresh).await.unwrap();
    let greeting = read_until(&mut screen, b"RFB 003.").await;
    assert!(greeting.starts_with(b"RFB 003."));
    screen.send(Message::Binary(b"RFB 003.008\n".to_vec().into())).await.unwrap();
    read_until(&mut screen, b"\x01").await;

    bed.power(&vm, "force_off").await;
    assert_eq!(close_code(&mut screen).await, 1000, "the console ends with the machine");
}

#[tokio::test]
async fn a_console_ends_with_the_session_that_opened_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("watched", json!({"start": true})).await;
    let url = bed.host.url();
    let (mut other, other_cookie) = bed.log_in().await;
    let (mut browser, cookie) = bed.log_in().await;
    let fresh = ticket(&mut browser, &vm, "vnc").await;
    let mut screen = open(&bed, &cookie, &url, &fresh).await.unwrap();
    let fresh = ticket(&mut other, &vm, "serial").await;
    let mut serial = open(&bed, &other_cookie, &url, &fresh).await.unwrap();
    read_until(&mut screen, b"RFB 003.").await;

    assert_eq!(browser.send(Method::DELETE, "/api/v1/session", None).await.unwrap().status, 204);
    assert_eq!(close_code(&mut screen).await, 4401, "logging out closes the session's console");

    // Another session's console is still there: it ends for its own reason.
    bed.power(&vm, "force_off").await;
    assert_eq!(close_code(&mut serial).await, 1000);
}

#[tokio::test]
async fn a_console_ends_with_the_token_that_opened_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = bed.create_vm("watched", json!({"start": true})).await;
    let made = bed.post("tokens", json!({"name": "robot", "days": 1})).await.json().unwrap();
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let mut client = bed.network();
    client.fields = vec![("authorization", bearer.clone())];
    let fresh = ticket(&mut client, &vm, "vnc").await;
    let mut screen = open_with(&bed, &[("authorization", &bearer)], &fresh).await.unwrap();
    read_until(&mut screen, b"RFB 003.").await;
    let path = format!("tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(bed.delete(&path).await.status, 204);
    assert_eq!(close_code(&mut screen).await, 4401);
}
