//! The processor that machines in the CPU mode Flexible see, when several hosts are to be able to run them.
//!
//! Each host tells in its row what libvirt says of its processor. What all of them can run follows from the rows alone, so
//! that every host comes to the same answer without asking.

use crate::{Host, HostId, HostRole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// What libvirt says of a host's processor (`virConnectGetDomainCapabilities`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostCpu {
    /// Guests run on hardware virtualization; otherwise on a processor that QEMU makes up, and nothing else here counts.
    pub kvm: bool,
    /// The named model nearest to it: what a guest in the CPU mode Flexible sees on this host alone.
    pub model: String,
    /// Features it has beyond that model, in alphabetical order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Features of that model which it lacks, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disables: Vec<String>,
    /// Named models that it can run in full, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usable: Vec<String>,
}

/// A processor as guests see it: a named model, with features added and taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CpuModel {
    /// The model's name.
    pub name: String,
    /// Features added to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Features taken away from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disables: Vec<String>,
}

/// What machines in the CPU mode Flexible see in this cluster, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CpuBaseline {
    /// The processor they get at their next start; absent: each host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<CpuModel>,
    /// The model an administrator chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
    /// Named models that every host can run, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Hosts without which it would be a newer one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited_by: Vec<HostId>,
    /// Hosts that can't run the chosen model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unable: Vec<HostId>,
    /// Hosts that emulate: the processor their guests see is made up, whatever the mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emulating: Vec<HostId>,
    /// Hosts that have not told yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<HostId>,
}

/// Named models of libvirt's x86 map in the order in which processors of their kind came to the market; further steps of one
/// (`-IBRS`, `-v2`) come after it.
const BY_AGE: [&str; 38] = [
    "qemu64",
    "kvm64",
    "Opteron_G1",
    "Opteron_G2",
    "Conroe",
    "core2duo",
    "Penryn",
    "phenom",
    "Opteron_G3",
    "Nehalem",
    "Westmere",
    "Opteron_G4",
    "SandyBridge",
    "Opteron_G5",
    "IvyBridge",
    "Haswell-noTSX",
    "Haswell",
    "Broadwell-noTSX",
    "Broadwell",
    "Skylake-Client",
    "EPYC",
    "Dhyana",
    "Skylake-Server",
    "Cascadelake-Server-noTSX",
    "Cascadelake-Server",
    "EPYC-Rome",
    "Cooperlake",
    "Snowridge",
    "Icelake-Client",
    "Icelake-Server-noTSX",
    "Icelake-Server",
    "EPYC-Milan",
    "SapphireRapids",
    "EPYC-Genoa",
    "SierraForest",
    "GraniteRapids",
    "EPYC-Turin",
    "ClearwaterForest",
];

