//! `qx host devices`, `qx vm device` and `qx vm create --host-device`: devices of a host, and the machines that have one for themselves.

use super::lookup::{host, id};
use super::{Session, Stop, follow, output};
use clap::{Args, Subcommand, ValueEnum};
use hostd_types::{AttachHostDevice, DeviceUsage, HostDevices, UsbFollow};
use hyper::Method;
use serde_json::Value;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Follow {
    /// Whatever of its kind is plugged in there
    Port,
    /// That one device, in any port
    Serial,
}

/// Devices of its host that a new machine gets.
#[derive(Debug, Args)]
pub struct Given {
    /// A device of its host, such as pci-0000:01:00.0 or usb-1-2 (`qx host devices` lists them; may be repeated)
    #[arg(long = "host-device", value_name = "DEVICE")]
    devices: Vec<String>,
    /// By what its USB devices are found again; the serial number of each that has one of its own
    #[arg(long, value_enum, requires = "devices")]
    follow: Option<Follow>,
}

impl Given {
    /// What is asked for. A PCI device is not followed.
    pub fn asked(self) -> Vec<AttachHostDevice> {
        let follow = self.follow.map(UsbFollow::from);
        let asked = |device: String| AttachHostDevice {
            follow: follow.filter(|_| device.starts_with("usb-")),
            device,
        };
        self.devices.into_iter().map(asked).collect()
    }
}

impl From<Follow> for UsbFollow {
    fn from(follow: Follow) -> Self {
        match follow {
            Follow::Port => UsbFollow::Port,
            Follow::Serial => UsbFollow::Serial,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Give a machine a device of its host (`qx host devices` lists them)
    Attach {
        id: String,
        /// The device, such as pci-0000:01:00.0 or usb-1-2
        device: String,
        /// By what a USB device is found again; its serial number when it has one of its own
        #[arg(long, value_enum)]
        follow: Option<Follow>,
    },
    /// Give a device back to the host
    Detach {
        id: String,
        /// The device, as `qx vm show` names it
        device: String,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    let accepted = match verb {
        Verb::Attach { id: vm, device, follow } => {
            let path = format!("/api/v1/vms/{}/host-devices", id(session, "vms", &vm).await?);
            let follow = follow.map(UsbFollow::from);
            session.client.ask(Method::POST, &path, Some(&AttachHostDevice { device, follow })).await?
        }
        Verb::Detach { id: vm, device } => {
            let path = format!("/api/v1/vms/{}/host-devices/{device}", id(session, "vms", &vm).await?);
            session.client.ask(Method::DELETE, &path, None::<&Value>).await?
        }
    };
    follow::accepted(session, accepted).await
}

/// `qx host devices`: of the host named, of this one when none is.
pub async fn list(session: &Session, of: Option<&str>, all: bool) -> Result<(), Stop> {
    let of = match host(session, of).await? {
        Some(named) => named.to_string(),
        None => {
            let overview: Value = session.client.get("/api/v1/overview").await?;
            overview["host"]["id"].as_str().unwrap_or_default().to_owned()
        }
    };
    let answer: Value = session.client.get(&format!("/api/v1/hosts/{of}/devices")).await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let devices: HostDevices = output::typed(answer)?;
    let pci = devices.pci.iter().filter(|pci| all || !pci.is_bridge()).map(|pci| {
        let group = pci.iommu_group.map_or_else(|| "-".to_owned(), |group| group.to_string());
        [pci.id.clone(), group, pci.name(), used(&pci.usage)]
    });
    let usb = devices.usb.iter().map(|usb| [usb.id.clone(), "-".to_owned(), usb.name(), used(&usb.usage)]);
    output::table(["DEVICE", "IOMMU GROUP", "NAME", "FOR MACHINES"], pci.chain(usb));
    Ok(())
}

fn used(usage: &DeviceUsage) -> String {
    match (&usage.machine, &usage.refusal) {
        (Some(machine), _) => format!("{machine} has it"),
        (None, Some(refusal)) => format!("no: {refusal}"),
        (None, None) => "free".into(),
    }
}
