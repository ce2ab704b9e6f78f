//! The pages of one machine.

use super::every_page::{Pages, choices, events, html, pager};
use super::sample::*;
use crate::chart::{Chart, Span};
use crate::forms::customize::CustomizeForm;
use crate::forms::device::DeviceForms;
use crate::forms::disk::DiskForm;
use crate::forms::link::LinkForm;
use crate::forms::vm::VmForm;
use crate::forms::vm_edit::EditForm;
use crate::page::{Dialog, Refusal};
use crate::pages::console::{ConsolePage, DockPage, Pane, SharedPage};
use crate::pages::vm::{Time, VmEventsPage, VmPage};
use crate::pages::vm_customization::CustomizationPage;
use crate::pages::vm_delete::DeletePage;
use crate::pages::vm_diagnosis::DiagnosisPage;
use crate::pages::vm_hardware::HardwarePage;
use crate::pages::vm_new::NewVmPage;
use crate::visit::{Layout, Section};
use hostd_core::{LogSource, ReconcilerView, VmDetail, VmLog, VmXml};
use hostd_types::*;

pub(super) fn machine_pages(text: &str) -> Pages {
    let name = format!("web-1{text}");
    let page = |name, state| page(text, name, state);
    let summary = |state| {
        let (layout, mut detail) = page("vm", state);
        if state == VmState::Running {
            detail.vm.status.drift.clear();
            detail.vm.status.reason = None;
            detail.task = Some(task("vm.reboot", &name, TaskState::Running));
        }
        let charts =
            if state.is_active() { Chart::of_vm(Span::RECENT, &vm_samples(1), 4 << 30) } else { Vec::new() };
        html(VmPage {
            layout,
            detail,
            charts,
            emulation: true,
            span: Time::Recent,
            folder: format!("/Web{text}"),
        })
    };
    let hardware = |state, refusal| {
        let (layout, mut detail) = page("vm-hardware", state);
        detail.vm.spec.hardware.host_devices = super::host_devices::of_machine(text);
        detail.missing = vec![format!("Its host has no such device{text}")];
        let form = EditForm::of(&detail.vm);
        let devices = DeviceForms::default();
        html(HardwarePage {
            layout,
            refusal,
            detail,
            form,
            choices: choices(text),
            devices,
            dialog: Dialog::default(),
        })
    };
    let customization = |refusal, custom| {
        let (layout, mut detail) = page("vm-customization", VmState::Running);
        detail.vm.spec.customization = custom;
        detail.warnings = vec![format!("Nobody can log in{text}")];
        let form = CustomizeForm::of(&detail.vm);
        html(CustomizationPage { layout, refusal, detail, form, run_again: true, generation: 3 })
    };
    let delete = |disks: &str, refusal| {
        let (layout, detail) = page("vm", VmState::Running);
        html(DeletePage { layout, refusal, detail, disks: disks.into() })
    };
    let wrong = || Refusal(Some(problem(ProblemKind::Invalid, text)));
    let mut pages = vec![
        ("vm", summary(VmState::Running)),
        ("vm-off", summary(VmState::Off)),
        ("vm-paused", summary(VmState::Paused)),
        ("vm-crashed", summary(VmState::Crashed)),
        ("vm-silent", silent_page(text)),
        ("vm-hardware", hardware(VmState::Running, Refusal::default())),
        ("vm-hardware-wrong", hardware(VmState::Off, wrong())),
        ("vm-customization", customization(Refusal::default(), Some(custom(text)))),
        ("vm-customization-none", customization(Refusal::default(), None)),
        ("vm-customization-wrong", customization(wrong(), Some(custom(text)))),
        ("vm-delete", delete("keep", Refusal::default())),
        (
            "vm-delete-disks",
            delete("delete", Refusal(Some(Problem::field("/confirm", format!("Type {name}"))))),
        ),
        ("vm-events", events_page(text)),
    ];
    pages.extend(console_pages(text));
    pages.extend(new_pages(text));
    pages
}

/// Of a machine whose host does not answer.
fn silent_page(text: &str) -> String {
    let (layout, mut detail) = page(text, "vm", VmState::Running);
    detail.vm.spec.host = HOSTS[2];
    (detail.vm.status.drift, detail.pending) = Default::default();
    html(VmPage {
        layout,
        detail,
        charts: Vec::new(),
        emulation: false,
        span: Time::Live,
        folder: String::new(),
    })
}

fn events_page(text: &str) -> String {
    let (layout, detail) = page(text, "vm-events", VmState::Off);
    html(VmEventsPage { layout, detail, events: events(text), pager: pager(true) })
}

/// The form of a new machine.
fn new_pages(text: &str) -> Pages {
    let name = format!("web-1{text}");
    let mut form = VmForm::fresh(None);
    form.host = HOSTS[0].to_string();
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
    let wrong = Refusal(Some(problem(ProblemKind::Invalid, text)));
    vec![("vm-new", html(new(Refusal::default()))), ("vm-new-wrong", html(new(wrong)))]
}

