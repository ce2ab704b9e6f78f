//! Tables of options that are refused, and at which field.

use super::*;
use crate::admit::sample;
use hostd_virt::Offers;

fn pointers(wrong: Fields) -> Vec<String> {
    wrong
        .done()
        .err()
        .map_or_else(Vec::new, |problem| problem.errors.into_iter().map(|e| e.pointer).collect())
}

fn of(options: &VmOptions, now: &Snapshot) -> Vec<String> {
    let mut wrong = Fields::default();
    check(&mut wrong, options, None, now);
    pointers(wrong)
}

fn host() -> Snapshot {
    Snapshot { threads: 4, ..Snapshot::default() }
}

#[test]
fn what_contradicts_itself_is_told_at_its_field() {
    let share = |shares, limit_percent, reservation_percent| VmOptions {
        cpu_share: CpuShare { shares, limit_percent, reservation_percent },
        ..VmOptions::default()
    };
    let video = |model, memory_mib, heads| VmOptions {
        video: VideoDevice { model, memory_mib, heads },
        ..VmOptions::default()
    };
    let channels = |names: &[&str]| VmOptions {
        channels: names.iter().map(|name| (*name).to_owned()).collect(),
        ..VmOptions::default()
    };
    let rng =
        |off, rate| VmOptions { rng: RngDevice { off, bytes_per_second: rate }, ..VmOptions::default() };
    let long = "x".repeat(41);
    let cases: Vec<(VmOptions, &[&str])> = vec![
        (VmOptions::default(), &[]),
        (share(Some(200), Some(150), Some(100)), &[]),
        (share(Some(0), None, None), &["/options/cpu_share/shares"]),
        (
            share(Some(10_001), Some(401), None),
            &["/options/cpu_share/shares", "/options/cpu_share/limit_percent"],
        ),
        (share(None, Some(100), Some(101)), &["/options/cpu_share/reservation_percent"]),
        (share(None, None, Some(401)), &["/options/cpu_share/reservation_percent"]),
        (share(None, None, Some(0)), &["/options/cpu_share/reservation_percent"]),
        (VmOptions { serial_ports: 4, ..VmOptions::default() }, &["/options/serial_ports"]),
        (channels(&["com.example.0", "b"]), &[]),
        (channels(&["a", "a"]), &["/options/channels/1"]),
        (
            channels(&["", "a/b", AGENT_CHANNEL, &long]),
            &["/options/channels/0", "/options/channels/1", "/options/channels/2", "/options/channels/3"],
        ),
        (channels(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]), &["/options/channels"]),
        (rng(false, Some(0)), &["/options/rng/bytes_per_second"]),
        (rng(true, Some(1)), &["/options/rng/bytes_per_second"]),
        (video(VideoModel::Qxl, Some(64), Some(4)), &[]),
        (video(VideoModel::Vga, Some(24), Some(2)), &["/options/video/memory_mib", "/options/video/heads"]),
        (
            video(VideoModel::Virtio, Some(16), Some(17)),
            &["/options/video/memory_mib", "/options/video/heads"],
        ),
    ];
    for (options, wrong) in cases {
        assert_eq!(of(&options, &host()), wrong, "{options:?}");
    }
}

#[test]
fn machines_do_not_reserve_more_than_their_host_has() {
    let reserving = |percent| VmOptions {
        cpu_share: CpuShare { reservation_percent: Some(percent), ..CpuShare::default() },
        ..VmOptions::default()
    };
    let mut other = sample::vm("db");
    other.spec.options = reserving(250);
    let (id, now) = (other.id, Snapshot { vms: vec![other], ..host() });
    assert_eq!(of(&reserving(150), &now), Vec::<String>::new());
    assert_eq!(of(&reserving(151), &now), ["/options/cpu_share/reservation_percent"]);
    let mut wrong = Fields::default();
    check(&mut wrong, &reserving(400), Some(id), &now);
    assert_eq!(pointers(wrong), Vec::<String>::new(), "its own reservation is not counted twice");
}

