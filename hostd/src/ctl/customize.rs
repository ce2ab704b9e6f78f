//! What a guest is told at its first boot, on the command line: `qx vm create …` and `qx vm customize`.

use super::{Session, Stop, given, lookup::id, output, windows};
use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use hostd_types::*;
use hyper::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Longest file that is read for user-data, a key or a password.
const FILE_MAX: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SudoName {
    No,
    Password,
    NoPassword,
}

/// The first boot of a guest with cloud-init.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "First boot of the guest (cloud-init)")]
pub struct Guest {
    /// The guest's name; {{vm.name}} and {{random}} are replaced
    #[arg(long, value_name = "TEMPLATE")]
    hostname: Option<String>,
    /// IANA name, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A user; the options of users below are about this one
    #[arg(long, value_name = "NAME")]
    cloud_user: Option<String>,
    /// What the user may do as root
    #[arg(long, value_enum, requires = "cloud_user")]
    sudo: Option<SudoName>,
    /// The user's shell
    #[arg(long, value_name = "PATH", requires = "cloud_user")]
    shell: Option<String>,
    /// A key of the user, as a line of authorized_keys, or @FILE with such lines (may be repeated)
    #[arg(long, value_name = "KEY|@FILE", requires = "cloud_user")]
    ssh_key: Vec<String>,
    /// Read the user's password from standard input
    #[arg(long, requires = "cloud_user", conflicts_with = "cloud_password_file")]
    cloud_password: bool,
    /// Read the user's password from the first line of a file
    #[arg(long, value_name = "FILE", requires = "cloud_user")]
    cloud_password_file: Option<PathBuf>,
    /// SSH takes passwords
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    ssh_pwauth: Option<bool>,
    /// A package to install (may be repeated)
    #[arg(long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// A command to run as root (may be repeated)
    #[arg(long = "run", value_name = "COMMAND")]
    run: Vec<String>,
    /// Install the QEMU guest agent
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    guest_agent: Option<bool>,
    /// A fixed address of the first card, or of another by its number from 0: 1=192.0.2.10/24 (may be repeated)
    #[arg(long = "address", value_name = "[CARD=]ADDRESS/LENGTH")]
    addresses: Vec<String>,
    /// A gateway, likewise
    #[arg(long = "gateway", value_name = "[CARD=]ADDRESS")]
    gateways: Vec<String>,
    /// A name server, likewise
    #[arg(long = "nameserver", value_name = "[CARD=]ADDRESS")]
    nameservers: Vec<String>,
    /// A domain for short names, likewise
    #[arg(long = "search-domain", value_name = "[CARD=]DOMAIN")]
    search: Vec<String>,
    /// User-data of your own, in the place of what is made of the others
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Network configuration of your own
    #[arg(long, value_name = "FILE")]
    network_config: Option<PathBuf>,
    #[command(flatten)]
    windows: windows::Windows,
}

/// `qx vm customize`
#[derive(Debug, Args)]
pub struct Customize {
    id: String,
    /// Run again at the next boot, although it ran before
    #[arg(long)]
    run_again: bool,
    /// Take the customization away
    #[arg(long, conflicts_with = "run_again")]
    remove: bool,
    #[command(flatten)]
    guest: Guest,
}

/// Passwords on their way: where each belongs below the customization, and what it is.
pub type Typed = Vec<(String, String)>;