/// Consoles, and what explains a machine.
fn console_pages(text: &str) -> Pages {
    vec![
        ("vm-console", console(text, VmState::Running)),
        ("vm-console-off", console(text, VmState::Off)),
        ("consoles", dock(text)),
        ("vm-diagnosis", diagnosis(text, true)),
        ("vm-diagnosis-silent", diagnosis(text, false)),
        (
            "shared",
            html(SharedPage {
                layout: crate::visit::Frame::default().layout("shared", Section::None, "Console"),
            }),
        ),
    ]
}

/// A page's frame and the machine on it.
fn page(text: &str, page: &'static str, state: VmState) -> (Layout, VmDetail) {
    let name = format!("web-1{text}");
    let mut detail = detail(&name, state);
    detail.vm.status.reason = Some(format!("guest shut down{text}"));
    detail.vm.status.drift = vec![format!("memory is 1 GiB{text}")];
    detail.pending = vec![format!("its name inside libvirt, which is web{text} until then")];
    (layout(page, Section::Vms, text), detail)
}

fn console(text: &str, state: VmState) -> String {
    let (layout, detail) = page(text, "vm-console", state);
    let refusal = Refusal(Some(problem(ProblemKind::Invalid, text)).filter(|_| !text.is_empty()));
    let link = |used: Option<ConsoleLinkUse>| ConsoleLink {
        id: ConsoleLinkId::new(),
        meta: detail.vm.meta.clone(),
        vm: detail.vm.id,
        control: used.is_none(),
        expires_at: detail.vm.meta.created_at.plus_seconds(3600),
        used,
    };
    let used = ConsoleLinkUse { at: detail.vm.meta.created_at, address: format!("192.0.2.7{text}") };
    let links = vec![link(None), link(Some(used))];
    let fresh = Some(format!("/shared#secret{text}"));
    html(ConsolePage { layout, refusal, detail, links, fresh, form: LinkForm::default() })
}

fn dock(text: &str) -> String {
    let vm = |name: &str, state| vm(&format!("{name}{text}"), state);
    let pane = |name: &str, state, serial| Pane { vm: vm(name, state), serial, mark: format!("-{name}") };
    let panes = vec![
        pane("web-1", VmState::Running, false),
        pane("old-erp-2012", VmState::Off, false),
        pane("router", VmState::Running, true),
    ];
    let all = vec![vm("mail", VmState::Running)];
    html(DockPage { layout: layout("consoles", Section::Vms, text), panes, all, left: 3 })
}

fn diagnosis(text: &str, ok: bool) -> String {
    let (layout, detail) = page(text, "vm-diagnosis", VmState::Crashed);
    let log = |source| VmLog { source, lines: vec![format!("qemu: terminating{text}")], missing: None };
    let none = |source| VmLog { source, lines: Vec::new(), missing: Some(format!("never started{text}")) };
    let xml = VmXml {
        name: format!("web-1{text}"),
        live: Some(format!("<domain type='kvm'>{text}</domain>")),
        persistent: format!("<domain>{text}</domain>"),
    };
    let refused = problem(ProblemKind::Unavailable, text);
    let look = ReconcilerView {
        name: "virtual machines".into(),
        last_run: None,
        last_ms: 1.0,
        fault: Some(format!("libvirt is away{text}")),
        summary: String::new(),
    };
    html(DiagnosisPage {
        layout,
        detail,
        events: events(text),
        xml: if ok { Ok(xml) } else { Err(refused.clone()) },
        qemu: if ok { Ok(log(LogSource::Qemu)) } else { Err(refused) },
        serial: Ok(none(LogSource::Serial)),
        look: Some(look).filter(|_| ok),
    })
}

fn custom(text: &str) -> Customization {
    let user = GuestUser {
        name: format!("ada{text}"),
        sudo: Sudo::NoPassword,
        password: Some(GuestPassword::Kept),
        ssh_keys: vec![format!("ssh-ed25519 AAAA ada@example.org{text}")],
        ..GuestUser::default()
    };
    Customization {
        hostname: "{{vm.name}}".into(),
        resolved_hostname: format!("web-1{text}"),
        timezone: "Europe/Berlin".into(),
        users: vec![user],
        packages: vec!["htop".into(), "vim".into()],
        run_commands: vec![format!("echo hello{text}")],
        guest_agent: true,
        run: 1,
        ..Customization::default()
    }
}

#[test]
fn a_machine_on_a_silent_host_offers_no_power_and_says_why() {
    let pages = machine_pages("");
    let html = |name: &str| &pages.iter().find(|(n, _)| *n == name).expect(name).1;
    let silent = html("vm-silent");
    assert!(silent.contains("No measurements: its host has been silent, last seen 4 min ago."));
    assert!(!silent.contains("No measurements yet"));
    let why = "disabled title=\"Its host does not answer (last seen 4 min ago)\">";
    // Three act at once, two open a dialog; so does the one that makes a template.
    assert_eq!(silent.matches(why).count(), 6, "{silent}");
    for state in ["vm", "vm-off"] {
        let head = html(state).split("id=\"work\"").next().unwrap_or_default();
        let away = head.contains("does not answer");
        assert_eq!(away, head.contains("data-stale"), "{state}: {head}");
    }
    let told = "Applies at the next power-off:</b> its name inside libvirt, which is web until then.";
    assert!(html("vm-off").contains(told));
}
