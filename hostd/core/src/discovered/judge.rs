//! What another's machine becomes when it is taken over, what is different then, and what stands in the way.

use hostd_types::*;
use hostd_virt::{ForeignDisk, ForeignDomain, ForeignNic};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Devices that hold something, or give the guest something, that would be lost.
const HOLDS: [(&str, &str); 6] = [
    ("tpm", "a TPM"),
    ("hostdev", "a device of the host"),
    ("filesystem", "a shared folder"),
    ("memory", "memory modules"),
    ("shmem", "memory shared with others"),
    ("lease", "a lock lease"),
];
/// Devices that every machine gets, or that hold nothing.
const PLAIN: [&str; 9] =
    ["serial", "console", "channel", "input", "graphics", "video", "memballoon", "rng", "audio"];

/// What is around the machine.
pub(super) struct Around {
    pub host: HostId,
    /// Directory of the pool, without links.
    pub pool: PathBuf,
    /// Files of volumes.
    pub known: BTreeSet<PathBuf>,
    pub networks: Vec<Network>,
    pub machine_types: Vec<String>,
    /// Names that machines of Quantix have.
    pub names: BTreeSet<String>,
}

/// A machine that was found, with what it would become.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// What is shown.
    pub vm: DiscoveredVm,
    /// What it becomes, without its network cards; meaningless while something stands in the way.
    pub adoption: Adoption,
    /// Models of its network cards.
    pub models: Vec<NicModel>,
}

