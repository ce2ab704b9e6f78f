//! What a Windows guest is told at its first boot, beside what guests of every kind are: a part of a [`crate::Customization`].

use crate::GuestPassword;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// Longest name of a computer that Windows takes, characters.
pub const COMPUTER_NAME_MAX: usize = 15;

/// Who reads what a Windows guest is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowsReader {
    /// Setup, while it installs from an ISO: an `autounattend.xml`.
    #[default]
    Setup,
    /// cloudbase-init, in an image that was prepared with it: the files of cloud-init's NoCloud.
    CloudbaseInit,
}

impl WindowsReader {
    /// The word for it in the API and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            WindowsReader::Setup => "setup",
            WindowsReader::CloudbaseInit => "cloudbase_init",
        }
    }
}

/// Settings of a Windows guest. Its name, time zone and commands are those of the customization that this is a part of.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowsSettings {
    /// Who reads it.
    #[serde(default)]
    pub reader: WindowsReader,
    /// The administrator's password. Windows needs the password itself, so it is kept sealed by the cluster's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator_password: Option<GuestPassword>,
    /// Whom it is registered to.
    #[serde(default)]
    pub owner: String,
    /// The organisation it is registered to.
    #[serde(default)]
    pub organization: String,
    /// Language and formats, such as `de-DE`; empty: English of the United States for Setup, as the image has it otherwise.
    #[serde(default)]
    pub locale: String,
    /// Keyboard by its locale (`de-CH`) or its identifier (`0807:00000807`); empty: that of the locale.
    #[serde(default)]
    pub keyboard: String,
    /// Product key, five groups of five; empty: none is entered.
    #[serde(default)]
    pub product_key: String,
    /// Name of the edition on the ISO, such as `Windows Server 2022 SERVERSTANDARD`; empty: that of the product key, or Setup
    /// asks.
    #[serde(default)]
    pub edition: String,
    /// Setup erases the first disk and installs there without asking; otherwise it asks where to install.
    #[serde(default)]
    pub erase_disk: bool,
    /// Folders with drivers that Setup loads before it looks for disks, such as `E:\viostor\2k22\amd64`.
    #[serde(default)]
    pub driver_folders: Vec<String>,
}

impl fmt::Debug for WindowsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowsSettings").field("reader", &self.reader).finish_non_exhaustive()
    }
}
