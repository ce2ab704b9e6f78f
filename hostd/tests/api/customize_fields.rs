//! The fields of the form about a guest's first boot.

use serde_json::{Value, json};

pub const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHQfoe28Z2XpyBLVxVZq0nUvgOtuJFTCr6LdQPRWNCbt ada";
pub const SECRET: &str = "correct horse battery";

/// A field of the form: what is typed, where the API shows it, and what of it stands in which file of the drive.
pub struct Field(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub Value,
    pub &'static str,
    pub &'static str,
);

pub fn fields() -> Vec<Field> {
    let meta = "meta-data";
    let (user, net) = ("user-data", "network-config");
    vec![
        Field(
            "hostname",
            "{{vm.name}}.example.org",
            "hostname",
            json!("{{vm.name}}.example.org"),
            meta,
            "\"form.example.org\"",
        ),
        Field(
            "timezone",
            "Europe/Berlin",
            "timezone",
            json!("Europe/Berlin"),
            user,
            "timezone: \"Europe/Berlin\"",
        ),
        Field("users", "1", "users/0/name", json!("ada"), user, "users:"),
        Field("user0_name", "ada", "users/0/name", json!("ada"), user, "name: \"ada\""),
        Field("user0_sudo", "no_password", "users/0/sudo", json!("no_password"), user, "NOPASSWD"),
        Field("user0_shell", "/bin/bash", "users/0/shell", json!("/bin/bash"), user, "shell: \"/bin/bash\""),
        Field("user0_keys", KEY, "users/0/ssh_keys", json!([KEY]), user, KEY),
        Field(
            "user0_password",
            SECRET,
            "users/0/password",
            json!("kept"),
            user,
            "hashed_passwd: \"$6$rounds=",
        ),
        Field("user0_confirm", SECRET, "users/0/password", json!("kept"), user, "lock_passwd: false"),
        Field("ssh_pwauth", "on", "ssh_pwauth", json!(true), user, "ssh_pwauth: true"),
        Field("packages", "vim htop", "packages", json!(["vim", "htop"]), user, "- \"htop\""),
        Field(
            "run_commands",
            "echo a\r\necho b",
            "run_commands",
            json!(["echo a", "echo b"]),
            user,
            "- \"echo b\"",
        ),
        Field("guest_agent", "on", "guest_agent", json!(true), user, "- \"qemu-guest-agent\""),
        Field(
            "card0_addresses",
            "192.0.2.10/24",
            "cards/0/addresses",
            json!(["192.0.2.10/24"]),
            net,
            "- \"192.0.2.10/24\"",
        ),
        Field(
            "card0_gateways",
            "192.0.2.1",
            "cards/0/gateways",
            json!(["192.0.2.1"]),
            net,
            "gateway4: \"192.0.2.1\"",
        ),
        Field(
            "card0_nameservers",
            "192.0.2.53",
            "cards/0/nameservers",
            json!(["192.0.2.53"]),
            net,
            "- \"192.0.2.53\"",
        ),
        Field(
            "card0_search",
            "example.org",
            "cards/0/search",
            json!(["example.org"]),
            net,
            "- \"example.org\"",
        ),
    ]
}

/// What of the form is for Windows, with where it stands in Setup's answers.
pub fn windows_fields() -> Vec<Field> {
    let file = "autounattend.xml";
    let key = "ABCDE-12345-ABCDE-12345-ABCDE";
    let password = "windows/administrator_password";
    vec![
        Field("family", "windows", "windows/reader", json!("setup"), file, "<unattend "),
        Field("reader", "setup", "windows/reader", json!("setup"), file, "windowsPE"),
        Field("admin_password", SECRET, password, json!("kept"), file, "<AdministratorPassword>"),
        Field("admin_confirm", SECRET, password, json!("kept"), file, "<PlainText>false</PlainText>"),
        Field(
            "owner",
            "Ada & Co",
            "windows/owner",
            json!("Ada & Co"),
            file,
            "<FullName>Ada &amp; Co</FullName>",
        ),
        Field(
            "organization",
            "Sons",
            "windows/organization",
            json!("Sons"),
            file,
            ">Sons</RegisteredOrganization>",
        ),
        Field("locale", "de-DE", "windows/locale", json!("de-DE"), file, "<UserLocale>de-DE</UserLocale>"),
        Field(
            "keyboard",
            "de-CH",
            "windows/keyboard",
            json!("de-CH"),
            file,
            "<InputLocale>de-CH</InputLocale>",
        ),
        Field("product_key", key, "windows/product_key", json!(key), file, key),
        Field("edition", "Standard", "windows/edition", json!("Standard"), file, "<Value>Standard</Value>"),
        Field(
            "erase_disk",
            "on",
            "windows/erase_disk",
            json!(true),
            file,
            "<WillWipeDisk>true</WillWipeDisk>",
        ),
        Field(
            "driver_folders",
            "E:\\a",
            "windows/driver_folders",
            json!(["E:\\a"]),
            file,
            "<Path>E:\\a</Path>",
        ),
        Field(
            "timezone",
            "Asia/Kolkata",
            "timezone",
            json!("Asia/Kolkata"),
            file,
            "<TimeZone>India Standard Time</TimeZone>",
        ),
    ]
}

/// Fields of a second form: they take the place of others.
pub fn raw_fields() -> Vec<Field> {
    let (user, net) = ("#!/bin/sh\necho own\n", "version: 2\nethernets: {}\n");
    vec![
        Field("user_data", user, "user_data", json!(user), "user-data", user),
        Field("network_config", net, "network_config", json!(net), "network-config", net),
    ]
}
