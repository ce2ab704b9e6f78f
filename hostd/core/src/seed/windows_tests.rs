//! What Windows reads, read back.

use super::*;
use crate::admit::sample;
use hostd_virt::element::Element;

const HOSTILE: &str = r#"</a><!-- "x" & 'y' ]]> <?z?> %PATH%"#;

fn custom(reader: WindowsReader) -> Customization {
    let windows = WindowsSettings {
        reader,
        owner: format!("Ada {HOSTILE}"),
        organization: format!("Sons {HOSTILE}"),
        locale: "de-DE".into(),
        keyboard: "0807:00000807".into(),
        product_key: "ABCDE-12345-ABCDE-12345-ABCDE".into(),
        edition: format!("Server {HOSTILE}"),
        erase_disk: true,
        driver_folders: vec![r"E:\viostor\a & b".into()],
        ..WindowsSettings::default()
    };
    Customization {
        resolved_hostname: "web-1".into(),
        timezone: "Europe/Berlin".into(),
        run_commands: vec![format!("echo {HOSTILE}"), "whoami".into()],
        windows: Some(Box::new(windows)),
        run: 1,
        ..Customization::default()
    }
}

fn machine(custom: Customization, firmware: Firmware) -> Vm {
    let mut vm = sample::vm("web");
    (vm.spec.customization, vm.spec.firmware) = (Some(custom), firmware);
    vm
}

/// The answers, as a reader of XML sees them.
fn answers(vm: &Vm, password: Option<&str>) -> Element {
    let custom = vm.spec.customization.as_ref().expect("some");
    let text = windows::answers(vm, custom, custom.windows.as_ref().expect("Windows"), password);
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<unattend "), "{text}");
    Element::parse(text.split_once('\n').expect("lines").1).unwrap_or_else(|why| panic!("{why}: {text}"))
}

/// The component `name` of a pass.
fn component<'a>(answers: &'a Element, pass: &str, name: &str) -> &'a Element {
    let settings =
        answers.all("settings").find(|settings| settings.get("pass") == Some(pass)).expect("the pass");
    let found = settings.all("component").find(|component| component.get("name") == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {pass}"))
}

fn text<'a>(element: &'a Element, path: &[&str]) -> &'a str {
    element.at(path).map_or_else(|| panic!("no {path:?}"), |found| found.text.as_str())
}

#[test]
fn setup_gets_answers_that_no_text_can_break() {
    let answers = answers(&machine(custom(WindowsReader::Setup), Firmware::Uefi), Some("p\u{e4}ss & <w>"));
    let setup = component(&answers, "windowsPE", "Microsoft-Windows-Setup");
    assert_eq!(text(setup, &["UserData", "FullName"]), format!("Ada {HOSTILE}"));
    assert_eq!(text(setup, &["UserData", "Organization"]), format!("Sons {HOSTILE}"));
    assert_eq!(text(setup, &["UserData", "ProductKey", "Key"]), "ABCDE-12345-ABCDE-12345-ABCDE");
    assert_eq!(
        text(setup, &["ImageInstall", "OSImage", "InstallFrom", "MetaData", "Value"]),
        format!("Server {HOSTILE}")
    );
    assert_eq!(text(setup, &["ImageInstall", "OSImage", "InstallTo", "PartitionID"]), "3");
    let disk = setup.at(&["DiskConfiguration", "Disk"]).expect("a disk");
    assert_eq!(disk.at(&["CreatePartitions"]).expect("partitions").children.len(), 3);
    let drivers = component(&answers, "windowsPE", "Microsoft-Windows-PnpCustomizationsWinPE");
    assert_eq!(text(drivers, &["DriverPaths", "PathAndCredentials", "Path"]), r"E:\viostor\a & b");
    let shell = component(&answers, "specialize", "Microsoft-Windows-Shell-Setup");
    assert_eq!(
        (text(shell, &["ComputerName"]), text(shell, &["TimeZone"])),
        ("web-1", "W. Europe Standard Time")
    );
    let shell = component(&answers, "oobeSystem", "Microsoft-Windows-Shell-Setup");
    let value = text(shell, &["UserAccounts", "AdministratorPassword", "Value"]);
    // By the base64 of Python for "päss & <w>AdministratorPassword" in UTF-16LE.
    assert_eq!(value, "cADkAHMAcwAgACYAIAA8AHcAPgBBAGQAbQBpAG4AaQBzAHQAcgBhAHQAbwByAFAAYQBzAHMAdwBvAHIAZAA=");
    let commands = &shell.at(&["FirstLogonCommands"]).expect("commands").children;
    assert_eq!(text(&commands[0], &["CommandLine"]), format!("cmd.exe /s /c \"echo {HOSTILE}\""));
    let language = component(&answers, "oobeSystem", "Microsoft-Windows-International-Core");
    assert_eq!(
        (text(language, &["InputLocale"]), text(language, &["UserLocale"])),
        ("0807:00000807", "de-DE")
    );
}

#[test]
fn setup_asks_what_it_is_not_told() {
    let plain = Customization { windows: Some(Box::default()), ..Customization::default() };
    let answers = answers(&machine(plain, Firmware::Bios), None);
    let setup = component(&answers, "windowsPE", "Microsoft-Windows-Setup");
    assert!(setup.child("DiskConfiguration").is_none() && setup.child("ImageInstall").is_none());
    let shell = component(&answers, "oobeSystem", "Microsoft-Windows-Shell-Setup");
    assert!(shell.child("UserAccounts").is_none() && shell.child("FirstLogonCommands").is_none());
    let shell = component(&answers, "specialize", "Microsoft-Windows-Shell-Setup");
    assert_eq!((text(shell, &["ComputerName"]), shell.child("TimeZone")), ("*", None));
}

#[test]
fn cloudbase_init_gets_a_cloud_config() {
    let told = windows::cloud_config(&custom(WindowsReader::CloudbaseInit), Some("p: \"x\" # y"));
    let wanted = format!(
        "#cloud-config\nruncmd:\n  - {}\n  - \"whoami\"\nset_hostname: \"web-1\"\nset_timezone: \"Europe/Berlin\"\n\
         users:\n  - inactive: false\n    name: \"Administrator\"\n    passwd: \"p: \\\"x\\\" # y\"\n",
        serde_json::json!(format!("echo {HOSTILE}"))
    );
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| line.replacen("  - ", "    ", 1)).collect();
        lines.sort();
        lines
    };
    // In whatever order its fields are written.
    assert_eq!(lines(&told), lines(&wanted), "{told}");
    assert_eq!(windows::cloud_config(&Customization::default(), None), "#cloud-config\n");
}
