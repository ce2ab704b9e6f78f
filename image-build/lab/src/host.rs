//! The daemon on the build machine: in a private libvirt host of its own, with a network card that the machine (and so
//! a browser) can reach.

use crate::http::{Http, Target};
use crate::libvirt::Libvirtd;
use crate::wait;
use anyhow::{Context, Result, bail};
use hyper::Method;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the daemon keeps sockets, seen from inside.
const RUN_DIR: &str = "/run/quantix";
/// Port of the pages and the API.
const PORT: u16 = 8443;
/// How long the daemon may take to serve its login page.
const ANSWER: Duration = Duration::from_secs(60);

/// A daemon that runs. Dropping it ends it and everything in its namespaces.
#[derive(Debug)]
pub struct Host {
    /// Its libvirt.
    pub libvirt: Libvirtd,
    program: PathBuf,
    dir: PathBuf,
    address: String,
    daemon: Option<Child>,
}

impl Host {
    /// Why no such host can be made here.
    pub fn missing() -> Option<String> {
        Libvirtd::missing()
    }

    /// Starts libvirt and then `program` (a `hostd`) with its state below `dir`.
    ///
    /// # Errors
    /// When either does not answer in time.
    pub async fn start(program: &Path, dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let dir = dir.canonicalize()?;
        let libvirt_dir = dir.join("lv");
        std::fs::create_dir_all(&libvirt_dir)?;
        let libvirt = Libvirtd::start(&libvirt_dir)?;
        let address = connect_network(&libvirt)?;
        let mut host = Self { libvirt, program: program.to_owned(), dir, address, daemon: None };
        host.restart().await?;
        Ok(host)
    }

    /// `address:port` of its HTTPS listener.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.address)
    }

    /// The address for a browser.
    pub fn url(&self) -> String {
        format!("https://{}", self.address())
    }

    /// Its API socket, where root needs no login.
    pub fn socket(&self) -> PathBuf {
        self.libvirt.outside(&Path::new(RUN_DIR).join("api.sock"))
    }

    /// A client of its API socket.
    pub fn console(&self) -> Http {
        Http::new(Target::Unix(self.socket()))
    }

    /// The generated password of the administrator.
    ///
    /// # Errors
    /// When there is none (any more).
    pub fn password(&self) -> Result<String> {
        let file = self.libvirt.outside(&Path::new(RUN_DIR).join("initial-password"));
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let word = text.split_whitespace().next_back().context("the password file is empty")?;
        Ok(word.to_owned())
    }

    /// The daemon's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// The storage pool's directory.
    pub fn pool(&self) -> PathBuf {
        self.dir.join("pools/local")
    }

    /// The file the daemon's log goes into.
    pub fn log(&self) -> PathBuf {
        self.dir.join("hostd.log")
    }

    /// Kills the daemon as a crash would; guests go on running.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().context("killing hostd")?;
            daemon.wait()?;
        }
        Ok(())
    }

    /// Asks the daemon to end, as the init system does, and waits until it has; guests go on running.
    ///
    /// # Errors
    /// When it does not run or does not end in time.
    pub async fn terminate(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("hostd does not run")?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        wait::until("hostd's end", ANSWER, || {
            let ended = daemon.try_wait();
            async move { Ok(ended?) }
        })
        .await?;
        Ok(())
    }

    /// From the next start on the daemon is run by `program`, which gets its arguments.
    pub fn run_as(&mut self, program: &Path) {
        self.program = program.to_owned();
    }

    /// Starts the daemon and does not wait for anything.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn spawn(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.libvirt.command_inside(&self.program);
        command.arg("run").arg("--state-dir").arg(self.dir.join("state"));
        command.arg("--pool-dir").arg(self.dir.join("pools")).args(["--run-dir", RUN_DIR]);
        command.args(["--listen", &format!("0.0.0.0:{PORT}")]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.daemon = Some(command.spawn().context("starting hostd")?);
        Ok(())
    }

    /// Starts the daemon (killing it first if it runs) and waits for its login page.
    ///
    /// # Errors
    /// When it ends or does not answer; the message holds the end of its log.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        self.spawn()?;
        let target = Target::Tls(self.address());
        let daemon = &mut self.daemon;
        let answered = wait::until("hostd's login page", ANSWER, || {
            let ended = daemon.as_mut().and_then(|d| d.try_wait().ok().flatten());
            let target = target.clone();
            async move {
                if let Some(status) = ended {
                    return Ok(Some(Err(status)));
                }
                let answer = Http::new(target).send(Method::GET, "/login", None).await?;
                Ok(answer.status.is_success().then_some(Ok(())))
            }
        });
        match answered.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("hostd ended ({status}): {}", self.log_tail()),
            Err(error) => bail!("{error:#}: {}", self.log_tail()),
        }
    }

    /// The last 2,000 characters of the daemon's log.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let skip = log.chars().count().saturating_sub(2000);
        log.chars().skip(skip).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Lays a cable from the machine into the private network, and returns the address inside. Interface and subnet are
/// chosen by this process's id, so several test beds can stand beside each other. The kernel removes both ends with the
/// private network.
fn connect_network(libvirt: &Libvirtd) -> Result<String> {
    let pid = std::process::id();
    let outer = format!("qx{pid}");
    let (high, low) = ((pid >> 6) & 0xff, (pid & 0x3f) * 4);
    let (near, far) = (format!("10.213.{high}.{}/30", low + 1), format!("10.213.{high}.{}", low + 2));
    libvirt.run_inside("ip", &["link", "add", "uplink0", "type", "veth", "peer", "name", &outer])?;
    libvirt.run_inside("ip", &["link", "set", &outer, "netns", &pid.to_string()])?;
    libvirt.run_inside("ip", &["addr", "add", &format!("{far}/30"), "dev", "uplink0"])?;
    libvirt.run_inside("ip", &["link", "set", "uplink0", "up"])?;
    // No IPv6 address may come seconds later: Chromium drops what it is loading when the machine's network changes.
    let quiet = ["link", "set", &outer, "addrgenmode", "none"];
    let address = ["addr", "add", &near, "dev", &outer];
    for words in [quiet.as_slice(), address.as_slice(), ["link", "set", &outer, "up"].as_slice()] {
        let status = Command::new("ip").args(words).status().context("starting ip")?;
        if !status.success() {
            bail!("ip {} failed", words.join(" "));
        }
    }
    Ok(far)
}
