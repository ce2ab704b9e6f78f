//! Rules for the options of a machine's hardware, its disks and its cards: what contradicts itself, and what its host lacks.

use super::Fields;
use crate::snapshot::Snapshot;
use hostd_types::*;
use hostd_virt::Offer;

/// Longest name of a channel: the path of its socket must fit.
const CHANNEL_NAME_MAX: usize = 40;
/// Weights of processor time that the kernel knows.
const SHARES: std::ops::RangeInclusive<u32> = 1..=10_000;
/// Most of a limit that QEMU takes.
const RATE_MAX: u64 = 1_000_000_000_000_000;
/// Longest burst, seconds.
const BURST_MAX_S: u64 = 86_400;
/// Most screens, and most memory of a graphics card, MiB.
const VIDEO_MAX: (u32, u32) = (16, 256);
/// Highest place in the boot order.
const BOOT_MAX: u32 = 99;

/// Checks the firmware.
pub(super) fn check_firmware(firmware: Firmware, now: &Snapshot) -> Result<(), String> {
    match firmware {
        Firmware::Bios | Firmware::Uefi => Ok(()),
        Firmware::UefiSecure => {
            offered(Offer::SecureBoot, "UEFI with Secure Boot", "choose UEFI without it", now)
        }
    }
}

/// Refuses what this host lacks, with the reason it gives.
fn offered(offer: Offer, what: &str, instead: &str, now: &Snapshot) -> Result<(), String> {
    match now.offers.refusal(offer) {
        None => Ok(()),
        Some(why) => Err(format!("This host can't give {what}: {why}. Install what it lacks, or {instead}.")),
    }
}

/// Checks the options at `/options`, of the machine `vm` if it exists.
pub(super) fn check(wrong: &mut Fields, options: &VmOptions, vm: Option<VmId>, now: &Snapshot) {
    if options.tpm {
        wrong.check("/options/tpm", offered(Offer::Tpm, "a TPM", "go without", now));
    }
    check_share(wrong, &options.cpu_share, vm, now);
    if options.serial_ports > SERIAL_PORTS_MAX {
        let detail = format!("A machine has the first serial port and at most {SERIAL_PORTS_MAX} more.");
        wrong.add("/options/serial_ports", detail);
    }
    if options.channels.len() > CHANNELS_MAX {
        wrong.add("/options/channels", format!("A machine has at most {CHANNELS_MAX} channels."));
    }
    for (index, name) in options.channels.iter().enumerate().take(CHANNELS_MAX) {
        let result = check_channel(name, &options.channels[..index]);
        wrong.check(&format!("/options/channels/{index}"), result);
    }
    match options.rng.bytes_per_second {
        Some(0) => {
            wrong.add("/options/rng/bytes_per_second", "Give at least one byte a second, or no limit.")
        }
        Some(_) if options.rng.off => {
            let detail = "There is nothing to limit when it has no source of random numbers.";
            wrong.add("/options/rng/bytes_per_second", detail);
        }
        Some(_) | None => {}
    }
    if options.watchdog.is_some_and(|dog| dog.model == WatchdogModel::Itco) {
        let result = offered(Offer::Itco, "the watchdog of the mainboard", "choose i6300esb", now);
        wrong.check("/options/watchdog/model", result);
    }
    check_video(wrong, &options.video, now);
}

fn check_share(wrong: &mut Fields, share: &CpuShare, vm: Option<VmId>, now: &Snapshot) {
    let CpuShare { shares, limit_percent, reservation_percent } = *share;
    let control = || offered(Offer::CpuShares, "shares of processor time", "leave this empty", now);
    let capacity = now.threads.saturating_mul(100);
    if let Some(shares) = shares {
        let pointer = "/options/cpu_share/shares";
        if SHARES.contains(&shares) {
            wrong.check(pointer, control());
        } else {
            wrong.add(pointer, format!("A weight is {} to {}.", SHARES.start(), SHARES.end()));
        }
    }
    if let Some(limit) = limit_percent {
        let pointer = "/options/cpu_share/limit_percent";
        if (1..=capacity).contains(&limit) {
            wrong.check(pointer, control());
        } else {
            let detail = format!("This host has {} CPU threads: a limit is 1 to {capacity} %.", now.threads);
            wrong.add(pointer, detail);
        }
    }
    let Some(reserved) = reservation_percent else { return };
    let pointer = "/options/cpu_share/reservation_percent";
    if reserved == 0 {
        return wrong.add(pointer, "Give at least 1 %, or leave it empty.");
    }
    if let Some(limit) = limit_percent.filter(|limit| *limit < reserved) {
        return wrong.add(pointer, format!("It gets {limit} % at most; it can't have more set aside."));
    }
    let others = now.vms.iter().filter(|other| Some(other.id) != vm && other.spec.deleting.is_none());
    let taken: u64 =
        others.filter_map(|other| other.spec.options.cpu_share.reservation_percent).map(u64::from).sum();
    let left = u64::from(capacity).saturating_sub(taken);
    if u64::from(reserved) > left {
        let detail = format!(
            "This host has {capacity} % ({} CPU threads), of which other machines reserve {taken} %: at most {left} % are left.",
            now.threads
        );
        wrong.add(pointer, detail);
    }
}

