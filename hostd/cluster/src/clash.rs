//! Names that are taken when a host brings its rows along, and those they get instead. Pure: the preview and the import
//! both ask here, so that they can't differ.

use crate::rows::Resource;
use hostd_types::name::NAME_MAX;
use hostd_types::*;
use std::collections::BTreeSet;

/// The kinds that move with a host, with their tables.
pub(crate) const MOVING: [(Kind, &str); 4] = [
    (Network::KIND, Network::TABLE),
    (Image::KIND, Image::TABLE),
    (Volume::KIND, Volume::TABLE),
    (Vm::KIND, Vm::TABLE),
];

/// What the cluster has of these kinds.
#[derive(Debug, Default)]
pub(crate) struct Present {
    ids: BTreeSet<(Kind, String)>,
    /// Without letter case.
    names: BTreeSet<(Kind, String)>,
}

impl Present {
    /// Adds a row.
    pub(crate) fn add(&mut self, kind: Kind, id: String, name: &str) {
        self.ids.insert((kind, id));
        self.names.insert(folded(kind, name));
    }

    /// The row is there.
    pub(crate) fn has<T: Resource>(&self, row: &T) -> bool {
        self.ids.contains(&(T::KIND, row.id_text()))
    }
}

/// As tables compare names: the capitals of ASCII alone are folded.
fn folded(kind: Kind, name: &str) -> (Kind, String) {
    (kind, name.to_ascii_lowercase())
}

/// The rows of `belongings` whose names are taken, and the names they get when they come from the host called
/// `hostname`. Rows that are there already clash with nothing. Each row is compared with what is present and with
/// those before it, so that rows brought in several parts get the same names as all at once.
pub(crate) fn clashes(belongings: &Belongings, present: &Present, hostname: &str) -> Vec<Clash> {
    let mut found = Vec::new();
    let mut brought = BTreeSet::new();
    // Snapshots have names within their machine.
    let Belongings { networks, images, volumes, vms, snapshots: _ } = belongings;
    clashing(networks, present, hostname, &mut brought, &mut found);
    clashing(images, present, hostname, &mut brought, &mut found);
    clashing(volumes, present, hostname, &mut brought, &mut found);
    clashing(vms, present, hostname, &mut brought, &mut found);
    found
}

fn clashing<T: Resource>(
    rows: &[T],
    present: &Present,
    hostname: &str,
    brought: &mut BTreeSet<(Kind, String)>,
    found: &mut Vec<Clash>,
) {
    for row in rows.iter().filter(|row| !present.has(*row)) {
        let Subject { kind, id, name } = row.named();
        let taken = |name: &str| {
            let name = folded(kind, name);
            present.names.contains(&name) || brought.contains(&name)
        };
        let becomes = named_after(&name, hostname, taken);
        brought.insert(folded(kind, &becomes));
        if becomes != name {
            found.push(Clash { kind, id, name, becomes });
        }
    }
}

/// `name` when it is free, else `name-HOST`, `name-HOST-2`, …
fn named_after(name: &str, host: &str, taken: impl Fn(&str) -> bool) -> String {
    // Both keep their half when both are long.
    let host = cut(host, NAME_MAX / 2);
    let mut free = name.to_owned();
    let mut suffix = format!("-{host}");
    let mut next = 2_u64;
    while taken(&free) {
        free = suffixed(name, &suffix);
        suffix = format!("-{host}-{next}");
        next += 1;
    }
    free
}

/// `name` when it is free, else `name-2`, `name-3`, …
pub(crate) fn numbered(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut free = name.to_owned();
    let mut next = 2_u64;
    while taken(&free) {
        free = suffixed(name, &format!("-{next}"));
        next += 1;
    }
    free
}

/// `name` with `suffix` behind it; a long name is shortened to fit.
pub(crate) fn suffixed(name: &str, suffix: &str) -> String {
    format!("{}{suffix}", cut(name, NAME_MAX.saturating_sub(suffix.len())))
}

/// The beginning of `text`, at most `bytes` long.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::name::check_name;

    #[test]
    fn names_stay_names_however_long_both_are() {
        let long = "n".repeat(NAME_MAX);
        let host = "h".repeat(NAME_MAX);
        let mut taken = BTreeSet::from([long.clone()]);
        for _ in 0..120 {
            let name = named_after(&long, &host, |name| taken.contains(name));
            check_name(&name).expect("a name");
            assert!(
                name.starts_with("nnnnnnnnnnnnnnnnnnnn") && name.contains("-hhhhhhhhhhhhhhhhhhhh"),
                "{name}"
            );
            assert!(taken.insert(name));
        }
        let mut hosts = BTreeSet::from([host.clone()]);
        for n in 2..120 {
            let name = numbered(&host, |name| hosts.contains(name));
            assert!(name.ends_with(&format!("h-{n}")) && name.len() == NAME_MAX, "{name}");
            assert!(hosts.insert(name));
        }
        assert_eq!(suffixed("ééé", "-2"), "ééé-2");
        assert_eq!(cut("ééé", 3), "é");
    }
}
