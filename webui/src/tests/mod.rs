//! Every page, empty, full and with hostile text: well-formed, labelled, escaped, and light enough.

mod assets;
mod clones;
pub(crate) mod cluster;
mod discovered;
mod empty_pages;
mod every_page;
mod filing_pages;
pub(crate) mod host_devices;
mod list_pages;
mod machine_pages;
mod markup;
pub(crate) mod sample;
mod snapshots;
mod specifications;

use empty_pages::empty;
use every_page::full;
use markup::check;

#[test]
fn every_page_is_well_formed_when_full_and_when_empty() {
    for (name, html) in full("").into_iter().chain(empty()) {
        if let Err(why) = check(&html) {
            panic!("{name}: {why}\n{html}");
        }
    }
}

#[test]
fn text_of_users_and_guests_is_escaped_everywhere() {
    for (name, html) in full(sample::HOSTILE) {
        assert!(!html.contains("<script>alert"), "{name} holds a script");
        assert!(!html.contains(sample::HOSTILE), "{name} holds raw text");
        assert!(!html.contains("=\"\"'>"), "{name} leaves an attribute");
        if let Err(why) = check(&html) {
            panic!("{name}: {why}\n{html}");
        }
    }
}

#[test]
fn nothing_is_inline_and_nothing_comes_from_elsewhere() {
    for (name, html) in full("").into_iter().chain(empty()) {
        for bad in [
            " style=",
            " onclick=",
            " onload=",
            "javascript:",
            "<style",
            "src=\"http",
            "href=\"http",
            "src=\"//",
        ] {
            assert!(!html.contains(bad), "{name} has {bad}");
        }
        let scripts = html.matches("<script").count();
        assert_eq!(
            scripts,
            html.matches("<script src=\"/assets/").count()
                + html.matches("<script type=\"module\" src=\"/assets/").count(),
            "{name}"
        );
    }
}

#[test]
fn every_form_that_changes_something_carries_the_token_and_a_fresh_request_id() {
    for (name, html) in full("").into_iter().chain(empty()) {
        for form in html.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap_or_default();
            if form.starts_with("method=\"post\"")
                || form.contains(" method=\"post\"") && !form.contains("id=\"login-form\"")
            {
                assert!(form.contains("name=\"csrf\""), "{name}: {form}");
                assert!(form.contains("name=\"request\""), "{name}: {form}");
            }
        }
    }
}

#[test]
fn the_hooks_that_tests_of_the_whole_product_use_are_there() {
    let pages = full("");
    let html = |name: &str| &pages.iter().find(|(n, _)| *n == name).expect(name).1;
    assert!(html("login").contains("id=\"login-form\""));
    // Of several hosts, lists tell where things are, and do not pretend to know what a silent one does now.
    for page in ["vms", "volumes", "images", "networks", "tasks", "events", "vm", "task"] {
        assert!(html(page).contains("<a href=\"/host/"), "{page}");
    }
    assert!(html("vms").contains("data-stale") && html("vms").contains("last seen"));
    assert!(html("vm-new").contains("value=\"host-") && html("volumes").contains("id=\"host\""));
    let (_, alone) = empty().into_iter().find(|(n, _)| *n == "empty-vm").expect("a lone machine");
    assert!(!alone.contains("href=\"/host/"));
    for (page, data) in [
        ("login", "login"),
        ("overview", "overview"),
        ("vms", "vms"),
        ("vm-new", "vm-new"),
        ("vm", "vm"),
        ("vm-hardware", "vm-hardware"),
        ("vm-console", "vm-console"),
        ("vm-events", "vm-events"),
        ("images", "images"),
        ("networks", "networks"),
        ("volumes", "volumes"),
        ("host", "host"),
        ("tasks", "tasks"),
        ("task", "task"),
        ("events", "events"),
        ("tokens", "tokens"),
        ("account", "account"),
        ("help", "help"),
        ("error", "error"),
    ] {
        assert!(html(page).contains(&format!("data-page=\"{data}\"")), "{page}");
    }
    assert!(html("vms").contains("<tr data-vm=\"") && html("vms").contains("data-vm-state=\"running\""));
    for action in ["shutdown", "reboot", "reset", "force_off", "pause"] {
        assert!(html("vm").contains(&format!("data-action=\"{action}\"")), "{action}");
    }
    assert!(
        html("vm-off").contains("data-action=\"start\"")
            && html("vm-paused").contains("data-action=\"resume\"")
    );
    for hook in ["id=\"screen\"", "id=\"serial\"", "id=\"serial-log\"", "data-connected=\"false\""] {
        assert!(html("vm-console").contains(hook), "{hook}");
    }
    for hook in [
        "id=\"upload-form\"",
        "type=\"file\" name=\"file\"",
        "name=\"name\"",
        "<progress id=\"upload-progress\"",
    ] {
        assert!(html("images").contains(hook), "{hook}");
    }
}

#[test]
#[ignore = "writes the pages into $WEBUI_PAGES, to look at them"]
fn write_pages() {
    let dir = std::path::PathBuf::from(std::env::var("WEBUI_PAGES").expect("WEBUI_PAGES names a directory"));
    for (name, html) in full("").into_iter().chain(empty()) {
        std::fs::write(dir.join(format!("{name}.html")), html).expect("the directory can be written");
    }
}
