//! How long a machine takes from being asked for until it runs, against libvirt's own define and create of the same
//! XML, side by side.

use super::{Figure, daemon, quantile, rounded};
use crate::checkout::Checkout;
use anyhow::{Context, Result, bail};
use hyper::Method;
use lab::host::Host;
use lab::http::Http;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Pairs of starts.
const PAIRS: usize = 9;
/// Time for one start.
const DEADLINE: Duration = Duration::from_secs(60);

/// The ratio of the medians.
pub async fn ratio(checkout: &Checkout) -> Result<Vec<Figure>> {
    let (dir, host) = daemon::host(checkout).await?;
    let mut console = host.console();
    let mut virsh = Virsh::start(&host.libvirt.uri())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first pair warms caches (libvirt's probe of QEMU among them) and is not counted.
    for index in 0..=PAIRS {
        let (vm, seconds) = create(&mut console, index).await?;
        let xml = host.libvirt.run_inside("virsh", &["-q", "dumpxml", "--inactive", &vm])?;
        delete(&mut console, &vm).await?;
        let file = dir.path().join("direct.xml");
        std::fs::write(&file, direct(&xml, &vm, index)?)?;
        let direct = virsh.define_and_start(&host, &file.to_string_lossy(), &format!("direct-{index}"))?;
        if index > 0 {
            ours.push(rounded(seconds * 1e3));
            theirs.push(rounded(direct * 1e3));
        }
    }
    let (own, other) = (quantile(&mut ours.clone(), 0.5), quantile(&mut theirs.clone(), 0.5));
    let detail = json!({"ours_ms": ours, "libvirt_ms": theirs, "p50_ms": own, "libvirt_p50_ms": other});
    Ok(vec![Figure { measure: "vm-start.ratio", value: rounded(own / other), unit: "1", goal: 1.15, detail }])
}

/// Asks for a machine that starts at once; the seconds until it is seen running.
async fn create(console: &mut Http, index: usize) -> Result<(String, f64)> {
    let vm = json!({"name": format!("asked-{index}"), "cpus": 1, "memory_mib": 64, "start": true});
    let begun = Instant::now();
    let accepted = console.post("/api/v1/vms", &vm).await?;
    let id = accepted["id"].as_str().context("the answer names the machine")?.to_owned();
    loop {
        let seen = console.get(&format!("/api/v1/vms/{id}")).await?;
        if state(&seen) == "running" {
            return Ok((id, begun.elapsed().as_secs_f64()));
        }
        if begun.elapsed() > DEADLINE {
            bail!("the machine does not run: {seen}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // between two looks
    }
}

fn state(seen: &Value) -> &str {
    seen["vm"]["status"]["state"].as_str().unwrap_or_default()
}

async fn delete(console: &mut Http, vm: &str) -> Result<()> {
    let begun = Instant::now();
    console.post(&format!("/api/v1/vms/{vm}/power"), &json!({"action": "force_off"})).await?;
    while state(&console.get(&format!("/api/v1/vms/{vm}")).await?) != "off" {
        if begun.elapsed() > DEADLINE {
            bail!("machine {vm} is not off");
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // between two looks
    }
    console.send(Method::DELETE, &format!("/api/v1/vms/{vm}?disks=true"), None).await?.success()?;
    let path = format!("/api/v1/vms/{vm}");
    while console.send(Method::GET, &path, None).await?.status.is_success() {
        if begun.elapsed() > DEADLINE {
            bail!("machine {vm} is not deleted");
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // between two looks
    }
    Ok(())
}

/// The same definition under another identity: name and identifier are replaced wherever they stand, also in the paths
/// of its sockets.
fn direct(xml: &str, vm: &str, index: usize) -> Result<String> {
    let other = format!("00000000-0000-4000-8000-{index:012}");
    let name = xml.split("<name>").nth(1).and_then(|rest| rest.split("</name>").next()).context("a name")?;
    let renamed = xml.replace(&format!("<name>{name}</name>"), &format!("<name>direct-{index}</name>"));
    Ok(renamed.replace(vm, &other))
}

/// A virsh that stays, so that starting it is not measured.
struct Virsh {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Virsh {
    fn start(uri: &str) -> Result<Self> {
        let mut command = Command::new("virsh");
        command.args(["-q", "-c", uri]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("starting virsh")?;
        let output = BufReader::new(child.stdout.take().context("virsh's output")?);
        Ok(Self { child, output })
    }

    /// Seconds of define and start; the domain is removed afterwards.
    fn define_and_start(&mut self, host: &Host, file: &str, name: &str) -> Result<f64> {
        prepare(host, file)?;
        let begun = Instant::now();
        self.give(&format!("define {file}"))?;
        self.give(&format!("start {name}"))?;
        let seconds = begun.elapsed().as_secs_f64();
        let state = host.libvirt.run_inside("virsh", &["-q", "domstate", name])?;
        if state.trim() != "running" {
            bail!("libvirt's own start failed: {name} is {}", state.trim());
        }
        self.give(&format!("destroy {name}"))?;
        self.give(&format!("undefine --nvram {name}"))?;
        Ok(seconds)
    }

    /// Gives one command and waits for its end, marked by an echo.
    fn give(&mut self, command: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("virsh takes commands")?;
        // The mark's own line ends only with the prompt and echo of the command after it.
        writeln!(input, "{command}\necho --str done-with-it\necho")?;
        input.flush()?;
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line)? == 0 {
                bail!("virsh ended at {command}");
            }
            // virsh echoes what it reads behind its prompt; at the beginning of a line the mark is the answer.
            if line.starts_with("done-with-it") {
                return Ok(());
            }
        }
    }
}

impl Drop for Virsh {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // the end of its input ends it
        let _ = self.child.wait();
    }
}

/// Makes the folders in which the definition's sockets and logs will be.
fn prepare(host: &Host, file: &str) -> Result<()> {
    let xml = std::fs::read_to_string(file)?;
    let paths =
        xml.split("path='").skip(1).chain(xml.split("socket='").skip(1)).chain(xml.split("file='").skip(1));
    for path in paths.filter_map(|rest| rest.split('\'').next()).filter(|p| p.starts_with("/run/")) {
        if let Some(folder) = std::path::Path::new(path).parent() {
            std::fs::create_dir_all(host.libvirt.outside(folder))?;
        }
    }
    Ok(())
}
