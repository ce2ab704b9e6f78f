//! Customizations made with a specification. For everything that makes a machine: what it asks for by a specification's id
//! becomes a customization of its own here, before the command is proposed.

use hostd_types::*;

/// Completes `own`, which names a specification, with what that holds. What is given in `own` takes the place of the same
/// there, lists as a whole; passwords that `own` keeps are the specification's. Without a specification it stays as it is.
pub(crate) fn resolve(own: &mut Customization, specification: Option<&Specification>) {
    let Some(specification) = specification.filter(|found| own.specification == Some(found.id)) else {
        return;
    };
    let base = &specification.spec.customization;
    own.keep_passwords(Some(base));
    own.specification_name.clone_from(&specification.spec.name);
    text(&mut own.hostname, &base.hostname);
    if own.windows.is_none() {
        own.windows.clone_from(&base.windows);
    }
    // A text of one's own stands in the place of what it would be made of, on either side.
    let (raw, made) = (!own.user_data.is_empty(), own.has_user_settings());
    if !raw {
        text(&mut own.timezone, &base.timezone);
        list(&mut own.users, &base.users);
        list(&mut own.packages, &base.packages);
        list(&mut own.run_commands, &base.run_commands);
        own.guest_agent |= base.guest_agent;
        own.ssh_pwauth |= base.ssh_pwauth;
    }
    if !made {
        text(&mut own.user_data, &base.user_data);
    }
    if own.network_config.is_empty() {
        list(&mut own.cards, &base.cards);
    }
    if own.cards.iter().all(GuestCard::is_plain) {
        text(&mut own.network_config, &base.network_config);
    }
}

fn text(own: &mut String, base: &str) {
    if own.is_empty() {
        base.clone_into(own);
    }
}

fn list<T: Clone>(own: &mut Vec<T>, base: &[T]) {
    if own.is_empty() {
        own.extend_from_slice(base);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specification(customization: Customization) -> Specification {
        let spec = SpecificationSpec { name: "Web".into(), description: String::new(), customization };
        let meta = Meta::created(Timestamp::now(), &Actor::Console);
        Specification { id: SpecificationId::new(), meta, spec, status: SpecificationStatus {} }
    }

    fn user(name: &str, password: Option<GuestPassword>) -> GuestUser {
        GuestUser { name: name.into(), password, ..GuestUser::default() }
    }

    #[test]
    fn what_is_given_stands_and_the_rest_is_the_specifications() {
        let hash = Some(GuestPassword::Hash("$6$a$b".into()));
        let base = Customization {
            hostname: "{{vm.name}}".into(),
            timezone: "Europe/Berlin".into(),
            users: vec![user("ada", hash.clone()), user("bob", None)],
            packages: vec!["vim".into()],
            guest_agent: true,
            ..Customization::default()
        };
        let from = specification(base.clone());
        let asked = |own: Customization| {
            let mut own = Customization { specification: Some(from.id), ..own };
            resolve(&mut own, Some(&from));
            own
        };
        let marked = |custom: Customization| Customization {
            specification: Some(from.id),
            specification_name: "Web".into(),
            ..custom
        };
        assert_eq!(asked(Customization::default()), marked(base.clone()));
        let own = Customization {
            timezone: "UTC".into(),
            users: vec![user("ada", Some(GuestPassword::Kept))],
            ..Customization::default()
        };
        let wanted = Customization { timezone: "UTC".into(), users: vec![user("ada", hash)], ..base.clone() };
        assert_eq!(asked(own), marked(wanted));
        let raw = "#!/bin/sh\n".to_owned();
        let own = asked(Customization { user_data: raw.clone(), ..Customization::default() });
        assert!(!own.has_user_settings() && own.user_data == raw && own.hostname == base.hostname);
        let other = specification(Customization { user_data: raw, ..Customization::default() });
        let mut own = Customization { specification: Some(other.id), ..base.clone() };
        resolve(&mut own, Some(&other));
        assert_eq!((own.user_data.as_str(), own.packages.len()), ("", 1));
        let mut alone = Customization::default();
        resolve(&mut alone, Some(&from));
        assert_eq!(alone, Customization::default(), "it did not ask for this one");
    }
}