fn check_channel(name: &str, before: &[String]) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > CHANNEL_NAME_MAX || !name.chars().all(fits) || name.starts_with('.') {
        return Err(format!(
            "A channel's name has 1 to {CHANNEL_NAME_MAX} letters, digits, dots, dashes and underscores, such as com.example.0."
        ));
    }
    if name == AGENT_CHANNEL {
        return Err("Every machine has the guest agent's channel already.".into());
    }
    if before.iter().any(|other| other == name) {
        return Err("Two channels can't have the same name.".into());
    }
    Ok(())
}

fn check_video(wrong: &mut Fields, video: &VideoDevice, now: &Snapshot) {
    if video.model == VideoModel::Qxl {
        let result = offered(Offer::Qxl, "the QXL graphics card", "choose another one", now);
        wrong.check("/options/video/model", result);
    }
    if let Some(mib) = video.memory_mib {
        let pointer = "/options/video/memory_mib";
        match video.model {
            VideoModel::Virtio | VideoModel::None => {
                wrong.add(pointer, "Only vga and qxl have memory of their own; leave it empty.");
            }
            VideoModel::Vga | VideoModel::Qxl if mib == 0 || mib > VIDEO_MAX.1 || !mib.is_power_of_two() => {
                wrong.add(pointer, format!("Give a power of two from 1 to {} MiB.", VIDEO_MAX.1));
            }
            VideoModel::Vga | VideoModel::Qxl => {}
        }
    }
    if let Some(heads) = video.heads {
        let pointer = "/options/video/heads";
        match video.model {
            VideoModel::Vga | VideoModel::None if heads != 1 => {
                wrong.add(pointer, "Only virtio and qxl have more than one screen.");
            }
            VideoModel::Virtio | VideoModel::Qxl if heads == 0 || heads > VIDEO_MAX.0 => {
                wrong.add(pointer, format!("Give 1 to {} screens.", VIDEO_MAX.0));
            }
            VideoModel::Vga | VideoModel::None | VideoModel::Virtio | VideoModel::Qxl => {}
        }
    }
}

/// Checks the bus and the options of the disk at `at` of the request.
pub(super) fn check_disk(wrong: &mut Fields, at: &str, bus: DiskBus, options: &DiskOptions, now: &Snapshot) {
    if bus == DiskBus::Nvme {
        wrong.check(&format!("{at}/bus"), offered(Offer::Nvme, "NVMe disks", "choose another bus", now));
    }
    let at = format!("{at}/options");
    match options.io {
        Some(DiskIo::Native) if !matches!(options.cache, Some(DiskCache::None | DiskCache::Directsync)) => {
            let detail =
                "Native I/O passes by the host's memory: choose the cache none or directsync with it.";
            wrong.add(format!("{at}/io"), detail);
        }
        Some(DiskIo::IoUring) => {
            wrong.check(&format!("{at}/io"), offered(Offer::IoUring, "io_uring", "choose threads", now));
        }
        Some(DiskIo::Native | DiskIo::Threads) | None => {}
    }
    wrong.check(&format!("{at}/boot"), check_place(options.boot));
    for (name, _, rate) in options.limits.named() {
        let Some(rate) = rate else { continue };
        let at = format!("{at}/limits/{name}");
        if rate.per_second == 0 || rate.per_second > RATE_MAX {
            wrong.add(format!("{at}/per_second"), "Give at least 1 a second, or no limit.");
        }
        if rate.burst.is_some_and(|burst| burst < rate.per_second || burst > RATE_MAX) {
            wrong.add(
                format!("{at}/burst"),
                format!("A burst is not less than {} a second.", rate.per_second),
            );
        }
        match (rate.burst_seconds, rate.burst) {
            (Some(_), None) => {
                wrong.add(format!("{at}/burst_seconds"), "Say how much a burst may be, too.");
            }
            (Some(seconds), Some(_)) if !(1..=BURST_MAX_S).contains(&seconds) => {
                wrong
                    .add(format!("{at}/burst_seconds"), format!("A burst lasts 1 to {BURST_MAX_S} seconds."));
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
    }
}

/// Checks the options of the card at `at` of the request.
pub(super) fn check_nic(wrong: &mut Fields, at: &str, options: &NicOptions) {
    let at = format!("{at}/options");
    wrong.check(&format!("{at}/boot"), check_place(options.boot));
    for (name, limit) in [("inbound", options.inbound), ("outbound", options.outbound)] {
        let Some(Bandwidth { average_kib, peak_kib, burst_kib }) = limit else { continue };
        if average_kib == 0 {
            wrong.add(format!("{at}/{name}/average_kib"), "Give at least 1 KiB a second, or no limit.");
        }
        if peak_kib.is_some_and(|peak| peak < average_kib) {
            let detail = format!("The peak is not less than the average, {average_kib} KiB a second.");
            wrong.add(format!("{at}/{name}/peak_kib"), detail);
        }
        if burst_kib == Some(0) {
            wrong.add(format!("{at}/{name}/burst_kib"), "Give at least 1 KiB, or leave it empty.");
        }
    }
}

fn check_place(place: Option<u32>) -> Result<(), String> {
    match place {
        Some(place) if !(1..=BOOT_MAX).contains(&place) => Err(format!("A place is 1 to {BOOT_MAX}.")),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a place in the boot order that two devices have: each with its pointer.
pub(super) fn check_places(wrong: &mut Fields, all: impl Iterator<Item = (String, Option<u32>)>) {
    let mut taken = std::collections::BTreeSet::new();
    for (at, place) in all {
        if place.is_some_and(|place| !taken.insert(place)) {
            wrong.add(format!("{at}/options/boot"), "Another device has this place in the boot order.");
        }
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
