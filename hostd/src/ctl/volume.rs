//! `qx volume`

use super::lookup::{Hosts, host, id};
use super::{Session, Stop, follow, output, size};
use crate::http::body::Placed;
use clap::{Subcommand, ValueEnum};
use hostd_core::Aged;
use hostd_types::{CreateVolume, DiskFormat, Volume};
use hyper::Method;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FormatName {
    Qcow2,
    Raw,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List disks
    List {
        /// Only those on this host
        #[arg(long = "host", value_name = "HOST")]
        on: Option<String>,
    },
    /// Make an empty, unattached disk
    Create {
        name: String,
        /// Size, such as 20G
        #[arg(value_parser = size::bytes)]
        size: u64,
        #[arg(long, value_enum, default_value = "qcow2")]
        format: FormatName,
        /// The host it is made on; this one by default
        #[arg(long = "host", value_name = "HOST")]
        on: Option<String>,
    },
    /// Delete an unattached disk and everything on it
    Delete { id: String },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List { on } => {
            let headings = ["NAME", "HOST", "SIZE", "FORMAT", "ATTACHED", "PHASE", "ID"];
            let row = |hosts: &Hosts, Aged { row: volume, silent }: Aged<Volume>| {
                let attached = if volume.spec.vm.is_some() { "yes" } else { "no" };
                [
                    volume.spec.name,
                    hosts.name(volume.spec.host),
                    size::shown(volume.spec.size_bytes),
                    volume.spec.format.as_str().into(),
                    attached.into(),
                    output::aged(&format!("{:?}", volume.status.phase).to_lowercase(), silent),
                    volume.id.to_string(),
                ]
            };
            output::listed(session, "volumes", on.as_deref(), headings, row).await
        }
        Verb::Create { name, size, format, on } => {
            let format = match format {
                FormatName::Qcow2 => DiskFormat::Qcow2,
                FormatName::Raw => DiskFormat::Raw,
            };
            let body = CreateVolume { name, size_bytes: size, format };
            let body = Placed { host: host(session, on.as_deref()).await?, what: body };
            let accepted = session.client.ask(Method::POST, "/api/v1/volumes", Some(&body)).await?;
            follow::accepted(session, accepted).await
        }
        Verb::Delete { id: name } => {
            let path = format!("/api/v1/volumes/{}", id(session, "volumes", &name).await?);
            let accepted = session.client.ask(Method::DELETE, &path, None::<&()>).await?;
            follow::accepted(session, accepted).await
        }
    }
}
