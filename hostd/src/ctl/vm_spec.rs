//! `qx vm create` and `qx vm edit`: what a machine is to be.

use super::lookup::{host, id, typed_id};
use super::{
    Session, Stop, customize, filing, follow, host_device, output, size, vm_device, vm_drives, vm_options,
    vm_share,
};
use crate::http::body::Placed;
use anyhow::Context;
use clap::{Args, ValueEnum};
use hostd_types::*;
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FirmwareName {
    Bios,
    Uefi,
    UefiSecure,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CpuModeName {
    Flexible,
    Performance,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BootName {
    Disk,
    Cdrom,
    Network,
}

#[derive(Debug, Args)]
pub struct Create {
    name: String,
    #[arg(long, default_value = "")]
    description: String,
    /// What will run inside, such as debian or windows11 (`qx vm guests` lists them); it decides about firmware, buses and
    /// cards that are not given
    #[arg(long = "os", value_parser = guest_os)]
    guest_os: Option<GuestOs>,
    #[arg(long, default_value_t = 1)]
    cpus: u32,
    /// What the guest sees of the processor: flexible may move to other hosts, performance has every feature
    #[arg(long, value_enum, default_value = "flexible")]
    cpu_mode: CpuModeName,
    /// Sockets the CPUs are on
    #[arg(long, default_value_t = 1)]
    sockets: u32,
    /// Threads of each core
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// The mainboard, such as pc-q35-10.0; the newest its host has by default
    #[arg(long)]
    machine_type: Option<String>,
    /// Memory, such as 2G; a bare number is MiB
    #[arg(long, default_value = "1G", value_parser = size::mebibytes)]
    memory: u64,
    #[command(flatten)]
    room: vm_device::Room,
    #[command(flatten)]
    options: vm_options::Machine,
    /// BIOS, or what the guest's installer expects with --os
    #[arg(long, value_enum)]
    firmware: Option<FirmwareName>,
    /// Boot order, such as cdrom,disk
    #[arg(long, value_enum, value_delimiter = ',')]
    boot: Vec<BootName>,
    /// Start it when the host boots
    #[arg(long)]
    autostart: bool,
    /// An empty disk of this size, such as 20G (may be repeated)
    #[arg(long = "disk", value_parser = size::bytes)]
    disks: Vec<u64>,
    /// A disk over this image (may be repeated)
    #[arg(long = "image")]
    images: Vec<String>,
    /// An unattached volume (may be repeated)
    #[arg(long = "volume")]
    volumes: Vec<String>,
    /// ISO in a CD-ROM drive (may be repeated, for a drive each)
    #[arg(long = "cdrom")]
    cdroms: Vec<String>,
    #[command(flatten)]
    shares: vm_share::Shares,
    /// A card on this network (may be repeated)
    #[arg(long = "network")]
    networks: Vec<String>,
    #[command(flatten)]
    host_devices: host_device::Given,
    #[command(flatten)]
    filing: filing::New,
    /// Start it as soon as it is made
    #[arg(long)]
    start: bool,
    /// Make it at this moment instead of now, such as 2027-01-31T20:00:00Z
    #[arg(long, value_parser = moment)]
    at: Option<Timestamp>,
    /// The host it is made on; this one by default
    #[arg(long = "host", value_name = "HOST")]
    on: Option<String>,
    #[command(flatten)]
    guest: customize::Guest,
    /// The customization specification that it is made with; what is given beside it stands in its place
    #[arg(long, value_name = "ID")]
    specification: Option<String>,
}

#[derive(Debug, Args)]
pub struct Edit {
    id: String,
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    description: Option<String>,
    /// What runs inside, such as debian or windows11
    #[arg(long = "os", value_parser = guest_os)]
    guest_os: Option<GuestOs>,
    #[arg(long)]
    cpus: Option<u32>,
    /// What the guest sees of the processor
    #[arg(long, value_enum)]
    cpu_mode: Option<CpuModeName>,
    /// Sockets the CPUs are on
    #[arg(long, requires = "threads")]
    sockets: Option<u32>,
    /// Threads of each core
    #[arg(long, requires = "sockets")]
    threads: Option<u32>,
    /// The mainboard, such as pc-q35-10.0
    #[arg(long)]
    machine_type: Option<String>,
    /// Memory, such as 2G; a bare number is MiB
    #[arg(long, value_parser = size::mebibytes)]
    memory: Option<u64>,
    #[command(flatten)]
    room: vm_device::Room,
    #[command(flatten)]
    options: vm_options::Machine,
    #[arg(long, value_enum)]
    firmware: Option<FirmwareName>,
    /// Boot order, such as cdrom,disk
    #[arg(long, value_enum, value_delimiter = ',')]
    boot: Vec<BootName>,
    #[arg(long)]
    autostart: Option<bool>,
    /// Put this ISO into the CD-ROM drive
    #[arg(long, conflicts_with = "eject")]
    cdrom: Option<String>,
    /// Empty the CD-ROM drive
    #[arg(long)]
    eject: bool,
    #[command(flatten)]
    drives: vm_drives::Drives,
    #[command(flatten)]
    shares: vm_share::Shares,
}

pub async fn make(session: &Session, given: Create) -> Result<(), Stop> {
    // What the guest has drivers for, where nothing else is said.
    let profile = given.guest_os.map(GuestOs::profile);
    let bus = profile.map(|p| p.disk_bus).unwrap_or_default();
    let model = profile.map(|p| p.nic).unwrap_or_default();
    let mut disks = Vec::new();
    for image in &given.images {
        let image = typed_id(session, "images", image).await?;
        disks.push(NewDisk::Image { image, size_bytes: None, bus, options: DiskOptions::default() });
    }
    for volume in &given.volumes {
        let volume = typed_id(session, "volumes", volume).await?;
        disks.push(NewDisk::Volume { volume, bus, options: DiskOptions::default() });
    }
    disks.extend(given.disks.iter().map(|size_bytes| NewDisk::Blank {
        size_bytes: *size_bytes,
        format: DiskFormat::default(),
        bus,
        options: DiskOptions::default(),
    }));
    let mut nics = Vec::new();
    for network in &given.networks {
        let network = typed_id(session, "networks", network).await?;
        nics.push(NewNic { network, mac: None, model, options: NicOptions::default() });
    }
    let mut isos = Vec::with_capacity(given.cdroms.len());
    for image in &given.cdroms {
        isos.push(typed_id(session, "images", image).await?);
    }
    let mut isos = isos.into_iter();
    let boot: Vec<BootDevice> = given.boot.iter().map(|b| boot_device(*b)).collect();
    let name = given.name;
    let (mut customization, typed) = given.guest.read().await?;
    if let Some(specification) = &given.specification {
        let specification = Some(typed_id(session, "specifications", specification).await?);
        customization.get_or_insert_default().specification = specification;
    }
    let warned = customization.is_some();
    let vm = CreateVm {
        name: name.clone(),
        description: given.description,
        cpus: given.cpus,
        guest_os: given.guest_os,
        scheduled_at: given.at,
        cpu_mode: cpu_mode(given.cpu_mode),
        topology: CpuTopology { sockets: given.sockets, threads: given.threads },
        machine_type: given.machine_type,
        customization,
        memory_mib: given.memory,
        headroom: given.room.over(Headroom::default()),
        options: given
            .options
            .over(VmOptions { tpm: profile.is_some_and(|profile| profile.tpm), ..VmOptions::default() }),
        firmware: given.firmware.map(firmware).or(profile.map(|p| p.firmware)).unwrap_or_default(),
        boot: if boot.is_empty() { default_boot() } else { boot },
        autostart: given.autostart,
        disks,
        cdrom: isos.next(),
        more_cdroms: isos.map(Some).collect(),
        shares: given.shares.wanted().unwrap_or_default(),
        nics,
        host_devices: given.host_devices.asked(),
        filing: given.filing.read(session).await?,
        start: given.start,
    };
    let body = Placed { host: host(session, given.on.as_deref()).await?, what: vm };
    let mut body = serde_json::to_value(&body).context("writing the request")?;
    customize::put_password(&mut body, "/customization", typed);
    let accepted = session.client.ask(Method::POST, "/api/v1/vms", Some(&body)).await?;
    follow::accepted(session, accepted).await?;
    match warned {
        true => customize::warn(session, &format!("/api/v1/vms/{}", id(session, "vms", &name).await?)).await,
        false => Ok(()),
    }
}

pub async fn change(session: &Session, given: Edit) -> Result<(), Stop> {
    let cdrom = match (&given.cdrom, given.eject) {
        (Some(image), _) => Some(CdromChange::Insert { image: typed_id(session, "images", image).await? }),
        (None, true) => Some(CdromChange::Eject),
        (None, false) => None,
    };
    let path = format!("/api/v1/vms/{}", id(session, "vms", &given.id).await?);
    let (cdrom, more_cdroms) = given.drives.wanted(session, &path, cdrom).await?;
    let boot: Vec<BootDevice> = given.boot.iter().map(|b| boot_device(*b)).collect();
    let headroom = given.room.wanted(session, &path).await?;
    let options = given.options.wanted(session, &path).await?;
    let edit = EditVm {
        customization: None,
        name: given.name,
        description: given.description,
        cpus: given.cpus,
        guest_os: given.guest_os,
        cpu_mode: given.cpu_mode.map(cpu_mode),
        topology: given.sockets.zip(given.threads).map(|(sockets, threads)| CpuTopology { sockets, threads }),
        machine_type: given.machine_type,
        memory_mib: given.memory,
        headroom,
        firmware: given.firmware.map(firmware),
        boot: Some(boot).filter(|b| !b.is_empty()),
        autostart: given.autostart,
        options,
        cdrom,
        more_cdroms,
        shares: given.shares.wanted(),
    };
    let vm: Value = session.client.ask(Method::PATCH, &path, Some(&edit)).await?;
    if session.json {
        output::json(&vm);
    } else {
        output::say!("{}: changed", vm["spec"]["name"].as_str().unwrap_or(&given.id));
    }
    Ok(())
}

/// A moment as RFC 3339 writes it.
fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write it as in 2027-01-31T20:00:00Z".into())
}

/// An operating system by its word.
fn guest_os(word: &str) -> Result<GuestOs, String> {
    let known = || GUEST_PROFILES.map(|profile| profile.os.as_str()).join(", ");
    GuestOs::named(word).ok_or_else(|| format!("known are {}", known()))
}

fn firmware(name: FirmwareName) -> Firmware {
    match name {
        FirmwareName::Bios => Firmware::Bios,
        FirmwareName::Uefi => Firmware::Uefi,
        FirmwareName::UefiSecure => Firmware::UefiSecure,
    }
}

fn cpu_mode(name: CpuModeName) -> CpuMode {
    match name {
        CpuModeName::Flexible => CpuMode::Flexible,
        CpuModeName::Performance => CpuMode::Performance,
    }
}

fn boot_device(name: BootName) -> BootDevice {
    match name {
        BootName::Disk => BootDevice::Disk,
        BootName::Cdrom => BootDevice::Cdrom,
        BootName::Network => BootDevice::Network,
    }
}
