//! The lists, with the forms on them, and tasks.

use super::cluster::three;
use super::every_page::{Pages, events, html, pager, rows, tasks, vms_page};
use super::sample::*;
use crate::forms::network::NetworkForm;
use crate::forms::token::TokenForm;
use crate::forms::volume::VolumeForm;
use crate::listing::Listing;
use crate::page::Refusal;
use crate::pages::events::EventsPage;
use crate::pages::images::{ImageForm, ImagesPage};
use crate::pages::networks::NetworksPage;
use crate::pages::tasks::{TaskPage, TasksPage};
use crate::pages::tokens::TokensPage;
use crate::pages::volumes::VolumesPage;
use crate::place::{EventHosts, Places};
use crate::visit::Section;
use hostd_types::*;

/// Events about things of all three hosts.
fn event_hosts(text: &str) -> EventHosts {
    let at = HOSTS.iter().enumerate().map(|(n, host)| (n as u64 + 1, *host)).collect();
    EventHosts::of(Places::of(&three(text)), at)
}

/// Every list, and tasks.
pub(super) fn list_pages(text: &str) -> Pages {
    [resource_pages(text), work_pages(text)].concat()
}

/// Lists of what there is.
fn resource_pages(text: &str) -> Pages {
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
    let image_form = ImageForm {
        host: text.to_owned(),
        name: text.to_owned(),
        description: text.to_owned(),
        sha256: text.to_owned(),
    };
    let volume_form = VolumeForm { name: text.to_owned(), size: text.to_owned(), ..VolumeForm::default() };
    let network_form =
        NetworkForm { name: text.to_owned(), description: text.to_owned(), ..NetworkForm::default() };
    let refusal = || Refusal(Some(problem(ProblemKind::Conflict, text)).filter(|_| !text.is_empty()));
    let nics = host(text, false).facts.nics;
    vec![
        (
            "vms",
            html(vms_page(
                rows(text),
                lay("vms", Section::Vms),
                with_views(ListName::Vms, Listing { q: text.to_owned(), ..Listing::default() }, text),
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
                listing: Listing::default(),
                form: network_form,
                opened: true,
            }),
        ),
    ]
}

/// Lists of what happens, and tokens.
fn work_pages(text: &str) -> Pages {
    let listing = || Listing { q: text.to_owned(), state: "running".into(), ..Listing::default() };
    let lay = |page, section| layout(page, section, text);
    let fresh = NewToken { token: token(&format!("ci{text}"), 90), secret: format!("qx_5bCq{text}") };
    let running = vec![task("image.create", &format!("windows-2025{text}"), TaskState::Running)];
    let tokens = vec![token(&format!("ci{text}"), 90), token(&format!("old{text}"), -4)];
    let failed = tasks(text).remove(1);
    vec![
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
                hosts: event_hosts(text),
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
