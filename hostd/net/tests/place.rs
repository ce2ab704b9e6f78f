//! The place a case runs in: private namespaces, more network namespaces as neighbours, cables between them.

use hostd_net::Nets;
use hostd_types::derived_bridge;
use hostd_types::{
    Actor, HostId, Meta, Network, NetworkId, NetworkMode, NetworkSpec, NetworkStatus, Timestamp,
};
use nix::mount::{MsFlags, mount};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const INSIDE: &str = "HOSTD_NET_TEST_INSIDE";

/// Runs `body` as test `name` (its full path) in namespaces of its own; says so and passes when that can't be done.
pub fn inside<F: AsyncFnOnce(Place)>(name: &str, body: F) {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: {name}: network namespaces need root");
        return;
    }
    let Some(mark) = std::env::var_os(INSIDE) else { return outside(name) };
    let none: Option<&str> = None;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).expect("sysfs of this namespace");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("a private /run");
    run("ip link set lo up");
    let directory = tempfile::tempdir().expect("directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let place = Place { directory: directory.path().into() };
    runtime.block_on(body(place));
    std::fs::write(mark, "done").expect("mark");
}

/// Runs this very test again in namespaces of its own and expects it to come to its end there.
fn outside(name: &str) {
    let private = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let probe = Command::new("unshare").args(private).arg("true").status().expect("unshare");
    if !probe.success() {
        println!("skipped: {name}: this machine gives no namespaces");
        return;
    }
    let own = std::env::current_exe().expect("own path");
    let directory = tempfile::tempdir().expect("directory");
    let mark = directory.path().join("done");
    let mut again = Command::new("unshare");
    again.args(private).arg(own).args([name, "--exact", "--nocapture"]).env(INSIDE, &mark);
    assert!(again.status().expect("unshare").success(), "{name} failed inside its namespaces");
    assert!(mark.exists(), "no test is named {name}");
}

/// Where the case runs.
pub struct Place {
    directory: PathBuf,
}

impl Place {
    /// hostd-net, as the daemon would start it; again after a first time is a restart of the daemon.
    pub fn nets(&self) -> Nets {
        Nets::start(self.run_dir(), self.directory.join("leases")).expect("start")
    }
    /// Where pid and configuration files are.
    pub fn run_dir(&self) -> PathBuf {
        self.directory.join("run")
    }
    /// Every file hostd-net left.
    pub fn files(&self) -> Vec<PathBuf> {
        let directories = [self.run_dir(), self.directory.join("leases")];
        let read = |d: &PathBuf| std::fs::read_dir(d).expect("directory").flatten().map(|e| e.path());
        directories.iter().flat_map(read).collect()
    }
    /// A script for udhcpc that does what an operating system's does.
    fn script(&self) -> PathBuf {
        let path = self.directory.join("udhcpc.script");
        let text = "#!/bin/busybox sh\n\
            case $1 in\n\
            deconfig) ip addr flush dev $interface; ip link set $interface up;;\n\
            bound|renew) ip addr flush dev $interface; ip addr add $ip/$mask dev $interface;\n\
              [ -z \"$router\" ] || ip route add default via $router dev $interface;;\n\
            esac\n";
        std::fs::write(&path, text).expect("script");
        run(&format!("chmod 755 {}", path.display()));
        path
    }
    /// Asks for a lease in `space` (empty: here) on `link`; the client ends when it has one.
    pub fn lease_once(&self, space: &str, link: &str, hostname: &str) {
        let script = self.script();
        run_in(
            space,
            &format!(
                "busybox udhcpc -f -q -n -t 5 -T 1 -i {link} -x hostname:{hostname} -s {}",
                script.display()
            ),
        );
    }
    /// Starts a lasting client on `link` here, as the operating system does. Its first process ends before the one in
    /// the background has written its number down.
    pub fn client(&self, link: &str) {
        let script = self.script();
        run(&format!(
            "busybox udhcpc -b -R -t 3 -T 1 -p /run/udhcpc.{link}.pid -i {link} -s {}",
            script.display()
        ));
        until("the client in the background", || client_runs(link));
    }
    /// A DHCP server in `space` on `link`.
    pub fn dhcp_server(&self, space: &str, link: &str, range: &str, router: &str) -> Server {
        let leases = self.directory.join("lan.leases");
        let line = format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface={link} --bind-interfaces \
             --dhcp-authoritative --no-ping --user=root --pid-file= --dhcp-range={range} \
             --dhcp-option=option:router,{router} --dhcp-leasefile={}",
            leases.display()
        );
        Server(command(space, &line).spawn().expect("dnsmasq"))
    }
}

