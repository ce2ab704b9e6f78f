//! The rules for what Windows guests are told.

use super::{hostname, network, password, rules, user_data, zone};
use crate::admit::Fields;
use hostd_types::*;

/// Longest command, characters: what unattended Setup takes, less what runs it.
const COMMAND_MAX: usize = 1000;
/// Longest of the other texts, characters.
const TEXT_MAX: usize = 256;
/// Most folders with drivers.
const FOLDERS_MAX: usize = 16;

/// Notes what is wrong with `custom` of the machine `name`, which is for Windows; see [`rules::check`].
pub(super) fn check(
    wrong: &mut Fields,
    at: &str,
    custom: &Customization,
    windows: &WindowsSettings,
    name: &str,
    macs: Option<&[String]>,
    kept: bool,
) {
    let resolved = hostname::resolve(&custom.hostname, name, "abc234").and_then(|name| check_name(&name));
    wrong.check(&format!("{at}/hostname"), resolved);
    let zone = zone::check(&custom.timezone).and_then(|()| match zone::windows(&custom.timezone) {
        None if !custom.timezone.is_empty() => {
            Err("Windows has no name for this time zone; choose a city near it.".into())
        }
        Some(_) | None => Ok(()),
    });
    wrong.check(&format!("{at}/timezone"), zone);
    rules::list(wrong, &format!("{at}/run_commands"), &custom.run_commands, check_command);
    for (given, field) in [
        (!custom.users.is_empty(), "users"),
        (custom.ssh_pwauth, "ssh_pwauth"),
        (!custom.packages.is_empty(), "packages"),
        (custom.guest_agent, "guest_agent"),
    ] {
        if given {
            wrong.add(format!("{at}/{field}"), "This is for Linux guests; Windows takes no notice of it.");
        }
    }
    check_files(wrong, at, custom, windows, macs);
    check_settings(wrong, &format!("{at}/windows"), windows, kept);
}

/// What the two readers take beside the settings.
fn check_files(
    wrong: &mut Fields,
    at: &str,
    custom: &Customization,
    windows: &WindowsSettings,
    macs: Option<&[String]>,
) {
    match windows.reader {
        WindowsReader::Setup => {
            let told = "Setup does not read this; it is for images that were prepared with cloudbase-init.";
            for (text, field) in
                [(&custom.user_data, "user_data"), (&custom.network_config, "network_config")]
            {
                if !text.is_empty() {
                    wrong.add(format!("{at}/{field}"), told);
                }
            }
            for (index, card) in custom.cards.iter().enumerate().filter(|(_, card)| !card.is_plain()) {
                let field = if card.addresses.is_empty() { "" } else { "/addresses" };
                wrong.add(format!("{at}/cards/{index}{field}"), told);
            }
        }
        WindowsReader::CloudbaseInit => {
            network::check_cards(wrong, at, &custom.cards, macs);
            wrong.check(&format!("{at}/network_config"), network::check_raw(&custom.network_config));
            let own = custom.timezone.is_empty()
                && custom.run_commands.is_empty()
                && windows.administrator_password.is_none();
            let text = &custom.user_data;
            let checked = if text.is_empty() || own {
                user_data::check(text)
            } else {
                Err("This takes the place of time zone, password and commands: write these into it, or leave it empty.".into())
            };
            wrong.check(&format!("{at}/user_data"), checked);
            for (given, field) in [
                (!windows.owner.is_empty(), "owner"),
                (!windows.organization.is_empty(), "organization"),
                (!windows.locale.is_empty(), "locale"),
                (!windows.keyboard.is_empty(), "keyboard"),
                (!windows.product_key.is_empty(), "product_key"),
                (!windows.edition.is_empty(), "edition"),
                (windows.erase_disk, "erase_disk"),
                (!windows.driver_folders.is_empty(), "driver_folders"),
            ] {
                if given {
                    wrong.add(
                        format!("{at}/windows/{field}"),
                        "Setup alone reads this; a prepared image has it already.",
                    );
                }
            }
        }
    }
}

