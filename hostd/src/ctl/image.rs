//! `qx image`

use super::lookup::{Hosts, host, id};
use super::{Session, Stop, follow, output, size};
use anyhow::Context;
use clap::Subcommand;
use hostd_core::Aged;
use hostd_types::Image;
use hyper::Method;
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use tokio::io::AsyncRead;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List images
    List {
        /// Only those on this host
        #[arg(long = "host", value_name = "HOST")]
        on: Option<String>,
    },
    /// Upload a disk image (qcow2, raw) or an ISO
    Upload {
        file: PathBuf,
        /// Its name; the file's name when absent
        #[arg(long)]
        name: Option<String>,
        #[arg(long, default_value = "")]
        description: String,
        /// SHA-256 (hex) the file must have
        #[arg(long)]
        sha256: Option<String>,
        /// The host that keeps it, for machines there; this one by default
        #[arg(long = "host", value_name = "HOST")]
        on: Option<String>,
    },
    /// Delete one that nothing uses
    Delete { id: String },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List { on } => {
            let headings = ["NAME", "HOST", "KIND", "SIZE", "PHASE", "ID"];
            let row = |hosts: &Hosts, Aged { row: image, silent }: Aged<Image>| {
                let content = image.status.content;
                let kind = content.as_ref().map(|c| format!("{:?}", c.kind).to_lowercase());
                let bytes = content.map(|c| size::shown(c.virtual_bytes));
                let phase = format!("{:?}", image.status.phase).to_lowercase();
                [
                    image.spec.name,
                    hosts.name(image.spec.host),
                    kind.unwrap_or_default(),
                    bytes.unwrap_or_default(),
                    output::aged(&phase, silent),
                    image.id.to_string(),
                ]
            };
            output::listed(session, "images", on.as_deref(), headings, row).await
        }
        Verb::Upload { file, name, description, sha256, on } => {
            upload(session, &file, name, &description, sha256, on.as_deref()).await
        }
        Verb::Delete { id: name } => {
            let path = format!("/api/v1/images/{}", id(session, "images", &name).await?);
            let accepted = session.client.ask(Method::DELETE, &path, None::<&()>).await?;
            follow::accepted(session, accepted).await
        }
    }
}

async fn upload(
    session: &Session,
    file: &Path,
    name: Option<String>,
    description: &str,
    sha256: Option<String>,
    on: Option<&str>,
) -> Result<(), Stop> {
    let own = || file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.unwrap_or_else(own);
    let content = tokio::fs::File::open(file).await.with_context(|| format!("opening {}", file.display()))?;
    let bytes = content.metadata().await.context("reading the file's size")?.len();
    let mut query = vec![("name", name.as_str()), ("description", description)];
    query.extend(sha256.as_deref().map(|s| ("sha256", s)));
    let on = host(session, on).await?.map(|id| id.to_string());
    query.extend(on.as_deref().map(|id| ("host", id)));
    let query = serde_urlencoded::to_string(query).context("writing the request")?;
    let counted = Counted { content, done: 0, total: bytes, percent: 101 };
    let image: Value = session.client.upload(&format!("/api/v1/images?{query}"), counted, bytes).await?;
    if session.json {
        output::json(&image);
    } else {
        output::say!("{name}: uploaded ({})", size::shown(bytes));
    }
    Ok(())
}

/// A file that tells the terminal how much of it was read.
struct Counted {
    content: tokio::fs::File,
    done: u64,
    total: u64,
    percent: u64,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = std::pin::Pin::new(&mut self.content).poll_read(cx, buf);
        self.done += (buf.filled().len() - before) as u64;
        let percent = self.done * 100 / self.total.max(1);
        if percent != self.percent && std::io::stderr().is_terminal() {
            self.percent = percent;
            let end = if percent == 100 { "\r\x1b[K" } else { "" };
            eprint!("\r\x1b[K{percent}%{end}");
            // A terminal that can't be written to needs no progress.
            let _ = std::io::stderr().flush();
        }
        polled
    }
}
