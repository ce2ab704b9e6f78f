//! The product's ISO, booted in QEMU: what `cargo xtask run`, the ISO tests and the boot measurements share.

use crate::accel::Accel;
use crate::http::{Http, Target};
use crate::machine::Machine;
use crate::wire::Lan;
use crate::{tls, wait};
use anyhow::{Context, Result, bail};
use hyper::Method;
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the build machine's OVMF is.
const OVMF: &str = "/usr/share/OVMF";

/// What the machine starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF with Secure Boot on and Microsoft's keys enrolled.
    Uefi,
}

/// How to boot.
#[derive(Debug, Clone)]
pub struct Boot {
    /// The ISO.
    pub iso: PathBuf,
    /// What starts it.
    pub firmware: Firmware,
    /// How guests of this machine run.
    pub accel: Accel,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Raw disk images to attach.
    pub disks: Vec<PathBuf>,
    /// Port of the loopback address that leads to the appliance's 8443.
    pub port: u16,
    /// The wire to other appliances; without one it has the card for this machine alone.
    pub lan: Option<Lan>,
    /// Directory for sockets, logs and UEFI variables; short, as socket paths must fit 107 bytes.
    pub dir: PathBuf,
}

/// What the local console shows for the administrator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The login page's address.
    pub url: Option<String>,
    /// The certificate's SHA-256, as hexadecimal digits.
    pub fingerprint: Option<String>,
    /// The generated password, while it was not changed.
    pub password: Option<String>,
}

/// A booted appliance.
#[derive(Debug)]
pub struct Appliance {
    /// Its QEMU.
    pub machine: Machine,
    /// The port of the loopback address where it answers.
    pub port: u16,
}

