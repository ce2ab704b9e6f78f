//! What a guest is told at its first boot, over cloud-init: its name, its users, its addresses, what to install.

use crate::{SpecificationId, WindowsSettings};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// How a guest sets itself up when it boots for the first time. It reads this from a drive of its own, labelled `cidata`,
/// as cloud-init and its relatives do; a guest without such a program takes no notice.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Customization {
    /// The guest's name: a template in which `{{vm.name}}` stands for the machine's name and `{{random}}` for six characters.
    /// Empty: it keeps its own.
    #[serde(default)]
    pub hostname: String,
    /// What became of the template when it was set; the machine's name may be another one by now. What is sent is ignored.
    #[serde(default)]
    pub resolved_hostname: String,
    /// Its time zone by its IANA name, such as `Europe/Berlin`; empty: it keeps its own.
    #[serde(default)]
    pub timezone: String,
    /// Its users. With none it has those that its image makes.
    #[serde(default)]
    pub users: Vec<GuestUser>,
    /// Its SSH server takes passwords, not keys alone.
    #[serde(default)]
    pub ssh_pwauth: bool,
    /// Packages to install, by their names in the guest's distribution.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Commands for its shell, as root, in their order, after everything else.
    #[serde(default)]
    pub run_commands: Vec<String>,
    /// Install and start the QEMU guest agent.
    #[serde(default)]
    pub guest_agent: bool,
    /// Addresses of its network cards; a card that is not among them gets its address by DHCP.
    #[serde(default)]
    pub cards: Vec<GuestCard>,
    /// User-data in the place of what is made of users, time zone, packages, commands and agent.
    #[serde(default)]
    pub user_data: String,
    /// Network configuration in the place of what is made of `cards`.
    #[serde(default)]
    pub network_config: String,
    /// Which run this is: the guest sets itself up once for each. What is sent is ignored.
    #[serde(default)]
    pub run: u64,
    /// The guest is Windows: what that alone has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Box<WindowsSettings>>,
    /// The customization specification that this is made with: what is left empty here is taken from there, once. What was
    /// taken stays when the specification changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specification: Option<SpecificationId>,
    /// The specification's name then. What is sent is ignored.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub specification_name: String,
}

/// A user of the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuestUser {
    /// Login name.
    pub name: String,
    /// What it may do as root.
    #[serde(default)]
    pub sudo: Sudo,
    /// Path of its shell; empty: the guest's usual one.
    #[serde(default)]
    pub shell: String,
    /// Its password; without one it can't log in by password.
    #[serde(default)]
    pub password: Option<GuestPassword>,
    /// Its SSH keys, each as a line of `authorized_keys`, options included.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
}

/// What a user may do as root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sudo {
    /// Nothing.
    #[default]
    No,
    /// Everything, after giving its password.
    Password,
    /// Everything, without a password.
    NoPassword,
}

impl Sudo {
    /// Every choice.
    pub const ALL: [Sudo; 3] = [Sudo::No, Sudo::Password, Sudo::NoPassword];

    /// The word for it in the API and in forms.
    pub const fn as_str(self) -> &'static str {
        match self {
            Sudo::No => "no",
            Sudo::Password => "password",
            Sudo::NoPassword => "no_password",
        }
    }
}

/// A password of a guest's user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuestPassword {
    /// As somebody typed it. It is hashed before anything else is done with it.
    Plain(PlainText),
    /// As crypt(3) takes it: SHA-512 (`$6$…`) or yescrypt (`$y$…`). This is what is kept.
    Hash(String),
    /// Sealed by the cluster's secret: Windows needs the password itself. What is sent is refused.
    Sealed(String),
    /// There is one: all that answers say. In a change the user of that name keeps it.
    Kept,
}

/// A secret as it was typed. It is written nowhere: serialized it is empty, and so is its `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct PlainText(String);

impl PlainText {
    /// The secret itself, to be hashed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for PlainText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl Serialize for PlainText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl fmt::Debug for PlainText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainText(…)")
    }
}

impl fmt::Debug for GuestPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestPassword(…)")
    }
}

impl fmt::Debug for Customization {
    // Commands and texts may hold what is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customization").field("run", &self.run).finish_non_exhaustive()
    }
}

