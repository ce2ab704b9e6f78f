//! What a Windows guest is told, on the command line.

use super::{Stop, given};
use anyhow::Context;
use clap::{Args, ValueEnum};
use hostd_types::*;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reader {
    Setup,
    CloudbaseInit,
}

/// The part of a customization that is Windows' alone.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Windows guests")]
pub struct Windows {
    /// The guest is Windows: installed by Setup from an ISO, or prepared with cloudbase-init
    #[arg(long = "windows", value_enum, value_name = "READER")]
    reader: Option<Reader>,
    /// Read the administrator's password from standard input
    #[arg(long, conflicts_with = "admin_password_file")]
    admin_password: bool,
    /// Read the administrator's password from the first line of a file
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Whom Windows is registered to
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The organisation it is registered to
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Language and formats, such as de-DE
    #[arg(long)]
    locale: Option<String>,
    /// Keyboard, such as de-CH or 0807:00000807
    #[arg(long)]
    keyboard: Option<String>,
    /// Product key; whoever may see the machine reads it
    #[arg(long, value_name = "KEY")]
    product_key: Option<String>,
    /// Name of the edition on the ISO, such as "Windows Server 2022 SERVERSTANDARD"
    #[arg(long, value_name = "NAME")]
    edition: Option<String>,
    /// Setup erases the first disk and installs there without asking
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    erase_disk: Option<bool>,
    /// A folder with drivers that Setup loads, such as E:\viostor\2k22\amd64 (may be repeated)
    #[arg(long = "driver-folder", value_name = "PATH")]
    driver_folders: Vec<String>,
}

impl Windows {
    /// Nothing was given.
    pub fn is_empty(&self) -> bool {
        let Self {
            reader,
            admin_password,
            admin_password_file,
            owner,
            organization,
            locale,
            keyboard,
            product_key,
            edition,
            erase_disk,
            driver_folders,
        } = self;
        let texts = [owner, organization, locale, keyboard, product_key, edition];
        texts.into_iter().all(Option::is_none)
            && reader.is_none()
            && !admin_password
            && admin_password_file.is_none()
            && erase_disk.is_none()
            && driver_folders.is_empty()
    }

    /// Puts what was given into `custom`; answers a password, which is never written with the rest.
    pub async fn put(self, custom: &mut Customization) -> Result<Option<String>, Stop> {
        if self.is_empty() {
            return Ok(None);
        }
        let windows = custom.windows.get_or_insert_default();
        if let Some(reader) = self.reader {
            windows.reader = match reader {
                Reader::Setup => WindowsReader::Setup,
                Reader::CloudbaseInit => WindowsReader::CloudbaseInit,
            };
        }
        for (field, new) in [
            (&mut windows.owner, self.owner),
            (&mut windows.organization, self.organization),
            (&mut windows.locale, self.locale),
            (&mut windows.keyboard, self.keyboard),
            (&mut windows.product_key, self.product_key),
            (&mut windows.edition, self.edition),
        ] {
            new.into_iter().for_each(|new| *field = new);
        }
        windows.erase_disk = self.erase_disk.unwrap_or(windows.erase_disk);
        if !self.driver_folders.is_empty() {
            windows.driver_folders = self.driver_folders;
        }
        let password = match self.admin_password_file {
            Some(path) => {
                let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                Some(text.lines().next().unwrap_or_default().to_owned())
            }
            None if self.admin_password => Some(given::line("Password of the administrator:").await?),
            None => None,
        };
        if password.is_some() {
            windows.administrator_password = Some(GuestPassword::Plain(PlainText::default()));
        }
        Ok(password)
    }
}

/// Facts about it, for `qx vm show`.
pub fn facts(windows: &WindowsSettings) -> Vec<(&'static str, String)> {
    let reader = match windows.reader {
        WindowsReader::Setup => "read by Setup (autounattend.xml)",
        WindowsReader::CloudbaseInit => "read by cloudbase-init",
    };
    let password = if windows.administrator_password.is_some() { "set" } else { "none" };
    let mut facts = vec![("Windows", reader.to_owned()), ("Administrator", format!("password {password}"))];
    for (what, said) in [
        ("Registered to", &windows.owner),
        ("Organisation", &windows.organization),
        ("Locale", &windows.locale),
        ("Keyboard", &windows.keyboard),
        ("Product key", &windows.product_key),
        ("Edition", &windows.edition),
    ] {
        if !said.is_empty() {
            facts.push((what, said.clone()));
        }
    }
    if windows.erase_disk {
        facts.push(("Disk", "erased by Setup".into()));
    }
    facts.extend(windows.driver_folders.iter().map(|folder| ("Drivers", folder.clone())));
    facts
}
