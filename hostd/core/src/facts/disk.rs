//! Block devices, from `/sys/block`.

use hostd_types::DiskFacts;
use std::path::Path;

/// Devices that are no disks of the machine.
const SKIPPED: [&str; 7] = ["loop", "ram", "zram", "sr", "fd", "nbd", "dm-"];

/// The machine's disks, by name.
pub(super) fn list(sys: &Path) -> Vec<DiskFacts> {
    let Ok(entries) = std::fs::read_dir(sys.join("block")) else { return Vec::new() };
    let mut disks: Vec<DiskFacts> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !SKIPPED.iter().any(|prefix| name.starts_with(prefix)))
        .filter_map(|name| read(sys, &name))
        .collect();
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    disks
}

fn read(sys: &Path, name: &str) -> Option<DiskFacts> {
    let dir = format!("block/{name}");
    let text = |path: &str| super::text(sys, &format!("{dir}/{path}"));
    let sectors: u64 = text("size")?.parse().ok()?;
    if sectors == 0 {
        return None; // a drive without a medium
    }
    Some(DiskFacts {
        name: name.to_owned(),
        size_bytes: sectors.saturating_mul(512),
        model: text("device/model"),
        serial: ["device/serial", "serial", "wwid", "device/wwid"].into_iter().find_map(text),
        rotational: text("queue/rotational").is_some_and(|flag| flag == "1"),
        removable: text("removable").is_some_and(|flag| flag == "1"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_and_other_devices_left_out() {
        let dir = tempfile::tempdir().expect("directory");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(path, text).expect("file");
        };
        put("block/sda/size", "2048\n");
        put("block/sda/device/model", "Disk 9000  \n");
        put("block/sda/wwid", "naa.5000\n");
        put("block/sda/queue/rotational", "1\n");
        put("block/loop0/size", "10\n");
        put("block/sdb/size", "0\n");
        put("block/vda/size", "4096\n");
        let disks = list(dir.path());
        assert_eq!(disks.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["sda", "vda"]);
        assert_eq!(disks[0].model.as_deref(), Some("Disk 9000"));
        assert_eq!(disks[0].serial.as_deref(), Some("naa.5000"));
        assert!(disks[0].rotational && disks[0].size_bytes == 1 << 20);
        assert_eq!(disks[1].serial, None);
    }
}
