//! Rules for the cluster as a whole.

use super::{Fields, list_names};
use crate::snapshot::Snapshot;
use hostd_types::name::NAME_MAX;
use hostd_types::{CpuBaseline, HostId, Problem};

/// How many members may vote: an odd number, because one more of an even number may not fail.
const VOTERS: [u8; 3] = [3, 5, 7];

/// May the cluster be changed like this?
pub(super) fn edit(name: Option<&str>, voters: Option<u8>) -> Result<(), Problem> {
    let mut wrong = Fields::default();
    if let Some(name) = name {
        wrong.check("/name", check_name(name));
    }
    if let Some(voters) = voters.filter(|voters| !VOTERS.contains(voters)) {
        wrong.add(
            "/voters",
            format!("{voters} can't vote: choose 3, 5 or 7, so that there is always a majority."),
        );
    }
    wrong.done()
}

/// May machines in the CPU mode Flexible see this model?
pub(super) fn choose_cpu(model: Option<&str>, now: &Snapshot) -> Result<(), Problem> {
    let Some(model) = model else { return Ok(()) };
    let baseline = CpuBaseline::of(&now.hosts, Some(model));
    let real = now.hosts.iter().filter_map(|host| host.status.cpu.as_ref()).any(|cpu| cpu.kvm);
    let names = |ids: &[HostId]| {
        let named = now.hosts.iter().filter(|host| ids.contains(&host.id));
        list_names(named.map(|host| host.spec.name.as_str()))
    };
    let detail = if !real {
        "No host here runs guests on hardware virtualization, so none has a processor to choose a model for."
            .to_owned()
    } else if !baseline.unable.is_empty() {
        let newest = baseline.models.last().map_or_else(
            || "They have no named model in common.".to_owned(),
            |newest| format!("The newest that all can run is {newest}."),
        );
        format!("{} can't run such a processor. {newest}", names(&baseline.unable))
    } else {
        return Ok(());
    };
    Err(Problem::field("/model", detail))
}

/// The name is for people alone, so it may hold spaces and any script.
fn check_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length == 0 || length > NAME_MAX {
        return Err(format!("The name has {length} characters; use 1 to {NAME_MAX}."));
    }
    if name.trim() != name {
        return Err("A name can't begin or end with a space.".into());
    }
    match name.chars().find(|c| c.is_control() || is_invisible(*c)) {
        Some(bad) => Err(format!("The character {bad:?} can't be printed; remove it.")),
        None => Ok(()),
    }
}

/// Characters that show nothing, or make others show otherwise.
fn is_invisible(c: char) -> bool {
    let format = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    format || matches!(c, '\u{ad}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::{Host, HostCpu};

    fn wrong(name: Option<&str>, voters: Option<u8>) -> Vec<String> {
        let refused = edit(name, voters).err().into_iter();
        refused.flat_map(|problem| problem.errors).map(|error| error.pointer).collect()
    }

    #[test]
    fn a_chosen_processor_is_one_that_every_host_can_run() {
        let host = |name: &str, kvm: bool, usable: &[&str]| {
            let usable = usable.iter().map(|model| (*model).to_owned()).collect();
            let cpu = HostCpu { kvm, model: "own".into(), usable, ..HostCpu::default() };
            crate::admit::sample::host(name, Some(cpu))
        };
        let with = |hosts: Vec<Host>| Snapshot { hosts, ..Snapshot::default() };
        let two = with(vec![host("new", true, &["Westmere", "EPYC"]), host("old", true, &["Westmere"])]);
        assert_eq!((choose_cpu(Some("Westmere"), &two), choose_cpu(None, &two)), (Ok(()), Ok(())));
        let refused = choose_cpu(Some("EPYC"), &two).expect_err("the old one can't");
        assert_eq!(
            refused.at("/model"),
            Some("old can't run such a processor. The newest that all can run is Westmere.")
        );
        let unknown = choose_cpu(Some("<b>"), &two).expect_err("nobody can");
        assert!(unknown.at("/model").expect("the field").starts_with("new, old can't"));
        let emulated = with(vec![host("lab", false, &["Westmere"])]);
        assert!(choose_cpu(Some("Westmere"), &emulated).expect_err("none").at("/model").is_some());
    }

    #[test]
    fn names_are_printable_and_voters_odd() {
        let (long, longest) = ("ä".repeat(64), "ä".repeat(63));
        for bad in ["", " ", " a", "a ", "a\nb", "a\u{7}", "\u{202e}gnorw", "a\u{200b}b", &long] {
            assert_eq!(wrong(Some(bad), None), ["/name"], "{bad:?}");
        }
        for good in ["a", "Rack 7, Zürich", "机房", &longest] {
            assert!(wrong(Some(good), None).is_empty(), "{good:?}");
        }
        for bad in [0, 1, 2, 4, 6, 8, 9, 255] {
            assert_eq!(wrong(None, Some(bad)), ["/voters"], "{bad}");
        }
        for good in [3, 5, 7] {
            assert!(wrong(None, Some(good)).is_empty(), "{good}");
        }
        assert_eq!(wrong(Some(""), Some(4)), ["/name", "/voters"]);
    }
}
