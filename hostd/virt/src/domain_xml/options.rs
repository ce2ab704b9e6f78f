//! What a machine's options add to its definition.

use super::Surroundings;
use crate::element::{Element, element};
use hostd_types::{
    Bandwidth, CpuShare, DiskLimits, NicOptions, OnCrash, Rate, RngDevice, VideoDevice, VideoModel, VmOptions,
};

/// Microseconds in which a limit of processor time holds.
pub const CPU_PERIOD: u64 = 100_000;
/// Memory of a graphics card, MiB, when nothing else is said.
const VIDEO_MIB: u32 = 16;

/// Weight and limit of a machine's processor time; nothing when neither is set.
pub fn cpu_tune(share: &CpuShare) -> Option<Element> {
    let shares = share.shares.map(|shares| element("shares").saying(shares));
    let limit = share.limit_percent.map(|percent| {
        [element("global_period").saying(CPU_PERIOD), element("global_quota").saying(quota(percent))]
    });
    let all: Vec<Element> = shares.into_iter().chain(limit.into_iter().flatten()).collect();
    (!all.is_empty()).then(|| element("cputune").holding_all(all))
}

/// Microseconds of processor time in each period.
pub fn quota(percent: u32) -> u64 {
    u64::from(percent) * CPU_PERIOD / 100
}

/// libvirt's word for what happens when the guest panics.
pub const fn on_crash(action: OnCrash) -> &'static str {
    match action {
        OnCrash::Off => "destroy",
        OnCrash::Restart => "restart",
        OnCrash::Keep => "preserve",
        OnCrash::Dump => "coredump-destroy",
    }
}

/// Serial ports beside the first one: sockets that libvirt opens.
pub fn serial_ports(options: &VmOptions, around: &Surroundings) -> Vec<Element> {
    let port = |number: u32| {
        let path = around.further_serial_socket(number);
        element("serial")
            .with("type", "unix")
            .holding(element("source").with("mode", "bind").with("path", path.display()))
            .holding(
                element("target")
                    .with("type", "isa-serial")
                    .with("port", number)
                    .holding(element("model").with("name", "isa-serial")),
            )
    };
    (1..=options.serial_ports).map(port).collect()
}

/// Channels beside the guest agent's.
pub fn channels(options: &VmOptions, around: &Surroundings) -> Vec<Element> {
    let channel = |name: &String| {
        let path = around.channel_socket(name);
        element("channel")
            .with("type", "unix")
            .holding(element("source").with("mode", "bind").with("path", path.display()))
            .holding(element("target").with("type", "virtio").with("name", name))
    };
    options.channels.iter().map(channel).collect()
}

/// TPM, watchdog and source of random numbers.
pub fn devices(options: &VmOptions) -> Vec<Element> {
    let tpm = options.tpm.then(|| {
        let backend = element("backend").with("type", "emulator").with("version", "2.0");
        element("tpm").with("model", "tpm-crb").holding(backend)
    });
    let watchdog = options
        .watchdog
        .map(|dog| element("watchdog").with("model", dog.model.as_str()).with("action", dog.action.as_str()));
    rng(&options.rng).into_iter().chain(tpm).chain(watchdog).collect()
}

fn rng(device: &RngDevice) -> Option<Element> {
    if device.off {
        return None;
    }
    let rate = device.bytes_per_second.map(|bytes| element("rate").with("bytes", bytes).with("period", 1000));
    let backend = element("backend").with("model", "random").saying("/dev/urandom");
    Some(element("rng").with("model", "virtio").holding_all(rate).holding(backend))
}

/// The graphics card.
pub fn video(device: &VideoDevice) -> Element {
    let model = element("model").with("type", device.model.as_str());
    let kib = u64::from(device.memory_mib.unwrap_or(VIDEO_MIB)) * 1024;
    let heads = device.heads.unwrap_or(1);
    let model = match device.model {
        VideoModel::None => model,
        VideoModel::Virtio => model.with("heads", heads),
        VideoModel::Vga | VideoModel::Qxl => model.with("vram", kib).with("heads", heads),
    };
    element("video").holding(model)
}

/// A disk's limits; nothing when it has none.
pub fn disk_limits(limits: &DiskLimits) -> Option<Element> {
    let mut tune = element("iotune");
    for (name, value) in limit_values(limits).into_iter().filter(|(_, value)| *value > 0) {
        tune = tune.holding(Element { name: name.into(), ..Element::default() }.saying(value));
    }
    (!tune.children.is_empty()).then_some(tune)
}

/// Every number that libvirt knows of a disk's limits; 0: none.
pub fn limit_values(limits: &DiskLimits) -> Vec<(String, u64)> {
    let mut values = Vec::new();
    for (_, name, rate) in limits.named() {
        let Rate { per_second, burst, burst_seconds } =
            rate.unwrap_or(Rate { per_second: 0, burst: None, burst_seconds: None });
        let seconds = burst.map_or(0, |_| burst_seconds.unwrap_or(1));
        values.push((name.to_owned(), per_second));
        values.push((format!("{name}_max"), burst.unwrap_or(0)));
        values.push((format!("{name}_max_length"), seconds));
    }
    values
}

/// A card's limits; nothing when it has none.
pub fn bandwidth(options: &NicOptions) -> Option<Element> {
    let side = |name: &'static str, limit: Bandwidth| {
        let mut side = element(name).with("average", limit.average_kib);
        if let Some(peak) = limit.peak_kib {
            side = side.with("peak", peak);
        }
        if let Some(burst) = limit.burst_kib {
            side = side.with("burst", burst);
        }
        side
    };
    let both = [
        options.inbound.map(|limit| side("inbound", limit)),
        options.outbound.map(|limit| side("outbound", limit)),
    ];
    let both: Vec<Element> = both.into_iter().flatten().collect();
    (!both.is_empty()).then(|| element("bandwidth").holding_all(both))
}
