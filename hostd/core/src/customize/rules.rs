//! The rules for a customization, field by field.

use super::{authorized_key, hostname, network, password, user_data, windows, zone};
use crate::admit::Fields;
use hostd_types::*;
use std::collections::BTreeSet;

/// Most users.
const USERS_MAX: usize = 16;
/// Most keys of a user.
const KEYS_MAX: usize = 32;
/// Most packages, and most commands.
const LIST_MAX: usize = 128;
/// Longest command.
const COMMAND_MAX: usize = 4096;
/// Longest name of a user, as useradd takes it.
const USER_NAME_MAX: usize = 32;

/// Notes what is wrong with `custom` of the machine `name`, below `at`. `macs`: its cards' addresses; `before`: what it has
/// now, where kept passwords are.
pub(crate) fn check(
    wrong: &mut Fields,
    at: &str,
    custom: &Customization,
    name: &str,
    macs: Option<&[String]>,
    before: Option<&Customization>,
) {
    if let Some(settings) = &custom.windows {
        let kept = before.is_some_and(|before| {
            before.windows.as_ref().is_some_and(|windows| windows.administrator_password.is_some())
        });
        return windows::check(wrong, at, custom, settings, name, macs, kept);
    }
    let resolved = hostname::resolve(&custom.hostname, name, "abc234");
    wrong.check(&format!("{at}/hostname"), resolved.map(drop));
    wrong.check(&format!("{at}/timezone"), zone::check(&custom.timezone));
    check_users(wrong, at, &custom.users, before);
    list(wrong, &format!("{at}/packages"), &custom.packages, check_package);
    list(wrong, &format!("{at}/run_commands"), &custom.run_commands, check_command);
    network::check_cards(wrong, at, &custom.cards, macs);
    let raw = format!("{at}/user_data");
    if !custom.user_data.is_empty() && custom.has_user_settings() {
        let detail = "This takes the place of users, time zone, packages, commands and guest agent: write these into it, or leave \
                      it empty.";
        wrong.add(&raw, detail);
    } else {
        wrong.check(&raw, user_data::check(&custom.user_data));
    }
    let raw = format!("{at}/network_config");
    if !custom.network_config.is_empty() && custom.cards.iter().any(|card| !card.is_plain()) {
        wrong.add(
            &raw,
            "This takes the place of the cards' addresses: write these into it, or leave it empty.",
        );
    } else {
        wrong.check(&raw, network::check_raw(&custom.network_config));
    }
}

fn check_users(wrong: &mut Fields, at: &str, users: &[GuestUser], before: Option<&Customization>) {
    if users.len() > USERS_MAX {
        wrong.add(format!("{at}/users"), format!("{USERS_MAX} users are the most."));
    }
    let mut names = BTreeSet::new();
    for (index, user) in users.iter().enumerate().take(USERS_MAX) {
        let at = format!("{at}/users/{index}");
        wrong.check(&format!("{at}/name"), check_user_name(&user.name));
        if !names.insert(&user.name) {
            wrong.add(format!("{at}/name"), "This user is listed twice.");
        }
        wrong.check(&format!("{at}/shell"), check_shell(&user.shell));
        let kept =
            || before.is_some_and(|b| b.users.iter().any(|u| u.name == user.name && u.password.is_some()));
        let checked = match &user.password {
            None => Ok(()),
            Some(GuestPassword::Hash(hash)) => password::check_hash(hash),
            Some(GuestPassword::Kept) if kept() => Ok(()),
            Some(GuestPassword::Kept) => {
                Err("This user has no password yet that could be kept; give one.".into())
            }
            // Hashed before; that one is left would be a defect.
            Some(GuestPassword::Plain(_)) => Err("This password was not hashed.".into()),
            Some(GuestPassword::Sealed(_)) => Err(password::NOT_SEALED.into()),
        };
        wrong.check(&format!("{at}/password"), checked);
        if user.sudo == Sudo::Password && user.password.is_none() {
            wrong.add(format!("{at}/sudo"), "This asks for a password, and the user has none.");
        }
        if user.ssh_keys.len() > KEYS_MAX {
            wrong.add(format!("{at}/ssh_keys"), format!("{KEYS_MAX} keys are the most."));
        }
        for (key, line) in user.ssh_keys.iter().enumerate().take(KEYS_MAX) {
            wrong.check(&format!("{at}/ssh_keys/{key}"), authorized_key::check(line));
        }
    }
}

