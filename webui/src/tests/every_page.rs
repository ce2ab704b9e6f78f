//! One of each page.

use super::sample::*;
use crate::chart::{Chart, Spark};
use crate::error::ErrorPage;
use crate::forms::disk::DiskForm;
use crate::forms::network::NetworkForm;
use crate::forms::token::TokenForm;
use crate::forms::vm::VmForm;
use crate::forms::vm_edit::EditForm;
use crate::forms::volume::VolumeForm;
use crate::listing::{Listing, Pager};
use crate::page::Refusal;
use crate::pages::account::AccountPage;
use crate::pages::events::EventsPage;
use crate::pages::help::{HelpIndex, HelpTopic, TOPICS};
use crate::pages::host::HostPage;
use crate::pages::images::{ImageForm, ImagesPage};
use crate::pages::login::LoginPage;
use crate::pages::networks::NetworksPage;
use crate::pages::overview::OverviewPage;
use crate::pages::tasks::{TaskPage, TasksPage};
use crate::pages::tokens::TokensPage;
use crate::pages::vm::{ConsolePage, VmEventsPage, VmPage};
use crate::pages::vm_delete::DeletePage;
use crate::pages::vm_hardware::HardwarePage;
use crate::pages::vm_new::{Choices, NewVmPage};
use crate::pages::vms::{Row, VmsPage};
use crate::pages::volumes::VolumesPage;
use crate::visit::{Frame, Section};
use askama::Template;
use hostd_core::ClusterHealth;
use hostd_types::*;

