//! `qx`: the command line on the host.

use crate::bed::Bed;
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Output, Stdio};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    text(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_by_command_line() {
    let Some(bed) = Bed::start().await else { return };
    let file = bed.scratch().join("boot.img");
    std::fs::write(&file, lab::bootsector::image("qx was here", 1 << 20)).unwrap();
    ok(&bed.qx(&["image", "upload", file.to_str().unwrap(), "--name", "boot"]));
    assert!(ok(&bed.qx(&["image", "list"])).contains("boot"));
    ok(&bed.qx(&["vm", "create", "web", "--memory", "32M", "--image", "boot", "--disk", "8M"]));
    let arranged = ["--cpus", "2", "--sockets", "2", "--threads", "1", "--cpu-mode", "performance"];
    ok(&bed.qx(&[&["vm", "edit", "WEB"], arranged.as_slice()].concat()));
    ok(&bed.qx(&["vm", "start", "web"]));
    assert!(ok(&bed.qx(&["vm", "list"])).contains("running"));
    let shown = ok(&bed.qx(&["vm", "show", "web"]));
    assert!(shown.contains("web-disk1") && shown.contains("running"), "{shown}");
    let listed: Value = serde_json::from_str(&ok(&bed.qx(&["vm", "list", "--json"]))).unwrap();
    assert_eq!(listed["items"][0]["spec"]["cpus"], 2);
    assert!(shown.contains("2 (performance; sockets: 2, cores: 1, threads: 1)"), "{shown}");
    ok(&bed.qx(&["folder", "create", "/Production"]));
    ok(&bed.qx(&["folder", "create", "/Production/Web tier"]));
    ok(&bed.qx(&["vm", "move", "web", "--folder", "/production/web tier"]));
    ok(&bed.qx(&["tag", "vm", "web", "env=prod", "front"]));
    ok(&bed.qx(&["tag", "image", "boot", "os=none"]));
    ok(&bed.qx(&["vm", "notes", "web", "Call Ann first."]));
    assert!(ok(&bed.qx(&["vm", "notes", "web"])).contains("Call Ann"));
    let filtered =
        ["vm", "list", "--folder", "/Production", "--below", "--tag", "env=prod", "--tag", "front"];
    assert!(ok(&bed.qx(&filtered)).contains("web"));
    assert!(!ok(&bed.qx(&["vm", "list", "--folder", "/Production"])).contains("web"));
    assert!(ok(&bed.qx(&["folder", "list"])).contains("/Production/Web tier"));
    ok(&bed.qx(&["folder", "rename", "/Production/Web tier", "Web"]));
    ok(&bed.qx(&["folder", "move", "/Production/Web", "/"]));
    assert_eq!(bed.qx(&["folder", "delete", "/Web"]).status.code(), Some(1));
    ok(&bed.qx(&["folder", "delete", "/Web", "--move-up"]));
    ok(&bed.qx(&["view", "save", "vms", "Mine", "tag=env%3Dprod"]));
    assert!(ok(&bed.qx(&["view", "list"])).contains("Mine"));
    ok(&bed.qx(&["view", "delete", "mine"]));
    assert!(text(&bed.qx(&["vm", "batch", "start", "web"])).contains("web"));
    ok(&bed.qx(&["vm", "force-off", "web"]));
    ok(&bed.qx(&["vm", "delete", "web", "--disks"]));
    ok(&bed.qx(&["image", "delete", "boot"]));
    ok(&bed.qx(&["volume", "create", "data", "8M"]));
    ok(&bed.qx(&["volume", "delete", "data"]));
    ok(&bed.qx(&["network", "create", "lab", "--nat", "10.77.4.0/24"]));
    ok(&bed.qx(&["network", "delete", "lab"]));
    for words in
        [["status"].as_slice(), &["host", "show"], &["task", "list"], &["event", "list"], &["token", "list"]]
    {
        ok(&bed.qx(words));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_by_words_and_exit_codes() {
    let Some(bed) = Bed::start().await else { return };
    let refused = bed.qx(&["vm", "create", "a b", "--memory", "32"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("/name"), "{}", text(&refused));
    assert_eq!(bed.qx(&["vm", "show", "nobody"]).status.code(), Some(1));
    assert_eq!(bed.qx(&["vm", "explode"]).status.code(), Some(2));
    assert_eq!(bed.qx(&["status", "--socket", "/nowhere"]).status.code(), Some(3));
    ok(&bed.qx(&["vm", "create", "deaf", "--memory", "32", "--start"]));
    let failed = bed.qx(&["vm", "shutdown", "deaf", "--deadline", "2"]);
    assert_eq!(failed.status.code(), Some(4), "{}", text(&failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_password_is_replaced() {
    let Some(bed) = Bed::start().await else { return };
    let reset: Value = serde_json::from_str(&ok(&bed.qx(&["user", "reset-password", "--json"]))).unwrap();
    let mut http = bed.network();
    assert!(http.post("/api/v1/session", &reset).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_made_on_the_host_opens_the_api_until_it_is_revoked() {
    let Some(bed) = Bed::start().await else { return };
    let secret = ok(&bed.qx(&["token", "create", "backup", "--days", "7"]));
    let mut client = bed.network();
    client.fields = vec![("authorization", format!("Bearer {}", secret.trim()))];
    assert!(client.get("/api/v1/vms").await.is_ok());
    assert!(!ok(&bed.qx(&["token", "list"])).contains(secret.trim()), "a secret is shown once");
    ok(&bed.qx(&["token", "revoke", "backup"]));
    assert_eq!(client.send(hyper::Method::GET, "/api/v1/vms", None).await.unwrap().status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_becomes_the_serial_console_until_its_escape_key() {
    let Some(mut bed) = Bed::start().await else { return };
    let image = bed.boot_image("boot", "heard by qx").await;
    let disks = serde_json::json!([{"from": "image", "image": image}]);
    bed.create_vm("talker", serde_json::json!({"disks": disks, "start": true})).await;
    let mut command = bed.qx_command(&["vm", "serial", "talker"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut qx = piped.spawn().unwrap();
    let (mut input, mut output) = (qx.stdin.take().unwrap(), qx.stdout.take().unwrap());
    let told = tokio::task::spawn_blocking(move || {
        let mut told = Vec::new();
        let mut until = |what: &str| {
            let mut byte = [0];
            while !String::from_utf8_lossy(&told).contains(what) {
                assert_eq!(
                    output.read(&mut byte).unwrap(),
                    1,
                    "it ended: {:?}",
                    String::from_utf8_lossy(&told)
                );
                told.push(byte[0]);
            }
        };
        until("heard by qx");
        input.write_all(b"typed").unwrap();
        until("typed"); // the guest sends back what it hears
        input.write_all(&[0x1d]).unwrap();
    });
    tokio::time::timeout(crate::bed::PATIENCE, told).await.expect("the guest's words").unwrap();
    assert!(tokio::task::spawn_blocking(move || qx.wait()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_enough_hears_no_complaint() {
    let Some(bed) = Bed::start().await else { return };
    for words in [["event", "list"].as_slice(), &["event", "list", "--json"], &["status"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = bed.qx_command(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {}", text(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_customized_and_its_password_is_no_argument() {
    let Some(bed) = Bed::start().await else { return };
    let keys = bed.scratch().join("keys");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHQfoe28Z2XpyBLVxVZq0nUvgOtuJFTCr6LdQPRWNCbt ada";
    std::fs::write(&keys, format!("# mine\n{key}\n")).unwrap();
    let keys = format!("@{}", keys.display());
    let words =
        ["vm", "create", "made", "--memory", "32M", "--hostname", "{{vm.name}}", "--cloud-user", "ada"];
    let user = ["--sudo", "no-password", "--ssh-key", &keys, "--cloud-password", "--ssh-pwauth"];
    let mut asked = bed.qx_command(&[&words[..], &user].concat());
    let mut asked =
        asked.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asked.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    let made = asked.wait_with_output().unwrap();
    assert!(!ok(&made).contains("warning"), "{}", text(&made));

    ok(&bed.qx(&[
        "vm",
        "customize",
        "made",
        "--package",
        "htop",
        "--timezone",
        "Europe/Berlin",
        "--run-again",
    ]));
    let shown = ok(&bed.qx(&["vm", "show", "made"]));
    for said in ["ada (password set, keys: 1, sudo: no_password)", "htop", "Europe/Berlin", "made"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    let json: Value = serde_json::from_str(&ok(&bed.qx(&["vm", "show", "made", "--json"]))).unwrap();
    let custom = &json["vm"]["spec"]["customization"];
    assert_eq!((&custom["users"][0]["password"], &custom["ssh_pwauth"]), (&"kept".into(), &true.into()));
    assert!(!json.to_string().contains("$6$") && !json.to_string().contains("horse"));

    let locked = bed.qx(&["vm", "create", "locked", "--memory", "32M", "--hostname", "x"]);
    assert!(ok(&locked).contains("warning: Nobody can log in"), "{}", text(&locked));
    ok(&bed.qx(&["vm", "customize", "locked", "--remove"]));
    let wrong = bed.qx(&["vm", "create", "no", "--cloud-user", "a", "--cloud-password", "secret"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
}
