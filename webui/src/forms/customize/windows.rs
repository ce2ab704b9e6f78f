//! The part about the first boot that is Windows' alone.

use super::rows::lines;
use crate::fields::{Fields, Reading};
use hostd_types::*;

/// As typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WindowsForm {
    /// `setup` or `cloudbase_init`.
    pub(crate) reader: String,
    /// There is a password, which stays unless another one is typed.
    pub(crate) has_password: bool,
    /// There is to be none any more.
    pub(crate) clear: bool,
    /// Typed, and never shown again.
    password: String,
    confirm: String,
    /// A password was typed before the form was shown again, which shows none.
    pub(crate) again: bool,
    pub(crate) owner: String,
    pub(crate) organization: String,
    pub(crate) locale: String,
    pub(crate) keyboard: String,
    pub(crate) product_key: String,
    pub(crate) edition: String,
    pub(crate) erase_disk: bool,
    /// Folders, one a line.
    pub(crate) driver_folders: String,
}

impl WindowsForm {
    /// Who reads it; Setup when nothing was chosen.
    pub(crate) fn reader_or_setup(&self) -> &str {
        if self.reader.is_empty() { WindowsReader::Setup.as_str() } else { &self.reader }
    }
    pub(super) fn of(windows: &WindowsSettings) -> Self {
        Self {
            reader: windows.reader.as_str().into(),
            has_password: windows.administrator_password.is_some(),
            owner: windows.owner.clone(),
            organization: windows.organization.clone(),
            locale: windows.locale.clone(),
            keyboard: windows.keyboard.clone(),
            product_key: windows.product_key.clone(),
            edition: windows.edition.clone(),
            erase_disk: windows.erase_disk,
            driver_folders: windows.driver_folders.join("\n"),
            ..Self::default()
        }
    }
    pub(super) fn read(fields: &Fields) -> Self {
        let password = fields.verbatim("admin_password");
        Self {
            reader: fields.text("reader"),
            has_password: fields.ticked("admin_has_password"),
            clear: fields.ticked("admin_clear"),
            again: fields.ticked("admin_again") || !password.is_empty(),
            password,
            confirm: fields.verbatim("admin_confirm"),
            owner: fields.text("owner"),
            organization: fields.text("organization"),
            locale: fields.text("locale"),
            keyboard: fields.text("keyboard"),
            product_key: fields.text("product_key").to_ascii_uppercase(),
            edition: fields.text("edition"),
            erase_disk: fields.ticked("erase_disk"),
            driver_folders: fields.text("driver_folders"),
        }
    }
    /// What it means; `at` is the customization's place in the API's body.
    pub(super) fn settings(&self, reading: &mut Reading, at: &str) -> WindowsSettings {
        let place = format!("{at}/windows/administrator_password");
        if self.password != self.confirm {
            reading.wrong(&place, "The two passwords differ. Type both again.");
        } else if self.again && self.password.is_empty() && !self.clear {
            reading.wrong(&place, "Type the password again: no page keeps one.");
        }
        let administrator_password = match (self.password.is_empty(), self.has_password && !self.clear) {
            (false, _) => Some(GuestPassword::Plain(self.password.clone().into())),
            (true, true) => Some(GuestPassword::Kept),
            (true, false) => None,
        };
        let cloudbase = self.reader == WindowsReader::CloudbaseInit.as_str();
        WindowsSettings {
            reader: if cloudbase { WindowsReader::CloudbaseInit } else { WindowsReader::Setup },
            administrator_password,
            owner: self.owner.clone(),
            organization: self.organization.clone(),
            locale: self.locale.clone(),
            keyboard: self.keyboard.clone(),
            product_key: self.product_key.clone(),
            edition: self.edition.clone(),
            erase_disk: self.erase_disk,
            driver_folders: lines(&self.driver_folders),
        }
    }
}