/// Addresses of one network card, told apart by its hardware address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuestCard {
    /// The card's hardware address; empty: that of the machine's card in the same place of its list.
    #[serde(default)]
    pub mac: String,
    /// Its addresses with the length of their network, such as `192.0.2.10/24`; none: by DHCP.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Its gateways, one of each family at most.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// Addresses of name servers.
    #[serde(default)]
    pub nameservers: Vec<String>,
    /// Domains that short names are looked up in.
    #[serde(default)]
    pub search: Vec<String>,
}

impl GuestCard {
    /// It says nothing that DHCP would not.
    pub fn is_plain(&self) -> bool {
        let Self { mac: _, addresses, gateways, nameservers, search } = self;
        [addresses, gateways, nameservers, search].into_iter().all(Vec::is_empty)
    }
}

/// What to do with a machine's customization. The guest reads it when the machine starts the next time, and does what it
/// says if it has not run yet, or if it is asked to run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum CustomizationChange {
    /// Put this in its place.
    Set {
        /// What it is from now on.
        to: Box<Customization>,
        /// Run again at the next start, although it ran before.
        #[serde(default)]
        run_again: bool,
    },
    /// Run it again at the next start.
    RunAgain,
    /// Take it away, with its drive.
    Remove,
}

impl Customization {
    /// The same without secrets: of passwords only that they are there.
    pub fn redact(&mut self) {
        for user in &mut self.users {
            user.password = user.password.take().map(|_| GuestPassword::Kept);
        }
        if let Some(windows) = &mut self.windows {
            windows.administrator_password =
                windows.administrator_password.take().map(|_| GuestPassword::Kept);
        }
    }

    /// What was asked for, without what the proposer chooses: names, runs, and what a specification holds. Passwords count as what
    /// they were hashed or sealed to, which is the same when the same request brings them again.
    pub fn as_asked(&self) -> Self {
        if self.specification.is_some() {
            return Self { specification: self.specification, ..Self::default() };
        }
        let mut asked = Self { resolved_hostname: String::new(), run: 0, ..self.clone() };
        asked.cards.iter_mut().for_each(|card| card.mac.clear());
        asked
    }

    /// Takes the passwords that were said to be kept from `before`, by the users' names; those that it has not are none.
    pub fn keep_passwords(&mut self, before: Option<&Self>) {
        let of = |name: &str| before?.users.iter().find(|user| user.name == name)?.password.clone();
        for user in &mut self.users {
            if user.password == Some(GuestPassword::Kept) {
                user.password = of(&user.name);
            }
        }
        if let Some(windows) = &mut self.windows
            && windows.administrator_password == Some(GuestPassword::Kept)
        {
            windows.administrator_password =
                before.and_then(|before| before.windows.as_ref()?.administrator_password.clone());
        }
    }

    /// It says what the user-data is made of.
    pub fn has_user_settings(&self) -> bool {
        !(self.timezone.is_empty()
            && self.users.is_empty()
            && self.packages.is_empty()
            && self.run_commands.is_empty())
            || self.guest_agent
            || self.ssh_pwauth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_password_is_written_nowhere() {
        let plain = GuestPassword::Plain("correct horse".to_owned().into());
        let user = GuestUser { name: "ada".into(), password: Some(plain), ..GuestUser::default() };
        let custom = Customization { users: vec![user], ..Customization::default() };
        let change = CustomizationChange::Set { to: Box::new(custom.clone()), run_again: false };
        let written =
            [serde_json::to_string(&custom).expect("JSON"), format!("{change:?} {:?}", custom.users)];
        assert!(written.iter().all(|text| !text.contains("horse")), "{written:?}");
        let given = r#"{"plain": "correct horse"}"#;
        let GuestPassword::Plain(text) = serde_json::from_str(given).expect("as a client sends it") else {
            panic!("not a plain one")
        };
        assert_eq!(text.reveal(), "correct horse");
    }

    #[test]
    fn kept_passwords_are_found_by_name() {
        let user = |name: &str, password: Option<GuestPassword>| GuestUser {
            name: name.into(),
            password,
            ..GuestUser::default()
        };
        let hash = GuestPassword::Hash("$6$x".into());
        let before =
            Customization { users: vec![user("ada", Some(hash.clone()))], ..Customization::default() };
        let mut seen = before.clone();
        seen.redact();
        assert_eq!(seen.users[0].password, Some(GuestPassword::Kept));
        seen.users.push(user("bob", Some(GuestPassword::Kept)));
        seen.keep_passwords(Some(&before));
        assert_eq!((&seen.users[0].password, &seen.users[1].password), (&Some(hash), &None));
    }
}