#[test]
fn what_the_host_lacks_is_refused_with_its_reason() {
    let offers = [
        Offer::SecureBoot,
        Offer::Tpm,
        Offer::Nvme,
        Offer::IoUring,
        Offer::Qxl,
        Offer::Itco,
        Offer::CpuShares,
    ]
    .into_iter()
    .fold(Offers::default(), |offers, offer| offers.without(offer, "it is not there"));
    let now = Snapshot { offers, ..host() };
    let all = VmOptions {
        tpm: true,
        cpu_share: CpuShare { shares: Some(1), limit_percent: Some(1), reservation_percent: None },
        watchdog: Some(WatchdogDevice { model: WatchdogModel::Itco, action: WatchdogAction::Reset }),
        video: VideoDevice { model: VideoModel::Qxl, ..VideoDevice::default() },
        ..VmOptions::default()
    };
    let refused = of(&all, &now);
    let wanted = ["tpm", "cpu_share/shares", "cpu_share/limit_percent", "watchdog/model", "video/model"];
    assert_eq!(refused, wanted.map(|field| format!("/options/{field}")));
    assert!(check_firmware(Firmware::UefiSecure, &now).expect_err("a refusal").contains("it is not there"));
    check_firmware(Firmware::Uefi, &now).expect("UEFI is there");
    let mut wrong = Fields::default();
    let ring = DiskOptions { io: Some(DiskIo::IoUring), ..DiskOptions::default() };
    check_disk(&mut wrong, "/disks/0", DiskBus::Nvme, &ring, &now);
    assert_eq!(pointers(wrong), ["/disks/0/bus", "/disks/0/options/io"]);
}

#[test]
fn limits_of_disks_and_cards_are_numbers_that_fit_together() {
    let disk = |rate, cache, io| {
        let limits = DiskLimits { read_iops: rate, ..DiskLimits::default() };
        let mut wrong = Fields::default();
        let options = DiskOptions { limits, cache, io, boot: Some(1), ..DiskOptions::default() };
        check_disk(&mut wrong, "", DiskBus::Scsi, &options, &host());
        pointers(wrong)
    };
    let rate = |per_second, burst, burst_seconds| Some(Rate { per_second, burst, burst_seconds });
    assert_eq!(
        disk(rate(10, Some(20), Some(5)), Some(DiskCache::None), Some(DiskIo::Native)),
        Vec::<String>::new()
    );
    let at = |field: &str| vec![format!("/options/limits/read_iops/{field}")];
    assert_eq!(disk(rate(0, None, None), None, None), at("per_second"));
    assert_eq!(disk(rate(10, Some(9), None), None, None), at("burst"));
    assert_eq!(disk(rate(10, None, Some(1)), None, None), at("burst_seconds"));
    assert_eq!(disk(rate(10, Some(20), Some(0)), None, None), at("burst_seconds"));
    for cache in [None, Some(DiskCache::Writeback), Some(DiskCache::Writethrough)] {
        assert_eq!(disk(None, cache, Some(DiskIo::Native)), ["/options/io"]);
    }
    let nic = |average_kib, peak_kib, burst_kib| {
        let mut wrong = Fields::default();
        let limit = Some(Bandwidth { average_kib, peak_kib, burst_kib });
        check_nic(&mut wrong, "/nics/0", &NicOptions { boot: Some(0), inbound: limit, outbound: None });
        pointers(wrong)
    };
    assert_eq!(nic(1, Some(1), Some(1)), ["/nics/0/options/boot"]);
    let told = nic(0, None, Some(0));
    assert_eq!(told[1..], ["/nics/0/options/inbound/average_kib", "/nics/0/options/inbound/burst_kib"]);
    assert_eq!(nic(9, Some(8), None)[1..], ["/nics/0/options/inbound/peak_kib"]);
    let mut wrong = Fields::default();
    let places = [("/disks/0", Some(2)), ("/disks/1", None), ("/nics/0", Some(2))];
    check_places(&mut wrong, places.into_iter().map(|(at, place)| (at.to_owned(), place)));
    assert_eq!(pointers(wrong), ["/nics/0/options/boot"]);
}