/// Judges one domain. `taken`: files of other domains.
pub(super) async fn judge(domain: &ForeignDomain, around: &Around, taken: &BTreeSet<PathBuf>) -> Found {
    let (mut obstacles, mut differences) = (Vec::new(), Vec::new());
    let shape = &domain.shape;
    general(domain, around, &mut obstacles, &mut differences);
    let (mut disks, mut new, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for disk in &domain.disks {
        let (format, size_bytes) = match file_of(disk, around, taken).await {
            Ok((file, format, size_bytes)) => {
                files.push(file.display().to_string());
                let bus = bus_of(disk, &mut obstacles, &mut differences);
                new.push(NewDisk::Blank { size_bytes, format, bus, options: DiskOptions::default() });
                (Some(format), Some(size_bytes))
            }
            Err(why) => {
                obstacles.push(format!("Disk {}: {why}", disk.target));
                (None, None)
            }
        };
        let source = disk.source.display().to_string();
        disks.push(DiscoveredDisk {
            target: disk.target.clone(),
            bus: disk.bus.clone(),
            source,
            format,
            size_bytes,
        });
    }
    let models = domain.nics.iter().map(|nic| model_of(nic, &mut differences)).collect();
    let nics = domain.nics.iter().map(|nic| shown_nic(nic, around)).collect();
    let machine_type = around.machine_types.iter().find(|known| **known == shape.machine_type);
    let vm = DiscoveredVm {
        id: domain.vm,
        host: around.host,
        name: shape.name.clone(),
        state: domain.state,
        cpus: shape.cpus,
        memory_mib: shape.memory_mib,
        firmware: shape.firmware,
        machine_type: shape.machine_type.clone(),
        autostart: domain.autostart,
        disks,
        nics,
        obstacles,
        differences,
    };
    let create = CreateVm {
        name: shape.name.clone(),
        description: String::new(),
        guest_os: None,
        cpus: shape.cpus,
        cpu_mode: shape.cpu_mode.unwrap_or_default(),
        topology: shape.topology.unwrap_or_default(),
        machine_type: machine_type.cloned(),
        memory_mib: shape.memory_mib,
        headroom: Headroom::default(),
        firmware: shape.firmware,
        options: VmOptions::default(),
        boot: if shape.boot.is_empty() { default_boot() } else { shape.boot.clone() },
        autostart: domain.autostart,
        disks: new,
        cdrom: None,
        more_cdroms: Vec::new(),
        shares: Vec::new(),
        nics: Vec::new(),
        host_devices: Vec::new(),
        customization: None,
        filing: NewFiling::default(),
        start: false,
        scheduled_at: None,
    };
    Found { vm, adoption: Adoption { vm: create, files }, models }
}

/// What is to say about it as a whole.
fn general(
    domain: &ForeignDomain,
    around: &Around,
    obstacles: &mut Vec<String>,
    differences: &mut Vec<String>,
) {
    let shape = &domain.shape;
    if domain.state.is_active() {
        obstacles.push("It runs. Shut it down first: its disks get other names.".into());
    }
    if domain.saved {
        obstacles.push(
            "libvirt keeps its memory (managed save). Start it and shut it down, or remove that.".into(),
        );
    }
    if domain.snapshots > 0 {
        let n = domain.snapshots;
        obstacles.push(format!(
            "libvirt keeps {n} snapshots of it. Delete them with virsh snapshot-delete first."
        ));
    }
    if domain.arch != "x86_64" {
        obstacles.push(format!("Its processor is {}; machines here are x86_64.", domain.arch));
    }
    if domain.secure_boot {
        obstacles.push("Its firmware insists on Secure Boot with keys of its own, which this version does not take over.".into());
    }
    for (kind, words) in HOLDS {
        if domain.others.iter().any(|other| other == kind) {
            obstacles.push(format!("It has {words}, which it would lose. Take that out of it first."));
        }
    }
    if around.names.contains(&shape.name) {
        differences.push("Its name is taken here: give it another one.".into());
    }
    let dropped = domain.others.iter().filter(|other| {
        !PLAIN.contains(&other.as_str()) && !HOLDS.iter().any(|(kind, _)| *kind == other.as_str())
    });
    let dropped: Vec<&str> = dropped.map(String::as_str).collect();
    if !dropped.is_empty() {
        differences.push(format!("It has no {} any more.", dropped.join(", ")));
    }
    if domain.media > 0 {
        differences.push("The media in its CD and floppy drives are taken out.".into());
    }
    if !around.machine_types.contains(&shape.machine_type) {
        differences.push(format!("Its mainboard becomes the newest q35; it was {}.", shape.machine_type));
    }
}

/// The file of a disk that can become a volume, or why it can't.
async fn file_of(
    disk: &ForeignDisk,
    around: &Around,
    taken: &BTreeSet<PathBuf>,
) -> Result<(PathBuf, DiskFormat, u64), String> {
    let shown = disk.source.display();
    if disk.kind != "file" {
        return Err(format!(
            "it is a {} ({shown}), and only files are taken over. Copy it into one.",
            disk.kind
        ));
    }
    if disk.shared {
        return Err("it is read-only, shared, transient or encrypted. Change that first.".into());
    }
    let file = std::fs::canonicalize(&disk.source).map_err(|error| format!("{shown}: {error}."))?;
    let in_pool = file.strip_prefix(&around.pool).is_ok_and(|rest| !rest.starts_with("images"));
    if !in_pool {
        return Err(format!(
            "{shown} is not in the pool {}. Move the file there, and let the disk name it.",
            around.pool.display()
        ));
    }
    if around.known.contains(&file) || taken.contains(&file) || taken.contains(&disk.source) {
        return Err(format!("another machine or volume uses {shown}, too."));
    }
    let format = match disk.format.as_str() {
        "qcow2" => DiskFormat::Qcow2,
        "raw" => DiskFormat::Raw,
        other => return Err(format!("its format is {other:?}. Convert it with qemu-img to qcow2 or raw.")),
    };
    let size = size_of(&file, format).await?;
    Ok((file, format, size))
}

/// The size that the guest sees.
async fn size_of(file: &Path, format: DiskFormat) -> Result<u64, String> {
    let size = match format {
        DiskFormat::Raw => std::fs::metadata(file).map_err(|error| error.to_string())?.len(),
        DiskFormat::Qcow2 => hostd_virt::disk::size_alone(file).await.map_err(|error| error.to_string())?,
    };
    if !size.is_multiple_of(512) || !(VOLUME_MIN_BYTES..=VOLUME_MAX_BYTES).contains(&size) {
        return Err(format!("its size of {size} bytes is not one that volumes can have."));
    }
    Ok(size)
}

fn bus_of(disk: &ForeignDisk, obstacles: &mut Vec<String>, differences: &mut Vec<String>) -> DiskBus {
    match disk.bus.as_str() {
        "virtio" => DiskBus::Virtio,
        "sata" => DiskBus::Sata,
        "ide" => {
            differences.push(format!("Disk {} comes from the IDE bus to SATA.", disk.target));
            DiskBus::Sata
        }
        other => {
            let target = &disk.target;
            obstacles.push(format!("Disk {target} is on the bus {other}. Put it on virtio or SATA first."));
            DiskBus::Virtio
        }
    }
}

fn model_of(nic: &ForeignNic, differences: &mut Vec<String>) -> NicModel {
    match nic.model.as_str() {
        "virtio" => NicModel::Virtio,
        "e1000" => NicModel::E1000,
        other => {
            let was = if other.is_empty() { "of no named model" } else { other };
            differences.push(format!("Network card {} becomes an e1000; it was {was}.", nic.mac));
            NicModel::E1000
        }
    }
}

fn shown_nic(nic: &ForeignNic, around: &Around) -> DiscoveredNic {
    let on = |network: &&Network| nic.kind == "bridge" && network.spec.bridge == nic.source;
    DiscoveredNic {
        mac: nic.mac.clone(),
        model: nic.model.clone(),
        source: format!("{} {}", nic.kind, nic.source).trim_end().to_owned(),
        network: around.networks.iter().find(on).map(|network| network.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_virt::DomainShape;

    fn domain(disks: Vec<ForeignDisk>) -> ForeignDomain {
        let shape = DomainShape {
            name: "old".into(),
            cpus: 1,
            memory_mib: 64,
            machine_type: "pc-q35-7.2".into(),
            ..DomainShape::default()
        };
        ForeignDomain {
            vm: VmId::new(),
            state: VmState::Off,
            shape,
            arch: "x86_64".into(),
            autostart: false,
            saved: false,
            snapshots: 0,
            secure_boot: false,
            nvram: None,
            disks,
            nics: Vec::new(),
            media: 0,
            others: vec!["serial".into()],
        }
    }

    fn disk(source: PathBuf) -> ForeignDisk {
        ForeignDisk {
            target: "vda".into(),
            bus: "virtio".into(),
            kind: "file".into(),
            source,
            format: "raw".into(),
            shared: false,
        }
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_told_one_by_one() {
        let dir = tempfile::tempdir().expect("directory");
        let pool = std::fs::canonicalize(dir.path()).expect("path");
        std::fs::create_dir(pool.join("images")).expect("directory");
        let (inside, image) = (pool.join("a.raw"), pool.join("images/b.raw"));
        for file in [&inside, &image] {
            std::fs::File::create(file).and_then(|f| f.set_len(1 << 20)).expect("file");
        }
        let mut around = Around {
            host: HostId::new(),
            pool,
            known: BTreeSet::new(),
            networks: Vec::new(),
            machine_types: vec!["pc-q35-7.2".into()],
            names: BTreeSet::new(),
        };
        let none = BTreeSet::new();
        let good = judge(&domain(vec![disk(inside.clone())]), &around, &none).await;
        assert!(good.vm.obstacles.is_empty() && good.vm.differences.is_empty(), "{:?}", good.vm);
        assert_eq!(good.adoption.files, [inside.display().to_string()]);
        assert_eq!(good.adoption.vm.machine_type.as_deref(), Some("pc-q35-7.2"));

        type Way<'a> = (&'a str, &'a dyn Fn(&mut ForeignDomain));
        let ways: [Way<'_>; 12] = [
            ("It runs", &|d| d.state = VmState::Running),
            ("managed save", &|d| d.saved = true),
            ("2 snapshots", &|d| d.snapshots = 2),
            ("x86_64", &|d| d.arch = "aarch64".into()),
            ("Secure Boot", &|d| d.secure_boot = true),
            ("a TPM", &|d| d.others.push("tpm".into())),
            ("only files", &|d| d.disks[0].kind = "block".into()),
            ("read-only", &|d| d.disks[0].shared = true),
            ("not in the pool", &|d| d.disks[0].source = "/etc/passwd".into()),
            ("not in the pool", &|d| d.disks[0].source = image.clone()),
            ("Convert it", &|d| d.disks[0].format = "vmdk".into()),
            ("bus scsi", &|d| d.disks[0].bus = "scsi".into()),
        ];
        for (why, change) in ways {
            let mut other = domain(vec![disk(inside.clone())]);
            change(&mut other);
            let told = judge(&other, &around, &none).await.vm.obstacles;
            assert!(told.len() == 1 && told[0].contains(why), "{why}: {told:?}");
        }
        let shared = judge(&domain(vec![disk(inside.clone())]), &around, &[inside.clone()].into()).await;
        assert!(shared.vm.obstacles[0].contains("uses"), "{:?}", shared.vm);
        around.names.insert("old".into());
        around.machine_types.clear();
        let told = judge(&domain(vec![disk(inside)]), &around, &none).await.vm;
        assert_eq!((told.obstacles.len(), told.differences.len()), (0, 2), "{told:?}");
    }
}
