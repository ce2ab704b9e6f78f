//! The host daemon, its HTTP API and the qx command line.
//!
//! This crate is wiring: it parses flags, opens the core, serves the API and the pages, and is a client of that API for
//! people on the host. It holds no rule of the product.

mod address;
mod client;
mod config;
mod connections;
mod console;
mod ctl;
mod fault;
mod http;
mod memory;
mod run;
mod tls;
mod watchdog;

use clap::{Parser, Subcommand};
use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::runtime::Builder;

#[derive(Parser)]
#[command(name = "hostd", version, about = "The Quantix host daemon")]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Run the daemon
    Run(config::RunArgs),
    /// Print the API document (OpenAPI 3.1)
    Openapi,
    /// Print every HTTP route and who may use it
    Routes,
    /// Show the host's address and let an administrator log in, on a terminal of the host itself
    Console {
        /// The daemon's run directory
        #[arg(long, env = "QUANTIX_RUN_DIR", default_value = "/run/quantix")]
        run_dir: PathBuf,
    },
    /// Hold the machine's watchdog device while the daemon comes and goes
    Watchdog {
        /// The daemon's run directory
        #[arg(long, env = "QUANTIX_RUN_DIR", default_value = "/run/quantix")]
        run_dir: PathBuf,
    },
    /// Try whether KVM runs a guest (used by the daemon itself)
    #[command(hide = true)]
    KvmProbe,
    /// Control a running daemon; the same as `qx`
    Ctl(Box<ctl::Ctl>),
}

#[derive(Parser)]
#[command(name = "qx", version, about = "Control Quantix on this host", after_help = ctl::EXIT_CODES)]
struct Qx {
    #[command(flatten)]
    ctl: ctl::Ctl,
}

fn main() -> ExitCode {
    let called_as = std::env::args_os().next();
    if called_as.as_deref().map(Path::new).and_then(Path::file_name) == Some(OsStr::new("qx")) {
        return in_runtime(ctl::main(Qx::parse().ctl));
    }
    match Cli::parse().mode {
        Mode::Run(args) => {
            log_to_stderr();
            memory::give_back_large_blocks();
            in_runtime(async { report(run::run(args).await) })
        }
        Mode::Openapi => {
            ctl::say(format_args!("{}", http::openapi::text(http::plan().openapi()).trim_end()));
            ExitCode::SUCCESS
        }
        Mode::Routes => {
            for route in http::plan().registered().chain(webui::routes().registered()) {
                ctl::say(format_args!("{:<40} {:?}", route.path, route.access));
            }
            ExitCode::SUCCESS
        }
        Mode::Console { run_dir } => in_runtime(async { report(console::main(&run_dir).await) }),
        Mode::Watchdog { run_dir } => {
            log_to_stderr();
            run_in(Builder::new_current_thread(), async { report(watchdog::run(&run_dir).await) })
        }
        Mode::KvmProbe => ExitCode::from(u8::try_from(hostd_core::kvm_probe_child()).unwrap_or(1)),
        Mode::Ctl(args) => in_runtime(ctl::main(*args)),
    }
}

fn in_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    run_in(Builder::new_multi_thread(), work)
}

fn run_in(mut runtime: Builder, work: impl Future<Output = ExitCode>) -> ExitCode {
    match runtime.enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Threads that sit in a blocking read of the terminal must not hold the program.
            runtime.shutdown_background();
            code
        }
        Err(error) => report(Err(error.into())),
    }
}

fn report(ended: anyhow::Result<()>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What is logged by default. The core of openraft tells every round of the majority that a lost voter did not answer,
/// twice a second; that consensus has stopped the daemon tells itself.
const LOGGED: &str = "info,openraft=warn,openraft::core::raft_core=off";

/// Logs go to standard error, where the init system takes them; `QUANTIX_LOG` chooses what, `info` by default.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("QUANTIX_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
