//! Lines of `authorized_keys`: options, then a key of any type that OpenSSH takes.

use ssh_key::{Algorithm, PublicKey};

/// Longest line.
const LINE_MAX: usize = 16 << 10;
/// Options without a value, as sshd(8) lists them.
const FLAGS: [&str; 14] = [
    "agent-forwarding",
    "cert-authority",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "port-forwarding",
    "pty",
    "restrict",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];
/// Options with a quoted value.
const VALUES: [&str; 8] =
    ["command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"];

/// Checks a line.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn check(line: &str) -> Result<(), String> {
    if line.len() > LINE_MAX {
        return Err(format!("A key's line has at most {LINE_MAX} bytes."));
    }
    if line.chars().any(char::is_control) {
        return Err("A key is one line, without control characters.".into());
    }
    if line.contains("PRIVATE KEY") {
        return Err(
            "This is a private key. Give the public one: the content of the file that ends in .pub.".into()
        );
    }
    let line = line.trim();
    // Which of the two it begins with is seen by the key alone.
    let Err(why) = key(line) else { return Ok(()) };
    match split_options(line) {
        Some((given, rest)) if key(rest.trim_start()).is_ok() => options(given),
        Some((_, rest)) if !looks_like_key(line) && looks_like_key(rest.trim_start()) => {
            key(rest.trim_start())
        }
        Some(_) | None => Err(why),
    }
}

fn looks_like_key(text: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| text.starts_with(prefix))
}

/// A type and the key's base64; what follows is a comment.
fn key(text: &str) -> Result<(), String> {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(body)) = (words.next(), words.next()) else {
        return Err("Give a whole line: the key's type and the key, as in ssh-ed25519 AAAA….".into());
    };
    let wrong = |_| {
        let example = "such as ssh-ed25519, ecdsa-sha2-nistp256, ssh-rsa or sk-ssh-ed25519@openssh.com";
        match looks_like_key(kind) {
            true => format!("The key after {kind} is damaged or of another type; copy the whole line again."),
            false => format!("This does not begin with a type of key ({example}), nor with options and one."),
        }
    };
    let parsed = PublicKey::from_openssh(&format!("{kind} {body}")).map_err(wrong)?;
    match parsed.algorithm() {
        Algorithm::Dsa => Err("OpenSSH takes no DSA keys any more; make an ed25519 key.".into()),
        Algorithm::Other(_) => Err(format!("OpenSSH has no keys of the type {kind}.")),
        _ => Ok(()),
    }
}

/// The options and what is behind them: they end at the first blank outside of quotes.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return Some((&line[..at], &line[at..])),
            _ => {}
        }
    }
    None
}

fn options(given: &str) -> Result<(), String> {
    let mut rest = given;
    loop {
        let end = rest.find([',', '=']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let lower = name.to_ascii_lowercase();
        if let Some(value) = behind.strip_prefix('=') {
            if !VALUES.contains(&lower.as_str()) {
                return Err(format!("authorized_keys has no option {name} with a value."));
            }
            let inner = value.strip_prefix('"').ok_or(format!("The value of {name} is in double quotes."))?;
            let mut escaped = false;
            let close = inner.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = &inner[close.ok_or(format!("The value of {name} has no second quote."))? + 1..];
        } else {
            if !FLAGS.contains(&lower.as_str()) {
                return Err(format!("authorized_keys has no option {name}."));
            }
            rest = behind;
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None if rest.is_empty() => return Ok(()),
            None => return Err("A comma is needed between two options.".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHQfoe28Z2XpyBLVxVZq0nUvgOtuJFTCr6LdQPRWNCbt";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
    const SK: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICFo/k5LU8863u66YC9eUO2170QduohPURkQnbLa/dczAAAABHNzaDo=";

    #[test]
    fn keys_of_every_type_are_taken_with_options_and_comments() {
        for line in [
            ED25519.to_owned(),
            format!("{ED25519} ada@example.org with several words"),
            ECDSA.to_owned(),
            format!("{SK} a token"),
            format!("restrict {ED25519}"),
            format!("from=\"192.0.2.0/24\",command=\"echo \\\"hi\\\" there\",no-pty {ED25519} c"),
        ] {
            assert_eq!(check(&line), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_why() {
        for (line, told) in [
            (String::new(), "whole line"),
            ("ssh-ed25519".into(), "whole line"),
            (ED25519[..50].into(), "damaged"),
            (ED25519.replace("ssh-ed25519 ", "ssh-rsa "), "another type"),
            (format!("{ED25519}\nmore"), "one line"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".into(), "private key"),
            (format!("root-forwarding {ED25519}"), "no option root-forwarding"),
            (format!("from=192.0.2.1 {ED25519}"), "double quotes"),
            (format!("no-pty,from=\"a\"restrict {ED25519}"), "comma"),
            ("hello world".into(), "does not begin"),
        ] {
            let refused = check(&line).expect_err(&line);
            assert!(refused.contains(told), "{line}: {refused}");
        }
    }
}
