//! Which host things are on: its name, and how old what is shown of them is.

use crate::visit::Visit;
use askama::Template;
use hostd_core::{ClusterView, Liveness, MemberView};
use hostd_types::{Actor, Event, HostId, HostRole, HostState, Kind, Problem, Vm};
use std::collections::BTreeMap;

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) id: HostId,
    pub(crate) name: String,
    pub(crate) liveness: Liveness,
    pub(crate) seen_s: Option<u64>,
    /// What it is for.
    pub(crate) role: HostRole,
}

/// The hosts of the cluster, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    here: Option<HostId>,
    hosts: Vec<Place>,
}

impl Places {
    /// Those of `view`.
    pub(crate) fn of(view: &ClusterView) -> Self {
        let place = |member: &MemberView| Place {
            id: member.host.id,
            name: member.host.spec.name.clone(),
            liveness: member.liveness,
            seen_s: member.seen_s,
            role: member.host.spec.role,
        };
        Self { here: Some(view.here), hosts: view.members.iter().map(place).collect() }
    }
    /// There is more than one, so pages tell where things are.
    pub(crate) fn several(&self) -> bool {
        self.hosts.len() > 1
    }
    /// Those that run machines and hold disks.
    pub(crate) fn holding(&self) -> impl Iterator<Item = &Place> {
        self.hosts.iter().filter(|place| place.role == HostRole::Host)
    }
    /// Those of them that answer.
    pub(crate) fn up(&self) -> impl Iterator<Item = &Place> {
        self.holding().filter(|place| place.is_current())
    }
    /// This host is a witness: it holds nothing.
    pub(crate) fn on_witness(&self) -> bool {
        self.here.and_then(|id| self.find(id)).is_some_and(|place| place.role == HostRole::Witness)
    }
    /// No host could hold anything: a witness that is alone.
    pub(crate) fn only_witness(&self) -> bool {
        self.on_witness() && self.holding().next().is_none()
    }
    /// The host `id`.
    pub(crate) fn find(&self, id: HostId) -> Option<&Place> {
        self.hosts.iter().find(|place| place.id == id)
    }
    /// `id` is this host.
    pub(crate) fn is_here(&self, id: &HostId) -> bool {
        self.here.as_ref() == Some(id)
    }
    /// The host named in an address; when none is, this one, or on a witness one that can hold something.
    pub(crate) fn chosen(&self, text: &str, here: HostId) -> HostId {
        let named = text.parse().ok().filter(|id| self.find(*id).is_some());
        let other = || self.up().next().filter(|_| self.on_witness()).map(|place| place.id);
        named.or_else(other).unwrap_or(here)
    }
    /// The host named in a form that makes something, this one when none is.
    pub(crate) fn named(&self, text: &str, here: HostId) -> Result<HostId, Problem> {
        if text.is_empty() {
            return Ok(here);
        }
        let known = text.parse().ok().filter(|id| *id == here || self.find(*id).is_some());
        known.ok_or_else(|| Problem::field("/host", "Choose a host of this cluster."))
    }
    /// What a list filtered by the host `text` says it shows.
    pub(crate) fn wanted(&self, text: &str) -> &str {
        match text.parse().ok().map(|id| self.find(id)) {
            None => "all",
            Some(None) => "none of these",
            Some(Some(place)) => &place.name,
        }
    }
    /// A cell of a list: the host's name, and the age of what is shown of it when it does not answer.
    pub(crate) fn cell(&self, host: &HostId) -> Cell {
        Cell { place: self.find(*host).cloned() }
    }
    /// How old what is shown of `host` is, when it does not answer.
    pub(crate) fn silent(&self, host: &HostId) -> Option<String> {
        self.find(*host).filter(|place| !place.is_current()).map(Place::age)
    }
    /// Why nothing can be done about what is on `host`; empty when it answers.
    pub(crate) fn unreachable(&self, host: &HostId) -> String {
        self.silent(host).map(|age| format!("Its host does not answer ({age})")).unwrap_or_default()
    }
    /// The badge of a machine's state: as it was last heard when its host does not answer.
    pub(crate) fn state(&self, vm: &Vm) -> State {
        State {
            word: crate::wording::vm_state(&vm.status.state),
            tone: crate::wording::vm_tone(&vm.status.state),
            state: vm.status.state.as_str(),
            age: self.find(vm.spec.host).filter(|place| !place.is_current()).map(Place::age),
        }
    }
}

impl Place {
    /// It answers, so what is shown of it is what it is.
    pub(crate) fn is_current(&self) -> bool {
        self.liveness == Liveness::Up
    }
    /// How old what is shown of it is: `last seen 40 s ago`.
    pub(crate) fn age(&self) -> String {
        age(self.liveness, self.seen_s)
    }
}

/// How old what is shown of a host is, in words.
pub(crate) fn age(liveness: Liveness, seen_s: Option<u64>) -> String {
    match (liveness, seen_s) {
        (Liveness::Up, _) => "now".into(),
        (_, Some(seconds)) => format!("last seen {} ago", crate::units::span(seconds)),
        (_, None) => "not seen yet".into(),
    }
}

