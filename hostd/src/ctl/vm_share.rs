//! Folders that a machine shares with its host, as `qx` takes them.

use super::vm_options::Wrapped;
use clap::Args;
use hostd_types::VmShare;

/// Shared folders; as a whole, as the API takes them.
#[derive(Debug, Args)]
pub struct Shares {
    /// A folder of its host's pool that the guest can mount by the tag, such as docs=local/team-docs (may be repeated; all of
    /// them together; one empty text for none); of a machine that runs it applies at its next power-off
    #[arg(long = "share", value_name = "TAG=POOL/FOLDER", value_parser = share)]
    shares: Vec<Share>,
}

/// One of them; none for an empty text.
type Share = Wrapped<VmShare>;

impl Shares {
    /// Those asked for; none when nothing is said about them.
    pub fn wanted(self) -> Option<Vec<VmShare>> {
        let said = !self.shares.is_empty();
        said.then(|| self.shares.into_iter().filter_map(|share| share.0).collect())
    }
}

fn share(text: &str) -> Result<Share, String> {
    if text.is_empty() {
        return Ok(Wrapped(None));
    }
    let parts = text.split_once('=').and_then(|(tag, place)| Some((tag, VmShare::place(place)?)));
    let (tag, (pool, folder)) = parts.ok_or("write it as in docs=local/team-docs")?;
    Ok(Wrapped(Some(VmShare { tag: tag.into(), pool: pool.into(), folder: folder.into() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_tag_pool_and_folder() {
        let read = |text| share(text).map(|share| share.0.map(|share| share.to_string()));
        assert_eq!(read("docs=local/team-docs"), Ok(Some("docs=local/team-docs".into())));
        assert_eq!(read(""), Ok(None));
        for bad in ["docs", "docs=team", "local/team"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(Shares { shares: Vec::new() }.wanted(), None);
        assert_eq!(Shares { shares: vec![Wrapped(None)] }.wanted(), Some(Vec::new()), "none is said");
    }
}
