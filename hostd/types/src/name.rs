//! The rules user text must meet, in one place, so that a name is safe in a URL, a path, XML and a table alike.

/// Longest name of anything, in bytes.
pub const NAME_MAX: usize = 63;
/// Longest description, in bytes.
pub const DESCRIPTION_MAX: usize = 4096;

/// Checks the name of a resource: 1 to 63 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_name(name: &str) -> Result<(), String> {
    let rule = "use 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit";
    if name.is_empty() {
        return Err(format!("A name is needed: {rule}."));
    }
    if name.len() > NAME_MAX {
        return Err(format!("The name is {} bytes long: {rule}.", name.len()));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
        return Err(format!("The character {bad:?} is not allowed: {rule}."));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!("A name can't begin with {:?}: {rule}.", &name[..1]));
    }
    Ok(())
}

/// Checks a host's name: one label of RFC 1123, section 2.1, so that it is a hostname everywhere.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_hostname(name: &str) -> Result<(), String> {
    let rule = "use 1 to 63 letters, digits and dashes, beginning and ending with a letter or digit";
    if name.is_empty() {
        return Err(format!("A name is needed: {rule}."));
    }
    if name.len() > NAME_MAX {
        return Err(format!("The name is {} bytes long: {rule}.", name.len()));
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Err(format!("The character {bad:?} is not allowed: {rule}."));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(format!("A name can't begin or end with a dash: {rule}."));
    }
    Ok(())
}

/// Checks what people call something that stands in no path of a file or URL (a folder, a saved view): 1 to 63 characters,
/// no slash, no control characters, no blanks around it.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_title(name: &str) -> Result<(), String> {
    let rule = "use 1 to 63 characters, no slash, no blank at either end";
    let length = name.chars().count();
    if length == 0 {
        return Err(format!("A name is needed: {rule}."));
    }
    if length > NAME_MAX {
        return Err(format!("The name is {length} characters long: {rule}."));
    }
    let odd = |c: &char| c.is_control() || *c == '/' || matches!(c, '\u{fffe}' | '\u{ffff}');
    if let Some(bad) = name.chars().find(odd) {
        return Err(format!("The character {bad:?} is not allowed: {rule}."));
    }
    if name.trim() != name || matches!(name, "." | "..") {
        return Err(format!("{name:?} can't be a name: {rule}."));
    }
    Ok(())
}

/// Checks free text: at most 4096 bytes, no control characters but line breaks and tabs.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_description(text: &str) -> Result<(), String> {
    if text.len() > DESCRIPTION_MAX {
        return Err(format!("The description is {} bytes long; at most {DESCRIPTION_MAX} fit.", text.len()));
    }
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    if text.chars().any(bad) {
        return Err("The description holds control characters; remove them.".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_labels() {
        let long = "a".repeat(64);
        for bad in ["", "-a", "a-", "a.b", "a_b", "héllo", "a b", "🦀", "../x", &long] {
            assert!(check_hostname(bad).expect_err(bad).contains("letters, digits and dashes"));
        }
        for good in ["a", "Rack-7", "9", &"x".repeat(63)] {
            check_hostname(good).expect(good);
        }
    }

    #[test]
    fn titles_may_have_blanks_and_no_slashes() {
        for bad in ["", " a", "a ", "a/b", "a\nb", ".", "..", &"x".repeat(64)] {
            assert!(check_title(bad).expect_err(bad).contains("1 to 63 characters"));
        }
        for good in ["Web tier", "Büro (2)", "🦀", &"ü".repeat(63)] {
            check_title(good).expect(good);
        }
    }

    #[test]
    fn names_that_break_something_are_refused_with_the_rule() {
        let long = "a".repeat(10_240);
        for bad in
            ["", "a\"b", "a'b", "<b>", "../etc", "a/b", "héllo", "🦀", "-x", ".x", "a b", "a\nb", &long]
        {
            let why = check_name(bad).expect_err(bad);
            assert!(why.contains("letters, digits"), "{why}");
        }
        for good in ["a", "web-1", "Db_2.prod", &"x".repeat(63)] {
            check_name(good).expect(good);
        }
    }

    #[test]
    fn descriptions_may_hold_any_visible_text() {
        check_description("quotes \" ' < > & 🦀\nsecond line").expect("visible text");
        assert!(check_description("\u{0}").is_err());
        assert!(check_description(&"x".repeat(10_240)).is_err());
    }
}
