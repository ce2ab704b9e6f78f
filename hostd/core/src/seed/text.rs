//! The texts on the drive.

use super::yaml::document;
use hostd_types::*;
use serde_json::{Map, Value, json};

/// Installed where the guest agent is asked for.
const AGENT: &str = "qemu-guest-agent";
/// Starts it, under either of the two kinds of init that distributions have.
const START_AGENT: &str = "if command -v systemctl >/dev/null; then systemctl enable --now qemu-guest-agent || systemctl start \
                           qemu-guest-agent; elif command -v rc-update >/dev/null; then rc-update add qemu-guest-agent default; \
                           rc-service qemu-guest-agent start; fi";

/// Which run of which machine this is, and the guest's name. cloud-init does once for each id what it does once.
pub(super) fn meta_data(vm: VmId, custom: &Customization) -> String {
    let mut meta = json!({"instance-id": format!("{vm}-{}", custom.run)});
    if !custom.resolved_hostname.is_empty() {
        meta["local-hostname"] = custom.resolved_hostname.clone().into();
    }
    document(&meta)
}

/// Gives the guest a machine-id of its own, once for each id of the run; systemd makes it from the machine's UUID.
const NEW_MACHINE_ID: [&str; 6] = [
    "cloud-init-per",
    "instance",
    "quantix-machine-id",
    "sh",
    "-c",
    "rm -f /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup || dbus-uuidgen \
     --ensure=/etc/machine-id || true",
];

/// What the guest does; that of a copy has the machine-id of what it is a copy of.
pub(super) fn user_data(custom: &Customization, is_copy: bool) -> String {
    if !custom.user_data.is_empty() {
        return custom.user_data.clone();
    }
    let mut data = Map::new();
    let mut set = |name: &str, value: Value| data.insert(name.to_owned(), value);
    if is_copy {
        set("bootcmd", json!([NEW_MACHINE_ID]));
    }
    let host = &custom.resolved_hostname;
    if !host.is_empty() {
        set("hostname", host.split('.').next().unwrap_or(host).into());
        if host.contains('.') {
            set("fqdn", host.clone().into());
        }
        set("manage_etc_hosts", true.into());
    }
    if !custom.timezone.is_empty() {
        set("timezone", custom.timezone.clone().into());
    }
    if !custom.users.is_empty() {
        set("users", custom.users.iter().map(user).collect());
    }
    if custom.users.iter().any(|user| user.name == "root") {
        // Otherwise its keys are taken, and lead to a message instead of a shell.
        set("disable_root", false.into());
    }
    set("ssh_pwauth", custom.ssh_pwauth.into());
    let agent = custom.guest_agent.then(|| AGENT.to_owned());
    let packages: Vec<&String> = agent.iter().chain(&custom.packages).collect();
    if !packages.is_empty() {
        set("package_update", true.into());
        set("packages", json!(packages));
    }
    let start = custom.guest_agent.then(|| START_AGENT.to_owned());
    let commands: Vec<&String> = start.iter().chain(&custom.run_commands).collect();
    if !commands.is_empty() {
        set("runcmd", json!(commands));
    }
    format!("#cloud-config\n{}", document(&Value::Object(data)))
}

fn user(user: &GuestUser) -> Value {
    let GuestUser { name, sudo, shell, password, ssh_keys } = user;
    let mut data = json!({"name": name});
    match sudo {
        Sudo::No => {}
        Sudo::Password => data["sudo"] = "ALL=(ALL:ALL) ALL".into(),
        Sudo::NoPassword => data["sudo"] = "ALL=(ALL:ALL) NOPASSWD:ALL".into(),
    }
    if !shell.is_empty() {
        data["shell"] = shell.clone().into();
    }
    if let Some(GuestPassword::Hash(hash)) = password {
        // Unlike `passwd` also for a user that is there already.
        data["hashed_passwd"] = hash.clone().into();
        data["lock_passwd"] = false.into();
    }
    if !ssh_keys.is_empty() {
        data["ssh_authorized_keys"] = json!(ssh_keys);
    }
    data
}

/// The addresses of the machine's cards, each told by its hardware address; nothing for a machine without cards, whose guest
/// looks by itself.
pub(super) fn network_config(custom: &Customization, nics: &[VmNic]) -> Option<String> {
    if !custom.network_config.is_empty() {
        return Some(custom.network_config.clone());
    }
    if nics.is_empty() {
        return None;
    }
    let mut cards = Map::new();
    for (index, nic) in nics.iter().enumerate() {
        let plain = GuestCard::default();
        let card = custom.cards.iter().find(|card| card.mac.eq_ignore_ascii_case(&nic.mac)).unwrap_or(&plain);
        // A name of its own: some ways to write a configuration down can't do without.
        let name = format!("eth{index}");
        let mut config =
            json!({"match": {"macaddress": nic.mac}, "set-name": name, "dhcp4": card.addresses.is_empty()});
        if !card.addresses.is_empty() {
            config["addresses"] = json!(card.addresses);
        }
        for gateway in &card.gateways {
            config[if gateway.contains(':') { "gateway6" } else { "gateway4" }] = json!(gateway);
        }
        let mut names = Map::new();
        for (name, list) in [("addresses", &card.nameservers), ("search", &card.search)] {
            if !list.is_empty() {
                names.insert(name.into(), json!(list));
            }
        }
        if !names.is_empty() {
            config["nameservers"] = names.into();
        }
        cards.insert(name, config);
    }
    Some(document(&json!({"version": 2, "ethernets": cards})))
}
