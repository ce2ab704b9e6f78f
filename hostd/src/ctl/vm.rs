//! `qx vm`

use super::lookup::{host, hosts, id};
use super::{
    Session, Stop, clone, console, customize, discovered, filing, follow, host_device, output, serial, size,
    vm_device, vm_spec,
};
use clap::{Args, Subcommand};
use hostd_core::{Aged, ConsoleMode, Silence};
use hostd_types::*;
use hyper::Method;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List virtual machines
    List {
        /// Only names that contain this
        #[arg(short, long)]
        query: Option<String>,
        /// Only this state: off, starting, running, paused, stopping, crashed, unknown
        #[arg(long)]
        state: Option<String>,
        /// Only those on this host
        #[arg(long)]
        host: Option<String>,
        /// List templates instead
        #[arg(long)]
        templates: bool,
        #[command(flatten)]
        filter: filing::Filter,
    },
    /// Show one
    Show { id: String },
    /// Make one
    Create(Box<vm_spec::Create>),
    /// Change one (of a running machine, what can't change while it runs applies at its next power-off)
    Edit(vm_spec::Edit),
    /// Change what its guest is told at its first boot (cloud-init)
    Customize(Box<customize::Customize>),
    /// Start it
    Start { id: String },
    /// Ask the guest to shut down; the task fails if it does not in time
    Shutdown(Deadline),
    /// Ask the guest to reboot
    Reboot(Deadline),
    /// Press the reset button
    Reset { id: String },
    /// Pull the plug
    ForceOff { id: String },
    /// Freeze its virtual CPUs
    Pause { id: String },
    /// Let them go on
    Resume { id: String },
    /// Delete it; its disks stay unless --disks is given
    Delete {
        id: String,
        /// Delete its disks too
        #[arg(long)]
        disks: bool,
    },
    /// Make a copy of one, of one of its snapshots, or of a template
    Clone(Box<clone::Clone>),
    /// Make a template of one that is off, which can be copied and neither started nor changed
    Template(clone::Template),
    /// Snapshots of its disks
    #[command(subcommand)]
    Snapshot(super::snapshot::Verb),
    /// Attach, grow and detach disks
    #[command(subcommand)]
    Disk(vm_device::DiskVerb),
    /// Attach, change and detach network cards
    #[command(subcommand)]
    Nic(vm_device::NicVerb),
    /// Devices of its host that it has for itself
    #[command(subcommand)]
    Device(host_device::Verb),
    /// Connect the terminal to its serial port (Ctrl-] ends it)
    Serial {
        id: String,
        /// Take control from whoever has it
        #[arg(long)]
        take: bool,
        /// Only look
        #[arg(long, conflicts_with = "take")]
        watch: bool,
    },
    /// List the operating systems that --os takes, with what they want
    Guests,
    #[command(flatten)]
    Discovered(discovered::Verb),
    #[command(flatten)]
    Console(console::Verb),
    #[command(flatten)]
    Filing(filing::Verb),
}

#[derive(Debug, Args)]
pub struct Deadline {
    id: String,
    /// Seconds the guest has
    #[arg(long, default_value_t = SHUTDOWN_DEADLINE_S)]
    deadline: u32,
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List { query, state, host, templates, filter } => {
            let params = ListParams { q: query, state, template: Some(templates), ..ListParams::default() };
            list(session, params, host.as_deref(), filter).await
        }
        Verb::Clone(asked) => clone::run(session, *asked).await,
        Verb::Template(asked) => clone::template(session, asked).await,
        Verb::Filing(verb) => filing::run(session, verb).await,
        Verb::Discovered(verb) => discovered::run(session, verb).await,
        Verb::Show { id } => show(session, &id).await,
        Verb::Create(create) => vm_spec::make(session, *create).await,
        Verb::Edit(edit) => vm_spec::change(session, edit).await,
        Verb::Customize(asked) => customize::run(session, *asked).await,
        Verb::Start { id } => power(session, &id, PowerAction::Start, None).await,
        Verb::Shutdown(d) => power(session, &d.id, PowerAction::Shutdown, Some(d.deadline)).await,
        Verb::Reboot(d) => power(session, &d.id, PowerAction::Reboot, Some(d.deadline)).await,
        Verb::Reset { id } => power(session, &id, PowerAction::Reset, None).await,
        Verb::ForceOff { id } => power(session, &id, PowerAction::ForceOff, None).await,
        Verb::Pause { id } => power(session, &id, PowerAction::Pause, None).await,
        Verb::Resume { id } => power(session, &id, PowerAction::Resume, None).await,
        Verb::Delete { id: name, disks } => {
            let path = format!("/api/v1/vms/{}?disks={disks}", id(session, "vms", &name).await?);
            let accepted = session.client.ask(Method::DELETE, &path, None::<&()>).await?;
            follow::accepted(session, accepted).await
        }
        Verb::Snapshot(verb) => super::snapshot::run(session, verb).await,
        Verb::Disk(verb) => vm_device::run_disk(session, verb).await,
        Verb::Nic(verb) => vm_device::run_nic(session, verb).await,
        Verb::Device(verb) => host_device::run(session, verb).await,
        Verb::Serial { id: name, take, watch } => {
            let id = id(session, "vms", &name).await?;
            let mode = match (take, watch) {
                (true, _) => ConsoleMode::Take,
                (_, true) => ConsoleMode::Watch,
                (false, false) => ConsoleMode::Control,
            };
            serial::connect(session, &id, mode).await
        }
        Verb::Guests => guests(session).await,
        Verb::Console(verb) => console::run(session, verb).await,
    }
}