/// The process that the pid file of a link's client names.
pub fn client_pid(link: &str) -> Option<i32> {
    std::fs::read_to_string(format!("/run/udhcpc.{link}.pid")).ok()?.trim().parse().ok()
}

/// Whether that is one on this link.
pub fn client_runs(link: &str) -> bool {
    let line = |pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    client_pid(link).is_some_and(|pid| line(pid).contains(&format!("\0{link}\0")))
}

/// A server that ends with this value.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // `ip netns exec` becomes the program it runs, so this is the server itself.
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(ended.is_ok(), "{ended:?}");
    }
}

fn command(space: &str, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = if space.is_empty() {
        Command::new(words.next().expect("program"))
    } else {
        let mut ip = Command::new("ip");
        ip.args(["netns", "exec", space]);
        ip
    };
    command.args(words).stdin(Stdio::null());
    command
}

/// Runs a line here; it must succeed. Returns what it wrote.
pub fn run(line: &str) -> String {
    run_in("", line)
}

/// Runs a line in network namespace `space`; it must succeed.
pub fn run_in(space: &str, line: &str) -> String {
    let output = command(space, line).output().expect(line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

/// Waits until `condition` holds, at most 20 s.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A cable: `here` in this namespace, `there` as its other end in the new namespace `space`.
pub fn neighbour(space: &str, here: &str, there: &str) {
    run(&format!("ip netns add {space}"));
    run_in(space, "ip link set lo up");
    run(&format!("ip link add {here} type veth peer name {there} netns {space}"));
    run(&format!("ip link set {here} up"));
    run_in(space, &format!("ip link set {there} up"));
}

/// A neighbour plugged into a bridge, as a guest's tap would be.
pub fn guest(space: &str, bridge: &str) {
    let here = format!("tap-{space}");
    neighbour(space, &here, "eth0");
    run(&format!("ip link set {here} master {bridge}"));
}

/// A network as the core would hold it.
pub fn network(mode: NetworkMode) -> Network {
    let id = NetworkId::new();
    let spec = NetworkSpec {
        name: "lan".into(),
        description: "\"; drop <b>".into(),
        host: HostId::new(),
        mode,
        bridge: derived_bridge(id),
        for_clone: None,
        task: None,
    };
    let meta = Meta::created(Timestamp::now(), &Actor::Console);
    Network { id, meta, spec, status: NetworkStatus::default() }
}

/// A NAT network.
pub fn nat(subnet: &str) -> Network {
    network(NetworkMode::Nat { subnet: subnet.parse().expect(subnet) })
}

/// An isolated network.
pub fn isolated() -> Network {
    network(NetworkMode::Isolated)
}

/// A network on the card `nic`.
pub fn bridged(nic: &str) -> Network {
    network(NetworkMode::Bridged { nic: nic.into() })
}

/// A link of this name is here.
pub fn exists(link: &str) -> bool {
    Path::new("/sys/class/net").join(link).exists()
}

/// Makes it so and expects it to be active without a fault.
pub async fn activate(nets: &Nets, network: &Network) {
    let status = nets.ensure(network).await.expect("ensure");
    assert!(status.active && status.fault.is_none(), "{status:?}");
}