fn check_user_name(name: &str) -> Result<(), String> {
    let good = (1..=USER_NAME_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if good {
        return Ok(());
    }
    Err(format!(
        "A user's name has 1 to {USER_NAME_MAX} of a to z, digits, _ and -, and begins with a letter or _."
    ))
}

fn check_shell(path: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    if path.is_empty() || (path.starts_with('/') && path.len() <= 128 && path.bytes().all(plain)) {
        return Ok(());
    }
    Err("A shell is a whole path, such as /bin/bash.".into())
}

fn check_package(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".+_:~=/@-*".contains(&b);
    let good = (1..=128).contains(&name.len())
        && name.bytes().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@');
    if good { Ok(()) } else { Err("This is no name of a package.".into()) }
}

fn check_command(command: &str) -> Result<(), String> {
    if command.trim().is_empty() {
        return Err("There is nothing in this command.".into());
    }
    if command.len() > COMMAND_MAX {
        return Err(format!("A command has at most {COMMAND_MAX} bytes."));
    }
    user_data::check_text(command)
}

pub(super) fn list(
    wrong: &mut Fields,
    at: &str,
    items: &[String],
    rule: impl Fn(&str) -> Result<(), String>,
) {
    if items.len() > LIST_MAX {
        wrong.add(at, format!("{LIST_MAX} are the most."));
    }
    for (index, item) in items.iter().enumerate().take(LIST_MAX) {
        wrong.check(&format!("{at}/{index}"), rule(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(custom: &Customization) -> Vec<String> {
        let mut wrong = Fields::default();
        check(&mut wrong, "/customization", custom, "web", Some(&[]), None);
        wrong.done().err().map_or_else(Vec::new, |p| p.errors.into_iter().map(|e| e.pointer).collect())
    }

    #[test]
    fn each_wrong_field_is_named() {
        let user = GuestUser { name: "ada".into(), ..GuestUser::default() };
        let of = |user: GuestUser| Customization { users: vec![user], ..Customization::default() };
        let base = Customization::default;
        assert_eq!(told(&base()), Vec::<String>::new());
        assert_eq!(told(&of(user.clone())), Vec::<String>::new());
        for (custom, pointer) in [
            (Customization { hostname: "{{x}}".into(), ..base() }, "hostname"),
            (Customization { timezone: "Mars".into(), ..base() }, "timezone"),
            (of(GuestUser { name: "Ada L".into(), ..user.clone() }), "users/0/name"),
            (of(GuestUser { shell: "bash".into(), ..user.clone() }), "users/0/shell"),
            (of(GuestUser { password: Some(GuestPassword::Kept), ..user.clone() }), "users/0/password"),
            (
                of(GuestUser { password: Some(GuestPassword::Hash("x".into())), ..user.clone() }),
                "users/0/password",
            ),
            (
                of(GuestUser { password: Some(GuestPassword::Plain(PlainText::default())), ..user.clone() }),
                "users/0/password",
            ),
            (of(GuestUser { sudo: Sudo::Password, ..user.clone() }), "users/0/sudo"),
            (of(GuestUser { ssh_keys: vec!["x".into()], ..user.clone() }), "users/0/ssh_keys/0"),
            (Customization { users: vec![user.clone(), user.clone()], ..base() }, "users/1/name"),
            (Customization { packages: vec!["vim".into(), "--force".into()], ..base() }, "packages/1"),
            (Customization { run_commands: vec![" ".into()], ..base() }, "run_commands/0"),
            (Customization { user_data: "x".into(), ..base() }, "user_data"),
            (Customization { user_data: "#!/bin/sh".into(), guest_agent: true, ..base() }, "user_data"),
            (Customization { network_config: "x".into(), ..base() }, "network_config"),
        ] {
            assert_eq!(told(&custom), [format!("/customization/{pointer}")]);
        }
    }
}
