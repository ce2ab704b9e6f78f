//! The part of a machine's forms that is about its guest's first boot.

use crate::fields::{Fields, Reading};
use crate::page::Refusal;
use hostd_types::*;

/// Most users the form offers.
const USERS_MAX: usize = 16;

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

/// The whole part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CustomizeForm {
    /// Where it stands in the API's body.
    pub(crate) at: &'static str,
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
}

impl UserForm {
    fn of(user: &GuestUser) -> Self {
        Self {
            name: user.name.clone(),
            sudo: user.sudo.as_str().into(),
            shell: user.shell.clone(),
            keys: user.ssh_keys.join("\n"),
            has_password: user.password.is_some(),
            ..Self::default()
        }
    }
    fn read(fields: &Fields, index: usize) -> Self {
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
    fn is_blank(&self) -> bool {
        [&self.name, &self.shell, &self.keys, &self.password, &self.confirm].into_iter().all(String::is_empty)
            && !self.has_password
    }
    fn user(&self, reading: &mut Reading, at: &str) -> GuestUser {
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
    fn of(card: &GuestCard) -> Self {
        Self {
            mac: card.mac.clone(),
            addresses: card.addresses.join(" "),
            gateways: card.gateways.join(" "),
            nameservers: card.nameservers.join(" "),
            search: card.search.join(" "),
        }
    }
    fn read(fields: &Fields, index: usize) -> Self {
        let text = |part: &str| fields.text(&format!("card{index}_{part}"));
        Self {
            mac: text("mac"),
            addresses: text("addresses"),
            gateways: text("gateways"),
            nameservers: text("nameservers"),
            search: text("search"),
        }
    }
    fn card(&self) -> GuestCard {
        GuestCard {
            mac: self.mac.clone(),
            addresses: words(&self.addresses),
            gateways: words(&self.gateways),
            nameservers: words(&self.nameservers),
            search: words(&self.search),
        }
    }
}

impl CustomizeForm {
    /// For a new machine: nothing but a row for a user and one for a card.
    pub(crate) fn fresh() -> Self {
        let (users, cards) = (vec![UserForm::default()], vec![CardForm::default()]);
        Self { at: "/customization", users, cards, ..Self::default() }
    }
    /// Filled from a machine; with a row for each of its cards.
    pub(crate) fn of(vm: &Vm) -> Self {
        let at = "/customization/to";
        let none = Customization::default();
        let custom = vm.spec.customization.as_ref().unwrap_or(&none);
        let card = |nic: &VmNic| {
            let card = custom.cards.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac)).cloned();
            CardForm { mac: nic.mac.clone(), ..CardForm::of(&card.unwrap_or_default()) }
        };
        let mut users: Vec<UserForm> = custom.users.iter().map(UserForm::of).collect();
        if users.is_empty() {
            users.push(UserForm::default());
        }
        Self {
            at,
            hostname: custom.hostname.clone(),
            timezone: custom.timezone.clone(),
            users,
            ssh_pwauth: custom.ssh_pwauth,
            packages: custom.packages.join("\n"),
            run_commands: custom.run_commands.join("\n"),
            guest_agent: custom.guest_agent,
            cards: vm.spec.nics.iter().map(card).collect(),
            user_data: custom.user_data.clone(),
            network_config: custom.network_config.clone(),
        }
    }
    /// What was sent, with `cards` rows for cards.
    pub(crate) fn read(fields: &Fields, at: &'static str, cards: usize) -> Self {
        let users = fields.parsed::<usize>("users").unwrap_or(0).min(USERS_MAX);
        Self {
            at,
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
    }
    /// What it means; nothing when nothing was asked for. `connected` tells of each card whether the machine has it.
    pub(crate) fn customization(&self, reading: &mut Reading, connected: &[bool]) -> Option<Customization> {
        if self.is_blank() {
            return None;
        }
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
        Some(Customization {
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
            ..Customization::default()
        })
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

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A text with plain line breaks and one at its end; blank is empty.
fn whole(text: &str) -> String {
    match super::choice::plain_breaks(text) {
        text if text.is_empty() => text,
        text => text + "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        Fields::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Customization>, Problem> {
        let form = CustomizeForm::read(&fields(pairs), "/customization", 2);
        let mut reading = Reading::default();
        let custom = form.customization(&mut reading, &[true, true]);
        reading.done(custom)
    }

    #[test]
    fn every_field_is_read() {
        let custom = read(&[
            ("hostname", "{{vm.name}}"),
            ("timezone", "Europe/Berlin"),
            ("users", "2"),
            ("user0_name", "ada"),
            ("user0_sudo", "no_password"),
            ("user0_shell", "/bin/bash"),
            ("user0_keys", "ssh-ed25519 A a\r\n\r\nssh-ed25519 B b"),
            ("user0_password", " correct horse "),
            ("user0_confirm", " correct horse "),
            ("ssh_pwauth", "on"),
            ("packages", "vim, htop\r\ngit"),
            ("run_commands", "echo a\r\necho b c"),
            ("guest_agent", "on"),
            ("card1_addresses", "192.0.2.10/24 2001:db8::1/64"),
            ("card1_gateways", "192.0.2.1"),
            ("card1_nameservers", "192.0.2.53, 192.0.2.54"),
            ("card1_search", "example.org"),
            ("user_data", ""),
            ("network_config", ""),
        ]);
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let wanted = Customization {
            hostname: "{{vm.name}}".into(),
            timezone: "Europe/Berlin".into(),
            users: vec![GuestUser {
                name: "ada".into(),
                sudo: Sudo::NoPassword,
                shell: "/bin/bash".into(),
                password: Some(GuestPassword::Plain(" correct horse ".to_owned().into())),
                ssh_keys: texts(&["ssh-ed25519 A a", "ssh-ed25519 B b"]),
            }],
            ssh_pwauth: true,
            packages: texts(&["vim", "htop", "git"]),
            run_commands: texts(&["echo a", "echo b c"]),
            guest_agent: true,
            cards: vec![
                GuestCard::default(),
                GuestCard {
                    mac: String::new(),
                    addresses: texts(&["192.0.2.10/24", "2001:db8::1/64"]),
                    gateways: texts(&["192.0.2.1"]),
                    nameservers: texts(&["192.0.2.53", "192.0.2.54"]),
                    search: texts(&["example.org"]),
                },
            ],
            ..Customization::default()
        };
        assert_eq!(custom, Ok(Some(wanted)));
        let raw = read(&[("user_data", "#cloud-config\r\na: b\r\n\r\n"), ("network_config", "version: 2")]);
        let raw = raw.expect("good").expect("some");
        assert_eq!(
            (raw.user_data.as_str(), raw.network_config.as_str()),
            ("#cloud-config\na: b\n", "version: 2\n")
        );
        assert_eq!(read(&[("users", "1"), ("user0_sudo", "no")]), Ok(None));
    }

    #[test]
    fn passwords_are_confirmed_kept_or_taken_away() {
        let wrong = read(&[("users", "1"), ("user0_name", "a"), ("user0_password", "one one one")]);
        assert!(wrong.expect_err("unconfirmed").at("/customization/users/0/password").is_some());
        let of = |more: &[(&str, &str)]| {
            let pairs = [&[("users", "1"), ("user0_name", "a"), ("user0_has_password", "on")], more].concat();
            read(&pairs).expect("good").expect("some").users[0].password.clone()
        };
        assert_eq!(of(&[]), Some(GuestPassword::Kept));
        assert_eq!(of(&[("user0_clear", "on")]), None);
        assert!(matches!(
            of(&[("user0_password", "x"), ("user0_confirm", "x")]),
            Some(GuestPassword::Plain(_))
        ));
    }

    #[test]
    fn a_machine_s_own_is_read_back_as_it_is() {
        let mut vm = sample::vm("web-1", VmState::Off);
        let card = GuestCard {
            mac: vm.spec.nics[0].mac.clone(),
            addresses: vec!["192.0.2.9/24".into()],
            ..GuestCard::default()
        };
        let user =
            GuestUser { name: "ada".into(), password: Some(GuestPassword::Kept), ..GuestUser::default() };
        let custom = Customization {
            hostname: "x".into(),
            users: vec![user],
            packages: vec!["vim".into()],
            cards: vec![card],
            ..Customization::default()
        };
        vm.spec.customization = Some(custom.clone());
        let form = CustomizeForm::of(&vm);
        let connected = vec![true; vm.spec.nics.len()];
        let back = form.customization(&mut Reading::default(), &connected).expect("some");
        assert_eq!(Customization { cards: custom.cards.clone(), ..back.clone() }, custom);
        assert_eq!(back.cards[0], custom.cards[0]);
    }
}
