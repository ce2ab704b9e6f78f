//! Customization specifications.

use super::every_page::{Pages, html};
use super::sample::*;
use crate::forms::customize::CustomizeForm;
use crate::page::Refusal;
use crate::pages::specifications::{SpecificationPage, SpecificationsPage};
use crate::visit::Section;
use hostd_core::SpecificationView;
use hostd_types::*;

/// One for Linux and one for Windows.
pub(super) fn specifications(text: &str) -> [SpecificationView; 2] {
    let windows = WindowsSettings {
        administrator_password: Some(GuestPassword::Kept),
        owner: format!("Ada{text}"),
        organization: format!("Sons{text}"),
        locale: "de-DE".into(),
        erase_disk: true,
        driver_folders: vec![format!("E:\\viostor{text}")],
        ..WindowsSettings::default()
    };
    let custom = |windows: Option<Box<WindowsSettings>>| Customization {
        hostname: "{{vm.name}}".into(),
        timezone: "Europe/Berlin".into(),
        windows,
        ..Customization::default()
    };
    let view = |name: &str, vms, customization| SpecificationView {
        specification: Specification {
            id: SpecificationId::new(),
            meta: Meta::created(Timestamp::now(), &Actor::Console),
            spec: SpecificationSpec {
                name: format!("{name}{text}"),
                description: format!("for machines of the rack{text}"),
                customization,
            },
            status: SpecificationStatus {},
        },
        vms,
        warnings: vec![format!("Nobody can log in{text}")],
    };
    [view("web-servers", 12, custom(None)), view("windows-2022", 0, custom(Some(Box::new(windows))))]
}

pub(super) fn specification_pages(text: &str) -> Pages {
    let lay = |page| layout(page, Section::Vms, text);
    let [linux, windows] = specifications(text);
    let page = |view: Option<SpecificationView>, form: CustomizeForm| SpecificationPage {
        layout: lay("specification"),
        refusal: Refusal(Some(problem(ProblemKind::Invalid, text))),
        view,
        called: format!("web{text}"),
        description: text.into(),
        form,
        generation: 1,
    };
    let of =
        |view: &SpecificationView| CustomizeForm::of_specification(&view.specification.spec.customization);
    vec![
        ("specification-new", html(page(None, CustomizeForm::fresh()))),
        ("specification", html(page(Some(linux.clone()), of(&linux)))),
        ("specification-windows", html(page(Some(windows.clone()), of(&windows)))),
        (
            "specifications",
            html(SpecificationsPage { layout: lay("specifications"), specifications: vec![linux, windows] }),
        ),
    ]
}

#[test]
fn a_specification_tells_how_often_it_was_used_and_no_password() {
    let pages = specification_pages("");
    let page = |name: &str| &pages.iter().find(|(n, _)| *n == name).expect(name).1;
    let list = page("specifications");
    assert!(list.contains("class=\"num\">12<") && list.contains("Windows</td>"), "{list}");
    assert!(page("specification").contains("12 machines made with it. They keep what they got."));
    assert!(page("specification").contains("name=\"name\" value=\"web\""));
    let windows = page("specification-windows");
    assert!(windows.contains("A password is set.") && windows.contains("value=\"windows\" checked"));
    assert!(windows.contains("E:\\viostor</textarea>"), "{windows}");
}