impl Guest {
    /// Puts what was given into `custom`; lists take the place of those that are there. The password comes back by itself,
    /// because it is never written with the rest.
    pub async fn put(self, custom: &mut Customization) -> Result<Typed, Stop> {
        let mut typed = Vec::new();
        if let Some(name) = self.cloud_user {
            let at = custom.users.iter().position(|user| user.name == name);
            let at = at.unwrap_or_else(|| {
                custom.users.push(GuestUser { name, ..GuestUser::default() });
                custom.users.len() - 1
            });
            let user = &mut custom.users[at];
            if let Some(sudo) = self.sudo {
                user.sudo = match sudo {
                    SudoName::No => Sudo::No,
                    SudoName::Password => Sudo::Password,
                    SudoName::NoPassword => Sudo::NoPassword,
                };
            }
            if let Some(shell) = self.shell {
                user.shell = shell;
            }
            if !self.ssh_key.is_empty() {
                user.ssh_keys = keys(&self.ssh_key)?;
            }
            let password = match self.cloud_password_file {
                Some(path) => Some(text(&path)?.lines().next().unwrap_or_default().to_owned()),
                None if self.cloud_password => Some(given::line("Password of the guest's user:").await?),
                None => None,
            };
            if let Some(password) = password {
                user.password = Some(GuestPassword::Plain(PlainText::default()));
                typed.push((format!("users/{at}/password"), password));
            }
        }
        let administrator = self.windows.put(custom).await?;
        typed.extend(administrator.map(|password| ("windows/administrator_password".to_owned(), password)));
        let set = |field: &mut String, new: Option<String>| new.into_iter().for_each(|new| *field = new);
        set(&mut custom.hostname, self.hostname);
        set(&mut custom.timezone, self.timezone);
        custom.ssh_pwauth = self.ssh_pwauth.unwrap_or(custom.ssh_pwauth);
        custom.guest_agent = self.guest_agent.unwrap_or(custom.guest_agent);
        let list = |field: &mut Vec<String>, new: Vec<String>| {
            if !new.is_empty() {
                *field = new;
            }
        };
        list(&mut custom.packages, self.packages);
        list(&mut custom.run_commands, self.run);
        set(&mut custom.user_data, self.user_data.as_deref().map(text).transpose()?);
        set(&mut custom.network_config, self.network_config.as_deref().map(text).transpose()?);
        for (words, field) in [
            (self.addresses, CardField::Addresses),
            (self.gateways, CardField::Gateways),
            (self.nameservers, CardField::Nameservers),
            (self.search, CardField::Search),
        ] {
            let mut fresh = std::collections::BTreeSet::new();
            for word in &words {
                let (card, value) = of_card(word)?;
                if custom.cards.len() <= card {
                    custom.cards.resize(card + 1, GuestCard::default());
                }
                let there = field.of(&mut custom.cards[card]);
                if fresh.insert(card) {
                    there.clear();
                }
                there.push(value);
            }
        }
        Ok(typed)
    }

    /// Nothing was given.
    pub fn is_empty(&self) -> bool {
        let Self {
            hostname,
            timezone,
            cloud_user,
            sudo: _,
            shell: _,
            ssh_key: _,
            cloud_password: _,
            cloud_password_file: _,
            ssh_pwauth,
            packages,
            run,
            guest_agent,
            addresses,
            gateways,
            nameservers,
            search,
            user_data,
            network_config,
            windows,
        } = self;
        [hostname, timezone, cloud_user].into_iter().all(Option::is_none)
            && [packages, run, addresses, gateways, nameservers, search].into_iter().all(Vec::is_empty)
            && ssh_pwauth.is_none()
            && guest_agent.is_none()
            && user_data.is_none()
            && network_config.is_none()
            && windows.is_empty()
    }

    /// The customization of a new machine, and a password to be put into its body.
    pub async fn read(self) -> Result<(Option<Customization>, Typed), Stop> {
        if self.is_empty() {
            return Ok((None, Vec::new()));
        }
        let mut custom = Customization::default();
        let typed = self.put(&mut custom).await?;
        Ok((Some(custom), typed))
    }
}

/// Puts passwords into the body of a request, whose customization is at `at`.
pub fn put_password(body: &mut Value, at: &str, typed: Typed) {
    for (field, password) in typed {
        if let Some(place) = body.pointer_mut(&format!("{at}/{field}")) {
            *place = json!({"plain": password});
        }
    }
}

/// `qx vm customize`
pub async fn run(session: &Session, asked: Customize) -> Result<(), Stop> {
    let path = format!("/api/v1/vms/{}", id(session, "vms", &asked.id).await?);
    let change = if asked.remove {
        json!({"do": "remove"})
    } else if asked.guest.is_empty() {
        match asked.run_again {
            true => json!({"do": "run_again"}),
            false => return Err(anyhow!("say what is to change; qx vm show tells what is there").into()),
        }
    } else {
        let detail: Value = session.client.get(&path).await?;
        let now: Option<Customization> = output::typed(detail["vm"]["spec"]["customization"].clone())?;
        let mut custom = now.unwrap_or_default();
        let nics: Vec<VmNic> = output::typed(detail["vm"]["spec"]["nics"].clone())?;
        in_order(&mut custom, &nics);
        let typed = asked.guest.put(&mut custom).await?;
        let mut change = json!({"do": "set", "to": custom, "run_again": asked.run_again});
        put_password(&mut change, "/to", typed);
        change
    };
    let vm: Value = session.client.ask(Method::PATCH, &path, Some(&json!({"customization": change}))).await?;
    if session.json {
        output::json(&vm);
        return Ok(());
    }
    output::say!(
        "{}: changed; the guest reads it at its next start",
        vm["spec"]["name"].as_str().unwrap_or(&asked.id)
    );
    warn(session, &path).await
}

