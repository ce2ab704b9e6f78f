//! Disk files by the real `qemu-img`.

use hostd_types::{DiskFormat, ImageKind};
use hostd_virt::disk::{DiskError, Inspected, create, inspect};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A scratch directory; none, and a line that says why, without `qemu-img`.
fn scratch() -> Option<tempfile::TempDir> {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("skipped: qemu-img is not installed");
        return None;
    }
    Some(tempfile::tempdir().expect("a directory"))
}

fn qemu_img(args: &[&str]) {
    let output = Command::new("qemu-img").args(args).output().expect("qemu-img");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

async fn refused(path: &Path, says: &str) {
    match inspect(path).await {
        Err(DiskError::NotAnImage(why)) if why.contains(says) => {}
        other => panic!("{}: wanted a refusal with {says:?}, got {other:?}", path.display()),
    }
}

#[tokio::test]
async fn disks_are_made_whole_or_not_at_all() {
    let Some(dir) = scratch() else { return };
    let at = |name: &str| dir.path().join(name);
    let disk = |format, virtual_bytes| Inspected { kind: ImageKind::Disk, format, virtual_bytes };
    for (name, format) in [("a.qcow2", DiskFormat::Qcow2), ("a.raw", DiskFormat::Raw)] {
        create(&at(name), format, 10 << 20, None).await.expect(name);
        assert_eq!(inspect(&at(name)).await, Ok(disk(format, 10 << 20)));
        assert!(fs::metadata(at(name)).expect("its size").len() <= 10 << 20);
    }
    let base = at("base, with=comma:colon.img");
    fs::write(&base, vec![7; 1 << 20]).expect("a base");
    create(&at("o.qcow2"), DiskFormat::Qcow2, 2 << 20, Some((&base, DiskFormat::Raw)))
        .await
        .expect("overlay");
    let info = Command::new("qemu-img").args(["info", "--output=json", text(&at("o.qcow2"))]).output();
    let info = String::from_utf8(info.expect("info").stdout).expect("text");
    assert!(info.contains("\"backing-filename-format\": \"raw\"") && info.contains(": 2097152"), "{info}");

    let again = create(&at("a.raw"), DiskFormat::Raw, 1 << 20, None).await;
    assert!(matches!(&again, Err(DiskError::Io(why)) if why.contains("exists already")), "{again:?}");
    assert_eq!(fs::metadata(at("a.raw")).expect("untouched").len(), 10 << 20);
    fs::write(at("b.raw.part"), "of a creation cut short").expect("write");
    create(&at("b.raw"), DiskFormat::Raw, 1 << 20, None).await.expect("a stale part is replaced");
    for (path, backing) in [
        (at("c.qcow2"), Some((at("missing"), DiskFormat::Raw))),
        (at("c.raw"), Some((base, DiskFormat::Raw))),
        (at("no-such-dir/c.qcow2"), None),
    ] {
        let format =
            if path.extension().is_some_and(|e| e == "raw") { DiskFormat::Raw } else { DiskFormat::Qcow2 };
        let backing = backing.as_ref().map(|(b, f)| (b.as_path(), *f));
        let failed = create(&path, format, 1 << 20, backing).await;
        assert!(matches!(failed, Err(DiskError::Io(_))), "{failed:?}");
    }
    let parts = fs::read_dir(dir.path())
        .expect("list")
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|x| x == "part"));
    assert_eq!(parts.count(), 0, "nothing half-made is left");
}

#[tokio::test]
async fn a_full_pool_is_told_as_such_and_nothing_is_left() {
    let Some(dir) = scratch() else { return };
    let target = text(dir.path()).to_owned();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "pool", &target]).output();
    if !mounted.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    }
    let made = create(&dir.path().join("a.qcow2"), DiskFormat::Qcow2, 1 << 30, None).await;
    let left = fs::read_dir(dir.path()).expect("list").count();
    Command::new("umount").arg(&target).status().expect("umount");
    assert_eq!((made, left), (Err(DiskError::Full), 0));
}

#[tokio::test]
async fn other_formats_are_refused_with_the_way_out() {
    let Some(dir) = scratch() else { return };
    for (format, name) in
        [("vmdk", "VMDK"), ("vdi", "VDI"), ("vhdx", "VHDX"), ("vpc", "VHD"), ("qed", "QED"), ("qcow", "QCOW")]
    {
        let path = dir.path().join(format);
        qemu_img(&["create", "-q", "-f", format, text(&path), "10M"]);
        refused(&path, name).await;
        refused(&path, &format!("qemu-img convert -f {format}")).await;
    }
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("write");
        path
    };
    refused(&write("empty", b""), "empty").await;
    refused(&write("odd", &[1; 1000]), "multiple of 512").await;
    refused(&write("gz", b"\x1f\x8b\x08 and so on"), "gzip").await;
    assert!(matches!(inspect(&dir.path().join("missing")).await, Err(DiskError::Io(_))));
    let mut iso = vec![0; 40 << 10];
    iso[32768..32774].copy_from_slice(b"\x01CD001");
    let seen = inspect(&write("small.iso", &iso)).await.expect("an ISO");
    assert_eq!((seen.kind, seen.format, seen.virtual_bytes), (ImageKind::Iso, DiskFormat::Raw, 40 << 10));
    iso[32848..32852].copy_from_slice(&300_000_u32.to_le_bytes());
    iso[32896..32898].copy_from_slice(&2048_u16.to_le_bytes());
    refused(&write("cut.iso", &iso), "incomplete").await;
}

#[tokio::test]
async fn a_qcow2_that_leads_elsewhere_or_is_cut_is_refused() {
    let Some(dir) = scratch() else { return };
    let at = |name: &str| dir.path().join(name);
    let (base, full) = (at("base.raw"), at("full.qcow2"));
    fs::write(&base, vec![9; 3 << 20]).expect("a base");
    qemu_img(&["create", "-q", "-f", "qcow2", "-b", text(&base), "-F", "raw", text(&at("overlay")), "4M"]);
    refused(&at("overlay"), "backing file").await;
    let data = format!("data_file={}", text(&at("data")));
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", &data, text(&at("external")), "4M"]);
    refused(&at("external"), "another file").await;
    let secret = "secret,id=s,data=x";
    let aes = "encrypt.format=aes,encrypt.key-secret=s";
    qemu_img(&["create", "-q", "--object", secret, "-f", "qcow2", "-o", aes, text(&at("aes")), "4M"]);
    refused(&at("aes"), "encrypted").await;

    qemu_img(&["convert", "-O", "qcow2", text(&base), text(&full)]);
    assert_eq!(inspect(&full).await.expect("whole").virtual_bytes, 3 << 20);
    let bytes = fs::read(&full).expect("read");
    for share in [10, 30, 50, 70, 90] {
        let cut = at("cut");
        fs::write(&cut, &bytes[..bytes.len() * share / 100]).expect("write");
        refused(&cut, "incomplete").await;
    }
    let compressed = at("compressed");
    qemu_img(&[
        "convert",
        "-c",
        "-O",
        "qcow2",
        "-o",
        "compression_type=zstd",
        text(&base),
        text(&compressed),
    ]);
    assert!(inspect(&compressed).await.is_ok());
}
