//! The names that may stand at the top of a cloud-config, and what each holds, as cloud-init's own schema has it.

use super::yaml::Yaml;

/// What a name holds.
#[derive(Clone, Copy)]
enum Holds {
    Yes,
    Text,
    List,
    Map,
    /// One of several things: not looked at.
    Any,
}

const KNOWN: &[(Holds, &[&str])] = &[
    (
        Holds::Yes,
        &[
            "allow_public_ssh_keys",
            "allow_userdata",
            "apt_reboot_if_required",
            "apt_update",
            "apt_upgrade",
            "disable_ec2_metadata",
            "disable_root",
            "manage_resolv_conf",
            "migrate",
            "no_ssh_fingerprints",
            "package_reboot_if_required",
            "package_update",
            "package_upgrade",
            "prefer_fqdn_over_hostname",
            "preserve_hostname",
            "ssh_deletekeys",
            "ssh_quiet_keygen",
        ],
    ),
    (
        Holds::Text,
        &[
            "authkey_hash",
            "byobu_by_default",
            "create_hostname_file",
            "disable_root_opts",
            "final_message",
            "fqdn",
            "hostname",
            "locale_configfile",
            "password",
            "timezone",
            "yum_repo_dir",
        ],
    ),
    (
        Holds::List,
        &[
            "bootcmd",
            "cloud_config_modules",
            "cloud_final_modules",
            "cloud_init_modules",
            "datasource_list",
            "fs_setup",
            "mount_default_fields",
            "mounts",
            "packages",
            "runcmd",
            "ssh_authorized_keys",
            "ssh_fp_console_blacklist",
            "ssh_genkeytypes",
            "ssh_import_id",
            "ssh_key_console_blacklist",
            "write_files",
        ],
    ),
    (
        Holds::Map,
        &[
            "ansible",
            "apk_repos",
            "apt",
            "autoinstall",
            "ca-certs",
            "ca_certs",
            "chef",
            "chpasswd",
            "datasource",
            "device_aliases",
            "disk_setup",
            "drivers",
            "fan",
            "growpart",
            "grub-dpkg",
            "grub_dpkg",
            "keyboard",
            "landscape",
            "lxd",
            "mcollective",
            "phone_home",
            "power_state",
            "puppet",
            "random_seed",
            "reporting",
            "resolv_conf",
            "rh_subscription",
            "rpi",
            "rsyslog",
            "salt_minion",
            "snap",
            "spacewalk",
            "ssh",
            "ssh_keys",
            "ssh_publish_hostkeys",
            "swap",
            "system_info",
            "ubuntu_advantage",
            "ubuntu_pro",
            "updates",
            "vendor_data",
            "yum_repos",
            "zypper",
        ],
    ),
    (
        Holds::Any,
        &[
            "apt_pipelining",
            "groups",
            "locale",
            "manage_etc_hosts",
            "merge_how",
            "merge_type",
            "network",
            "ntp",
            "output",
            "resize_rootfs",
            "ssh_pwauth",
            "user",
            "users",
            "wireguard",
            "<<",
        ],
    ),
];

/// Checks what stands at the top of a cloud-config.
///
/// # Errors
/// A sentence that names what is wrong.
pub(super) fn check(fields: &[(String, Yaml)]) -> Result<(), String> {
    for (name, value) in fields {
        let Some((holds, _)) = KNOWN.iter().find(|(_, names)| names.contains(&name.as_str())) else {
            let near = KNOWN.iter().flat_map(|(_, names)| *names).find(|known| near(known, name));
            let near = near.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
            return Err(format!("cloud-init knows no {name} at the top{near}"));
        };
        let (fits, wanted) = match holds {
            Holds::Yes => (matches!(value, Yaml::Bool), "true or false"),
            Holds::Text => (matches!(value, Yaml::Text(_)), "a text"),
            Holds::List => (matches!(value, Yaml::List(_)), "a list"),
            Holds::Map => (matches!(value, Yaml::Map(_)), "a mapping"),
            Holds::Any => (true, ""),
        };
        if !fits && !matches!(value, Yaml::Null) {
            return Err(format!("{name} holds {wanted}, and this is {}", value.kind()));
        }
    }
    Ok(())
}

/// The same but for dashes, letter case and one character more or less at the end.
fn near(known: &str, name: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ' '], "_");
    let (known, name) = (plain(known), plain(name));
    known == name
        || known.trim_end_matches('s') == name.trim_end_matches('s')
        || known.replace('_', "") == name.replace('_', "")
}