impl Boot {
    /// QEMU's arguments.
    fn args(&self) -> Result<Vec<OsString>> {
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&self.accel.args());
        match self.firmware {
            Firmware::Bios => add(&["-machine", "q35"]),
            Firmware::Uefi => {
                let variables = self.dir.join("variables.fd");
                if !variables.exists() {
                    std::fs::copy(Path::new(OVMF).join("OVMF_VARS_4M.ms.fd"), &variables)
                        .context("copying OVMF's variables (is the package ovmf installed?)")?;
                }
                add(&["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]);
                let code =
                    format!("if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.secboot.fd");
                let store = format!("if=pflash,unit=1,format=raw,file={}", variables.display());
                add(&["-drive", &code, "-drive", &store]);
            }
        }
        let medium =
            format!("if=none,id=medium,media=cdrom,readonly=on,format=raw,file={}", self.iso.display());
        add(&["-m", &self.memory_mib.to_string(), "-smp", &self.cpus.to_string()]);
        add(&["-drive", &medium, "-device", "ide-cd,drive=medium,bootindex=1"]);
        for (index, disk) in self.disks.iter().enumerate() {
            let drive = format!("if=none,id=disk{index},format=raw,file={}", disk.display());
            add(&["-drive", &drive, "-device", &format!("virtio-blk-pci,drive=disk{index}")]);
        }
        let mut forward = format!("user,id=net,hostfwd=tcp:127.0.0.1:{}-:8443", self.port);
        if let Some(lan) = self.lan {
            // Each has an address of its own on the card for this machine, too, and no way to the others by it.
            forward.push_str(&format!(",restrict=on,ipv6=off,net=10.79.{}.0/24", lan.number));
        }
        let card = format!(
            "virtio-net-pci,netdev=net,mac=52:54:00:12:34:{:02x}",
            self.lan.map_or(0x56, |l| l.number)
        );
        add(&["-netdev", &forward, "-device", &card, "-device", "virtio-rng-pci"]);
        args.extend(self.lan.into_iter().flat_map(Lan::args).map(OsString::from));
        Ok(args)
    }
}

impl Appliance {
    /// Starts QEMU; the appliance boots meanwhile.
    ///
    /// # Errors
    /// When QEMU does not start.
    pub async fn start(boot: &Boot) -> Result<Self> {
        std::fs::create_dir_all(&boot.dir).with_context(|| boot.dir.display().to_string())?;
        let machine = Machine::start(&boot.dir, &boot.args()?).await?;
        Ok(Self { machine, port: boot.port })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address for a browser.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// Waits until the login page is served, and returns the seconds since QEMU was started.
    ///
    /// # Errors
    /// When it is not within `deadline`, or QEMU ended; the message quotes the end of the serial line.
    pub async fn answers(&mut self, deadline: Duration) -> Result<f64> {
        let started = self.machine.started;
        let address = self.address();
        let served = wait::until("the login page", deadline, || {
            let (runs, address) = (self.machine.runs(), address.clone());
            async move {
                if !runs {
                    return Ok(Some(false));
                }
                let ask = async { Http::new(Target::Tls(address)).send(Method::GET, "/login", None).await };
                // A forwarded port takes the connection before anybody listens behind it.
                let answer =
                    tokio::time::timeout(Duration::from_secs(5), ask).await.context("no answer")??;
                Ok((answer.status.is_success() && answer.text().contains("login-form")).then_some(true))
            }
        });
        match served.await {
            Ok(true) => Ok(started.elapsed().as_secs_f64()),
            Ok(false) => bail!("QEMU ended during the boot; see {}", self.machine.dir().display()),
            Err(error) => {
                let text = self.machine.serial.text();
                let last: Vec<&str> = text.lines().rev().take(20).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                bail!("{error:#}; the console ends with:\n{}", last.join("\n"))
            }
        }
    }

    /// Waits until the local console shows the certificate's fingerprint (and, with `password`, the generated
    /// password), and checks the fingerprint against the certificate the HTTPS port presents.
    ///
    /// # Errors
    /// When the console does not show them in time or the fingerprints differ.
    pub async fn greeting(&self, password: bool, deadline: Duration) -> Result<Greeting> {
        let greeting = wait::until("the local console's greeting", deadline, || async {
            let seen = Greeting::read(&self.machine.serial.text());
            Ok((seen.fingerprint.is_some() && (seen.password.is_some() || !password)).then_some(seen))
        })
        .await?;
        let presented = tls::fingerprint(&self.address()).await?;
        if greeting.fingerprint.as_deref() != Some(&presented) {
            bail!("the console shows fingerprint {:?}, the port presents {presented}", greeting.fingerprint);
        }
        Ok(greeting)
    }

    /// Pulls the cable of its card on the wire, or puts it back.
    ///
    /// # Errors
    /// When it has none.
    pub async fn set_lan(&mut self, on: bool) -> Result<()> {
        self.machine.qmp.command("set_link", json!({"name": "lan-card", "up": on})).await.map(drop)
    }

    /// Presses the power button and waits for the orderly end.
    ///
    /// # Errors
    /// When it is not off within `deadline`.
    pub async fn shut_down(mut self, deadline: Duration) -> Result<()> {
        self.machine.press_power().await?;
        self.machine.wait_off(deadline).await.map(drop)
    }
}

impl Greeting {
    /// Reads what the console printed last: `https://…`, the fingerprint on the lines that follow its mention, and
    /// the value on the line that begins with `Password`.
    pub fn read(console: &str) -> Self {
        let mut seen = Self::default();
        let mut digits: Option<String> = None;
        for line in console.lines().map(str::trim) {
            let hexadecimal = line.len() > 2 && line.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
            match &mut digits {
                Some(digits) if hexadecimal => digits.push_str(&tls::digits(line)),
                Some(_) | None => digits = line.contains("fingerprint").then(String::new),
            }
            if let Some(whole) = digits.as_ref().filter(|d| d.len() == 64) {
                seen.fingerprint = Some(whole.clone());
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["Password", value] => seen.password = Some((*value).to_owned()),
                [url] if url.starts_with("https://") => seen.url = Some((*url).to_owned()),
                _ => {}
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::Greeting;

    #[test]
    fn the_console_is_read() {
        let half = "AB:".repeat(16);
        let rest = half.trim_end_matches(':');
        let text = format!(
            " Open one of these in a browser:\n   https://10.0.2.15:8443\n\n the certificate's SHA-256 fingerprint is\n   \
             {half}\n   {rest}\n\n Log in as       admin\n Password        s3cret-x\n"
        );
        let seen = Greeting::read(&text);
        assert_eq!(seen.url.as_deref(), Some("https://10.0.2.15:8443"));
        assert_eq!(seen.fingerprint.as_deref(), Some("ab".repeat(32).as_str()));
        assert_eq!(seen.password.as_deref(), Some("s3cret-x"));
        assert_eq!(Greeting::read("login:\nPassword:\n"), Greeting::default());
    }
}
