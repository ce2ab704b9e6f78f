//! How things are filed: machines in folders, with notes; anything with tags.

use crate::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::ToSchema;

/// Most tags of one thing.
pub const TAGS_MAX: usize = 32;
/// Longest value of a tag, bytes.
pub const TAG_VALUE_MAX: usize = 128;
/// Longest notes, bytes.
pub const NOTES_MAX: usize = 16 * 1024;

/// Where a machine is filed, in its row; its tags are the labels of its bookkeeping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Filing {
    /// Its folder; none when it is in no folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderId>,
    /// Free text, longer than the description.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

impl Filing {
    /// It is the default, which is left out of rows.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a new machine is filed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewFiling {
    /// Its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderId>,
    /// Its tags; a key alone has an empty value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Free text, at most 16 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

impl NewFiling {
    /// It is the default, which older members know.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Body of `PATCH /api/v1/{vms|volumes|images|networks}/{id}/filing`; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditFiling {
    /// Another folder, or `top` for none; machines alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderPlace>,
    /// Tags to set; a key alone has an empty value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Keys of tags to take away; one that is not there is no mistake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// New notes; machines alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// What a list is filtered by: a key, with any value or with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagFilter {
    /// The key.
    pub key: String,
    /// The value, if it matters.
    pub value: Option<String>,
}

impl TagFilter {
    /// Reads filters as lists take them, separated by commas: `env=prod,web`.
    ///
    /// # Errors
    /// A sentence about the first that is none.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let filters = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        filters
            .map(|part| {
                let (key, value) =
                    part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
                check_tag_key(key.trim())?;
                Ok(Self { key: key.trim().into(), value: value.map(|value| value.trim().into()) })
            })
            .collect()
    }
}

/// A tag for people: `env=prod`, or the key alone.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a>(pub &'a str, pub &'a str);

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_empty() { f.write_str(self.0) } else { write!(f, "{}={}", self.0, self.1) }
    }
}

/// Tags as people type them, separated by commas or line breaks.
///
/// # Errors
/// A sentence about the first that is none, or is there twice.
pub fn parse_tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut tags = BTreeMap::new();
    for part in text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let (key, value) = (key.trim(), value.trim());
        check_tag(key, value)?;
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("The tag {key} is there twice; a key has one value."));
        }
    }
    Ok(tags)
}

/// Tags as [`parse_tags`] reads them.
pub fn tags_text(tags: &BTreeMap<String, String>) -> String {
    tags.iter().map(|(key, value)| Tag(key, value).to_string()).collect::<Vec<_>>().join(", ")
}

/// Checks the key of a tag: 1 to 63 of `A-Z a-z 0-9 . _ - /`, beginning with a letter or digit.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_tag_key(key: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let good = (1..=name::NAME_MAX).contains(&key.len())
        && key.chars().all(allowed)
        && key.starts_with(|c: char| c.is_ascii_alphanumeric());
    if good {
        return Ok(());
    }
    let shown: String = key.chars().take(name::NAME_MAX).collect();
    Err(format!(
        "{shown:?} can't be the key of a tag: use 1 to 63 letters, digits, dots, dashes, underscores or slashes, \
         beginning with a letter or digit."
    ))
}

/// Checks a tag: its key, and a value of at most 128 bytes without commas, control characters and outer blanks.
///
/// # Errors
/// A sentence that says what is wrong and what is allowed.
pub fn check_tag(key: &str, value: &str) -> Result<(), String> {
    check_tag_key(key)?;
    if value.len() > TAG_VALUE_MAX {
        return Err(format!(
            "The value of {key} is {} bytes long; at most {TAG_VALUE_MAX} fit.",
            value.len()
        ));
    }
    if value.contains(',') || value.chars().any(char::is_control) || value.trim() != value {
        let rule = "no commas, no line breaks, no blanks around it";
        return Err(format!("The value of {key} can't be used: {rule}."));
    }
    Ok(())
}

/// Checks notes: at most 16 KiB, no control characters but line breaks and tabs.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_notes(text: &str) -> Result<(), String> {
    if text.len() > NOTES_MAX {
        return Err(format!("The notes are {} bytes long; at most {NOTES_MAX} fit.", text.len()));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err("The notes hold control characters; remove them.".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_survive_being_typed() {
        let tags = parse_tags(" env=prod, web\nowner = Ann Ö. ,, ").expect("tags");
        assert_eq!(tags_text(&tags), "env=prod, owner=Ann Ö., web");
        assert_eq!(parse_tags(&tags_text(&tags)), Ok(tags));
        for bad in
            ["=x", "a b", "-a", "a=1,a=2", "é", "\"", &"k".repeat(64), &format!("k={}", "v".repeat(129))]
        {
            assert!(parse_tags(bad).is_err(), "{bad}");
        }
        assert!(
            check_tag("a", "x,y").is_err() && check_tag("a", " x").is_err() && check_tag("a", "\t").is_err()
        );
    }

    #[test]
    fn a_filter_is_a_key_or_a_tag() {
        let filters = TagFilter::parse_all("env=prod, web,x=").expect("filters");
        let plain: Vec<_> = filters.iter().map(|f| (f.key.as_str(), f.value.as_deref())).collect();
        assert_eq!(plain, [("env", Some("prod")), ("web", None), ("x", Some(""))]);
        assert!(TagFilter::parse_all("a\"b").is_err());
        assert_eq!(TagFilter::parse_all(" , "), Ok(vec![]));
    }
}
