//! User-data that somebody wrote himself: what can be told wrong about it before a guest finds out.

use super::top_level;
use super::yaml::{self, Yaml};

/// Longest text, bytes.
pub(super) const TEXT_MAX: usize = 48 << 10;
/// First lines of what cloud-init takes beside a cloud-config.
const HEADERS: [&str; 9] = [
    "#!",
    "#cloud-boothook",
    "#cloud-config-archive",
    "#cloud-config-jsonp",
    "#include",
    "#part-handler",
    "## template:",
    "Content-Type: multipart/",
    "MIME-Version:",
];

/// Checks user-data; empty is none.
///
/// # Errors
/// A sentence about what is wrong, with the line where there is one.
pub(super) fn check(text: &str) -> Result<(), String> {
    check_text(text)?;
    if text.is_empty() {
        return Ok(());
    }
    let first = text.lines().next().unwrap_or_default();
    if first.trim_end() == "#cloud-config" {
        return match yaml::parse(text)? {
            Yaml::Map(fields) => {
                top_level::check(&fields).and_then(|()| no_secrets(&fields)).map_err(|why| format!("{why}."))
            }
            Yaml::Null => Err("There is nothing in this cloud-config; leave the field empty instead.".into()),
            other => Err(format!("A cloud-config is a mapping, and this is {}.", other.kind())),
        };
    }
    // Its placeholders may keep it from being read; what can be read is looked at.
    if let Some((_, rest)) = text.split_once('\n')
        && first.starts_with("## template:")
        && let Ok(Yaml::Map(fields)) = yaml::parse(rest)
    {
        no_secrets(&fields).map_err(|why| format!("{why}."))?;
    }
    if HEADERS.iter().any(|header| first.starts_with(header)) {
        return Ok(());
    }
    Err("The first line says what this is: #cloud-config, #! and a program, or another header of cloud-init."
        .into())
}

/// Checks what every text must keep to.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX {
        return Err(format!("This has {} bytes; {TEXT_MAX} are the most.", text.len()));
    }
    match text.lines().position(|line| line.chars().any(|c| c.is_control() && c != '\t')) {
        Some(index) => Err(format!("Line {} has a control character.", index + 1)),
        None => Ok(()),
    }
}

/// Passwords as they are typed would stand where whoever looks at the machine's settings reads them.
fn no_secrets(top: &[(String, Yaml)]) -> Result<(), String> {
    let field = |fields: &[(String, Yaml)], name: &str| {
        fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    };
    let open = |value: &Yaml| match value {
        Yaml::Text(text) => !is_hash(text) && !text.is_empty() && text != "RANDOM" && text != "R",
        Yaml::Number | Yaml::Bool => true,
        Yaml::Null | Yaml::List(_) | Yaml::Map(_) => false,
    };
    let refused =
        |name: &str| Err(format!("{name} would be kept as it is written; give its hash ($6$… or $y$…)"));
    if field(top, "password").is_some_and(|value| open(&value)) {
        return refused("password");
    }
    let locked = [Yaml::Text("!".into()), Yaml::Text("*".into())];
    if field(top, "ssh_keys").is_some_and(|value| value != Yaml::Null) {
        return Err(
            "ssh_keys would keep the guest's private keys as they are written; let it make its own".into()
        );
    }
    for user in ["users", "user"].into_iter().filter_map(|name| field(top, name)).flat_map(one_or_more) {
        let Yaml::Map(user) = &user else { continue };
        if field(user, "plain_text_passwd").is_some_and(|value| value != Yaml::Null) {
            return Err("plain_text_passwd would be kept as it is written; give hashed_passwd".into());
        }
        let hashes = ["passwd", "hashed_passwd"];
        let shown = |name: &&str| field(user, name).is_some_and(|v| open(&v) && !locked.contains(&v));
        if let Some(name) = hashes.into_iter().find(shown) {
            return refused(name);
        }
    }
    let Some(Yaml::Map(chpasswd)) = field(top, "chpasswd") else { return Ok(()) };
    let lines: Vec<String> = match field(&chpasswd, "list") {
        Some(Yaml::Text(text)) => text.lines().map(str::to_owned).collect(),
        Some(Yaml::List(items)) => items
            .into_iter()
            .filter_map(|item| if let Yaml::Text(text) = item { Some(text) } else { None })
            .collect(),
        _ => Vec::new(),
    };
    for line in lines {
        if line.split_once(':').is_some_and(|(_, given)| open(&Yaml::Text(given.trim().into()))) {
            return refused("The password in chpasswd");
        }
    }
    if let Some(Yaml::List(users)) = field(&chpasswd, "users") {
        for user in &users {
            let Yaml::Map(user) = user else { continue };
            let random = matches!(field(user, "type"), Some(Yaml::Text(kind)) if kind == "RANDOM");
            if !random && field(user, "password").is_some_and(|value| open(&value)) {
                return refused("The password in chpasswd");
            }
        }
    }
    Ok(())
}

