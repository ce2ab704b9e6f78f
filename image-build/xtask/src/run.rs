//! `cargo xtask run`: the appliance on this machine, from nothing to a login page.

use crate::checkout::Checkout;
use crate::{iso, needs};
use anyhow::{Context, Result, bail};
use clap::Args;
use lab::appliance::{Appliance, Boot, Firmware, Greeting};
use lab::datadisk;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Size of the data disk `--data` makes; it is sparse.
const DATA_SIZE: u64 = 20 << 30;

/// What can be chosen.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Keep machines, images and logins on a disk image below the target folder
    #[arg(long)]
    data: bool,
    /// What starts the appliance
    #[arg(long, value_enum, default_value = "bios")]
    firmware: FirmwareChoice,
    /// Port of this machine that leads to the appliance
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Memory of the appliance, MiB
    #[arg(long, default_value_t = 4096)]
    memory: u32,
    /// Processors of the appliance
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Seconds the appliance may take until its login page answers
    #[arg(long, default_value_t = 300)]
    deadline: u64,
    /// Compile the daemon for debugging
    #[arg(long)]
    hostd_debug: bool,
    /// Boot the ISO that is there, without building
    #[arg(long)]
    no_build: bool,
}

/// What starts a machine, as a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FirmwareChoice {
    /// SeaBIOS
    Bios,
    /// OVMF with Secure Boot
    Uefi,
}

impl From<FirmwareChoice> for Firmware {
    fn from(choice: FirmwareChoice) -> Self {
        match choice {
            FirmwareChoice::Bios => Firmware::Bios,
            FirmwareChoice::Uefi => Firmware::Uefi,
        }
    }
}

/// Builds and boots the appliance and stays until Ctrl-C or until it is switched off.
///
/// # Errors
/// When something can't be installed or built, or the login page does not answer in time.
pub async fn run(checkout: &Checkout, args: &RunArgs) -> Result<()> {
    if std::net::TcpListener::bind(("127.0.0.1", args.port)).is_err() {
        bail!("port {} is taken on this machine; choose another with --port", args.port);
    }
    needs::install(checkout, &[needs::Purpose::Build, needs::Purpose::Boot])?;
    let daemon = if args.hostd_debug { iso::Daemon::Debug } else { iso::Daemon::Image };
    let medium = if args.no_build { iso::path(checkout) } else { iso::build(checkout, daemon)? };
    let dir = checkout.target.join("run");
    std::fs::create_dir_all(&dir)?;
    let mut disks = Vec::new();
    let password_file = dir.join("password");
    if args.data {
        let disk = dir.join("data.img");
        if !disk.exists() {
            println!("Making a data disk of {} GiB (sparse) at {}", DATA_SIZE >> 30, disk.display());
            datadisk::make(&disk, DATA_SIZE)?;
            let _ = std::fs::remove_file(&password_file);
        }
        disks.push(disk);
    }
    let boot = Boot {
        iso: medium,
        firmware: args.firmware.into(),
        accel: iso::accel(checkout).await?,
        memory_mib: args.memory,
        cpus: args.cpus,
        disks,
        port: args.port,
        lan: None,
        dir,
    };
    println!("Booting {} ({:?})", boot.iso.display(), boot.accel);
    let mut appliance = Appliance::start(&boot).await?;
    let deadline = Duration::from_secs(args.deadline);
    let ready = async {
        let seconds = appliance.answers(deadline).await?;
        let known = std::fs::read_to_string(&password_file).ok().filter(|_| args.data);
        let greeting = appliance.greeting(known.is_none(), Duration::from_secs(60)).await?;
        anyhow::Ok((seconds, known, greeting))
    };
    let (seconds, known, greeting) = tokio::select! {
        ready = ready => ready?,
        _ = tokio::signal::ctrl_c() => return appliance.machine.pull_plug().await,
    };
    if let (true, Some(password)) = (args.data, &greeting.password) {
        keep(&password_file, password)?;
    }
    println!("\nQuantix answers after {seconds:.1} s.\n");
    println!("  URL          {}", appliance.url());
    println!("  Fingerprint  {}", pairs(&greeting));
    println!("  User         admin");
    let password = match (&greeting.password, &known) {
        (Some(shown), _) => shown.trim().to_owned(),
        (None, Some(first)) => format!("{} (unless you changed it)", first.trim()),
        (None, None) => "(as you set it)".to_owned(),
    };
    println!("  Password     {password}");
    println!(
        "\nThe console's log is {}. Ctrl-C ends the appliance.",
        appliance.machine.serial.log().display()
    );
    tokio::select! {
        ended = appliance.machine.wait_off(Duration::MAX) => { ended?; println!("The appliance was switched off."); Ok(()) }
        _ = tokio::signal::ctrl_c() => end(appliance, args.data).await,
    }
}

/// Ends the appliance: in order when there is something to keep.
async fn end(mut appliance: Appliance, data: bool) -> Result<()> {
    if !data {
        return appliance.machine.pull_plug().await;
    }
    println!("\nShutting down (Ctrl-C again pulls the plug)");
    appliance.machine.press_power().await?;
    let off = tokio::select! {
        off = appliance.machine.wait_off(Duration::from_secs(60)) => off.is_ok(),
        _ = tokio::signal::ctrl_c() => false,
    };
    if off { Ok(()) } else { appliance.machine.pull_plug().await }
}

/// The fingerprint as the console and browsers write it.
fn pairs(greeting: &Greeting) -> String {
    let digits = greeting.fingerprint.as_deref().unwrap_or("unknown").to_uppercase();
    let bytes: Vec<&str> =
        digits.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
    format!("SHA-256 {}", bytes.join(":"))
}

/// Remembers the first password of a durable appliance, readable by this user alone.
fn keep(file: &Path, password: &str) -> Result<()> {
    let aside = file.with_extension("part");
    let mut written =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    writeln!(written, "{password}")?;
    written.sync_all()?;
    std::fs::rename(&aside, file).with_context(|| format!("writing {}", file.display()))
}
