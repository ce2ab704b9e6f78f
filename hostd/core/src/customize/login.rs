//! Whether anybody could log in.

use super::yaml::{self, Yaml};
use hostd_types::*;

/// What is worth a warning about `custom`, in a sentence.
pub fn advice(custom: &Customization) -> Option<String> {
    if let Some(windows) = &custom.windows {
        let way_in = windows.administrator_password.is_some() || !custom.user_data.is_empty();
        let detail = "The administrator gets no password: Setup asks for one, and an image keeps the one it has, if any.";
        return (!way_in).then(|| detail.into());
    }
    let way_in = match custom.user_data.is_empty() {
        true => custom.users.iter().any(|user| user.password.is_some() || !user.ssh_keys.is_empty()),
        false => raw_way_in(&custom.user_data),
    };
    if way_in {
        return None;
    }
    let detail = "Nobody can log in to this guest unless its image has a password or key of its own: the customization gives \
                  none to any user.";
    Some(detail.into())
}

/// A text that is no cloud-config may do anything.
fn raw_way_in(text: &str) -> bool {
    if !text.starts_with("#cloud-config") {
        return true;
    }
    let Ok(Yaml::Map(top)) = yaml::parse(text) else { return false };
    let has = |fields: &[(String, Yaml)], names: &[&str]| {
        fields.iter().any(|(name, value)| names.contains(&name.as_str()) && !value.is_empty())
    };
    const KEYS: [&str; 3] = ["ssh_authorized_keys", "ssh_import_id", "ssh-authorized-keys"];
    if has(&top, &KEYS) || has(&top, &["password", "chpasswd", "autoinstall"]) {
        return true;
    }
    let users = top.iter().filter(|(name, _)| name == "users" || name == "user");
    users.into_iter().any(|(_, value)| {
        let each: &[Yaml] = match value {
            Yaml::List(users) => users,
            one => std::slice::from_ref(one),
        };
        each.iter().any(|user| match user {
            Yaml::Map(fields) => {
                has(fields, &KEYS) || has(fields, &["passwd", "hashed_passwd", "plain_text_passwd"])
            }
            _ => false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_nobody_can_log_in() {
        let with = |user: GuestUser| Customization { users: vec![user], ..Customization::default() };
        let user = GuestUser { name: "ada".into(), ..GuestUser::default() };
        assert!(advice(&Customization::default()).is_some());
        assert!(advice(&with(user.clone())).is_some());
        assert_eq!(advice(&with(GuestUser { ssh_keys: vec!["k".into()], ..user.clone() })), None);
        assert_eq!(advice(&with(GuestUser { password: Some(GuestPassword::Kept), ..user })), None);
        for (raw, told) in [
            ("#cloud-config\npackages: [vim]\n", true),
            ("#cloud-config\nusers:\n- name: a\n  shell: /bin/sh\n", true),
            ("#cloud-config\nusers:\n- default\n- name: a\n  ssh_authorized_keys: [k]\n", false),
            ("#cloud-config\nssh_authorized_keys: [k]\n", false),
            ("#!/bin/sh\nuseradd a\n", false),
        ] {
            let custom = Customization { user_data: raw.into(), ..Customization::default() };
            assert_eq!(advice(&custom).is_some(), told, "{raw}");
        }
    }
}
