//! Folders, tags and notes, and what is done with several machines.

use super::every_page::{Pages, html};
use super::sample::*;
use crate::forms::filing::{FilingForm, options};
use crate::page::Refusal;
use crate::pages::folders::{FolderPage, FoldersPage};
use crate::pages::vm_batch::{BatchDeletePage, BatchPage};
use crate::pages::vm_filing::FilingPage;
use crate::visit::Section;
use hostd_types::*;

pub(super) fn filing_pages(text: &str) -> Pages {
    let lay = |page| layout(page, Section::Vms, text);
    let wrong = || Refusal(Some(problem(ProblemKind::Invalid, text)));
    let all = folders(text);
    let detail = detail(&format!("web-1{text}"), VmState::Off);
    let form = FilingForm { folder: all[0].folder.id.to_string(), tags: text.into(), notes: text.into() };
    let item = |name: &str, problem| BatchItem {
        id: VmId::new(),
        name: format!("{name}{text}"),
        task: Some(TaskId::new()),
        problem,
    };
    let items = vec![item("web-1", None), item("web-2", Some(problem(ProblemKind::WrongState, text)))];
    let machines = [(VmState::Off, detail.disks.clone()), (VmState::Running, vec![])];
    let machines = machines.map(|(state, disks)| (vm(&format!("web{text}"), state), disks));
    let folder = |at: usize, inside| FolderPage {
        layout: lay("folder"),
        refusal: wrong(),
        view: all[at].clone(),
        inside,
        form: (text.into(), String::new()),
        places: options(&all),
    };
    vec![
        (
            "folders",
            html(FoldersPage {
                layout: lay("folders"),
                refusal: wrong(),
                folders: all.clone(),
                form: (text.into(), String::new()),
                places: options(&all),
            }),
        ),
        ("folder", html(folder(0, 1))),
        ("folder-below", html(folder(1, 0))),
        (
            "vm-filing",
            html(FilingPage {
                layout: lay("vm-filing"),
                refusal: wrong(),
                detail,
                form,
                folders: options(&all),
            }),
        ),
        (
            "vm-batch",
            html(BatchPage {
                layout: lay("vm-batch"),
                title: format!("Start{text}"),
                result: BatchResult { items, accepted: 1, refused: 1 },
            }),
        ),
        (
            "vm-batch-delete",
            html(BatchDeletePage {
                layout: lay("vm-batch-delete"),
                refusal: wrong(),
                vms: machines.into(),
                disks: "delete".into(),
            }),
        ),
    ]
}

#[test]
fn a_list_shows_its_folders_tags_and_views_and_marks_what_is_shown() {
    let pages = super::every_page::full("");
    let list = &pages.iter().find(|(name, _)| *name == "vms").expect("the list").1;
    assert!(list.contains(">env=prod</a>") && list.contains("tag=env%3Dprod"), "{list}");
    assert!(list.contains("Web tier") && list.contains("depth-2") && list.contains("In no folder"));
    assert!(list.contains("aria-current=\"true\">Mine</a>") && list.contains("Delete the view Mine"));
    assert!(list.contains("href=\"/vms?state=running\" aria-current=\"false\">Running</a>"));
    let summary = &pages.iter().find(|(name, _)| *name == "vm").expect("a machine").1;
    assert!(summary.contains("Call web-1 first"), "{summary}");
}