/// Tells, on the error output, what is worth a warning about the machine at `path`.
pub async fn warn(session: &Session, path: &str) -> Result<(), Stop> {
    let detail: Value = session.client.get(path).await?;
    let warnings: Option<Vec<String>> = output::typed(detail["warnings"].clone())?;
    warnings.into_iter().flatten().for_each(|warning| eprintln!("qx: warning: {warning}"));
    Ok(())
}

/// The machine's cards, each with what is known of its addresses, so that a number means the card of that number.
fn in_order(custom: &mut Customization, nics: &[VmNic]) {
    let known = std::mem::take(&mut custom.cards);
    custom.cards = nics
        .iter()
        .map(|nic| {
            let card = known.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac)).cloned();
            GuestCard { mac: nic.mac.clone(), ..card.unwrap_or_default() }
        })
        .collect();
}

/// Facts about the customization, for `qx vm show`.
pub fn facts(custom: &Customization) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut say = |what, said: String| {
        if !said.is_empty() {
            facts.push((what, said));
        }
    };
    say("Made with", custom.specification_name.clone());
    say(
        "Host name",
        match custom.resolved_hostname.as_str() {
            "" => custom.hostname.clone(),
            name => name.to_owned(),
        },
    );
    say("Time zone", custom.timezone.clone());
    for user in &custom.users {
        let password = if user.password.is_some() { "password set" } else { "no password" };
        say(
            "Guest user",
            format!(
                "{} ({password}, keys: {}, sudo: {})",
                user.name,
                user.ssh_keys.len(),
                user.sudo.as_str()
            ),
        );
    }
    say("Packages", custom.packages.join(" "));
    custom.run_commands.iter().for_each(|command| say("Runs", command.clone()));
    if custom.guest_agent {
        say("Guest agent", "installed at the first boot".into());
    }
    for card in custom.cards.iter().filter(|card| !card.addresses.is_empty()) {
        say("Fixed", format!("{} on {}", card.addresses.join(" "), card.mac));
    }
    if !custom.user_data.is_empty() {
        say("User-data", format!("of its own, {} bytes", custom.user_data.len()));
    }
    facts.extend(custom.windows.as_deref().into_iter().flat_map(windows::facts));
    facts
}

#[derive(Clone, Copy)]
enum CardField {
    Addresses,
    Gateways,
    Nameservers,
    Search,
}

impl CardField {
    fn of(self, card: &mut GuestCard) -> &mut Vec<String> {
        match self {
            CardField::Addresses => &mut card.addresses,
            CardField::Gateways => &mut card.gateways,
            CardField::Nameservers => &mut card.nameservers,
            CardField::Search => &mut card.search,
        }
    }
}

/// `1=192.0.2.10/24`: the number of a card, the first one when it is left out, and what is said of it.
fn of_card(word: &str) -> Result<(usize, String), Stop> {
    match word.split_once('=') {
        None => Ok((0, word.to_owned())),
        Some((card, value)) => match card.parse::<usize>() {
            Ok(card) if card < 64 => Ok((card, value.to_owned())),
            Ok(_) | Err(_) => Err(anyhow!("{card} is not the number of a card").into()),
        },
    }
}

/// Keys given as they are, or in files of one line each.
fn keys(given: &[String]) -> Result<Vec<String>, Stop> {
    let mut keys = Vec::new();
    for key in given {
        match key.strip_prefix('@') {
            None => keys.push(key.clone()),
            Some(path) => {
                let content = text(Path::new(path))?;
                let lines = content.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
                keys.extend(lines.map(str::to_owned));
            }
        }
    }
    Ok(keys)
}

fn text(path: &Path) -> Result<String, Stop> {
    use std::io::Read;
    let shown = || path.display().to_string();
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(shown)?;
    file.take(FILE_MAX).read_to_string(&mut text).with_context(shown)?;
    Ok(text)
}
