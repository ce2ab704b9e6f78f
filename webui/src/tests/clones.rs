//! The pages of copies and templates.

use super::every_page::{Pages, html, row, vms_page};
use super::sample::*;
use crate::forms::clone::CloneForm;
use crate::listing::Listing;
use crate::page::Refusal;
use crate::pages::vm::{Time, VmPage};
use crate::pages::vm_clone::ClonePage;
use crate::visit::Section;
use hostd_core::VmDetail;
use hostd_types::*;

/// A copy of a snapshot, or a template.
fn with_lineage(name: &str, state: VmState, template: bool) -> VmDetail {
    let mut detail = detail(name, state);
    detail.vm.status.drift.clear();
    let source = CloneSource {
        vm: VmId::new(),
        name: name.into(),
        snapshot: Some(name.into()),
        mode: CloneMode::Test,
        left_out: vec![name.into()],
    };
    detail.vm.spec.lineage = Lineage { template, source: (!template).then_some(source) };
    detail
}

pub(super) fn clone_pages(text: &str) -> Pages {
    let name = format!("web-1{text}");
    let form = |state, own, refusal| {
        let detail = detail(&name, state);
        let form = CloneForm { own, name: name.clone(), ..CloneForm::of(&detail.vm, "") };
        let snapshots = super::snapshots::snapshots(&name, &detail.vm).snapshots;
        html(ClonePage { layout: layout("vm-clone", Section::Vms, text), refusal, detail, snapshots, form })
    };
    let summary = |detail: VmDetail| {
        let layout = layout("vm", Section::Vms, text);
        html(VmPage {
            layout,
            detail,
            charts: Vec::new(),
            emulation: false,
            span: Time::Recent,
            folder: String::new(),
        })
    };
    let list = || {
        let mut template = row(0, &name, VmState::Off);
        template.vm.spec.lineage.template = true;
        let listing = Listing { template: "true".into(), ..Listing::default() };
        html(vms_page(vec![template], layout("vms", Section::Vms, text), listing))
    };
    vec![
        ("vm-clone", form(VmState::Running, false, Refusal::default())),
        ("vm-clone-wrong", form(VmState::Off, true, Refusal(Some(problem(ProblemKind::Invalid, text))))),
        ("vm-template", summary(with_lineage(&name, VmState::Off, true))),
        ("vm-test-clone", summary(with_lineage(&name, VmState::Running, false))),
        ("vms-templates", list()),
    ]
}

#[test]
fn a_template_offers_clones_and_a_test_clone_its_end() {
    let pages = clone_pages("");
    let html = |name: &str| &pages.iter().find(|(n, _)| *n == name).expect(name).1;
    let template = html("vm-template");
    assert!(!template.contains(r#"data-action="start""#) && template.contains("Make it a machine"));
    assert!(template.contains("/clone") && template.contains("Template"));
    let test = html("vm-test-clone");
    assert!(test.contains(r#"data-action="discard""#) && test.contains("Make it a template"));
    assert!(test.contains("data-left-out"), "what it has not of its source");
    assert!(!html("vm-clone").contains("data-action") && html("vm-clone").contains("data-gone"));
    let list = html("vms-templates");
    assert!(list.contains(">Machines <b>") && !list.contains("/console\" aria-label"), "{list}");
}