fn check_settings(wrong: &mut Fields, at: &str, windows: &WindowsSettings, kept: bool) {
    let checked = match &windows.administrator_password {
        None | Some(GuestPassword::Sealed(_)) => Ok(()),
        Some(GuestPassword::Kept) if kept => Ok(()),
        Some(GuestPassword::Kept) => Err("There is no password yet that could be kept; give one.".into()),
        Some(GuestPassword::Hash(_)) => {
            Err("Windows takes no hash; give the password itself: it is sealed here.".into())
        }
        Some(GuestPassword::Plain(_)) => Err(password::NOT_SEALED.into()),
    };
    wrong.check(&format!("{at}/administrator_password"), checked);
    for (text, field) in
        [(&windows.owner, "owner"), (&windows.organization, "organization"), (&windows.edition, "edition")]
    {
        wrong.check(&format!("{at}/{field}"), check_text(text));
    }
    wrong.check(&format!("{at}/locale"), check_locale(&windows.locale));
    wrong.check(&format!("{at}/keyboard"), check_keyboard(&windows.keyboard));
    wrong.check(&format!("{at}/product_key"), check_product_key(&windows.product_key));
    if windows.driver_folders.len() > FOLDERS_MAX {
        wrong.add(format!("{at}/driver_folders"), format!("{FOLDERS_MAX} are the most."));
    }
    for (index, folder) in windows.driver_folders.iter().enumerate().take(FOLDERS_MAX) {
        wrong.check(&format!("{at}/driver_folders/{index}"), check_folder(folder));
    }
}

/// A computer's name, from RFC 1123 and NetBIOS; empty: Windows makes one up.
fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length > COMPUTER_NAME_MAX {
        return Err(format!(
            "A Windows computer's name has at most {COMPUTER_NAME_MAX} characters; this one comes to {length}."
        ));
    }
    if name.contains('.') {
        return Err("A Windows computer's name has no dots; its domain is not set here.".into());
    }
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        return Err("A Windows computer's name can't be digits alone.".into());
    }
    Ok(())
}