/// Newer models are greater. One that is not known here is older than all, so that nobody gets it unasked.
fn age(model: &str) -> (usize, usize, &str) {
    let of = |known: &&str| {
        let rest = model.strip_prefix(*known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    // The longest name that fits: `Haswell-noTSX-IBRS` is a step of `Haswell-noTSX`.
    let known = BY_AGE.iter().enumerate().filter(|(_, known)| of(known)).max_by_key(|(_, known)| known.len());
    known.map_or((0, 0, model), |(place, _)| (place + 1, model.len(), model))
}

/// Models that each of `cpus` can run, the newest last.
fn common(cpus: &[(HostId, &HostCpu)]) -> Vec<String> {
    let mut sets = cpus.iter().map(|(_, cpu)| cpu.usable.iter().cloned().collect::<BTreeSet<String>>());
    let Some(first) = sets.next() else { return Vec::new() };
    let mut models: Vec<String> = sets.fold(first, |all, next| &all & &next).into_iter().collect();
    models.sort_by(|a, b| age(a).cmp(&age(b)));
    models
}

/// The best that each of `cpus` can run: the model they all have, with the features they all have; the newest named model
/// otherwise.
fn best(cpus: &[(HostId, &HostCpu)]) -> Option<CpuModel> {
    let (_, first) = cpus.first()?;
    if !first.model.is_empty() && cpus.iter().all(|(_, cpu)| cpu.model == first.model) {
        let requires = first.requires.iter().filter(|f| cpus.iter().all(|(_, cpu)| cpu.requires.contains(f)));
        let disables: BTreeSet<&String> = cpus.iter().flat_map(|(_, cpu)| &cpu.disables).collect();
        return Some(CpuModel {
            name: first.model.clone(),
            requires: requires.cloned().collect(),
            disables: disables.into_iter().cloned().collect(),
        });
    }
    let newest = common(cpus).pop().filter(|newest| age(newest).0 > 0)?;
    Some(CpuModel { name: newest, ..CpuModel::default() })
}

impl CpuBaseline {
    /// What follows from the rows of all `hosts`; `chosen`: what an administrator wants.
    pub fn of(hosts: &[Host], chosen: Option<&str>) -> Self {
        let members = || hosts.iter().filter(|host| host.spec.role == HostRole::Host);
        let told = |host: &'_ &Host| host.status.cpu.is_some();
        let cpus: Vec<(HostId, &HostCpu)> = members()
            .filter_map(|host| Some((host.id, host.status.cpu.as_ref().filter(|cpu| cpu.kvm)?)))
            .collect();
        let emulates = |host: &&Host| host.status.cpu.as_ref().is_some_and(|cpu| !cpu.kvm);
        let own = best(&cpus);
        let without = |left_out: HostId| {
            let rest: Vec<_> = cpus.iter().filter(|(id, _)| *id != left_out).copied().collect();
            best(&rest)
        };
        let alike = cpus.windows(2).all(|pair| pair[0].1.model == pair[1].1.model);
        let better = |other: &CpuModel, own: &CpuModel| {
            age(&other.name) > age(&own.name) || (alike && other.label() != own.label())
        };
        let limits = |(id, _): &&(HostId, &HostCpu)| match (without(*id), &own) {
            (Some(other), Some(own)) => better(&other, own),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let runs = |cpu: &HostCpu, model: &str| cpu.usable.iter().any(|usable| usable == model);
        let unable = |(_, cpu): &&(HostId, &HostCpu)| chosen.is_some_and(|chosen| !runs(cpu, chosen));
        let named = chosen.map(|name| CpuModel { name: name.to_owned(), ..CpuModel::default() });
        Self {
            model: named.or_else(|| own.clone().filter(|_| members().count() > 1)),
            chosen: chosen.map(str::to_owned),
            models: common(&cpus),
            limited_by: cpus.iter().filter(limits).map(|(id, _)| *id).collect(),
            unable: cpus.iter().filter(unable).map(|(id, _)| *id).collect(),
            emulating: members().filter(emulates).map(|host| host.id).collect(),
            untold: members().filter(|host| !told(host)).map(|host| host.id).collect(),
        }
    }
}

impl CpuModel {
    /// Its name, with a sign for its features: two are the same when their labels are.
    pub fn label(&self) -> String {
        let signed = |sign: char| move |feature: &String| format!("{sign}{feature}");
        let features = self.requires.iter().map(signed('+')).chain(self.disables.iter().map(signed('-')));
        std::iter::once(self.name.clone()).chain(features).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, HostSpec, HostState, HostStatus, Meta, Timestamp};

    fn host(cpu: Option<HostCpu>) -> Host {
        let spec = HostSpec {
            name: "h".into(),
            node: None,
            role: HostRole::Host,
            fence_epoch: 0,
            leaving: false,
            state: HostState::New,
        };
        let meta = Meta::created(Timestamp::from_unix(0), &Actor::Console);
        Host { id: HostId::new(), meta, spec, status: HostStatus { cpu, ..HostStatus::default() } }
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn cpu(model: &str, requires: &str, usable: &str) -> HostCpu {
        let (requires, usable) = (words(requires), words(usable));
        HostCpu { kvm: true, model: model.into(), requires, disables: Vec::new(), usable }
    }

    fn name(baseline: &CpuBaseline) -> Option<&str> {
        baseline.model.as_ref().map(|model| model.name.as_str())
    }

    #[test]
    fn hosts_of_one_kind_keep_their_model_with_the_features_they_all_have() {
        let one = cpu("Skylake-Server-IBRS", "md-clear ssbd vmx", "Westmere Skylake-Server-IBRS");
        let other = HostCpu { disables: words("hle"), requires: words("md-clear ssbd"), ..one.clone() };
        let hosts = [host(Some(one.clone())), host(Some(one)), host(Some(other))];
        let baseline = CpuBaseline::of(&hosts, None);
        let model = baseline.model.clone().expect("a model");
        assert_eq!(model.label(), "Skylake-Server-IBRS +md-clear +ssbd -hle");
        assert_eq!(baseline.limited_by, [hosts[2].id]);
        let same = CpuBaseline::of(&hosts[..2], None);
        assert_eq!((name(&same), same.limited_by.len()), (Some("Skylake-Server-IBRS"), 0));
    }

    #[test]
    fn hosts_of_several_kinds_get_the_newest_model_they_can_all_run() {
        let newer =
            cpu("Icelake-Server", "", "Nehalem Westmere Haswell-noTSX-IBRS Haswell-noTSX Icelake-Server Odd");
        let older = cpu("Haswell-noTSX-IBRS", "vmx", "Odd Haswell-noTSX Westmere Haswell-noTSX-IBRS Nehalem");
        let hosts = [host(Some(newer.clone())), host(Some(older.clone()))];
        let baseline = CpuBaseline::of(&hosts, None);
        assert_eq!(name(&baseline), Some("Haswell-noTSX-IBRS"));
        assert_eq!(baseline.models, ["Odd", "Nehalem", "Westmere", "Haswell-noTSX", "Haswell-noTSX-IBRS"]);
        assert_eq!(baseline.limited_by, [hosts[1].id], "the old one");
        let reversed = [hosts[1].clone(), hosts[0].clone()];
        assert_eq!(CpuBaseline::of(&reversed, None).model, baseline.model);

        let third = host(Some(cpu("Icelake-Server", "", "Icelake-Server Haswell-noTSX-IBRS")));
        let three = [hosts[0].clone(), hosts[1].clone(), third];
        assert_eq!(CpuBaseline::of(&three, None).limited_by, [hosts[1].id], "the old one alone");
        let strange = [host(Some(newer)), host(Some(cpu("Odd", "", "Odd")))];
        assert_eq!(CpuBaseline::of(&strange, None).model, None, "a model nobody knows is given to nobody");
    }

    #[test]
    fn a_lone_host_keeps_its_own_and_others_wait_until_they_have_told() {
        let lone = [host(Some(cpu("Westmere", "", "Westmere")))];
        assert_eq!(CpuBaseline::of(&lone, None).model, None);
        let emulating = host(Some(HostCpu { kvm: false, ..cpu("EPYC", "", "qemu64") }));
        let two = [lone[0].clone(), emulating, host(None)];
        let baseline = CpuBaseline::of(&two, None);
        assert_eq!(name(&baseline), Some("Westmere"));
        assert_eq!((baseline.emulating, baseline.untold), (vec![two[1].id], vec![two[2].id]));
        let mut witness = host(None);
        witness.spec.role = HostRole::Witness;
        assert_eq!(CpuBaseline::of(&[lone[0].clone(), witness], None), CpuBaseline::of(&lone, None));
    }

    #[test]
    fn a_chosen_model_counts_and_names_those_that_can_t_run_it() {
        let hosts = [
            host(Some(cpu("Icelake-Server", "", "Westmere Icelake-Server"))),
            host(Some(cpu("Westmere", "", "Westmere"))),
        ];
        let baseline = CpuBaseline::of(&hosts, Some("Icelake-Server"));
        assert_eq!(
            (name(&baseline), baseline.unable.as_slice()),
            (Some("Icelake-Server"), [hosts[1].id].as_slice())
        );
        assert!(CpuBaseline::of(&hosts, Some("Westmere")).unable.is_empty());
        assert_eq!(
            name(&CpuBaseline::of(&hosts[..1], Some("Westmere"))),
            Some("Westmere"),
            "also of a lone host"
        );
    }
}