type Pages = Vec<(&'static str, String)>;

fn html(page: impl Template) -> String {
    page.render().expect("the template renders")
}

fn pager(next: bool) -> Pager {
    let link = |cursor: &str| Some(format!("/x?cursor={cursor}"));
    Pager {
        said: "50 of 120".into(),
        first: next.then(|| link("a")).flatten(),
        next: next.then(|| link("b")).flatten(),
    }
}

fn row(n: i64, name: &str, state: VmState) -> Row {
    let samples = if state.is_active() { vm_samples(n) } else { Vec::new() };
    Row {
        cpu: Spark::cpu(&samples),
        memory: Spark::memory(&samples, 4 << 30),
        address: if state.is_active() { format!("10.200.0.{}", 10 + n) } else { String::new() },
        vm: vm(name, state),
    }
}

fn vms_page(rows: Vec<Row>, layout: crate::visit::Layout, listing: Listing) -> VmsPage {
    let counts = if rows.is_empty() { Default::default() } else { counts() };
    VmsPage { layout, rows, counts, pager: pager(true), listing }
}

/// A list of `n` running machines.
pub(super) fn listed(n: i64) -> String {
    let rows = (0..n).map(|i| row(i, &format!("machine-{i}"), VmState::Running)).collect();
    html(vms_page(rows, layout("vms", Section::Vms, ""), Listing::default()))
}

/// Machines of names people give.
fn rows(text: &str) -> Vec<Row> {
    let named = [
        ("db-primary", VmState::Running),
        ("db-replica", VmState::Running),
        ("gitlab-runner-03", VmState::Starting),
        ("mail", VmState::Paused),
        ("monitoring", VmState::Running),
        ("old-erp-2012", VmState::Off),
        ("web-1", VmState::Running),
        ("web-2", VmState::Crashed),
        ("windows-build", VmState::Stopping),
    ];
    named
        .into_iter()
        .enumerate()
        .map(|(n, (name, state))| row(n as i64, &format!("{name}{text}"), state))
        .collect()
}

/// Choices of the form of a new machine.
fn choices(text: &str) -> Choices {
    Choices {
        disks: vec![image(&format!("debian-12-cloud{text}"), ImageKind::Disk)],
        isos: vec![image(&format!("alpine-3.23.iso{text}"), ImageKind::Iso)],
        volumes: vec![volume(&format!("data{text}"), None)],
        networks: vec![network(&format!("default{text}"))],
        host: Some(host(text, true)),
    }
}

fn tasks(text: &str) -> Vec<Task> {
    let failed = TaskState::Failed { problem: problem(ProblemKind::Capacity, text) };
    vec![
        task("vm.start", &format!("db-primary{text}"), TaskState::Succeeded),
        task("vm.create", &format!("web-2{text}"), failed),
        task(&format!("vm.odd{text}"), "mail", TaskState::Succeeded),
    ]
}

fn events(text: &str) -> Vec<Event> {
    let results = [EventResult::Ok, EventResult::Observed, EventResult::Refused, EventResult::Failed];
    let of = |(n, result)| {
        event(
            n as u64 + 1,
            ["vm.start", "vm.state", "vm.edit", "vm.create"][n],
            &format!("web-1{text}"),
            result,
        )
    };
    results.into_iter().enumerate().map(of).collect()
}

fn machine_pages(text: &str) -> Pages {
    let name = format!("web-1{text}");
    let page = |page, state| {
        let mut detail = detail(&name, state);
        detail.vm.status.reason = Some(format!("guest shut down{text}"));
        detail.vm.status.drift = vec![format!("memory is 1 GiB{text}")];
        (layout(page, Section::Vms, text), detail)
    };
    let summary = |state| {
        let (layout, mut detail) = page("vm", state);
        if state == VmState::Running {
            detail.vm.status.drift.clear();
            detail.vm.status.reason = None;
            detail.task = Some(task("vm.reboot", &name, TaskState::Running));
        }
        let charts = if state.is_active() { Chart::of_vm(&vm_samples(1), 4 << 30) } else { Vec::new() };
        html(VmPage { layout, detail, charts, emulation: true })
    };
    let hardware = |state, refusal| {
        let (layout, detail) = page("vm-hardware", state);
        let form = EditForm::of(&detail.vm);
        html(HardwarePage { layout, refusal, detail, form, isos: choices(text).isos })
    };
    let delete = |disks: &str, refusal| {
        let (layout, detail) = page("vm", VmState::Running);
        html(DeletePage { layout, refusal, detail, disks: disks.into() })
    };
    let console = |state| {
        let (layout, detail) = page("vm-console", state);
        html(ConsolePage { layout, detail })
    };
    let (events_layout, events_detail) = page("vm-events", VmState::Off);
    let mut form = VmForm::fresh(None);
    form.name = name.clone();
    form.description = name.clone();
    form.disks.push(DiskForm { from: "image".into(), size: name.clone(), ..DiskForm::default() });
    form.change("nic+");
    let new = |refusal| NewVmPage {
        layout: layout("vm-new", Section::Vms, text),
        refusal,
        form: form.clone(),
        choices: choices(text),
    };
    let wrong = || Refusal(Some(problem(ProblemKind::Invalid, text)));
    vec![
        ("vm", summary(VmState::Running)),
        ("vm-off", summary(VmState::Off)),
        ("vm-paused", summary(VmState::Paused)),
        ("vm-crashed", summary(VmState::Crashed)),
        ("vm-hardware", hardware(VmState::Running, Refusal::default())),
        ("vm-hardware-wrong", hardware(VmState::Off, wrong())),
        ("vm-delete", delete("keep", Refusal::default())),
        (
            "vm-delete-disks",
            delete("delete", Refusal(Some(Problem::field("/confirm", format!("Type {name}"))))),
        ),
        ("vm-console", console(VmState::Running)),
        ("vm-console-off", console(VmState::Off)),
        (
            "vm-events",
            html(VmEventsPage {
                layout: events_layout,
                detail: events_detail,
                events: events(text),
                pager: pager(true),
            }),
        ),
        ("vm-new", html(new(Refusal::default()))),
        ("vm-new-wrong", html(new(wrong()))),
    ]
}

fn list_pages(text: &str) -> Pages {
    let listing = || Listing { q: text.to_owned(), state: "running".into(), ..Listing::default() };
    let lay = |page, section| layout(page, section, text);
    let images = vec![
        image(&format!("debian-12-cloud{text}"), ImageKind::Disk),
        image(&format!("alpine-3.23.iso{text}"), ImageKind::Iso),
        uploading(&format!("windows-2025{text}")),
    ];
    let volumes =
        vec![volume(&format!("web-1-disk0{text}"), Some(VmId::new())), volume(&format!("data{text}"), None)];
    let networks = vec![
        network(&format!("default{text}")),
        bridged(&format!("lan{text}"), Some(text).filter(|t| !t.is_empty())),
    ];
    let fresh = NewToken { token: token(&format!("ci{text}"), 90), secret: format!("qx_5bCq{text}") };
    let image_form =
        ImageForm { name: text.to_owned(), description: text.to_owned(), sha256: text.to_owned() };
    let volume_form = VolumeForm { name: text.to_owned(), size: text.to_owned(), ..VolumeForm::default() };
    let network_form =
        NetworkForm { name: text.to_owned(), description: text.to_owned(), ..NetworkForm::default() };
    let running = vec![task("image.create", &format!("windows-2025{text}"), TaskState::Running)];
    let refusal = || Refusal(Some(problem(ProblemKind::Conflict, text)).filter(|_| !text.is_empty()));
    let tokens = vec![token(&format!("ci{text}"), 90), token(&format!("old{text}"), -4)];
    let nics = host(text, false).facts.nics;
    let failed = tasks(text).remove(1);
    vec![
        (
            "vms",
            html(vms_page(
                rows(text),
                lay("vms", Section::Vms),
                Listing { q: text.to_owned(), ..Listing::default() },
            )),
        ),
        (
            "images",
            html(ImagesPage {
                layout: lay("images", Section::Images),
                refusal: refusal(),
                images,
                pager: pager(false),
                listing: listing(),
                form: image_form,
            }),
        ),
        (
            "volumes",
            html(VolumesPage {
                layout: lay("volumes", Section::Volumes),
                refusal: refusal(),
                volumes,
                pager: pager(false),
                listing: listing(),
                form: volume_form,
            }),
        ),
        (
            "networks",
            html(NetworksPage {
                layout: lay("networks", Section::Networks),
                refusal: refusal(),
                networks,
                nics,
                pager: pager(false),
                form: network_form,
            }),
        ),
        (
            "tasks",
            html(TasksPage {
                layout: lay("tasks", Section::Tasks),
                running,
                tasks: tasks(text),
                listing: listing(),
                pager: pager(true),
            }),
        ),
        ("task", html(TaskPage { layout: lay("task", Section::Tasks), task: failed })),
        (
            "task-running",
            html(TaskPage {
                layout: lay("task", Section::Tasks),
                task: task("vm.shutdown", text, TaskState::Running),
            }),
        ),
        (
            "events",
            html(EventsPage {
                layout: lay("events", Section::Events),
                events: events(text),
                listing: listing(),
                pager: pager(true),
            }),
        ),
        (
            "tokens",
            html(TokensPage {
                layout: lay("tokens", Section::Tokens),
                refusal: Refusal::default(),
                tokens,
                fresh: Some(fresh),
                form: TokenForm { name: text.to_owned(), ..TokenForm::default() },
                now: Timestamp::now(),
            }),
        ),
    ]
}

fn single_pages(text: &str) -> Pages {
    let lay = |page, section| layout(page, section, text);
    let samples = host_samples();
    let charts = || {
        vec![Chart::host_cpu(&samples), Chart::host_memory(&samples, 64 << 30), Chart::host_network(&samples)]
    };
    let overview = OverviewPage {
        layout: lay("overview", Section::Overview),
        host: host(text, false),
        counts: counts(),
        vms: rows(text).into_iter().map(|r| r.vm).filter(|v| v.status.state == VmState::Running).collect(),
        tasks: tasks(text),
        events: events(text),
        charts: charts(),
        images: 3,
    };
    let health =
        ClusterHealth { last_applied: 4711, last_log: 4711, snapshot: 4000, ..ClusterHealth::default() };
    let login = |problem| LoginPage {
        layout: Frame::default().layout("login", Section::None, "Log in"),
        refusal: Refusal(problem),
        name: text.to_owned(),
        next: format!("/vms{text}"),
    };
    let refused = Problem::new(ProblemKind::TooMany, format!("Too many attempts. {text}")).retry_after(30);
    let mut pages = vec![
        ("overview", html(overview)),
        (
            "host",
            html(HostPage {
                layout: lay("host", Section::Host),
                host: host(text, true),
                charts: charts(),
                health,
            }),
        ),
        ("login", html(login(None))),
        ("login-refused", html(login(Some(refused)))),
        (
            "account",
            html(AccountPage {
                layout: lay("account", Section::Account),
                refusal: Refusal(Some(problem(ProblemKind::Forbidden, text)).filter(|_| !text.is_empty())),
                name: format!("admin{text}"),
                initial_password: true,
                session: Some(session()),
            }),
        ),
        (
            "error",
            html(ErrorPage {
                layout: lay("error", Section::None),
                problem: problem(ProblemKind::NotFound, text),
            }),
        ),
        (
            "error-internal",
            html(ErrorPage {
                layout: lay("error", Section::None),
                problem: problem(ProblemKind::Internal, text),
            }),
        ),
        (
            "error-unavailable",
            html(ErrorPage {
                layout: lay("error", Section::None),
                problem: problem(ProblemKind::Unavailable, text).retry_after(5),
            }),
        ),
        ("help", html(HelpIndex { layout: lay("help", Section::Help) })),
    ];
    for (topic, title, _) in TOPICS {
        let name: &'static str = format!("help-{topic}").leak();
        pages.push((name, html(HelpTopic { layout: lay("help", Section::Help), topic, title })));
    }
    pages
}

/// Every page with something on it; `text` stands in every name and sentence.
pub(super) fn full(text: &str) -> Pages {
    [single_pages(text), list_pages(text), machine_pages(text)].concat()
}

/// Every page that can have nothing on it.
pub(super) fn empty() -> Pages {
    let none = || Refusal::default();
    let mut bare = host("", true);
    bare.latest = None;
    bare.facts.disks.clear();
    bare.facts.nics.clear();
    bare.facts.pools.clear();
    bare.facts.cpu = CpuFacts::default();
    bare.reconcilers.clear();
    let charts = || vec![Chart::host_cpu(&[]), Chart::host_memory(&[], 0), Chart::host_network(&[])];
    let mut lone = detail("web-1", VmState::Off);
    lone.disks.clear();
    lone.nics.clear();
    lone.cdrom = None;
    lone.vm.spec.boot.clear();
    let overview = OverviewPage {
        layout: quiet("overview", Section::Overview),
        host: bare.clone(),
        counts: Default::default(),
        vms: vec![],
        tasks: vec![],
        events: vec![],
        charts: charts(),
        images: 0,
    };
    vec![
        ("empty-overview", html(overview)),
        ("empty-vms", html(vms_page(vec![], quiet("vms", Section::Vms), Listing::default()))),
        (
            "empty-vms-filtered",
            html(vms_page(
                vec![],
                quiet("vms", Section::Vms),
                Listing { q: "x".into(), ..Listing::default() },
            )),
        ),
        (
            "empty-vm",
            html(VmPage {
                layout: quiet("vm", Section::Vms),
                detail: lone.clone(),
                charts: vec![],
                emulation: false,
            }),
        ),
        (
            "empty-vm-hardware",
            html(HardwarePage {
                layout: quiet("vm-hardware", Section::Vms),
                refusal: none(),
                form: EditForm::of(&lone.vm),
                detail: lone.clone(),
                isos: vec![],
            }),
        ),
        (
            "empty-vm-delete",
            html(DeletePage {
                layout: quiet("vm", Section::Vms),
                refusal: none(),
                detail: lone.clone(),
                disks: "keep".into(),
            }),
        ),
        (
            "empty-vm-events",
            html(VmEventsPage {
                layout: quiet("vm-events", Section::Vms),
                detail: lone,
                events: vec![],
                pager: pager(false),
            }),
        ),
        (
            "empty-vm-new",
            html(NewVmPage {
                layout: quiet("vm-new", Section::Vms),
                refusal: none(),
                form: VmForm::fresh(None),
                choices: Choices::default(),
            }),
        ),
        (
            "empty-images",
            html(ImagesPage {
                layout: quiet("images", Section::Images),
                refusal: none(),
                images: vec![],
                pager: pager(false),
                listing: Listing::default(),
                form: ImageForm::default(),
            }),
        ),
        (
            "empty-volumes",
            html(VolumesPage {
                layout: quiet("volumes", Section::Volumes),
                refusal: none(),
                volumes: vec![],
                pager: pager(false),
                listing: Listing::default(),
                form: VolumeForm::default(),
            }),
        ),
        (
            "empty-networks",
            html(NetworksPage {
                layout: quiet("networks", Section::Networks),
                refusal: none(),
                networks: vec![],
                nics: vec![],
                pager: pager(false),
                form: NetworkForm::default(),
            }),
        ),
        (
            "empty-tasks",
            html(TasksPage {
                layout: quiet("tasks", Section::Tasks),
                running: vec![],
                tasks: vec![],
                listing: Listing::default(),
                pager: pager(false),
            }),
        ),
        (
            "empty-events",
            html(EventsPage {
                layout: quiet("events", Section::Events),
                events: vec![],
                listing: Listing::default(),
                pager: pager(false),
            }),
        ),
        (
            "empty-tokens",
            html(TokensPage {
                layout: quiet("tokens", Section::Tokens),
                refusal: none(),
                tokens: vec![],
                fresh: None,
                form: TokenForm::default(),
                now: Timestamp::now(),
            }),
        ),
        (
            "empty-host",
            html(HostPage {
                layout: quiet("host", Section::Host),
                host: bare,
                charts: charts(),
                health: ClusterHealth::default(),
            }),
        ),
    ]
}
