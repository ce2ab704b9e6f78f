//! `/api/v1/images`

use crate::bed::{Bed, PATIENCE, pointers, refused};
use lab::{bootsector, wait};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

#[tokio::test]
async fn an_upload_is_an_image_and_can_t_go_while_a_disk_needs_it() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot.img", "hello").await;
    let view = bed.get(&format!("images/{image}")).await;
    assert_eq!(view["status"]["phase"], "ready");
    assert_eq!(view["status"]["content"]["virtual_bytes"], 1 << 20);
    assert_eq!(bed.pool_files("images"), [format!("{image}.img")]);

    let vm = bed.create_vm("user", json!({"disks": [{"from": "image", "image": image}]})).await;
    let refusal = refused(&bed.delete(&format!("images/{image}")).await, 409, "conflict");
    assert!(refusal["detail"].as_str().unwrap().contains("user"), "names who uses it: {refusal:#}");
    let answer = bed.delete(&format!("vms/{vm}?disks=true")).await;
    bed.done(&answer).await;
    let answer = bed.delete(&format!("images/{image}")).await;
    bed.done(&answer).await;
    assert!(bed.pool_files("images").is_empty());
}

#[tokio::test]
async fn bad_images_leave_nothing_behind() {
    let Some(mut bed) = Bed::start().await else { return };
    // A qcow2 header whose backing file is another file of the host.
    let mut backed = vec![0; 1 << 16];
    backed[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    backed[8..16].copy_from_slice(&104_u64.to_be_bytes());
    backed[16..20].copy_from_slice(&11_u32.to_be_bytes());
    backed[20..24].copy_from_slice(&16_u32.to_be_bytes());
    backed[24..32].copy_from_slice(&(1_u64 << 20).to_be_bytes());
    backed[100..104].copy_from_slice(&104_u32.to_be_bytes());
    backed[104..115].copy_from_slice(b"/etc/shadow");
    let cases = [("empty", Vec::new()), ("cut-qcow2", b"QFI\xfb\0\0\0\x03".to_vec()), ("backed", backed)];
    for (name, content) in cases {
        let answer = bed.upload(name, content).await;
        assert!(answer.status.is_client_error(), "{name}: {} {}", answer.status, answer.text());
        assert!(bed.pool_files("images").is_empty(), "{name}: {:?}", bed.pool_files("images"));
    }
    let answer = bed.upload("x&sha256=00", bootsector::image("x", 512)).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    let wrong = format!("x&sha256={}", "ab".repeat(32));
    let answer = bed.upload(&wrong, bootsector::image("x", 512)).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    for name in ["", "..%2Fetc", "a%22b", "%3Cb%3E", "%F0%9F%A6%80"] {
        let answer = bed.upload(name, bootsector::image("x", 512)).await;
        assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/name"], "{name}");
    }
    assert!(bed.pool_files("images").is_empty(), "{:?}", bed.pool_files("images"));
    assert_eq!(bed.get("images").await["total"], 0);
}

#[tokio::test]
async fn an_upload_cut_at_half_fails_clearly_and_leaves_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let content = bootsector::image("half", 4 << 20);
    let mut stream = UnixStream::connect(bed.host.socket()).await.unwrap();
    let head = format!(
        "POST /api/v1/images?name=half HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&content[..content.len() / 2]).await.unwrap();
    drop(stream);

    let socket = bed.host.socket();
    let task = wait::until("the upload's task to fail", PATIENCE, || {
        let mut http = lab::http::Http::new(lab::http::Target::Unix(socket.clone()));
        async move {
            let tasks = http.get("/api/v1/tasks").await?;
            let upload = tasks["items"].as_array().unwrap().iter().find(|t| t["action"] == "image.create");
            Ok(upload.filter(|t| t["state"] == "failed").cloned())
        }
    });
    let task = task.await.unwrap();
    let why = task["problem"]["detail"].as_str().unwrap();
    assert!(why.contains("cut off"), "{why}");
    assert!(bed.pool_files("images").is_empty(), "{:?}", bed.pool_files("images"));
    assert_eq!(bed.get("images").await["total"], 0);
}
