//! `qx vm disk` and `qx vm nic`: devices of a machine that exists.

use super::lookup::{id, typed_id};
use super::volume::FormatName;
use super::{Session, Stop, follow, output, size, vm_options};
use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use hostd_types::*;
use hyper::Method;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BusName {
    Virtio,
    Sata,
    Scsi,
    Nvme,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModelName {
    Virtio,
    E1000,
    E1000e,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Cable {
    In,
    Out,
}

#[derive(Debug, Subcommand)]
pub enum DiskVerb {
    /// Attach one: --size for an empty one, --image or --volume
    Attach {
        id: String,
        #[command(flatten)]
        from: DiskFrom,
        #[arg(long, value_enum, default_value = "qcow2")]
        format: FormatName,
        #[arg(long, value_enum, default_value = "virtio")]
        bus: BusName,
        #[command(flatten)]
        options: vm_options::Disk,
    },
    /// Let one behave otherwise: limits change at once, the rest at the next power-off
    Edit {
        id: String,
        /// The disk's volume
        disk: String,
        #[command(flatten)]
        options: vm_options::Disk,
    },
    /// Make one larger
    Grow {
        id: String,
        /// The disk's volume
        disk: String,
        /// New size, such as 40G
        #[arg(value_parser = size::bytes)]
        size: u64,
    },
    /// Detach one; its volume stays unless --delete is given
    Detach {
        id: String,
        /// The disk's volume
        disk: String,
        /// Delete the volume and everything on it
        #[arg(long)]
        delete: bool,
    },
}

/// Where a disk comes from.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct DiskFrom {
    /// Size, such as 20G; over an image, at least the image's own
    #[arg(long, value_parser = size::bytes, conflicts_with = "volume")]
    size: Option<u64>,
    /// A disk over this image
    #[arg(long, conflicts_with = "volume")]
    image: Option<String>,
    /// An unattached volume
    #[arg(long)]
    volume: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum NicVerb {
    /// Attach one
    Attach {
        id: String,
        #[arg(long)]
        network: String,
        #[arg(long, value_enum, default_value = "virtio")]
        model: ModelName,
        /// Hardware address; a free one by default
        #[arg(long)]
        mac: Option<String>,
        #[command(flatten)]
        options: vm_options::Card,
    },
    /// Plug one into another network, pull its cable or put it in, limit it
    Edit {
        id: String,
        /// Its hardware address
        mac: String,
        #[arg(long)]
        network: Option<String>,
        #[arg(long, value_enum)]
        cable: Option<Cable>,
        #[command(flatten)]
        options: vm_options::Card,
    },
    /// Take one out
    Detach {
        id: String,
        /// Its hardware address
        mac: String,
    },
}

/// How far CPUs and memory can change while a machine runs.
#[derive(Debug, Args)]
pub struct Room {
    /// Most CPUs it can be given while it runs; 0 for no more than it has
    #[arg(long)]
    cpus_max: Option<u32>,
    /// Most memory it can be given while it runs; 0 for no more than it has
    #[arg(long, value_parser = size::mebibytes)]
    memory_max: Option<u64>,
    /// Least memory that may be left to it; 0 for none
    #[arg(long, value_parser = size::mebibytes)]
    memory_min: Option<u64>,
}

impl Room {
    /// What was named, over what the machine at `path` has; nothing when nothing was.
    pub async fn wanted(&self, session: &Session, path: &str) -> Result<Option<Headroom>, Stop> {
        if self.cpus_max.is_none() && self.memory_max.is_none() && self.memory_min.is_none() {
            return Ok(None);
        }
        let detail: Value = session.client.get(path).await?;
        let now: Vm = output::typed(detail["vm"].clone())?;
        Ok(Some(self.over(now.spec.hardware.headroom)))
    }
    /// What was named, over what is there.
    pub fn over(&self, now: Headroom) -> Headroom {
        fn or<T: PartialEq + Default>(given: Option<T>, now: Option<T>) -> Option<T> {
            given.map_or(now, |given| Some(given).filter(|given| *given != T::default()))
        }
        Headroom {
            cpus_max: or(self.cpus_max, now.cpus_max),
            memory_max_mib: or(self.memory_max, now.memory_max_mib),
            memory_min_mib: or(self.memory_min, now.memory_min_mib),
        }
    }
}

async fn follow<B: Serialize>(
    session: &Session,
    method: Method,
    path: &str,
    body: Option<&B>,
) -> Result<(), Stop> {
    let accepted = session.client.ask(method, path, body).await?;
    follow::accepted(session, accepted).await
}

pub async fn run_disk(session: &Session, verb: DiskVerb) -> Result<(), Stop> {
    match verb {
        DiskVerb::Attach { id: name, from, format, bus, options } => {
            let path = format!("/api/v1/vms/{}/disks", id(session, "vms", &name).await?);
            let bus = match bus {
                BusName::Virtio => DiskBus::Virtio,
                BusName::Sata => DiskBus::Sata,
                BusName::Scsi => DiskBus::Scsi,
                BusName::Nvme => DiskBus::Nvme,
            };
            let options = options.over(&DiskOptions::default())?;
            let format = match format {
                FormatName::Qcow2 => DiskFormat::Qcow2,
                FormatName::Raw => DiskFormat::Raw,
            };
            let disk = match (from.size, from.image, from.volume) {
                (_, _, Some(volume)) => {
                    NewDisk::Volume { volume: typed_id(session, "volumes", &volume).await?, bus, options }
                }
                (size_bytes, Some(image), None) => NewDisk::Image {
                    image: typed_id(session, "images", &image).await?,
                    size_bytes,
                    bus,
                    options,
                },
                (Some(size_bytes), None, None) => NewDisk::Blank { size_bytes, format, bus, options },
                (None, None, None) => return Err(anyhow!("name --size, --image or --volume").into()),
            };
            follow(session, Method::POST, &path, Some(&disk)).await
        }
        DiskVerb::Grow { id: name, disk, size } => {
            let path = disk_path(session, &name, &disk).await?;
            let edit = EditDisk { size_bytes: Some(size), options: None };
            follow(session, Method::PATCH, &path, Some(&edit)).await
        }
        DiskVerb::Edit { id: name, disk, options } => {
            let vm = format!("/api/v1/vms/{}", id(session, "vms", &name).await?);
            let volume: VolumeId = typed_id(session, "volumes", &disk).await?;
            let detail: Value = session.client.get(&vm).await?;
            let now: Vm = output::typed(detail["vm"].clone())?;
            let Some(now) = now.spec.disks.iter().find(|now| now.volume == volume) else {
                return Err(anyhow!("{disk} is no disk of {name}").into());
            };
            if !options.is_given() {
                return Err(anyhow!("say what is to change, such as --read-iops 500").into());
            }
            let edit = EditDisk { size_bytes: None, options: Some(options.over(&now.options)?) };
            follow(session, Method::PATCH, &format!("{vm}/disks/{volume}"), Some(&edit)).await
        }
        DiskVerb::Detach { id: name, disk, delete } => {
            let path = format!("{}?delete={delete}", disk_path(session, &name, &disk).await?);
            follow(session, Method::DELETE, &path, None::<&()>).await
        }
    }
}

async fn disk_path(session: &Session, vm: &str, disk: &str) -> Result<String, Stop> {
    let (vm, disk) = (id(session, "vms", vm).await?, id(session, "volumes", disk).await?);
    Ok(format!("/api/v1/vms/{vm}/disks/{disk}"))
}

pub async fn run_nic(session: &Session, verb: NicVerb) -> Result<(), Stop> {
    match verb {
        NicVerb::Attach { id: name, network, model, mac, options } => {
            let path = format!("/api/v1/vms/{}/nics", id(session, "vms", &name).await?);
            let model = match model {
                ModelName::Virtio => NicModel::Virtio,
                ModelName::E1000 => NicModel::E1000,
                ModelName::E1000e => NicModel::E1000e,
            };
            let options = options.over(&NicOptions::default());
            let nic = NewNic { network: typed_id(session, "networks", &network).await?, mac, model, options };
            follow(session, Method::POST, &path, Some(&nic)).await
        }
        NicVerb::Edit { id: name, mac, network, cable, options } => {
            let network = match network {
                Some(network) => Some(typed_id(session, "networks", &network).await?),
                None => None,
            };
            let plugged = cable.map(|cable| matches!(cable, Cable::In));
            let path = nic_path(session, &name, &mac).await?;
            let options = if options.is_given() {
                let vm = format!("/api/v1/vms/{}", id(session, "vms", &name).await?);
                let detail: Value = session.client.get(&vm).await?;
                let now: Vm = output::typed(detail["vm"].clone())?;
                let nic = now.spec.nics.iter().find(|nic| nic.mac.eq_ignore_ascii_case(&mac));
                Some(options.over(&nic.map(|nic| nic.options).unwrap_or_default()))
            } else {
                None
            };
            follow(session, Method::PATCH, &path, Some(&EditNic { network, plugged, options })).await
        }
        NicVerb::Detach { id: name, mac } => {
            let path = nic_path(session, &name, &mac).await?;
            follow(session, Method::DELETE, &path, None::<&Value>).await
        }
    }
}

async fn nic_path(session: &Session, vm: &str, mac: &str) -> Result<String, Stop> {
    Ok(format!("/api/v1/vms/{}/nics/{mac}", id(session, "vms", vm).await?))
}
