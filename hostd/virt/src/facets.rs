//! The options of a machine's hardware in words, read from any definition: of what is wanted from the one we would write, of
//! what is there from libvirt's. So one reader serves both, and what is never written can't be compared.

use crate::domain_xml::{self, Surroundings};
use crate::element::Element;
use crate::observe::SeenDomain;
use crate::plan::DomainPlan;
use hostd_types::{AGENT_CHANNEL, HugePageSize};
use std::collections::BTreeMap;

/// What each option is, by its name: `watchdog` is `i6300esb, reset`.
pub type Facets = BTreeMap<String, String>;

/// An option that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub title: String,
    pub seen: String,
    pub wanted: String,
}

/// What `plan` wants.
pub(crate) fn wanted(plan: &DomainPlan) -> Facets {
    let nowhere = Surroundings { run_dir: std::path::PathBuf::new(), direct: Vec::new() };
    let mut facets = facets(&domain_xml::domain(plan, &nowhere));
    // The host chooses by what the file system can do.
    for disk in plan.disks.iter().filter(|disk| disk.options.cache.is_none()) {
        facets.remove(&format!("cache of disk {}", domain_xml::target(disk.bus, disk.slot)));
    }
    facets
}

/// Options in which `seen` is not as `plan` wants; devices that are not there are not compared.
pub(crate) fn differences(plan: &DomainPlan, seen: &Facets) -> Vec<Difference> {
    let differs = |(title, wanted): (String, String)| {
        let seen = seen.get(&title)?;
        // libvirt shows the watchdog in the mainboard's chips, which is there unasked.
        let unasked = title == "watchdog" && wanted == "none" && seen.starts_with("itco");
        (*seen != wanted && !unasked).then(|| Difference { title, seen: seen.clone(), wanted })
    };
    wanted(plan).into_iter().filter_map(differs).collect()
}

/// The name of what the memory is made of.
const MEMORY_PAGES: &str = "huge pages";
/// The name of shared folders among the options; what is told about them begins with it.
pub const SHARED_FOLDERS: &str = "shared folders";
/// What that is without huge pages.
const ORDINARY: &str = "none";

/// The memory of the definition in force is made of huge pages, so that it stays as large as it is.
pub fn has_huge_pages(domain: &SeenDomain) -> bool {
    domain.shape.facets.get(MEMORY_PAGES).is_some_and(|pages| pages != ORDINARY)
}

/// The name of the limits of the disk called `target`.
pub(crate) fn disk_limits(target: &str) -> String {
    format!("limits of disk {target}")
}

/// The name of the limits of the card with the address `mac`.
pub(crate) fn nic_limits(mac: &str) -> String {
    format!("limits of card {}", mac.to_ascii_lowercase())
}

/// Reads a domain's definition.
pub(crate) fn facets(domain: &Element) -> Facets {
    let none = Element::default();
    let devices = domain.child("devices").unwrap_or(&none);
    let mut facets = Facets::new();
    let mut add = |title: &str, value: String| drop(facets.insert(title.to_owned(), value));
    let text = |path: &[&str]| domain.at(path).map(|e| e.text.trim().to_owned());
    add("on a crash", text(&["on_crash"]).unwrap_or_else(|| "destroy".into()));
    add("CPU shares", text(&["cputune", "shares"]).unwrap_or_else(|| "default".into()));
    add("CPU limit", limit(domain));
    add(MEMORY_PAGES, huge_pages(domain));
    add("NUMA nodes", domain.at(&["cpu", "numa"]).map_or(1, |numa| numa.all("cell").count()).to_string());
    add(SHARED_FOLDERS, shares(devices));
    add("TPM", devices.child("tpm").map_or("none", |_| "2.0").to_owned());
    add("watchdog", watchdog(devices));
    add("graphics card", devices.at(&["video", "model"]).map_or_else(|| "none".into(), video));
    add("random numbers", devices.child("rng").map_or_else(|| "none".into(), rng));
    add("serial ports", devices.all("serial").count().to_string());
    add("channels", channels(devices));
    let names = |element: &Element, child: &str, key: &str| {
        element.child(child).and_then(|c| c.get(key)).unwrap_or_default().to_owned()
    };
    for disk in devices.all("disk").filter(|d| d.get("device").unwrap_or("disk") == "disk") {
        let target = names(disk, "target", "dev");
        let driver =
            |key: &str, or: &str| disk.child("driver").and_then(|d| d.get(key)).unwrap_or(or).to_owned();
        add(&format!("cache of disk {target}"), driver("cache", "default"));
        add(&format!("I/O of disk {target}"), driver("io", "default"));
        add(&format!("discarding on disk {target}"), driver("discard", "ignore"));
        add(&disk_limits(&target), rates(disk.child("iotune")));
    }
    for card in devices.all("interface") {
        let mac = names(card, "mac", "address").to_ascii_lowercase();
        add(&format!("model of card {mac}"), names(card, "model", "type"));
        add(&nic_limits(&mac), bandwidth(card.child("bandwidth")));
    }
    facets
}

