//! Users and cards of the part about the first boot, each a row of fields; and what texts mean.

use crate::fields::{Fields, Reading};
use hostd_types::*;

/// A user, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UserForm {
    pub(crate) name: String,
    /// `no`, `password` or `no_password`.
    pub(crate) sudo: String,
    pub(crate) shell: String,
    /// Keys, one a line.
    pub(crate) keys: String,
    /// The user has a password, which stays unless another one is typed.
    pub(crate) has_password: bool,
    /// It is to have none any more.
    pub(crate) clear: bool,
    /// Typed, and never shown again.
    password: String,
    confirm: String,
    /// A password was typed before the form was shown again, which shows none.
    pub(crate) again: bool,
}

/// The addresses of a card, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CardForm {
    /// The hardware address of a card that is there.
    pub(crate) mac: String,
    pub(crate) addresses: String,
    pub(crate) gateways: String,
    pub(crate) nameservers: String,
    pub(crate) search: String,
}

impl UserForm {
    pub(super) fn of(user: &GuestUser) -> Self {
        Self {
            name: user.name.clone(),
            sudo: user.sudo.as_str().into(),
            shell: user.shell.clone(),
            keys: user.ssh_keys.join("\n"),
            has_password: user.password.is_some(),
            ..Self::default()
        }
    }
    pub(super) fn read(fields: &Fields, index: usize) -> Self {
        let name = |part: &str| format!("user{index}_{part}");
        Self {
            name: fields.text(&name("name")),
            sudo: fields.text(&name("sudo")),
            shell: fields.text(&name("shell")),
            keys: fields.text(&name("keys")),
            has_password: fields.ticked(&name("has_password")),
            clear: fields.ticked(&name("clear")),
            password: fields.verbatim(&name("password")),
            confirm: fields.verbatim(&name("confirm")),
            again: fields.ticked(&name("again")) || !fields.verbatim(&name("password")).is_empty(),
        }
    }
    pub(super) fn is_blank(&self) -> bool {
        [&self.name, &self.shell, &self.keys, &self.password, &self.confirm].into_iter().all(String::is_empty)
            && !self.has_password
    }
    pub(super) fn user(&self, reading: &mut Reading, at: &str) -> GuestUser {
        if self.password != self.confirm {
            reading.wrong(format!("{at}/password"), "The two passwords differ. Type both again.");
        }
        if self.again && self.password.is_empty() && !self.clear {
            reading.wrong(format!("{at}/password"), "Type the password again: no page keeps one.");
        }
        let password = match (self.password.is_empty(), self.has_password && !self.clear) {
            (false, _) => Some(GuestPassword::Plain(self.password.clone().into())),
            (true, true) => Some(GuestPassword::Kept),
            (true, false) => None,
        };
        GuestUser {
            name: self.name.clone(),
            sudo: Sudo::ALL.into_iter().find(|sudo| sudo.as_str() == self.sudo).unwrap_or_default(),
            shell: self.shell.clone(),
            password,
            ssh_keys: lines(&self.keys),
        }
    }
}

impl CardForm {
    pub(super) fn of(card: &GuestCard) -> Self {
        Self {
            mac: card.mac.clone(),
            addresses: card.addresses.join(" "),
            gateways: card.gateways.join(" "),
            nameservers: card.nameservers.join(" "),
            search: card.search.join(" "),
        }
    }
    pub(super) fn read(fields: &Fields, index: usize) -> Self {
        let text = |part: &str| fields.text(&format!("card{index}_{part}"));
        Self {
            mac: text("mac"),
            addresses: text("addresses"),
            gateways: text("gateways"),
            nameservers: text("nameservers"),
            search: text("search"),
        }
    }
    pub(super) fn card(&self) -> GuestCard {
        GuestCard {
            mac: self.mac.clone(),
            addresses: words(&self.addresses),
            gateways: words(&self.gateways),
            nameservers: words(&self.nameservers),
            search: words(&self.search),
        }
    }
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A text with plain line breaks and one at its end; blank is empty.
pub(super) fn whole(text: &str) -> String {
    match crate::forms::choice::plain_breaks(text) {
        text if text.is_empty() => text,
        text => text + "\n",
    }
}
