//! What only `/sys/class/net` tells of a link, and the facts of all links for people.

use crate::observed::{Link, Observed};
use hostd_types::NicFacts;
use std::path::PathBuf;

fn path(link: &str, file: &str) -> PathBuf {
    PathBuf::from("/sys/class/net").join(link).join(file)
}

/// A device stands behind the link.
pub fn physical(link: &str) -> bool {
    path(link, "device").exists()
}

/// The link is wireless.
pub fn wireless(link: &str) -> bool {
    path(link, "phy80211").exists() || path(link, "wireless").exists()
}

/// Mbit/s; none when the driver does not know.
fn speed(link: &str) -> Option<u32> {
    let text = std::fs::read_to_string(path(link, "speed")).ok()?;
    text.trim().parse().ok().filter(|mbit| (1..u32::MAX).contains(mbit))
}

fn driver(link: &str) -> Option<String> {
    let target = std::fs::read_link(path(link, "device/driver")).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// The facts of every link but the loopback.
pub fn facts(seen: &Observed) -> Vec<NicFacts> {
    seen.links.iter().filter(|l| l.name != "lo").map(|l| fact(l, seen)).collect()
}

fn fact(link: &Link, seen: &Observed) -> NicFacts {
    NicFacts {
        name: link.name.clone(),
        mac: link.mac.map(|m| m.to_string()).unwrap_or_default(),
        physical: link.physical,
        up: link.up && link.carrier,
        speed_mbit: speed(&link.name),
        driver: driver(&link.name),
        addresses: seen.addresses_of(link.index).map(|a| a.net.to_string()).collect(),
        master: link.master.and_then(|m| seen.name_of(m)).map(str::to_owned),
    }
}