/// How long a host's lease lasts, in words.
pub(crate) fn lease(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "no lease".into(), |seconds| format!("lease for {}", crate::units::span(seconds)))
}

/// How a host stands to leases, in words.
pub(crate) fn lease_fact(state: &HostState, seconds: &Option<u64>) -> String {
    match (state, seconds) {
        (HostState::Fenced, _) => "None: it was fenced".into(),
        (HostState::New | HostState::Active, Some(seconds)) => {
            format!("Granted for another {}", crate::units::span(seconds))
        }
        (HostState::Active, None) => "None now".into(),
        (HostState::New, None) => "Never had one".into(),
    }
}

/// A host in a row.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r#"{% if let Some(place) = place %}<a href="/host/{{ place.id }}">{{ place.name }}</a>{% if !place.is_current() %} <span class="sub stale">{{ place.age() }}</span>{% endif %}{% else %}<span class="dim">–</span>{% endif %}"#
)]
pub(crate) struct Cell {
    place: Option<Place>,
}

impl askama::filters::HtmlSafe for Cell {}

/// A machine's state in a row.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r#"{% if let Some(age) = age %}<span class="badge unknown" data-vm-state="{{ state }}" data-stale title="Its host: {{ age }}">Was {{ word|lower }}</span>{% else %}<span class="badge {{ tone }}" data-vm-state="{{ state }}">{{ word }}</span>{% endif %}"#
)]
pub(crate) struct State {
    word: &'static str,
    tone: &'static str,
    state: &'static str,
    age: Option<String>,
}

impl askama::filters::HtmlSafe for State {}

/// Which host each event of a list is about: the one that reported, or the one that has what the event is about. What is
/// gone is on no host any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventHosts {
    places: Places,
    at: BTreeMap<u64, HostId>,
}

impl EventHosts {
    /// Those of `events`; nothing is looked up on a lone host.
    pub(crate) async fn load(visit: &Visit, events: &[Event]) -> Self {
        let places = visit.frame.places.clone();
        let mut at = BTreeMap::new();
        if !places.several() {
            return Self { places, at };
        }
        let mut known: BTreeMap<&str, Option<HostId>> = BTreeMap::new();
        for event in events {
            let host = match (&event.by, &event.subject) {
                (Actor::Host { id }, _) => Some(*id),
                (_, None) => None,
                (_, Some(subject)) => match known.get(subject.id.as_str()) {
                    Some(host) => *host,
                    None => {
                        let host = of_subject(visit, subject.kind, &subject.id).await;
                        known.insert(&subject.id, host);
                        host
                    }
                },
            };
            at.extend(host.map(|host| (event.seq, host)));
        }
        Self { places, at }
    }
    /// The hosts named, for tests.
    #[cfg(test)]
    pub(crate) fn of(places: Places, at: BTreeMap<u64, HostId>) -> Self {
        Self { places, at }
    }
    /// The list tells them.
    pub(crate) fn shown(&self) -> bool {
        self.places.several()
    }
    /// The cell of one event.
    pub(crate) fn cell(&self, event: &Event) -> Cell {
        Cell { place: self.at.get(&event.seq).and_then(|id| self.places.find(*id)).cloned() }
    }
}

async fn of_subject(visit: &Visit, kind: Kind, id: &str) -> Option<HostId> {
    let core = &visit.core;
    match kind {
        Kind::Host => id.parse().ok(),
        Kind::Vm => Some(core.vm(id.parse().ok()?).await.ok()?.spec.host),
        Kind::Volume => Some(core.volume(id.parse().ok()?).await.ok()?.volume.spec.host),
        Kind::Snapshot => Some(core.snapshot(id.parse().ok()?).await.ok()?.spec.host),
        Kind::Image => Some(core.image(id.parse().ok()?).await.ok()?.image.spec.host),
        Kind::Network => Some(core.network(id.parse().ok()?).await.ok()?.network.spec.host),
        Kind::Task => Some(core.task(id.parse().ok()?).await.ok()?.host),
        Kind::Cluster
        | Kind::JoinToken
        | Kind::Event
        | Kind::User
        | Kind::Token
        | Kind::Session
        | Kind::ConsoleLink
        | Kind::Folder
        | Kind::View
        | Kind::Specification => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_on_a_silent_host_says_how_old_it_is() {
        assert_eq!(age(Liveness::Up, Some(1)), "now");
        assert_eq!(age(Liveness::Suspect, Some(12)), "last seen 12 s ago");
        assert_eq!(age(Liveness::Down, Some(90)), "last seen 1 min ago");
        assert_eq!(age(Liveness::Unknown, None), "not seen yet");
        let id = HostId::new();
        let host =
            |liveness| Place { id, name: "<h3>".into(), liveness, seen_s: Some(40), role: HostRole::Host };
        let places = |liveness| Places { here: None, hosts: vec![host(liveness)] };
        let up = places(Liveness::Up).cell(&id).to_string();
        assert!(up.contains("&#60;h3&#62;") && !up.contains("stale"), "{up}");
        let down = places(Liveness::Down).cell(&id).to_string();
        assert!(down.contains("last seen 40 s ago"), "{down}");
        assert!(places(Liveness::Up).cell(&HostId::new()).to_string().contains("–"));
    }
}
