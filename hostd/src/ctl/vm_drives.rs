//! The CD-ROM drives of a machine.

use super::{Session, Stop, output};
use anyhow::anyhow;
use clap::Args;
use hostd_types::*;
use serde_json::Value;

#[derive(Debug, Args)]
pub struct Drives {
    /// The CD-ROM drive that --cdrom and --eject are about
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    drive: u8,
    /// CD-ROM drives it has; another number applies at its next power-off
    #[arg(long = "cdrom-drives", value_parser = clap::value_parser!(u8).range(1..=4))]
    count: Option<u8>,
}

impl Drives {
    /// The change of the first drive and of the further ones.
    pub async fn wanted(
        &self,
        session: &Session,
        path: &str,
        change: Option<CdromChange>,
    ) -> Result<(Option<CdromChange>, Option<Vec<Option<ImageId>>>), Stop> {
        let further = change.is_some() && self.drive > 1;
        if !further && self.count.is_none() {
            return Ok((change, None));
        }
        let detail: Value = session.client.get(path).await?;
        let now: Vm = output::typed(detail["vm"].clone())?;
        let mut drives = now.spec.more_cdroms;
        if let Some(count) = self.count {
            drives.resize(usize::from(count) - 1, None);
        }
        if !further {
            return Ok((change, Some(drives)));
        }
        let have = drives.len() + 1;
        let Some(drive) = drives.get_mut(usize::from(self.drive) - 2) else {
            let drives = if have == 1 { "1 CD-ROM drive".into() } else { format!("{have} CD-ROM drives") };
            return Err(anyhow!("{} has {drives}; give it more with --cdrom-drives.", now.spec.name).into());
        };
        *drive = match change {
            Some(CdromChange::Insert { image }) => Some(image),
            Some(CdromChange::Eject) | None => None,
        };
        Ok((None, Some(drives)))
    }
}
