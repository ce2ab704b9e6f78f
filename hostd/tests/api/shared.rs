//! Several viewers of one console, and links that open it without a login.

use super::console::{Socket, close_code, open_at, read_until, ticket};
use crate::bed::{Bed, PATIENCE, refused};
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const TOLD: (&str, &str) = ("sec-websocket-protocol", "quantix.console");

/// Reads until the viewers are as wanted.
async fn told(socket: &mut Socket, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let reading = async {
        loop {
            match socket.next().await.expect("not the end").expect("a message") {
                Message::Text(text) => {
                    let told: Value = serde_json::from_str(&text).unwrap();
                    if wanted(&told) {
                        return told;
                    }
                }
                Message::Close(frame) => panic!("{frame:?} instead of {what}"),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("never told: {what}"))
}

fn controls(told: &Value) -> bool {
    let you = &told["viewers"]["you"];
    let all = told["viewers"]["all"].as_array();
    all.is_some_and(|all| all.iter().any(|viewer| viewer["id"] == *you && viewer["controls"] == true))
}

async fn send(socket: &mut Socket, text: &str) {
    socket.send(Message::Binary(text.as_bytes().to_vec().into())).await.unwrap();
}

async fn talker(bed: &mut Bed) -> String {
    let image = bed.boot_image("boot", "hello from the guest").await;
    let disks = json!([{"from": "image", "image": image}]);
    bed.create_vm("talker", json!({"disks": disks, "start": true})).await
}

#[tokio::test]
async fn one_viewer_types_and_the_others_look_until_they_take_control() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = talker(&mut bed).await;
    let (mut browser, cookie) = bed.log_in().await;
    let url = bed.host.url();
    let fields = [("origin", url.as_str()), ("cookie", cookie.as_str()), TOLD];
    let mut open = async |mode: &str| {
        let path = format!("/api/v1/vms/{vm}/console");
        let made = browser.post(&path, &json!({"console": "serial", "mode": mode})).await.unwrap();
        let path = format!("/api/v1/console?ticket={}", made["ticket"].as_str().unwrap());
        open_at(&bed, &fields, &path).await.unwrap()
    };
    let mut first = open("control").await;
    told(&mut first, "the first controls", controls).await;
    read_until(&mut first, b"hello from the guest").await;
    let mut second = open("control").await;
    let seen = told(&mut second, "the second looks", |told| told["viewers"].is_object()).await;
    assert!(!controls(&seen), "{seen:#}");
    send(&mut second, "lost").await;
    send(&mut first, "kept").await;
    let echoed = read_until(&mut second, b"kept").await;
    assert!(!echoed.windows(4).any(|w| w == b"lost"), "{}", String::from_utf8_lossy(&echoed));

    second.send(Message::Text(r#"{"mode":"take"}"#.into())).await.unwrap();
    told(&mut second, "the second controls", controls).await;
    told(&mut first, "the first looks", |told| told["viewers"].is_object() && !controls(told)).await;
    send(&mut second, "taken").await;
    read_until(&mut first, b"taken").await;
    let seen = bed.get(&format!("vms/{vm}/viewers")).await;
    assert_eq!(seen["serial"].as_array().map(Vec::len), Some(2), "{seen:#}");
    assert_eq!(seen["screen"], json!([]));
    drop(second);
    told(&mut first, "control comes back", controls).await;
}

#[tokio::test]
async fn a_link_opens_one_machine_s_consoles_once_and_nothing_else() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = talker(&mut bed).await;
    let url = bed.host.url();
    let wrong = bed.post(&format!("vms/{vm}/links"), json!({"valid_s": 5})).await;
    assert_eq!(refused(&wrong, 422, "invalid")["errors"][0]["pointer"], "/valid_s");
    let made = bed.post(&format!("vms/{vm}/links"), json!({"control": false, "valid_s": 600})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json().unwrap();
    let secret = made["path"].as_str().unwrap().strip_prefix("/shared#").unwrap().to_owned();
    let state = std::fs::read(bed.state().join("state.db-wal")).unwrap_or_default();
    assert!(!state.windows(secret.len()).any(|w| w == secret.as_bytes()), "the secret is kept as a hash");
    let listed = bed.get(&format!("vms/{vm}/links")).await;
    assert!(listed["items"][0].get("used").is_none() && !listed.to_string().contains(&secret), "{listed:#}");

    let mut guest = bed.network();
    guest.fields = vec![("origin", url.clone())];
    let redeem = json!({"secret": secret});
    let guess =
        guest.send(Method::POST, "/api/v1/shared/redeem", Some(&json!({"secret": "x"}))).await.unwrap();
    refused(&guess, 401, "unauthenticated");
    let opened = guest.send(Method::POST, "/api/v1/shared/redeem", Some(&redeem)).await.unwrap();
    assert_eq!(opened.status, 200, "{}", opened.text());
    let cookie = opened.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("Secure") && cookie.contains("SameSite=Strict"));
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(opened.json().unwrap()["name"], "talker");
    let mut late = bed.network();
    late.fields = vec![("origin", url.clone())];
    let again = late.send(Method::POST, "/api/v1/shared/redeem", Some(&redeem)).await.unwrap();
    refused(&again, 401, "unauthenticated");

    guest.fields = vec![("origin", url.clone()), ("cookie", cookie.clone())];
    let shown = guest.send(Method::GET, "/api/v1/shared", None).await.unwrap();
    assert_eq!((shown.status.as_u16(), shown.json().unwrap()["control"].clone()), (200, json!(false)));
    for path in ["/api/v1/vms".to_owned(), format!("/api/v1/vms/{vm}"), "/api/v1/console?ticket=x".into()] {
        let other = guest.send(Method::GET, &path, None).await.unwrap();
        refused(&other, 401, "unauthenticated");
    }
    let login = bed.log_in().await.1;
    let mut person = bed.network();
    person.fields = vec![("cookie", login)];
    refused(&person.send(Method::GET, "/api/v1/shared", None).await.unwrap(), 401, "unauthenticated");

    let path = "/api/v1/shared/console?console=serial&mode=take";
    let foreign = [("origin", "https://evil.example"), ("cookie", cookie.as_str())];
    open_at(&bed, &foreign, path).await.expect_err("another site's page");
    let fields = [("origin", url.as_str()), ("cookie", cookie.as_str()), TOLD];
    let mut shared = open_at(&bed, &fields, path).await.unwrap();
    read_until(&mut shared, b"hello from the guest").await;
    send(&mut shared, "never").await;
    let (mut browser, own) = bed.log_in().await;
    let fresh = ticket(&mut browser, &vm, "serial").await;
    let own = [("origin", url.as_str()), ("cookie", own.as_str())];
    let mut admin = open_at(&bed, &own, &format!("/api/v1/console?ticket={fresh}")).await.unwrap();
    let there = |told: &Value| told["viewers"]["all"].as_array().is_some_and(|all| all.len() == 2);
    let seen = told(&mut shared, "an administrator came", there).await.to_string();
    assert!(
        seen.contains("an administrator") && !seen.contains("admin\""),
        "a guest is told no names: {seen}"
    );
    send(&mut admin, "typed").await;
    let seen = read_until(&mut shared, b"typed").await;
    assert!(!seen.windows(5).any(|w| w == b"never"), "a link for looking does not type");

    let link = made["link"]["id"].as_str().unwrap();
    assert_eq!(bed.delete(&format!("links/{link}")).await.status, 204);
    assert_eq!(close_code(&mut shared).await, 4401, "revoking closes what it opened");
    refused(&guest.send(Method::GET, "/api/v1/shared", None).await.unwrap(), 401, "unauthenticated");
    let events = bed.get(&format!("events?subject={vm}&limit=50")).await.to_string();
    for action in ["vm.share_console", "vm.open_link", "vm.revoke_link", "the link made by local console"] {
        assert!(events.contains(action), "{action}: {events}");
    }
}

#[tokio::test]
async fn guessing_links_is_slowed_down() {
    let Some(bed) = Bed::start().await else { return };
    let mut guest = bed.network();
    guest.fields = vec![("origin", bed.host.url())];
    let mut slowed = false;
    for n in 0..8 {
        let guess = json!({"secret": format!("guess {n}")});
        let answer = guest.send(Method::POST, "/api/v1/shared/redeem", Some(&guess)).await.unwrap();
        slowed |= answer.status == 429;
    }
    assert!(slowed, "eight guesses were answered at once");
}

#[tokio::test]
async fn a_machine_s_definition_and_logs_are_read_without_secrets() {
    let Some(mut bed) = Bed::start().await else { return };
    let vm = talker(&mut bed).await;
    bed.vm_is(&vm, "running").await;
    let xml = bed.get(&format!("vms/{vm}/xml")).await;
    assert_eq!(xml["name"], "talker");
    for text in [&xml["live"], &xml["persistent"]] {
        assert!(text.as_str().unwrap().contains(&vm), "{text}");
    }
    let log = bed.get(&format!("vms/{vm}/log?lines=1000")).await;
    let lines = log["lines"].as_array().unwrap();
    assert!(lines.iter().any(|line| line.as_str().unwrap().contains("qemu-system")), "{log:#}");
    let out = bed.qx(&["vm", "log", "talker", "--lines", "3"]);
    assert_eq!(String::from_utf8(out.stdout).unwrap().lines().count(), 3.min(lines.len()));
    bed.power(&vm, "force_off").await;
    let out = bed.qx(&["vm", "xml", "talker", "--live"]);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("does not run"));
    let off = bed.create_vm("never", json!({})).await;
    let log = bed.get(&format!("vms/{off}/log")).await;
    assert!(log["missing"].as_str().unwrap().contains("never started"), "{log:#}");
}
