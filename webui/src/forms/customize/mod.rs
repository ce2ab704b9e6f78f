//! The part of a machine's forms that is about its guest's first boot.

mod rows;
mod windows;

pub(crate) use rows::{CardForm, UserForm};
pub(crate) use windows::WindowsForm;

use crate::fields::{Fields, Reading};
use crate::page::Refusal;
use hostd_types::*;
use rows::{lines, whole, words};

/// Most users the form offers.
const USERS_MAX: usize = 16;

/// The whole part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CustomizeForm {
    /// Where it stands in the API's body.
    pub(crate) at: &'static str,
    /// `linux` or `windows`.
    pub(crate) family: String,
    /// The specification that a new machine is made with; empty: none.
    pub(crate) specification: String,
    pub(crate) hostname: String,
    pub(crate) timezone: String,
    pub(crate) users: Vec<UserForm>,
    pub(crate) ssh_pwauth: bool,
    pub(crate) packages: String,
    pub(crate) run_commands: String,
    pub(crate) guest_agent: bool,
    pub(crate) cards: Vec<CardForm>,
    pub(crate) user_data: String,
    pub(crate) network_config: String,
    pub(crate) windows: WindowsForm,
}

impl CustomizeForm {
    /// For a new machine: nothing but a row for a user and one for a card.
    pub(crate) fn fresh() -> Self {
        let (users, cards) = (vec![UserForm::default()], vec![CardForm::default()]);
        Self { at: "/customization", family: "linux".into(), users, cards, ..Self::default() }
    }
    /// Filled from a machine; with a row for each of its cards.
    pub(crate) fn of(vm: &Vm) -> Self {
        let none = Customization::default();
        let custom = vm.spec.customization.as_ref().unwrap_or(&none);
        let card = |nic: &VmNic| {
            let card = custom.cards.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac)).cloned();
            CardForm { mac: nic.mac.clone(), ..CardForm::of(&card.unwrap_or_default()) }
        };
        let cards = vm.spec.nics.iter().map(card).collect();
        Self::filled("/customization/to", custom, cards)
    }
    /// Filled from a specification, with a row for one card more than it has.
    pub(crate) fn of_specification(custom: &Customization) -> Self {
        let cards = custom.cards.iter().map(CardForm::of).chain([CardForm::default()]).collect();
        Self::filled("/customization", custom, cards)
    }
    fn filled(at: &'static str, custom: &Customization, cards: Vec<CardForm>) -> Self {
        let mut users: Vec<UserForm> = custom.users.iter().map(UserForm::of).collect();
        if users.is_empty() {
            users.push(UserForm::default());
        }
        Self {
            at,
            family: if custom.windows.is_some() { "windows" } else { "linux" }.into(),
            specification: String::new(),
            hostname: custom.hostname.clone(),
            timezone: custom.timezone.clone(),
            users,
            ssh_pwauth: custom.ssh_pwauth,
            packages: custom.packages.join("\n"),
            run_commands: custom.run_commands.join("\n"),
            guest_agent: custom.guest_agent,
            cards,
            user_data: custom.user_data.clone(),
            network_config: custom.network_config.clone(),
            windows: custom.windows.as_deref().map(WindowsForm::of).unwrap_or_default(),
        }
    }
    /// What was sent, with `cards` rows for cards.
    pub(crate) fn read(fields: &Fields, at: &'static str, cards: usize) -> Self {
        let users = fields.parsed::<usize>("users").unwrap_or(0).min(USERS_MAX);
        Self {
            at,
            family: if fields.text("family") == "windows" { "windows" } else { "linux" }.into(),
            specification: fields.text("specification"),
            hostname: fields.text("hostname"),
            timezone: fields.text("timezone"),
            users: (0..users).map(|index| UserForm::read(fields, index)).collect(),
            ssh_pwauth: fields.ticked("ssh_pwauth"),
            packages: fields.text("packages"),
            run_commands: fields.text("run_commands"),
            guest_agent: fields.ticked("guest_agent"),
            cards: (0..cards).map(|index| CardForm::read(fields, index)).collect(),
            user_data: whole(&fields.verbatim("user_data")),
            network_config: whole(&fields.verbatim("network_config")),
            windows: WindowsForm::read(fields),
        }
    }
    /// Adds or removes a row, when a button for that was pressed: `user+`, `user-0`.
    pub(crate) fn change(&mut self, button: &str) {
        if button == "user+" && self.users.len() < USERS_MAX {
            self.users.push(UserForm::default());
        }
        let row = button.strip_prefix("user-").and_then(|n| n.parse::<usize>().ok());
        if let Some(index) = row.filter(|n| *n < self.users.len()) {
            self.users.remove(index);
        }
    }
    /// Nothing was asked for.
    pub(crate) fn is_blank(&self) -> bool {
        let texts = [
            &self.hostname,
            &self.timezone,
            &self.packages,
            &self.run_commands,
            &self.user_data,
            &self.network_config,
        ];
        texts.into_iter().all(String::is_empty)
            && self.users.iter().all(UserForm::is_blank)
            && self.cards.iter().all(|card| card.card().is_plain())
            && !self.ssh_pwauth
            && !self.guest_agent
            && !self.is_windows()
            && self.specification.is_empty()
    }
    /// The guest is Windows: what is for Linux alone is not asked for.
    pub(crate) fn is_windows(&self) -> bool {
        self.family == "windows"
    }
    /// What it means; nothing when nothing was asked for. `connected` tells of each card whether the machine has it.
    pub(crate) fn customization(&self, reading: &mut Reading, connected: &[bool]) -> Option<Customization> {
        if self.is_blank() {
            return None;
        }
        let specification = match self.specification.as_str() {
            "" => None,
            id => reading.chosen(&format!("{}/specification", self.at), id, "a specification"),
        };
        // A blank row between others is a user without a name, which is told where it stands.
        let used = self.users.iter().rposition(|user| !user.is_blank()).map_or(0, |last| last + 1);
        let users = self.users[..used].iter().enumerate();
        let users =
            users.map(|(index, user)| user.user(reading, &format!("{}/users/{index}", self.at))).collect();
        let mut cards = Vec::new();
        for (index, card) in self.cards.iter().map(CardForm::card).enumerate() {
            match connected.get(index) {
                Some(true) => cards.push(card),
                Some(false) | None if card.is_plain() => {}
                Some(false) | None => {
                    let detail = "This card is not connected: choose its network, or leave this empty.";
                    reading.wrong(format!("{}/cards/{index}/addresses", self.at), detail);
                }
            }
        }
        if cards.iter().all(GuestCard::is_plain) {
            cards.clear();
        }
        let mut custom = Customization {
            hostname: self.hostname.clone(),
            timezone: self.timezone.clone(),
            users,
            ssh_pwauth: self.ssh_pwauth,
            packages: words(&self.packages),
            run_commands: lines(&self.run_commands),
            guest_agent: self.guest_agent,
            cards,
            user_data: self.user_data.clone(),
            network_config: self.network_config.clone(),
            specification,
            ..Customization::default()
        };
        if self.is_windows() {
            // Their fields are hidden then.
            custom.users.clear();
            custom.packages.clear();
            (custom.ssh_pwauth, custom.guest_agent) = (false, false);
            custom.windows = Some(Box::new(self.windows.settings(reading, self.at)));
        }
        Some(custom)
    }
    /// The message for `field`, of itself or of something in it.
    pub(crate) fn error(&self, refusal: &Refusal, field: &str) -> String {
        let whole = format!("{}/{field}", self.at);
        let Some(problem) = &refusal.0 else { return String::new() };
        let told = problem.errors.iter().find_map(|error| {
            let rest = error.pointer.strip_prefix(&whole)?;
            match rest.strip_prefix('/').map(str::parse::<usize>) {
                None if rest.is_empty() => Some(error.detail.clone()),
                Some(Ok(index)) => Some(format!("Number {}: {}", index + 1, error.detail)),
                None | Some(Err(_)) => None,
            }
        });
        told.unwrap_or_default()
    }
    /// What a rarely used group holds, so that it is open.
    pub(crate) fn uses(&self, group: &str) -> bool {
        match group {
            "software" => !self.packages.is_empty() || !self.run_commands.is_empty() || self.guest_agent,
            "addresses" => self.cards.iter().any(|card| !card.card().is_plain()),
            _ => !self.user_data.is_empty() || !self.network_config.is_empty(),
        }
    }
}

/// Every time zone with the region it is in.
pub(crate) fn zones() -> impl Iterator<Item = (&'static str, &'static str)> {
    hostd_core::time_zones().iter().map(|zone| (*zone, zone.split_once('/').map_or("", |(region, _)| region)))
}

#[cfg(test)]
mod tests;
