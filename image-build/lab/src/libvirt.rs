//! A private libvirt host: `libvirtd` with its own configuration, state, network, processes and `/dev` (without
//! `/dev/kvm`, so that guests are emulated alike everywhere), in namespaces of its own. Needs root.

use crate::namespaces::Namespaces;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sets the host up and keeps it: `$1` is its directory, `$2` its name (none: the machine's), then what is replaced
/// (`name:/target`), `--`, and the devices it has.
const KEEPER: &str = r#"
set -e
dir=$1; name=$2; shift 2
while [ "$1" != -- ]; do mount --bind "$dir/${1%%:*}" "${1#*:}"; shift; done
shift
[ -z "$name" ] || hostname "$name"
# A new sysfs shows this network's links.
mount -t sysfs sysfs /sys
ip link set lo up
mount -t tmpfs -o mode=755 dev "$dir/dev"
mkdir "$dir/dev/net" "$dir/dev/pts" "$dir/dev/shm"
for node; do [ ! -e "/dev/$node" ] || cp -a "/dev/$node" "$dir/dev/$node"; done
ln -s /proc/self/fd "$dir/dev/fd"
ln -s pts/ptmx "$dir/dev/ptmx"
mount --bind /dev/pts "$dir/dev/pts"
mount --bind /dev/shm "$dir/dev/shm"
mount --rbind "$dir/dev" /dev
echo ready
cat >/dev/null
exit 0
"#;

/// Directories of the host that are replaced inside, and where their content lives under the test bed's directory.
const PRIVATE: [(&str, &str); 5] = [
    ("etc", "/etc/libvirt"),
    ("lib", "/var/lib/libvirt"),
    ("cache", "/var/cache/libvirt"),
    ("log", "/var/log/libvirt"),
    ("run", "/run"),
];

/// Files that are replaced inside when the host has its own.
const FILES: [(&str, &str); 2] =
    [("hostname", "/etc/hostname"), ("boot-id", "/proc/sys/kernel/random/boot_id")];

/// Device nodes a guest or daemon may need; `kvm` is left out on purpose.
const NODES: [&str; 8] = ["null", "zero", "full", "random", "urandom", "tty", "net/tun", "loop-control"];

/// How long the daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(20);

/// A running private `libvirtd`; dropping it ends everything that was started inside.
#[derive(Debug)]
pub struct Libvirtd {
    dir: PathBuf,
    daemon: Option<Child>,
    /// Last, as it ends after the daemon.
    namespaces: Namespaces,
}

impl Libvirtd {
    /// Why no private libvirt host can be made here, for the line `skipped: why`.
    pub fn missing() -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("namespaces and libvirtd need root".into());
        }
        let found = |program: &str| {
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|d| Path::new(d).join(program).exists())
        };
        ["libvirtd", "virsh", "qemu-system-x86_64", "unshare", "nsenter"]
            .into_iter()
            .find(|p| !found(p))
            .map(|p| format!("{p} is not installed"))
    }

    /// Makes the host under `dir` (emptied of an earlier run's sockets) and waits until libvirt answers. Keep the path
    /// short: Unix socket paths below it must fit 107 bytes.
    ///
    /// # Errors
    /// When a namespace or mount is refused or the daemon does not answer within 20 s.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_as(dir, "")
    }

    /// As [`Self::start`], with a name of its own instead of the machine's.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_as(dir: &Path, name: &str) -> Result<Self> {
        if let Some(why) = Self::missing() {
            bail!("no private libvirt host here: {why}");
        }
        let mut host = Self::without_daemon(dir, name)?;
        host.restart()?;
        Ok(host)
    }

    /// The machine alone, as one without libvirt: its daemon never runs, unless [`Self::restart`] starts it.
    ///
    /// # Errors
    /// When a namespace or mount is refused.
    pub fn without_daemon(dir: &Path, name: &str) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        write_configuration(&dir, name)?;
        let mut binds = Vec::new();
        for (from, target) in PRIVATE {
            fs::create_dir_all(target).with_context(|| target.to_owned())?;
            binds.push(format!("{from}:{target}"));
        }
        binds.extend(
            FILES.iter().filter(|(from, _)| dir.join(from).exists()).map(|(f, t)| format!("{f}:{t}")),
        );
        let mut args: Vec<&OsStr> = vec![dir.as_os_str(), name.as_ref()];
        args.extend(binds.iter().map(OsStr::new));
        args.push("--".as_ref());
        args.extend(NODES.iter().map(OsStr::new));
        let namespaces = Namespaces::machine(KEEPER, &args)?;
        Ok(Self { dir, namespaces, daemon: None })
    }

    /// The connection URI from outside the namespaces.
    pub fn uri(&self) -> String {
        let socket = self.outside(Path::new("/run/libvirt/libvirt-sock"));
        format!("qemu+unix:///system?socket={}", socket.display())
    }

    /// Where a file that programs inside see as `inside` is found from outside. Only `/run` and libvirt's own
    /// directories are private; everything else is the machine's.
    pub fn outside(&self, inside: &Path) -> PathBuf {
        for (name, target) in PRIVATE {
            if let Ok(rest) = inside.strip_prefix(target) {
                return self.dir.join(name).join(rest);
            }
        }
        inside.to_owned()
    }

    /// Process id of the daemon, when it runs.
    pub fn pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Child::id)
    }

    /// The process id of a domain's QEMU, seen from outside.
    ///
    /// # Errors
    /// When it does not run.
    pub fn qemu(&self, domain: &str) -> Result<i32> {
        let file = self.outside(&Path::new("/run/libvirt/qemu").join(format!("{domain}.pid")));
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        self.namespaces.outer_pid(text.trim().parse()?)
    }

    /// The namespaces it is in.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// A command that will run `program` inside the same namespaces. Its working directory is `/`.
    pub fn command_inside(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespaces.command(program)
    }

    /// Runs `program` with `args` inside and returns its output.
    ///
    /// # Errors
    /// When it can't be started or fails; the message holds what it said.
    pub fn run_inside(&self, program: &str, args: &[&str]) -> Result<String> {
        self.namespaces.run(program, args)
    }

    /// Kills the daemon as `kill -9` does; guests go on running.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("libvirtd does not run")?;
        daemon.kill()?;
        daemon.wait()?;
        Ok(())
    }

    /// Starts the daemon (killing it first if it runs) and waits until it answers.
    ///
    /// # Errors
    /// When it ends or does not answer within 20 s; the message holds the end of its log.
    pub fn restart(&mut self) -> Result<()> {
        if self.daemon.is_some() {
            self.kill()?;
        }
        self.daemon = Some(self.namespaces.spawn("libvirtd", |command| {
            command.args(["--pid-file", "/run/libvirtd.pid"]).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
        })?);
        let uri = self.uri();
        let begun = Instant::now();
        while begun.elapsed() < ANSWER {
            let mut virsh = Command::new("virsh");
            virsh.args(["-q", "-c", &uri, "version"]).stdout(Stdio::null()).stderr(Stdio::null());
            if virsh.status().context("virsh")?.success() {
                return Ok(());
            }
            if let Some(status) = self.daemon.as_mut().and_then(|d| d.try_wait().transpose()) {
                bail!("libvirtd ended ({:?}): {}", status?, self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(20)); // between two looks at the condition
        }
        bail!("libvirtd does not answer: {}", self.log_tail())
    }

    /// Stops the daemon's execution (it answers nobody) until [`Self::unfreeze`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen daemon go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn unfreeze(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Sends the daemon a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("libvirtd does not run")?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        Ok(())
    }

    /// Ends the daemon and everything else inside.
    pub fn stop(self) {
        drop(self);
    }

    /// The last 2,000 characters of the daemon's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log/libvirtd.log")).unwrap_or_default();
        let skip = log.chars().count().saturating_sub(2000);
        log.chars().skip(skip).collect()
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        // The namespaces end once nothing is left inside that somebody must wait for.
        let _ = self.namespaces.kill();
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn write_configuration(dir: &Path, name: &str) -> Result<()> {
    for stale in ["run", "dev"] {
        let _ = fs::remove_dir_all(dir.join(stale));
    }
    for name in ["etc/qemu/networks", "lib", "cache", "log", "run/libvirt", "run/lock", "dev"] {
        fs::create_dir_all(dir.join(name))?;
    }
    let random = || fs::read_to_string("/proc/sys/kernel/random/uuid");
    fs::write(dir.join("boot-id"), random()?)?;
    if !name.is_empty() {
        fs::write(dir.join("hostname"), format!("{name}\n"))?;
    }
    // It stays the same over the host's restarts.
    if !dir.join("uuid").exists() {
        fs::write(dir.join("uuid"), random()?)?;
    }
    let uuid = fs::read_to_string(dir.join("uuid"))?;
    let daemon = format!(
        "host_uuid = \"{}\"\nunix_sock_group = \"root\"\nauth_unix_ro = \"none\"\nauth_unix_rw = \"none\"\n\
         max_clients = 500\nmax_workers = 40\nmax_client_requests = 64\nkeepalive_interval = 5\n\
         keepalive_count = 3\nlog_filters = \"3:remote 4:event 3:util.json 3:rpc\"\n\
         log_outputs = \"3:file:/var/log/libvirt/libvirtd.log\"\n",
        uuid.trim()
    );
    fs::write(dir.join("etc/libvirtd.conf"), daemon)?;
    let qemu = "user = \"root\"\ngroup = \"root\"\ndynamic_ownership = 0\nremember_owner = 0\n\
         security_driver = \"none\"\nsecurity_default_confined = 0\nnamespaces = []\ncgroup_controllers = []\n\
         stdio_handler = \"file\"\nmax_core = 0\n";
    fs::write(dir.join("etc/qemu.conf"), qemu)?;
    Ok(())
}

