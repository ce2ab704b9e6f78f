//! What Windows reads: Setup its `autounattend.xml`, cloudbase-init a cloud-config.

use super::yaml::document;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hostd_types::*;
use hostd_virt::element::{Element, element};
use serde_json::json;

/// The name of the answer file that Setup looks for on every drive.
pub(super) const ANSWERS: &str = "autounattend.xml";
const LOCALE: &str = "en-US";
const NAMESPACE: &str = "urn:schemas-microsoft-com:unattend";
const CONFIG: &str = "http://schemas.microsoft.com/WMIConfig/2002/State";
/// Identifies the components of Windows itself.
const TOKEN: &str = "31bf3856ad364e35";

/// Setup's answers for the machine. `password` is the administrator's.
pub(super) fn answers(
    vm: &Vm,
    custom: &Customization,
    windows: &WindowsSettings,
    password: Option<&str>,
) -> String {
    let passes = [
        ("windowsPE", windows_pe(vm.spec.firmware, windows)),
        ("specialize", specialize(custom, windows)),
        ("oobeSystem", welcome(custom, windows, password)),
    ];
    let passes = passes
        .into_iter()
        .map(|(name, components)| element("settings").with("pass", name).holding_all(components));
    let answers = element("unattend").with("xmlns", NAMESPACE).with("xmlns:wcm", CONFIG).holding_all(passes);
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{}\n", answers.to_xml())
}

/// While Setup runs from the ISO: language, drivers, where to install, what edition.
fn windows_pe(firmware: Firmware, windows: &WindowsSettings) -> Vec<Element> {
    let locale = or(&windows.locale, LOCALE);
    let language = element("SetupUILanguage").holding(said("UILanguage", locale));
    let international =
        languages(component("Microsoft-Windows-International-Core-WinPE").holding(language), windows, true);
    let mut setup = component("Microsoft-Windows-Setup");
    if windows.erase_disk {
        setup = setup.holding(disk(firmware));
    }
    if windows.erase_disk || !windows.edition.is_empty() {
        setup = setup.holding(element("ImageInstall").holding(image(firmware, windows)));
    }
    let mut user = element("UserData").holding(said("AcceptEula", "true"));
    if !windows.owner.is_empty() {
        user = user.holding(said("FullName", &windows.owner));
    }
    if !windows.organization.is_empty() {
        user = user.holding(said("Organization", &windows.organization));
    }
    if !windows.product_key.is_empty() {
        user = user.holding(
            element("ProductKey")
                .holding(said("Key", &windows.product_key))
                .holding(said("WillShowUI", "OnError")),
        );
    }
    let mut all = vec![international, setup.holding(user)];
    if !windows.driver_folders.is_empty() {
        let folder = |(index, path): (usize, &String)| {
            added("PathAndCredentials").with("wcm:keyValue", index + 1).holding(said("Path", path))
        };
        let folders = windows.driver_folders.iter().enumerate().map(folder);
        let drivers = component("Microsoft-Windows-PnpCustomizationsWinPE");
        all.push(drivers.holding(element("DriverPaths").holding_all(folders)));
    }
    all
}

/// The first disk, erased and partitioned as the firmware wants it.
fn disk(firmware: Firmware) -> Element {
    // Number, kind, MiB (the rest of the disk without), file system.
    let partitions: &[(&str, Option<u32>, Option<&str>)] = match firmware {
        Firmware::Uefi | Firmware::UefiSecure => {
            &[("EFI", Some(300), Some("FAT32")), ("MSR", Some(16), None), ("Primary", None, Some("NTFS"))]
        }
        Firmware::Bios => &[("Primary", None, Some("NTFS"))],
    };
    let create = partitions.iter().enumerate().map(|(index, (kind, size, _))| {
        let partition =
            added("CreatePartition").holding(said("Order", index + 1)).holding(said("Type", kind));
        match size {
            Some(size) => partition.holding(said("Size", size)),
            None => partition.holding(said("Extend", "true")),
        }
    });
    let formatted =
        partitions.iter().enumerate().filter_map(|(index, (_, _, format))| Some((index, (*format)?)));
    let modify = formatted.enumerate().map(|(order, (index, format))| {
        let partition = added("ModifyPartition")
            .holding(said("Order", order + 1))
            .holding(said("PartitionID", index + 1))
            .holding(said("Format", format));
        if firmware == Firmware::Bios { partition.holding(said("Active", "true")) } else { partition }
    });
    let disk = added("Disk")
        .holding(said("DiskID", 0))
        .holding(said("WillWipeDisk", "true"))
        .holding(element("CreatePartitions").holding_all(create))
        .holding(element("ModifyPartitions").holding_all(modify));
    element("DiskConfiguration").holding(said("WillShowUI", "OnError")).holding(disk)
}

