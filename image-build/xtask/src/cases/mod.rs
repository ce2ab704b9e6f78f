//! Cases: whole stories on real machines. Some are part of `cargo xtask test`, the longer ones are run by name with
//! `cargo xtask lab`.

mod boot;
mod cloud_init;
mod durable;
mod federation;
mod gathering;
mod host;
mod reproducible;
mod simulate;
mod snapshots;

pub use boot::{BOOTED, PATIENCE, plan};
pub use simulate::{SIMULATE, simulate};
pub use snapshots::{HISTORIES, SNAPSHOTS, snapshots};

use crate::checkout::Checkout;
use crate::steps::Steps;
use anyhow::{Result, bail};
use lab::browser::Browser;

/// One case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The browser's story on the build machine, with pictures, without scripts, by keyboard.
    HostStory,
    /// The browser's story of three hosts that become a cluster, on the build machine.
    ClusterStory,
    /// The tests of clusters that take minutes.
    Cluster,
    /// Hosts of the previous release and of this one in a cluster.
    Mixed,
    /// The ISO boots by BIOS, and the story is lived through inside it.
    BootBios,
    /// The ISO boots by UEFI with Secure Boot.
    BootUefi,
    /// What a data disk keeps over a reboot and over a power cut.
    RebootDurable,
    /// A data partition that can't be mounted is an error everybody sees.
    BrokenData,
    /// Three booted ISOs become a cluster by their pages.
    ThreeIsos,
    /// A distribution's own cloud-init and guest agent.
    CloudInit,
    /// Two builds from the same inputs are bit-identical.
    Reproducible,
}

/// Every case.
pub const ALL: [Case; 11] = [
    Case::HostStory,
    Case::ClusterStory,
    Case::Cluster,
    Case::Mixed,
    Case::BootBios,
    Case::BootUefi,
    Case::RebootDurable,
    Case::BrokenData,
    Case::ThreeIsos,
    Case::CloudInit,
    Case::Reproducible,
];

/// The cases with the ISO that `cargo xtask test` runs.
pub const SUITE: [Case; 4] = [Case::BootBios, Case::BootUefi, Case::RebootDurable, Case::BrokenData];

/// The cases without the ISO that `cargo xtask test` runs.
pub const STORIES: [Case; 2] = [Case::HostStory, Case::ClusterStory];

impl Case {
    /// Whether it boots the ISO of the target folder.
    const fn boots(self) -> bool {
        match self {
            Case::BootBios | Case::BootUefi | Case::RebootDurable | Case::BrokenData | Case::ThreeIsos => {
                true
            }
            Case::HostStory
            | Case::ClusterStory
            | Case::Cluster
            | Case::Mixed
            | Case::CloudInit
            | Case::Reproducible => false,
        }
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Case::HostStory => "host-story",
            Case::ClusterStory => "cluster-story",
            Case::Cluster => "cluster",
            Case::Mixed => "mixed",
            Case::BootBios => "boot-bios",
            Case::BootUefi => "boot-uefi",
            Case::RebootDurable => "reboot-durable",
            Case::BrokenData => "broken-data-partition",
            Case::ThreeIsos => "three-isos",
            Case::CloudInit => "cloud-init",
            Case::Reproducible => "reproducible",
        }
    }

    /// What it shows.
    pub const fn about(self) -> &'static str {
        match self {
            Case::HostStory => "the browser's story on this machine, pictures, no scripts, keyboard alone",
            Case::ClusterStory => {
                "the browser's story of three hosts on this machine: join, cut off, come back, remove; pictures"
            }
            Case::Cluster => "20 joins in a row, five hosts without two, a minute frozen",
            Case::Mixed => {
                "hosts of the last release and of this one in a cluster: upgrades, rollback; --previous REF"
            }
            Case::BootBios => "the ISO boots by BIOS; the browser's story inside it",
            Case::BootUefi => "the ISO boots by UEFI with Secure Boot",
            Case::RebootDurable => "login, machine and disk survive a reboot and a power cut; autostart runs",
            Case::BrokenData => "a data partition that can't be mounted is a visible error, never silent RAM",
            Case::ThreeIsos => {
                "three booted ISOs form a cluster by their pages; one is cut off and comes back"
            }
            Case::CloudInit => {
                "a Debian customized over its cloud-init, quiesced by its guest agent, also one that hangs"
            }
            Case::Reproducible => "two builds from the same inputs are bit-identical",
        }
    }

    /// Why it can't run here.
    fn missing(self) -> Option<String> {
        let browser = match self {
            Case::HostStory | Case::ClusterStory | Case::BootBios | Case::RebootDurable | Case::ThreeIsos => {
                true
            }
            Case::Cluster
            | Case::Mixed
            | Case::BootUefi
            | Case::BrokenData
            | Case::CloudInit
            | Case::Reproducible => false,
        };
        let namespaces = matches!(
            self,
            Case::HostStory | Case::ClusterStory | Case::Cluster | Case::Mixed | Case::CloudInit
        );
        let debian = (self == Case::CloudInit).then(lab::debian::missing).flatten();
        let browser = browser.then(Browser::missing).flatten();
        browser.or_else(|| namespaces.then(lab::host::Host::missing).flatten()).or(debian)
    }
}

/// Runs one case as a step.
pub async fn run(checkout: &Checkout, case: Case, steps: &mut Steps) {
    if let Some(why) = case.missing() {
        steps.skip(case.name(), &why);
        return;
    }
    let begun = steps.begin(case.name());
    let result = match case {
        Case::HostStory => host::story(checkout).await,
        Case::ClusterStory => gathering::story(checkout).await,
        Case::Cluster => federation::long(checkout),
        Case::Mixed => federation::mixed(checkout),
        Case::BootBios => boot::bios(checkout).await,
        Case::BootUefi => boot::uefi(checkout).await,
        Case::RebootDurable => durable::reboot(checkout).await,
        Case::BrokenData => durable::broken(checkout).await,
        Case::ThreeIsos => federation::three_isos(checkout).await,
        Case::CloudInit => cloud_init::customized(checkout),
        Case::Reproducible => reproducible::twice(checkout),
    };
    steps.end(case.name(), begun, result);
}

/// Runs the named case, with an ISO built before when `build` is set, or lists all.
///
/// # Errors
/// When there is no such case or it fails.
pub async fn lab(checkout: &Checkout, name: Option<&str>, build: bool) -> Result<()> {
    let Some(name) = name else {
        for case in ALL {
            let suite = if SUITE.contains(&case) || STORIES.contains(&case) { "test" } else { "" };
            println!("{:<24} {:<5} {}", case.name(), suite, case.about());
        }
        println!("{SIMULATE:<24} {:<5} {}", "test", simulate::ABOUT);
        println!("{SNAPSHOTS:<24} {:<5} {}", "", snapshots::ABOUT);
        return Ok(());
    };
    let Some(case) = ALL.into_iter().find(|case| case.name() == name) else {
        bail!("there is no case {name}; cargo xtask lab lists them");
    };
    let mut steps = Steps::default();
    if build && case.boots() {
        let built =
            steps.step("ISO build", || crate::iso::build(checkout, crate::iso::Daemon::Image).map(drop));
        if !built {
            return steps.close();
        }
    }
    run(checkout, case, &mut steps).await;
    steps.close()
}