/// The code of [`boot_sector`]: prints the text behind it on the screen and on COM1, then echoes what COM1 receives
/// and switches the machine off (q35's ACPI port) at a `!`.
const ECHO: [u8; 75] = [
    0x31, 0xc0, 0x8e, 0xd8, // xor ax,ax; mov ds,ax
    0xbe, 0x4b, 0x7c, // mov si,text
    0xac, 0x84, 0xc0, 0x74, 0x05, // next: lodsb; test al,al; jz echo
    0xe8, 0x25, 0x00, 0xeb, 0xf6, // call put; jmp next
    0xba, 0xfd, 0x03, // echo: mov dx,0x3fd
    0xec, 0xa8, 0x01, 0x75, 0x04, // wait: in al,dx; test al,1; jnz got
    0xfb, 0xf4, 0xeb, 0xf7, // sti; hlt; jmp wait
    0xba, 0xf8, 0x03, 0xec, // got: mov dx,0x3f8; in al,dx
    0x3c, b'!', 0x74, 0x05, // cmp al,'!'; je off
    0xe8, 0x0c, 0x00, 0xeb, 0xe7, // call put; jmp echo
    0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, // off: mov dx,0x604; mov ax,0x2000; out dx,ax
    0xf4, 0xeb, 0xfd, // stay: hlt; jmp stay
    0x56, 0x50, 0xb4, 0x0e, 0x31, 0xdb, 0xcd, 0x10, // put: push si; push ax; int 0x10 (teletype)
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74,
    0xfb, // mov dx,0x3fd; full: in al,dx; test al,0x20; jz full
    0x58, 0xba, 0xf8, 0x03, 0xee, 0x5e, 0xc3, // pop ax; mov dx,0x3f8; out dx,al; pop si; ret
];