/// Which edition goes where.
fn image(firmware: Firmware, windows: &WindowsSettings) -> Element {
    let mut image = element("OSImage");
    if !windows.edition.is_empty() {
        let name =
            added("MetaData").holding(said("Key", "/IMAGE/NAME")).holding(said("Value", &windows.edition));
        image = image.holding(element("InstallFrom").holding(name));
    }
    if windows.erase_disk {
        let last = match firmware {
            Firmware::Uefi | Firmware::UefiSecure => 3,
            Firmware::Bios => 1,
        };
        image =
            image.holding(element("InstallTo").holding(said("DiskID", 0)).holding(said("PartitionID", last)));
    }
    image.holding(said("WillShowUI", "OnError"))
}

/// When Windows starts from its own disk for the first time.
fn specialize(custom: &Customization, windows: &WindowsSettings) -> Vec<Element> {
    let mut shell = component("Microsoft-Windows-Shell-Setup");
    let name = or(&custom.resolved_hostname, "*");
    shell = shell.holding(said("ComputerName", name));
    if let Some(zone) = crate::customize::windows_zone(&custom.timezone) {
        shell = shell.holding(said("TimeZone", zone));
    }
    for (field, text) in
        [("RegisteredOwner", &windows.owner), ("RegisteredOrganization", &windows.organization)]
    {
        if !text.is_empty() {
            shell = shell.holding(said(field, text));
        }
    }
    vec![shell]
}

/// What would be asked before somebody logs in, and what runs when somebody does.
fn welcome(custom: &Customization, windows: &WindowsSettings, password: Option<&str>) -> Vec<Element> {
    let hidden =
        ["HideEULAPage", "HideOEMRegistrationScreen", "HideOnlineAccountScreens", "HideWirelessSetupInOOBE"];
    let questions =
        element("OOBE").holding_all(hidden.map(|page| said(page, "true"))).holding(said("ProtectYourPC", 3));
    let mut shell = component("Microsoft-Windows-Shell-Setup").holding(questions);
    if let Some(password) = password {
        let administrator = element("AdministratorPassword")
            .holding(said("Value", veiled(password)))
            .holding(said("PlainText", "false"));
        shell = shell.holding(element("UserAccounts").holding(administrator));
    }
    if !custom.run_commands.is_empty() {
        let command = |(index, command): (usize, &String)| {
            added("SynchronousCommand")
                .holding(said("Order", index + 1))
                // With /s all between the first and the last quotation mark is the command.
                .holding(said("CommandLine", format!("cmd.exe /s /c \"{command}\"")))
        };
        let commands = custom.run_commands.iter().enumerate().map(command);
        shell = shell.holding(element("FirstLogonCommands").holding_all(commands));
    }
    vec![languages(component("Microsoft-Windows-International-Core"), windows, false), shell]
}

/// Language, formats and keyboard. `always`: Setup asks for what is missing.
fn languages(component: Element, windows: &WindowsSettings, always: bool) -> Element {
    if !always && windows.locale.is_empty() && windows.keyboard.is_empty() {
        return component;
    }
    let locale = or(&windows.locale, LOCALE);
    component
        .holding(said("InputLocale", or(&windows.keyboard, locale)))
        .holding(said("SystemLocale", locale))
        .holding(said("UILanguage", locale))
        .holding(said("UserLocale", locale))
}

/// As Windows writes passwords into answer files: not readable at a glance, and no secret to whoever has the file.
fn veiled(password: &str) -> String {
    let text = format!("{password}AdministratorPassword");
    STANDARD.encode(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}

/// What cloudbase-init does.
pub(super) fn cloud_config(custom: &Customization, password: Option<&str>) -> String {
    if !custom.user_data.is_empty() {
        return custom.user_data.clone();
    }
    let mut data = json!({});
    if !custom.resolved_hostname.is_empty() {
        data["set_hostname"] = custom.resolved_hostname.clone().into();
    }
    if !custom.timezone.is_empty() {
        data["set_timezone"] = custom.timezone.clone().into();
    }
    if let Some(password) = password {
        data["users"] = json!([{"name": "Administrator", "passwd": password, "inactive": false}]);
    }
    if !custom.run_commands.is_empty() {
        data["runcmd"] = json!(custom.run_commands);
    }
    let empty = data.as_object().is_none_or(serde_json::Map::is_empty);
    let body = if empty { String::new() } else { document(&data) };
    format!("#cloud-config\n{body}")
}

fn component(name: &'static str) -> Element {
    element("component")
        .with("name", name)
        .with("processorArchitecture", "amd64")
        .with("publicKeyToken", TOKEN)
        .with("language", "neutral")
        .with("versionScope", "nonSxS")
}

/// An entry of a list.
fn added(name: &'static str) -> Element {
    element(name).with("wcm:action", "add")
}

fn said(name: &'static str, text: impl ToString) -> Element {
    element(name).saying(text)
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}