async fn list(
    session: &Session,
    params: ListParams,
    on: Option<&str>,
    filter: filing::Filter,
) -> Result<(), Stop> {
    let host = host(session, on).await?;
    let mut params = ListParams { limit: Some(PAGE_MAX), host, ..params };
    filter.fill(session, &mut params).await?;
    let page = output::list(session, "vms", &params).await?;
    let hosts = hosts(session).await?;
    output::page(session, page, ["NAME", "HOST", "STATE", "CPUS", "MEMORY", "ID"], |row: Aged<Vm>| {
        let Aged { row: vm, silent } = row;
        let state = output::aged(vm.status.state.as_str(), silent);
        let memory = size::shown(vm.spec.memory_mib << 20);
        [vm.spec.name, hosts.name(vm.spec.host), state, vm.spec.cpus.to_string(), memory, vm.id.to_string()]
    })
}

async fn show(session: &Session, name: &str) -> Result<(), Stop> {
    let detail: Value =
        session.client.get(&format!("/api/v1/vms/{}", id(session, "vms", name).await?)).await?;
    if session.json {
        output::json(&detail);
        return Ok(());
    }
    let vm: Vm = output::typed(detail["vm"].clone())?;
    let disks: Vec<Volume> = output::typed(detail["disks"].clone())?;
    let disk = |v: &Volume| {
        format!("{} ({}, {})", v.spec.name, size::shown(v.spec.size_bytes), v.spec.format.as_str())
    };
    let nics = detail["nics"].as_array().cloned().unwrap_or_default();
    let nic = |n: &Value| {
        let text = |v: &Value| v.as_str().unwrap_or("unknown").to_owned();
        let lease = n["lease"]["address"].as_str().map(|a| format!(", {a}")).unwrap_or_default();
        format!("{} on {}{lease}", text(&n["nic"]["mac"]), text(&n["network"]["spec"]["name"]))
    };
    let state = match &vm.status.reason {
        Some(why) => format!("{} ({why})", vm.status.state.as_str()),
        None if vm.spec.lineage.template => "template".to_owned(),
        None => vm.status.state.as_str().to_owned(),
    };
    let silent: Option<Silence> = output::typed(detail["silent"].clone())?;
    let on = hosts(session).await?.name(vm.spec.host);
    let on = if silent.is_some() { format!("{on}, which does not answer") } else { on };
    output::facts([
        ("Name", vm.spec.name.clone()),
        ("Id", vm.id.to_string()),
        ("Host", on),
        ("State", output::aged(&state, silent)),
        ("Made", vm.planned_for(Timestamp::now()).unwrap_or(vm.meta.created_at).to_string()),
        ("Guest", vm.spec.guest_os.profile().name.into()),
        ("CPUs", cpus(&vm)),
        ("Machine type", vm.spec.machine_type.clone().unwrap_or_else(|| "the newest at each start".into())),
        ("Memory", size::shown(vm.spec.memory_mib << 20)),
        ("Firmware", format!("{:?}", vm.spec.firmware).to_lowercase()),
        ("Tags", tags_text(&vm.meta.labels)),
        ("Copy of", copy_of(&vm)),
        ("Autostart", if vm.spec.autostart { "yes" } else { "no" }.into()),
        ("CD-ROM", detail["cdrom"]["spec"]["name"].as_str().unwrap_or("empty").into()),
    ]);
    let drives = detail["more_cdroms"].as_array().into_iter().flatten();
    output::facts(drives.map(|image| ("CD-ROM", image["spec"]["name"].as_str().unwrap_or("empty").into())));
    output::facts(disks.iter().map(|v| ("Disk", disk(v))));
    output::facts(nics.iter().map(|n| ("Card", nic(n))));
    let device = |device: &HostDevice| format!("{} ({})", device.name, device.id);
    output::facts(vm.spec.hardware.host_devices.iter().map(|d| ("Device", device(d))));
    let share = |share: &VmShare| {
        ("Shared folder", format!("{}/{}, mounted by {}", share.pool, share.folder, share.tag))
    };
    output::facts(vm.spec.hardware.shares.iter().map(share));
    let held = |since: Timestamp| {
        ("Holds still", format!("maybe, since {since}: its agent does not answer; a reset ends it"))
    };
    output::facts(vm.status.held_since.map(held));
    output::facts(vm.status.drift.iter().map(|d| ("Changed", d.clone())));
    output::facts(vm.spec.customization.iter().flat_map(customize::facts));
    let pending: Option<Vec<String>> = output::typed(detail["pending"].clone())?;
    output::facts(pending.into_iter().flatten().map(|what| ("At next power-off", what)));
    let advice: Option<Vec<String>> = output::typed(detail["advice"].clone())?;
    output::facts(advice.into_iter().flatten().map(|what| ("Advice", what)));
    let missing: Option<Vec<String>> = output::typed(detail["missing"].clone())?;
    output::facts(missing.into_iter().flatten().map(|what| ("Missing", what)));
    let warnings: Option<Vec<String>> = output::typed(detail["warnings"].clone())?;
    output::facts(warnings.into_iter().flatten().map(|warning| ("Warning", warning)));
    Ok(())
}

