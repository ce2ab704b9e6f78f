//! One of each page.

use super::clones::clone_pages;
use super::cluster::{cluster_pages, three};
use super::discovered::discovered_pages;
use super::filing_pages::filing_pages;
use super::list_pages::list_pages;
use super::machine_pages::machine_pages;
use super::sample::*;
use super::snapshots::snapshot_pages;
use super::specifications::specification_pages;
use crate::chart::{Chart, Spark};
use crate::error::ErrorPage;
use crate::listing::{Listing, Pager};
use crate::page::Refusal;
use crate::pages::account::AccountPage;
use crate::pages::help::{HelpIndex, HelpTopic, TOPICS};
use crate::pages::host::HostPage;
use crate::pages::login::LoginPage;
use crate::pages::overview::{OverviewPage, Totals};
use crate::pages::vm_new::Choices;
use crate::pages::vms::{Row, VmsPage};
use crate::visit::{Frame, Section};
use askama::Template;
use hostd_core::ClusterHealth;
use hostd_types::*;

pub(super) type Pages = Vec<(&'static str, String)>;

pub(super) fn html(page: impl Template) -> String {
    page.render().expect("the template renders")
}

pub(super) fn pager(next: bool) -> Pager {
    let link = |cursor: &str| Some(format!("/x?cursor={cursor}"));
    Pager {
        said: "50 of 120".into(),
        first: next.then(|| link("a")).flatten(),
        next: next.then(|| link("b")).flatten(),
    }
}

pub(super) fn row(n: i64, name: &str, state: VmState) -> Row {
    let samples = if state.is_active() { vm_samples(n) } else { Vec::new() };
    Row {
        cpu: Spark::cpu(&samples),
        memory: Spark::memory(&samples, 4 << 30),
        address: if state.is_active() { format!("10.200.0.{}", 10 + n) } else { String::new() },
        vm: vm(name, state),
    }
}

pub(super) fn vms_page(rows: Vec<Row>, layout: crate::visit::Layout, listing: Listing) -> VmsPage {
    let counts = if rows.is_empty() { Default::default() } else { counts() };
    let templates = if rows.is_empty() { 0 } else { 2 };
    let folders = if rows.is_empty() { Vec::new() } else { folders(&listing.q) };
    VmsPage { layout, rows, counts, templates, folders, pager: pager(true), others: 1, listing }
}

/// A list of `n` running machines.
pub(super) fn listed(n: i64) -> String {
    let rows = (0..n).map(|i| row(i, &format!("machine-{i}"), VmState::Running)).collect();
    html(vms_page(rows, layout("vms", Section::Vms, ""), Listing::default()))
}

/// Machines of names people give.
pub(super) fn rows(text: &str) -> Vec<Row> {
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
pub(super) fn choices(text: &str) -> Choices {
    Choices {
        disks: vec![image(&format!("debian-12-cloud{text}"), ImageKind::Disk)],
        isos: vec![image(&format!("alpine-3.23.iso{text}"), ImageKind::Iso)],
        volumes: vec![volume(&format!("data{text}"), None)],
        networks: vec![network(&format!("default{text}"))],
        host: Some(host(text, true)),
        devices: super::host_devices::devices(text),
        devices_unknown: String::new(),
        folders: vec![(FolderId::new().to_string(), format!("/Production{text}"))],
        specifications: vec![(SpecificationId::new().to_string(), format!("web{text}"))],
    }
}

pub(super) fn tasks(text: &str) -> Vec<Task> {
    let failed = TaskState::Failed { problem: problem(ProblemKind::Capacity, text) };
    vec![
        task("vm.start", &format!("db-primary{text}"), TaskState::Succeeded),
        task("vm.create", &format!("web-2{text}"), failed),
        task(&format!("vm.odd{text}"), "mail", TaskState::Succeeded),
    ]
}

pub(super) fn events(text: &str) -> Vec<Event> {
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
        totals: Totals::of(&three(text)),
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
                member: None,
                devices: Some(super::host_devices::devices(text)),
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
    [
        single_pages(text),
        list_pages(text),
        machine_pages(text),
        snapshot_pages(text),
        clone_pages(text),
        discovered_pages(text),
        filing_pages(text),
        specification_pages(text),
        cluster_pages(text),
    ]
    .concat()
}
