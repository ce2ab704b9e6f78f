//! `qx`: the API for people with a shell on the host. It is a client like any other and knows no rule of the product.

mod access;
mod appliance;
mod authority;
mod clone;
mod cluster;
mod console;
mod cpu;
mod customize;
mod discovered;
mod far;
mod filing;
mod folder;
mod follow;
mod given;
mod host_device;
mod image;
mod lookup;
mod moving;
mod neighbours;
mod network;
mod output;
mod screen;
mod serial;
mod size;
mod snapshot;
mod specification;
mod task;
mod vm;
mod vm_device;
mod vm_drives;
mod vm_options;
mod vm_share;
mod vm_spec;
mod volume;
mod windows;

pub use output::line as say;

use crate::client::{Client, Failure};
use crate::config::SOCKET;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The last lines of `qx --help`.
pub const EXIT_CODES: &str = "Wherever an ID is asked for, a name will do.\n\n\
    Exit codes: 0 done, 1 refused, 2 wrong use, 3 hostd can't be reached, 4 the task failed.";

/// Flags and verbs of `qx`.
#[derive(Debug, Args)]
pub struct Ctl {
    /// The daemon's Unix socket
    #[arg(long, env = "QUANTIX_SOCKET", default_value = SOCKET, global = true)]
    socket: PathBuf,
    /// Print the API's own JSON
    #[arg(long, global = true)]
    json: bool,
    /// Don't wait for the task: print its id and return
    #[arg(long, global = true)]
    no_wait: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // one a process
enum Verb {
    /// How the appliance is doing
    Status,
    /// Virtual machines
    #[command(subcommand)]
    Vm(vm::Verb),
    /// Folders of machines
    #[command(subcommand)]
    Folder(folder::Verb),
    /// Customization specifications: what guests are told at their first boot, for many machines
    #[command(subcommand)]
    Specification(specification::Verb),
    /// Saved views of lists
    #[command(subcommand)]
    View(folder::ViewVerb),
    /// Set and remove tags of a machine, volume, image or network
    Tag(filing::TagVerb),
    /// Disk images and ISOs
    #[command(subcommand)]
    Image(image::Verb),
    /// Disks
    #[command(subcommand)]
    Volume(volume::Verb),
    /// Networks
    #[command(subcommand)]
    Network(network::Verb),
    /// Long work, running and ended
    #[command(subcommand)]
    Task(task::Verb),
    /// The audit trail
    #[command(subcommand)]
    Event(task::EventVerb),
    /// API tokens
    #[command(subcommand)]
    Token(access::TokenVerb),
    /// The administrator
    #[command(subcommand)]
    User(access::UserVerb),
    /// Hosts together
    #[command(subcommand)]
    Cluster(cluster::Verb),
    /// This host, and a list of all
    #[command(subcommand)]
    Host(appliance::HostVerb),
}

/// What a verb works with.
struct Session {
    client: Client,
    json: bool,
    wait: bool,
}

/// Why a verb failed; decides the exit code.
#[derive(Debug)]
enum Stop {
    /// The API could not be used, or it refused.
    Api(Failure),
    /// The task that was waited for failed.
    TaskFailed(hostd_types::Problem),
    /// Something on this side (a file, the terminal).
    Here(anyhow::Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Api(failure)
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Stop::Here(error)
    }
}

/// Runs one verb.
pub async fn main(ctl: Ctl) -> ExitCode {
    let session = Session { client: Client::new(&ctl.socket), json: ctl.json, wait: !ctl.no_wait };
    let done = match ctl.verb {
        Verb::Status => appliance::status(&session).await,
        Verb::Vm(verb) => vm::run(&session, verb).await,
        Verb::Folder(verb) => folder::run(&session, verb).await,
        Verb::Specification(verb) => specification::run(&session, verb).await,
        Verb::View(verb) => folder::run_view(&session, verb).await,
        Verb::Tag(given) => filing::tag(&session, given).await,
        Verb::Image(verb) => image::run(&session, verb).await,
        Verb::Volume(verb) => volume::run(&session, verb).await,
        Verb::Network(verb) => network::run(&session, verb).await,
        Verb::Task(verb) => task::run(&session, verb).await,
        Verb::Event(verb) => task::run_event(&session, verb).await,
        Verb::Token(verb) => access::run_token(&session, verb).await,
        Verb::User(verb) => access::run_user(&session, verb).await,
        Verb::Cluster(verb) => cluster::run(&session, verb).await,
        Verb::Host(verb) => appliance::run_host(&session, verb).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => explain(&stop),
    }
}

fn explain(stop: &Stop) -> ExitCode {
    match stop {
        Stop::Api(failure) => {
            eprintln!("qx: {failure}");
            match failure {
                Failure::Refused(problem) => {
                    for error in &problem.errors {
                        eprintln!("  {}: {}", error.pointer, error.detail);
                    }
                    ExitCode::from(1)
                }
                Failure::Unreachable(_) => ExitCode::from(3),
                Failure::Unclear(_) => ExitCode::from(1),
            }
        }
        Stop::TaskFailed(problem) => {
            eprintln!("qx: the task failed: {}", problem.detail);
            for error in &problem.errors {
                eprintln!("  {}: {}", error.pointer, error.detail);
            }
            ExitCode::from(4)
        }
        Stop::Here(error) => {
            eprintln!("qx: {error:#}");
            ExitCode::from(1)
        }
    }
}
