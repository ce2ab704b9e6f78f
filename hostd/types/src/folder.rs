//! Folders: a tree that people sort machines into.

use crate::meta::resource;
use crate::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use utoipa::ToSchema;

/// Most folders above each other, the outermost included.
pub const FOLDER_DEPTH_MAX: usize = 8;
/// Most folders of a project.
pub const FOLDERS_MAX: u64 = 500;

/// What is wanted of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FolderSpec {
    /// Name, unique in the folder above, letter case ignored.
    pub name: String,
    /// The folder above; none when it is an outermost one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<FolderId>,
}

/// A folder has nothing that could be seen beside what is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FolderStatus {}

resource! {
    /// A folder.
    Folder, FolderId, FolderSpec, FolderStatus, Kind::Folder
}

/// A place in the tree: a folder, or `top`, which is in none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, ToSchema)]
#[schema(value_type = String, example = "top")]
pub struct FolderPlace(pub Option<FolderId>);

impl fmt::Display for FolderPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("top"),
            Some(id) => id.fmt(f),
        }
    }
}

impl FromStr for FolderPlace {
    type Err = BadFolderPlace;
    fn from_str(text: &str) -> Result<Self, BadFolderPlace> {
        match text {
            "top" => Ok(Self(None)),
            id => id.parse().map(|id| Self(Some(id))).map_err(|_| BadFolderPlace),
        }
    }
}

/// The text is neither a folder's identifier nor `top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFolderPlace;

impl fmt::Display for BadFolderPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a folder's identifier (a UUID) nor top")
    }
}

impl std::error::Error for BadFolderPlace {}

impl Serialize for FolderPlace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FolderPlace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Body of `POST /api/v1/folders`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreateFolder {
    /// Name: 1 to 63 characters, no slash.
    pub name: String,
    /// The folder it is made in; an outermost one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<FolderId>,
}

/// Body of `PATCH /api/v1/folders/{id}`; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EditFolder {
    /// New name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another place; what is in it moves along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<FolderPlace>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_one_word() {
        let id = FolderId::new();
        for (place, text) in [(FolderPlace(None), "top".to_owned()), (FolderPlace(Some(id)), id.to_string())]
        {
            assert_eq!(place.to_string(), text);
            assert_eq!(text.parse(), Ok(place));
            let json = serde_json::to_value(place).expect("text");
            assert_eq!(serde_json::from_value::<FolderPlace>(json).expect("a place"), place);
        }
        for bad in ["", "/", "Top", "no-id"] {
            assert_eq!(bad.parse::<FolderPlace>(), Err(BadFolderPlace), "{bad}");
        }
    }
}
