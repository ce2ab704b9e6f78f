//! What the local console shows: plain text in 80 columns, the same on a screen and a serial line.

use crate::config::DataState;
use crate::http::v1::appliance::Banner;

/// Widest line.
const WIDTH: usize = 78;

/// The screen of a host that answers, for what it says.
pub fn of(banner: &Banner) -> String {
    let mut lines = vec![
        format!("Quantix {} on {}", banner.version, banner.hostname),
        String::new(),
        "Open one of these in a browser:".into(),
    ];
    if banner.urls.is_empty() {
        lines.push("  This host has no network address yet.".into());
    }
    lines.extend(banner.urls.iter().map(|url| format!("  {url}")));
    lines.push(String::new());
    lines.push("The browser will warn once; the certificate's SHA-256 fingerprint is".into());
    // 32 bytes are 95 characters: two lines.
    let (first, second) = banner.fingerprint.split_at(banner.fingerprint.len().min(48));
    lines.extend([first, second].iter().map(|half| format!("  {half}")));
    if banner.live {
        lines.push(String::new());
        lines.push("LIVE MODE: everything is kept in memory and is gone at the next reboot.".into());
    }
    if let Some(administrator) = &banner.administrator {
        lines.push(String::new());
        lines.push(format!("Log in as       {}", administrator.name));
        lines.push(format!("Password        {}", administrator.password));
        lines.push("It was made for this host and is shown until it is changed.".into());
    }
    if !banner.notices.is_empty() {
        lines.push(String::new());
        lines.extend(banner.notices.iter().flat_map(|notice| wrap(notice)).map(|l| format!("! {l}")));
    }
    lines.push(String::new());
    lines.push("Press Enter to log in here.".into());
    finish(&lines)
}

/// The screen of a host that does not answer.
pub fn silent(data: Option<&DataState>, why: &str) -> String {
    let mut lines = vec![format!("Quantix {}", env!("CARGO_PKG_VERSION")), String::new()];
    match data {
        Some(DataState::Failed(fault)) => {
            lines.push("THE DATA PARTITION CAN'T BE USED.".into());
            lines.extend(wrap(fault));
            lines.push(String::new());
            lines.push("Nothing was started, so that nothing is written elsewhere.".into());
            lines.push("Attach the disk, or repair it from a rescue system (e2fsck), then reboot.".into());
        }
        Some(DataState::Live | DataState::Durable) | None => {
            lines.push("hostd is starting…".into());
            lines.extend(wrap(why));
        }
    }
    finish(&lines)
}

fn finish(lines: &[String]) -> String {
    let rule = "-".repeat(WIDTH);
    let body: Vec<String> =
        lines.iter().map(|l| format!(" {}", printable(l)).trim_end().to_owned()).collect();
    format!("{rule}\n{}\n{rule}\n", body.join("\n"))
}

fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}

/// Breaks text at spaces into lines that fit, with room for an indent.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH - 4 => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1::access::GeneratedPassword;

    fn banner() -> Banner {
        Banner {
            version: "0.1.0".into(),
            hostname: "quantix".into(),
            urls: vec!["https://10.0.0.5:8443".into()],
            fingerprint: ["AB"; 32].join(":"),
            live: true,
            administrator: Some(GeneratedPassword {
                name: "admin".into(),
                password: "seven-green-apples".into(),
            }),
            notices: vec!["word ".repeat(60)],
        }
    }

    #[test]
    fn everything_fits_eighty_columns() {
        let shown = of(&banner());
        assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
        for part in ["https://10.0.0.5:8443", "seven-green-apples", "LIVE MODE", "Press Enter"] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
    }

    #[test]
    fn a_changed_password_is_not_shown() {
        let shown = of(&Banner { administrator: None, live: false, ..banner() });
        assert!(!shown.contains("Password") && !shown.contains("LIVE"));
    }

    #[test]
    fn a_lost_data_partition_is_named() {
        let failed = DataState::Failed("ext4 on /dev/sdb1 is damaged".into());
        let shown = silent(Some(&failed), "");
        assert!(shown.contains("/dev/sdb1 is damaged"), "{shown}");
        assert!(silent(None, "no socket yet").contains("starting"));
    }
}
