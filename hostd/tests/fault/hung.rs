//! A QEMU that hangs: what is about its machine says so in time, and nothing else waits for it.

use crate::api::console::{close_code, open_at, read_until, ticket};
use crate::bed::{Bed, refused};
use hyper::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// Nothing may wait for the machine: what waits for libvirt's answer about it takes longer than this.
const MOST: Duration = Duration::from_secs(6);

#[tokio::test]
async fn a_hung_qemu_stalls_no_other_machine() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "hello from the guest").await;
    let disks = json!([{"from": "image", "image": image}]);
    let hung = bed.create_vm("hung", json!({"start": true})).await;
    let well = bed.create_vm("well", json!({"disks": disks, "start": true})).await;
    let pid = bed.host.libvirt.run_inside("cat", &["/run/libvirt/qemu/hung.pid"]).unwrap();
    let signal = |name: &str| bed.host.libvirt.run_inside("kill", &[name, pid.trim()]).unwrap();
    signal("-STOP");

    let (mut browser, cookie) = bed.log_in().await;
    browser.fields.push(("cookie", cookie.clone()));
    // Twice: the first calls may be the ones that get stuck.
    for round in 0..2 {
        for path in [
            "/vms".to_owned(),
            format!("/vms/{well}"),
            format!("/vms/{hung}"),
            "/consoles".into(),
            "/api/v1/vms".into(),
            format!("/api/v1/vms/{well}"),
            format!("/api/v1/vms/{hung}"),
            format!("/api/v1/vms/{well}/thumbnail"),
            format!("/api/v1/vms/{well}/screenshot"),
            "/api/v1/overview".into(),
        ] {
            let begun = Instant::now();
            let answer = browser.send(Method::GET, &path, None).await.unwrap();
            assert_eq!(answer.status, 200, "round {round}: {path}: {}", answer.text());
            assert!(begun.elapsed() < MOST, "round {round}: {path} took {:?}", begun.elapsed());
        }
        let begun = Instant::now();
        let path = format!("/api/v1/vms/{hung}/thumbnail");
        let answer = browser.send(Method::GET, &path, None).await.unwrap();
        refused(&answer, 503, "unavailable");
        assert!(begun.elapsed() < MOST, "no picture took {:?}", begun.elapsed());
    }

    let url = bed.host.url();
    let fields = [("origin", url.as_str()), ("cookie", cookie.as_str())];
    let begun = Instant::now();
    let fresh = ticket(&mut browser, &well, "serial").await;
    let mut console = open_at(&bed, &fields, &format!("/api/v1/console?ticket={fresh}")).await.unwrap();
    read_until(&mut console, b"hello from the guest").await;
    assert!(begun.elapsed() < MOST, "another machine's console took {:?}", begun.elapsed());
    let begun = Instant::now();
    let fresh = ticket(&mut browser, &hung, "vnc").await;
    let mut screen = open_at(&bed, &fields, &format!("/api/v1/console?ticket={fresh}")).await.unwrap();
    assert_eq!(close_code(&mut screen).await, 4503, "QEMU does not greet");
    assert!(begun.elapsed() < 2 * MOST, "to be told so took {:?}", begun.elapsed());
    signal("-CONT");
    let fresh = ticket(&mut browser, &hung, "vnc").await;
    let mut screen = open_at(&bed, &fields, &format!("/api/v1/console?ticket={fresh}")).await.unwrap();
    read_until(&mut screen, b"RFB 003.").await;
}