fn check_command(command: &str) -> Result<(), String> {
    if command.trim().is_empty() {
        return Err("There is nothing in this command.".into());
    }
    if command.chars().count() > COMMAND_MAX {
        return Err(format!("A command has at most {COMMAND_MAX} characters."));
    }
    if command.chars().any(|c| c.is_control() && c != '\t') {
        return Err("A command is one line, without control characters.".into());
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), String> {
    if text.chars().count() > TEXT_MAX {
        return Err(format!("{TEXT_MAX} characters are the most."));
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return Err("There are no control characters in this.".into());
    }
    Ok(())
}

/// A language with its region as BCP 47 writes it, for example `de-DE` or `zh-Hans-CN`.
fn check_locale(text: &str) -> Result<(), String> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let good = (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && (1..=3).contains(&text.split('-').skip(1).count())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if text.is_empty() || good {
        return Ok(());
    }
    Err("A locale is a language and a region, such as de-DE.".into())
}

/// A locale, or `LLLL:KKKKKKKK` in hexadecimal digits.
fn check_keyboard(text: &str) -> Result<(), String> {
    let hex = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    let by_number = text.split_once(':').is_some_and(|(language, layout)| hex(language, 4) && hex(layout, 8));
    if by_number || check_locale(text).is_ok() {
        return Ok(());
    }
    Err("A keyboard is a locale, such as de-CH, or an identifier, such as 0807:00000807.".into())
}

fn check_product_key(text: &str) -> Result<(), String> {
    let group = |group: &str| group.len() == 5 && group.bytes().all(|b| b.is_ascii_alphanumeric());
    if text.is_empty() || (text.split('-').count() == 5 && text.split('-').all(group)) {
        return Ok(());
    }
    Err("A product key is five groups of five letters and digits with dashes between them.".into())
}

fn check_folder(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let drive = bytes.len() >= 3 && bytes[0].is_ascii_alphabetic() && &bytes[1..3] == br":\";
    if !drive {
        return Err(r"A folder is a whole path, such as E:\viostor\2k22\amd64.".into());
    }
    if text[3..].contains(['<', '>', ':', '"', '/', '|', '?', '*']) {
        return Err("A folder's path has none of < > : \" / | ? *.".into());
    }
    check_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(custom: &Customization) -> Vec<String> {
        let mut wrong = Fields::default();
        rules::check(&mut wrong, "", custom, "web", Some(&[]), None);
        wrong.done().err().map_or_else(Vec::new, |p| p.errors.into_iter().map(|e| e.pointer).collect())
    }

    fn of(windows: WindowsSettings) -> Customization {
        Customization { windows: Some(Box::new(windows)), ..Customization::default() }
    }

    #[test]
    fn each_wrong_field_is_named() {
        let none = WindowsSettings::default;
        let good = of(WindowsSettings {
            administrator_password: Some(GuestPassword::Sealed("c1.x".into())),
            owner: "Ada & Sons <x>".into(),
            locale: "de-DE".into(),
            keyboard: "0407:00000407".into(),
            product_key: "ABCDE-12345-ABCDE-12345-ABCDE".into(),
            driver_folders: vec![r"E:\viostor\w11\amd64".into()],
            ..none()
        });
        assert_eq!(told(&Customization { timezone: "Europe/Berlin".into(), ..good }), Vec::<String>::new());
        let cloudbase = || WindowsSettings { reader: WindowsReader::CloudbaseInit, ..none() };
        let plain = of(none());
        for (custom, pointer) in [
            (Customization { hostname: "a-name-of-sixteen".into(), ..plain.clone() }, "hostname"),
            (Customization { hostname: "web.example".into(), ..plain.clone() }, "hostname"),
            (Customization { hostname: "4711".into(), ..plain.clone() }, "hostname"),
            (Customization { timezone: "Mars".into(), ..plain.clone() }, "timezone"),
            (Customization { users: vec![GuestUser::default()], ..plain.clone() }, "users"),
            (Customization { packages: vec!["vim".into()], ..plain.clone() }, "packages"),
            (Customization { guest_agent: true, ..plain.clone() }, "guest_agent"),
            (Customization { ssh_pwauth: true, ..plain.clone() }, "ssh_pwauth"),
            (Customization { run_commands: vec!["a\nb".into()], ..plain.clone() }, "run_commands/0"),
            (Customization { run_commands: vec!["x".repeat(1001)], ..plain.clone() }, "run_commands/0"),
            (Customization { user_data: "#!/bin/sh".into(), ..plain.clone() }, "user_data"),
            (Customization { network_config: "version: 2".into(), ..plain.clone() }, "network_config"),
            (
                of(WindowsSettings { administrator_password: Some(GuestPassword::Kept), ..none() }),
                "windows/administrator_password",
            ),
            (
                of(WindowsSettings {
                    administrator_password: Some(GuestPassword::Hash("$6$".into())),
                    ..none()
                }),
                "windows/administrator_password",
            ),
            (of(WindowsSettings { owner: "\u{1b}".into(), ..none() }), "windows/owner"),
            (of(WindowsSettings { organization: "x".repeat(257), ..none() }), "windows/organization"),
            (of(WindowsSettings { locale: "german".into(), ..none() }), "windows/locale"),
            (of(WindowsSettings { keyboard: "qwertz".into(), ..none() }), "windows/keyboard"),
            (of(WindowsSettings { product_key: "ABCDE".into(), ..none() }), "windows/product_key"),
            (
                of(WindowsSettings { driver_folders: vec!["/mnt".into()], ..none() }),
                "windows/driver_folders/0",
            ),
            (
                of(WindowsSettings { driver_folders: vec![r"E:\a|b".into()], ..none() }),
                "windows/driver_folders/0",
            ),
            (of(WindowsSettings { erase_disk: true, ..cloudbase() }), "windows/erase_disk"),
            (
                of(WindowsSettings { product_key: "ABCDE-12345-ABCDE-12345-ABCDE".into(), ..cloudbase() }),
                "windows/product_key",
            ),
            (
                Customization { user_data: "#ps1\n".into(), timezone: "UTC".into(), ..of(cloudbase()) },
                "user_data",
            ),
        ] {
            assert_eq!(told(&custom), [format!("/{pointer}")], "{pointer}");
        }
    }
}
