//! The daemon on the build machine: in a private libvirt host of its own, with a network card that the machine (and so
//! a browser) can reach.

use crate::cable::Cable;
use crate::http::{Http, Target};
use crate::libvirt::Libvirtd;
use crate::wait;
use anyhow::{Context, Result, bail};
use hyper::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
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
    /// Its machine, with its libvirt unless it is a witness.
    pub libvirt: Libvirtd,
    program: PathBuf,
    dir: PathBuf,
    cable: Cable,
    daemon: Option<Child>,
    /// Further arguments of the daemon.
    arguments: Vec<&'static str>,
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
        let mut host = Self::prepare(program, dir, "")?;
        host.restart().await?;
        Ok(host)
    }

    /// Starts libvirt alone, on a machine called `name` (none: as this one is); the daemon is started by
    /// [`Self::restart`]. Blocks until libvirt answers.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn prepare(program: &Path, dir: &Path, name: &str) -> Result<Self> {
        Self::on_machine(program, dir, Libvirtd::start_as(&machine_dir(dir)?, name)?)
    }

    /// A machine called `name` on which no libvirt runs; its daemon is a witness, started by [`Self::restart`].
    ///
    /// # Errors
    /// When the machine can't be made.
    pub fn prepare_witness(program: &Path, dir: &Path, name: &str) -> Result<Self> {
        let mut host = Self::on_machine(program, dir, Libvirtd::without_daemon(&machine_dir(dir)?, name)?)?;
        host.arguments = vec!["--role", "witness"];
        Ok(host)
    }

    fn on_machine(program: &Path, dir: &Path, libvirt: Libvirtd) -> Result<Self> {
        let dir = dir.canonicalize()?;
        let cable = Cable::plug(libvirt.namespaces())?;
        Ok(Self { libvirt, program: program.to_owned(), dir, cable, daemon: None, arguments: Vec::new() })
    }

    /// `address:port` of its HTTPS listener.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.cable.address)
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

    /// Where the daemon keeps its state.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
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
        kill(Pid::from_raw(i32::try_from(daemon.id())?), Signal::SIGTERM)?;
        wait::until("hostd's end", ANSWER, || {
            let ended = daemon.try_wait();
            async move { Ok(ended?) }
        })
        .await?;
        Ok(())
    }

    /// Sends the daemon a signal: `SIGSTOP` makes it answer nobody, `SIGCONT` lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("hostd does not run")?;
        Ok(kill(Pid::from_raw(i32::try_from(pid)?), signal)?)
    }

    /// Cuts the power: daemon, libvirt and guests are gone at once; what is on disk stays.
    ///
    /// # Errors
    /// When it is off already.
    pub fn cut_power(self) -> Result<()> {
        self.libvirt.namespaces().kill()
    }

    /// From the next start on the daemon gets these further arguments.
    pub fn run_with(&mut self, arguments: Vec<&'static str>) {
        self.arguments = arguments;
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
        let said = log.try_clone()?;
        self.daemon = Some(self.libvirt.namespaces().spawn(&self.program, |command| {
            command.arg("run").arg("--state-dir").arg(self.state());
            command.arg("--pool-dir").arg(self.dir.join("pools")).args(["--run-dir", RUN_DIR]);
            command.args(["--listen", &format!("0.0.0.0:{PORT}")]).args(&self.arguments);
            command.stdin(Stdio::null()).stdout(said).stderr(log);
        })?);
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
        log_tail(&self.log())
    }
}

/// Where the machine's own files are below `dir`.
fn machine_dir(dir: &Path) -> Result<PathBuf> {
    let below = dir.join("lv");
    std::fs::create_dir_all(&below).with_context(|| dir.display().to_string())?;
    Ok(below)
}

/// The last 2,000 characters of a log; nothing when it is not there.
pub fn log_tail(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let skip = log.chars().count().saturating_sub(2000);
    log.chars().skip(skip).collect()
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
