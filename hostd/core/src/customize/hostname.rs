//! Names of guests, made from templates.

/// Characters of a random part: none that look alike.
const READABLE: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
/// Characters of a random part.
const RANDOM_LEN: usize = 6;
/// Longest name that Linux takes.
const NAME_MAX: usize = 64;
/// Longest part of a name between dots.
const LABEL_MAX: usize = 63;

/// Characters for `{{random}}`.
pub(super) fn random() -> String {
    (0..RANDOM_LEN).map(|_| char::from(READABLE[rand::random_range(0..READABLE.len())])).collect()
}

/// The name that `template` means for a machine: its placeholders replaced, and what a host name can't have of the
/// machine's name as dashes. Empty when the template is.
///
/// # Errors
/// A sentence about what is wrong.
pub(crate) fn resolve(template: &str, machine: &str, random: &str) -> Result<String, String> {
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (placeholder, behind) = after.split_once("}}").ok_or("A {{ has no }} behind it.")?;
        name.push_str(before);
        match placeholder.trim() {
            "vm.name" => name.push_str(&plain(machine)),
            "random" => name.push_str(random),
            other => {
                return Err(format!(
                    "There is no {{{{{other}}}}}; there are {{{{vm.name}}}} and {{{{random}}}}."
                ));
            }
        }
        rest = behind;
    }
    name.push_str(rest);
    if template.is_empty() {
        return Ok(name);
    }
    let label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > NAME_MAX {
        return Err(format!(
            "A host name has at most {NAME_MAX} characters; this one comes to {}.",
            name.len()
        ));
    }
    if !name.split('.').all(label) {
        let shown: String = name.chars().take(NAME_MAX).collect();
        return Err(format!(
            "{shown} is no host name: letters, digits, dashes inside, and dots between the parts."
        ));
    }
    Ok(name)
}

fn plain(machine: &str) -> String {
    let dashed: String = machine
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    dashed
        .split('.')
        .map(|label| label.trim_matches('-'))
        .filter(|label| !label.is_empty())
        .collect::<Vec<_>>()
        .join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_names_once() {
        let of = |template: &str, machine: &str| resolve(template, machine, "abc234");
        assert_eq!(of("{{vm.name}}", "Web_1").as_deref(), Ok("web-1"));
        assert_eq!(of("{{ vm.name }}-{{random}}.example.org", "db").as_deref(), Ok("db-abc234.example.org"));
        assert_eq!(of("{{vm.name}}", "_a_._b").as_deref(), Ok("a.b"));
        assert_eq!(of("", "web").as_deref(), Ok(""));
        for (template, told) in [
            ("{{vm.id}}", "{{vm.name}} and {{random}}"),
            ("{{vm.name", "no }}"),
            ("a b", "no host name"),
            ("-a", "no host name"),
            ("a..b", "no host name"),
            (&"x".repeat(65), "at most 64"),
        ] {
            let refused = of(template, "web").expect_err(template);
            assert!(refused.contains(told), "{template}: {refused}");
        }
        assert_eq!(random().len(), RANDOM_LEN);
    }
}