/// A disk of one sector that a BIOS boots: it prints `line` on the screen and the serial port, then echoes what the
/// serial port receives; a `!` shuts it down.
///
/// # Panics
/// When `line` is longer than 430 bytes.
pub fn boot_sector(line: &str) -> [u8; 512] {
    assert!(line.len() <= 430, "the line fits the sector");
    let mut sector = [0; 512];
    sector[..ECHO.len()].copy_from_slice(&ECHO);
    sector[ECHO.len()..][..line.len()].copy_from_slice(line.as_bytes());
    sector[ECHO.len() + line.len()..][..2].copy_from_slice(b"\r\n");
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_host_answers_survives_a_kill_and_leaves_nothing_behind() {
        if let Some(why) = Libvirtd::missing() {
            eprintln!("skipped: {why}");
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let mut host = Libvirtd::start(dir.path()).expect("a private host");
        let first = host.pid();
        assert!(host.run_inside("ls", &["/dev/kvm"]).is_err(), "/dev/kvm must be absent inside");
        host.kill().expect("kill");
        assert!(!virsh_answers(&host.uri()));
        host.restart().expect("restart");
        assert_ne!(first, host.pid());
        let inside = host.command_inside("sleep").arg("600").spawn().expect("sleep");
        let (uri, pid) = (host.uri(), inside.id());
        host.stop();
        assert!(!virsh_answers(&uri));
        let status = { inside }.wait().expect("the program inside ended");
        assert!(!status.success(), "process {pid} was killed with the host");
    }

    fn virsh_answers(uri: &str) -> bool {
        Command::new("virsh").args(["-q", "-c", uri, "version"]).output().expect("virsh").status.success()
    }
}