async fn guests(session: &Session) -> Result<(), Stop> {
    let profiles: Value = session.client.get("/api/v1/guest-profiles").await?;
    if session.json {
        output::json(&profiles);
        return Ok(());
    }
    let rows = profiles.as_array().cloned().unwrap_or_default();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap_or_default();
    let rows = rows.iter().map(|row| {
        let memory = size::shown(number(row, "min_memory_mib") << 20);
        let disk = size::shown(number(row, "min_disk_gib") << 30);
        let least = format!("CPUs: {}, memory: {memory}, disk: {disk}", number(row, "min_cpus"));
        [
            text(row, "os"),
            text(row, "name"),
            text(row, "firmware"),
            text(row, "disk_bus"),
            text(row, "nic"),
            least,
        ]
    });
    output::table(["OS", "NAME", "FIRMWARE", "DISKS", "CARDS", "AT LEAST"], rows);
    Ok(())
}

async fn power(
    session: &Session,
    name: &str,
    action: PowerAction,
    deadline: Option<u32>,
) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}/power", id(session, "vms", name).await?);
    let body = match deadline {
        Some(deadline_s) => json!({"action": action, "deadline_s": deadline_s}),
        None => json!({"action": action}),
    };
    let accepted = session.client.ask(Method::POST, &path, Some(&body)).await?;
    follow::accepted(session, accepted).await
}

/// What it was made from, and how.
fn copy_of(vm: &Vm) -> String {
    let Some(source) = &vm.spec.lineage.source else { return "nothing".into() };
    let snapshot = source.snapshot.iter().map(|name| format!(", snapshot {name}")).collect::<String>();
    let without: String =
        source.left_out.iter().map(|said| format!(". {}", said.trim_end_matches('.'))).collect();
    format!("{}{snapshot} ({}){without}", source.name, source.mode.as_str())
}

/// Their number, mode and arrangement in words.
fn cpus(vm: &Vm) -> String {
    let CpuTopology { sockets, threads } = vm.spec.topology;
    let cores = vm.spec.topology.cores(vm.spec.cpus).unwrap_or(vm.spec.cpus);
    let mode = vm.spec.cpu_mode.as_str();
    format!("{} ({mode}; sockets: {sockets}, cores: {cores}, threads: {threads})", vm.spec.cpus)
}
