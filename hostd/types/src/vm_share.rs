//! Folders of the host that a machine's guest sees as file systems (virtiofs).

use crate::name::check_name;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Most shared folders of one machine.
pub const SHARES_MAX: usize = 8;
/// Longest mount tag, bytes: the device has no room for more.
pub const SHARE_TAG_MAX: usize = 36;

/// A folder that a machine shares with its host, and with the other machines there that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VmShare {
    /// What the guest mounts it by (`mount -t virtiofs TAG /mnt`): 1 to 36 letters, digits, dots, dashes and underscores;
    /// no two of a machine are alike.
    pub tag: String,
    /// The pool of the machine's host that the folder is in: `local`.
    pub pool: String,
    /// The folder: `shares/FOLDER` in that pool. It is made when the machine starts, and never deleted.
    pub folder: String,
}

impl VmShare {
    /// The pool and the folder in `POOL/FOLDER`; none without a slash.
    pub fn place(text: &str) -> Option<(&str, &str)> {
        text.trim().split_once('/')
    }
}

/// `TAG=POOL/FOLDER`.
impl fmt::Display for VmShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}/{}", self.tag, self.pool, self.folder)
    }
}

/// Checks a mount tag.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_share_tag(tag: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if tag.is_empty() || tag.len() > SHARE_TAG_MAX || !tag.chars().all(fits) {
        return Err(format!(
            "The guest mounts the folder by its tag: give 1 to {SHARE_TAG_MAX} letters, digits, dots, dashes or underscores."
        ));
    }
    Ok(())
}

/// Checks the name of a folder: that of a resource, so that it is one component of a path and no hidden one.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_share_folder(folder: &str) -> Result<(), String> {
    check_name(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_fits_the_device_and_a_folder_is_one_component() {
        let (long, longest) = ("a".repeat(37), "a".repeat(36));
        for bad in ["", "a b", "a/b", "ä", "a,b", &long] {
            assert!(check_share_tag(bad).expect_err(bad).contains("1 to 36"));
        }
        for good in ["a", ".x", "-x", &longest] {
            check_share_tag(good).expect(good);
        }
        for bad in ["", ".", "..", ".ssh", "a/b", "../images"] {
            check_share_folder(bad).expect_err(bad);
        }
        let share = VmShare { tag: "d".into(), pool: "local".into(), folder: "docs".into() };
        assert_eq!(share.to_string(), "d=local/docs");
        assert_eq!(VmShare::place(" local/docs "), Some(("local", "docs")));
        assert_eq!(VmShare::place("docs"), None);
    }
}