/// The size of the pages; the kernel's own choice when the definition names none.
fn huge_pages(domain: &Element) -> String {
    let Some(pages) = domain.at(&["memoryBacking", "hugepages"]) else { return ORDINARY.into() };
    let Some(page) = pages.child("page") else { return "of the host's default size".into() };
    let (size, unit) = (page.get("size").unwrap_or_default(), page.get("unit").unwrap_or("KiB"));
    match (size, unit) {
        ("2048", "KiB") => HugePageSize::TwoMib.label().into(),
        ("1048576", "KiB") => HugePageSize::OneGib.label().into(),
        (size, unit) => format!("{size} {unit}"),
    }
}

fn limit(domain: &Element) -> String {
    let number = |name: &str| domain.at(&["cputune", name])?.text.trim().parse::<u64>().ok();
    match (number("global_quota"), number("global_period").unwrap_or(domain_xml::CPU_PERIOD)) {
        (Some(quota), period @ 1..) => format!("{} %", quota.saturating_mul(100) / period),
        (Some(_) | None, _) => "none".into(),
    }
}

fn watchdog(devices: &Element) -> String {
    let said = |dog: &Element| {
        format!("{}, {}", dog.get("model").unwrap_or_default(), dog.get("action").unwrap_or("reset"))
    };
    let own = devices.all("watchdog").find(|dog| dog.get("model") != Some("itco"));
    own.or_else(|| devices.child("watchdog")).map_or_else(|| "none".into(), said)
}

fn video(model: &Element) -> String {
    let kind = model.get("type").unwrap_or_default();
    let mut said = kind.to_owned();
    if let Some(kib) = model.get("vram").filter(|_| matches!(kind, "vga" | "qxl")) {
        said += &format!(", {} MiB", kib.parse::<u64>().unwrap_or(0) / 1024);
    }
    match model.get("heads") {
        Some("1") | None => said,
        Some(heads) => format!("{said}, {heads} screens"),
    }
}

fn rng(device: &Element) -> String {
    let rate = device.child("rate").and_then(|rate| {
        let bytes: u64 = rate.get("bytes")?.parse().ok()?;
        let period: u64 = rate.get("period").unwrap_or("1000").parse().ok().filter(|p| *p > 0)?;
        Some(bytes.saturating_mul(1000) / period)
    });
    rate.map_or_else(|| "on".into(), |bytes| format!("{bytes} bytes a second"))
}

fn channels(devices: &Element) -> String {
    let names = devices.all("channel").filter_map(|channel| {
        let target = channel.child("target").filter(|t| t.get("type") == Some("virtio"))?;
        target.get("name").filter(|name| *name != AGENT_CHANNEL)
    });
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Each with its tag and the folder.
fn shares(devices: &Element) -> String {
    let get = |share: &Element, child: &str| share.child(child)?.get("dir").map(str::to_owned);
    let told = |share: &Element| {
        let folder = get(share, "source").unwrap_or_default();
        let folder = folder.rsplit('/').next().unwrap_or_default();
        format!("{} ({folder})", get(share, "target").unwrap_or_default())
    };
    let all: Vec<String> = devices.all("filesystem").map(told).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

fn rates(tune: Option<&Element>) -> String {
    let number = |name: &str| tune?.child(name)?.text.trim().parse::<u64>().ok().filter(|n| *n > 0);
    let one = |(name, libvirt, _): (&str, &str, _)| {
        let rate = number(libvirt)?;
        let burst = number(&format!("{libvirt}_max")).map(|most| {
            let seconds = number(&format!("{libvirt}_max_length")).unwrap_or(1);
            format!(" (burst {most} for {seconds} s)")
        });
        Some(format!("{name} {rate}{}", burst.unwrap_or_default()))
    };
    let all: Vec<String> = hostd_types::DiskLimits::default().named().into_iter().filter_map(one).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

fn bandwidth(both: Option<&Element>) -> String {
    let one = |name: &'static str, word: &str| {
        let side = both?.child(name)?;
        let average = side.get("average").filter(|average| *average != "0")?;
        let more = |key: &str| side.get(key).map(|value| format!(", {key} {value}")).unwrap_or_default();
        Some(format!("{word} {average} KiB/s{}{}", more("peak"), more("burst")))
    };
    let all: Vec<String> = [one("inbound", "in"), one("outbound", "out")].into_iter().flatten().collect();
    if all.is_empty() { "none".into() } else { all.join("; ") }
}
