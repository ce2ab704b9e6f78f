//! Builds the appliance's ISO: Alpine's base, the virtualization stack and kernel of Debian, and our own
//! package, installed into one root and packed onto one bootable medium. Stages have explicit inputs and
//! outputs and are skipped while their inputs stand. Knows nothing of what the daemon does.

mod alpine;
mod boot;
mod build;
mod cmdline;
mod command;
mod cpio;
mod debian;
mod digest;
mod elf;
mod firmware;
mod glibc;
mod initramfs;
mod inputs;
mod iso;
mod kernel;
mod licences;
mod linked;
mod lock;
mod needs;
mod packing;
mod product;
mod prune;
mod rootfs;
mod sbom;
mod squashfs;
mod stage;
mod tree;

use anyhow::Result;
use clap::Parser;

use cmdline::{Action, Cmdline};

fn main() -> Result<()> {
    match Cmdline::parse().action {
        Action::Iso(args) => {
            needs::check()?;
            build::iso(&args)
        }
        Action::Lock(place) => {
            needs::check()?;
            inputs::relock(&place)
        }
        Action::Needs => {
            for package in needs::packages() {
                println!("{package}");
            }
            Ok(())
        }
    }
}