/// The hashes that login programs of guests know.
fn is_hash(text: &str) -> bool {
    ["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$"]
        .iter()
        .any(|kind| text.starts_with(kind))
}

/// The items of a list, or the one thing that stands in its place.
fn one_or_more(value: Yaml) -> Vec<Yaml> {
    match value {
        Yaml::List(items) => items,
        Yaml::Text(_) | Yaml::Number | Yaml::Bool | Yaml::Null | Yaml::Map(_) => vec![value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cloud_init_takes_is_taken() {
        for text in [
            "",
            "#!/bin/sh\necho hi\n",
            "#cloud-config\npackages: [vim]\nruncmd:\n- [ls, -l]\n- echo: x\n",
            "#cloud-config\nusers:\n- name: a\n  hashed_passwd: $6$a$b\n  lock_passwd: false\nchpasswd:\n  list: |\n    b:$6$x$y\n    c:RANDOM\n",
            "Content-Type: multipart/mixed; boundary=x\n\n--x--\n",
            "## template: jinja\n#cloud-config\nhostname: {{ v1.x }}\n",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn mistakes_and_secrets_are_told() {
        for (text, told) in [
            ("packages: [vim]", "first line"),
            ("#cloud-config\n", "nothing in this"),
            ("#cloud-config\n- a\n", "a list"),
            ("#cloud-config\npackages: vim\n", "packages holds a list, and this is a text"),
            ("#cloud-config\nhostname: 12\n", "hostname holds a text"),
            ("#cloud-config\npackage: [vim]\n", "did you mean packages?"),
            ("#cloud-config\nrun-cmd: []\n", "did you mean runcmd?"),
            ("#cloud-config\na: b: c\n", "Line 2"),
            ("#cloud-config\nx\u{7}: y\n", "control character"),
            ("#cloud-config\npassword: secret\n", "give its hash"),
            ("#cloud-config\nusers:\n- name: a\n  plain_text_passwd: secret\n", "hashed_passwd"),
            ("#cloud-config\nusers:\n- name: a\n  passwd: 1234\n", "give its hash"),
            ("#cloud-config\nchpasswd:\n  list: |\n    a:secret\n", "chpasswd"),
            ("#cloud-config\nchpasswd:\n  users: [{name: a, password: secret}]\n", "chpasswd"),
            ("#cloud-config\nssh_keys:\n  ed25519_private: x\n", "the guest's private keys"),
            ("## template: jinja\n#cloud-config\npassword: secret\n", "give its hash"),
            ("## template: jinja\n#cloud-config\nssh_keys: {rsa_private: x}\n", "the guest's private keys"),
        ] {
            let refused = check(text).expect_err(text);
            assert!(refused.contains(told), "{text}: {refused}");
        }
        assert!(check(&format!("#!/bin/sh\n{}", "x".repeat(TEXT_MAX))).is_err());
    }
}
