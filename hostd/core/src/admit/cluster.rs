//! Rules for the cluster as a whole.

use super::Fields;
use hostd_types::Problem;
use hostd_types::name::NAME_MAX;

/// How many members may vote: an odd number, because one more of an even number may not fail.
const VOTERS: [u8; 3] = [3, 5, 7];

/// May the cluster be changed like this?
pub(super) fn edit(name: Option<&str>, voters: Option<u8>) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    if let Some(name) = name {
        wrong.check("/name", check_name(name));
    }
    if let Some(voters) = voters.filter(|voters| !VOTERS.contains(voters)) {
        wrong.add(
            "/voters",
            format!("{voters} can't vote: choose 3, 5 or 7, so that there is always a majority."),
        );
    }
    wrong.done()
}

/// The name is for people alone, so it may hold spaces and any script.
fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX {
        return Err(format!("The name has {length} characters; use 1 to {NAME_MAX}."));
    }
    if name.trim() != name {
        return Err("A name can't begin or end with a space.".into());
    }
    match name.chars().find(|c| c.is_control() || is_invisible(*c)) {
        Some(bad) => Err(format!("The character {bad:?} can't be printed; remove it.")),
        None => Ok(()),
    }
}

/// Characters that show nothing, or make others show otherwise.
fn is_invisible(c: char) -> bool {
    let format = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    format || matches!(c, '\u{ad}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(name: Option<&str>, voters: Option<u8>) -> Vec<String> {
        let refused = edit(name, voters).err().into_iter();
        refused.flat_map(|problem| problem.errors).map(|error| error.pointer).collect()
    }

    #[test]
    fn names_are_printable_and_voters_odd() {
        let (long, longest) = ("ä".repeat(64), "ä".repeat(63));
        for bad in ["", " ", " a", "a ", "a\nb", "a\u{7}", "\u{202e}gnorw", "a\u{200b}b", &long] {
            assert_eq!(wrong(Some(bad), None), ["/name"], "{bad:?}");
        }
        for good in ["a", "Rack 7, Zürich", "机房", &longest] {
            assert!(wrong(Some(good), None).is_empty(), "{good:?}");
        }
        for bad in [0, 1, 2, 4, 6, 8, 9, 255] {
            assert_eq!(wrong(None, Some(bad)), ["/voters"], "{bad}");
        }
        for good in [3, 5, 7] {
            assert!(wrong(None, Some(good)).is_empty(), "{good}");
        }
        assert_eq!(wrong(Some(""), Some(4)), ["/name", "/voters"]);
    }
}
