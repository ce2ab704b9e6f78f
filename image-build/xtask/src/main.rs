//! `cargo xtask`: what developers and CI do with the checkout. Knows how to build, run, test and measure the product;
//! holds nothing of the product itself.

mod cases;
mod checkout;
mod iso;
mod measure;
mod needs;
mod openapi;
mod previous;
mod run;
mod steps;
mod suite;
mod tidy;
mod vendor;

use anyhow::Result;
use checkout::Checkout;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Developer commands of the Quantix checkout.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cmdline {
    #[command(subcommand)]
    task: Task,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Task {
    /// Build the ISO, boot it in QEMU, and print URL, fingerprint and password
    Run(run::RunArgs),
    /// Run the whole suite
    Test(suite::TestArgs),
    /// Run one case by name, or list them
    Lab {
        /// The case
        case: Option<String>,
        /// Boot the ISO that is there, without building
        #[arg(long)]
        no_build: bool,
        /// Cases on this machine: run this daemon, another build or version, without compiling one
        #[arg(long, value_name = "PROGRAM")]
        hostd: Option<PathBuf>,
        /// mixed: this commit instead of the last release
        #[arg(long, value_name = "REF")]
        previous: Option<String>,
        /// simulate: how many histories, and how many of leases (500); snapshots: how many histories (5000)
        #[arg(long)]
        seeds: Option<u64>,
        /// simulate: tell the history of this seed, and that of its leases
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Print figures as JSON lines: the named ones, or all
    Measure {
        /// Dotted names such as boot.bios
        names: Vec<String>,
        /// Measure this daemon, another build or version, without compiling one
        #[arg(long, value_name = "PROGRAM")]
        hostd: Option<PathBuf>,
    },
    /// Write hostd/docs/openapi.json from the handlers
    Openapi {
        /// Only compare
        #[arg(long)]
        check: bool,
    },
    /// Recreate the vendored browser libraries from npm
    Vendor {
        /// Only compare with the pinned hashes, without network
        #[arg(long)]
        check: bool,
    },
    /// Check the rules the code keeps
    Tidy,
}

fn main() -> ExitCode {
    let cmdline = Cmdline::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(perform(cmdline.task)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn perform(task: Task) -> Result<()> {
    let checkout = Checkout::find()?;
    match task {
        Task::Run(args) => run::run(&checkout, &args).await,
        Task::Test(args) => suite::test(&checkout, &args).await,
        Task::Lab { case, seeds, seed, .. } if case.as_deref() == Some(cases::SIMULATE) => {
            cases::simulate(&checkout, seeds.unwrap_or(500), seed)
        }
        Task::Lab { case, seeds, .. } if case.as_deref() == Some(cases::SNAPSHOTS) => {
            cases::snapshots(&checkout, seeds.unwrap_or(cases::HISTORIES))
        }
        Task::Lab { case, no_build, hostd, previous, .. } => {
            cases::lab(&Checkout { hostd, previous, ..checkout }, case.as_deref(), !no_build).await
        }
        Task::Measure { names, hostd } => measure::measure(&Checkout { hostd, ..checkout }, &names).await,
        Task::Openapi { check } => openapi::openapi(&checkout, check),
        Task::Vendor { check } => vendor::vendor(&checkout, check),
        Task::Tidy => tidy::check(&checkout),
    }
}
