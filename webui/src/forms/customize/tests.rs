//! What forms mean.

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
    assert!(matches!(of(&[("user0_password", "x"), ("user0_confirm", "x")]), Some(GuestPassword::Plain(_))));
}

#[test]
fn a_machine_s_own_is_read_back_as_it_is() {
    let mut vm = sample::vm("web-1", VmState::Off);
    let card = GuestCard {
        mac: vm.spec.nics[0].mac.clone(),
        addresses: vec!["192.0.2.9/24".into()],
        ..GuestCard::default()
    };
    let user = GuestUser { name: "ada".into(), password: Some(GuestPassword::Kept), ..GuestUser::default() };
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

#[test]
fn a_windows_guest_is_read_and_shown_again() {
    let pairs = [
        ("family", "windows"),
        ("hostname", "win"),
        ("reader", "setup"),
        ("admin_password", "correct horse"),
        ("admin_confirm", "correct horse"),
        ("owner", "Ada"),
        ("organization", "Sons"),
        ("locale", "de-DE"),
        ("keyboard", "de-CH"),
        ("product_key", "abcde-12345-abcde-12345-abcde"),
        ("edition", "Standard"),
        ("erase_disk", "on"),
        ("driver_folders", "E:\\a\r\nF:\\b"),
        // Hidden then.
        ("packages", "vim"),
        ("ssh_pwauth", "on"),
    ];
    let custom = read(&pairs).expect("good").expect("some");
    assert!(custom.packages.is_empty() && !custom.ssh_pwauth);
    let windows = custom.windows.clone().expect("Windows");
    let wanted = WindowsSettings {
        reader: WindowsReader::Setup,
        administrator_password: Some(GuestPassword::Plain("correct horse".to_owned().into())),
        owner: "Ada".into(),
        organization: "Sons".into(),
        locale: "de-DE".into(),
        keyboard: "de-CH".into(),
        product_key: "ABCDE-12345-ABCDE-12345-ABCDE".into(),
        edition: "Standard".into(),
        erase_disk: true,
        driver_folders: vec!["E:\\a".into(), "F:\\b".into()],
    };
    assert_eq!(*windows, wanted);
    let mut shown = custom.clone();
    shown.redact();
    let form = CustomizeForm::of_specification(&shown);
    let mut reading = Reading::default();
    let back = form.customization(&mut reading, &[true]).expect("some");
    assert_eq!(reading.done(back), Ok(shown));
    let differ = read(&[("family", "windows"), ("admin_password", "a"), ("admin_confirm", "b")]);
    assert!(differ.expect_err("wrong").at("/customization/windows/administrator_password").is_some());
    let chosen = read(&[("specification", "no-id")]).expect_err("wrong");
    assert!(chosen.at("/customization/specification").is_some());
}
