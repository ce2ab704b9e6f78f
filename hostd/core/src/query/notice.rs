//! Conditions that every page shows on top.

use crate::federation::{ClusterView, Condition, Liveness, MemberView};
use crate::pool::human;
use crate::{Core, Notice, NoticeLevel};
use hostd_types::{PoolFacts, Problem};
use hostd_virt::Link;

impl Core {
    /// The conditions that hold now, the worst first: those of `cluster` as it was read, and those of this host.
    pub async fn notices(&self, cluster: &Result<ClusterView, Problem>) -> Vec<Notice> {
        let mut notices = match cluster {
            Ok(view) => [of_cluster(view), of_versions(view)].concat(),
            // What can't be read is told below: the state has stopped.
            Err(_) => Vec::new(),
        };
        notices.extend(self.own_notices().await);
        notices.sort_by_key(|notice| match notice.level {
            NoticeLevel::Critical => 0,
            NoticeLevel::Warning => 1,
            NoticeLevel::Info => 2,
        });
        notices
    }

    /// The conditions of this host alone.
    pub(super) async fn own_notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut add = |level, text: String, link: Option<&str>| {
            notices.push(Notice { level, text, link: link.map(str::to_owned) });
        };
        if let Some(why) = self.cluster_health().await.stopped {
            add(
                NoticeLevel::Critical,
                format!("Nothing can be changed: the state can't be written ({why})."),
                None,
            );
        }
        if self.0.cluster.full() {
            let text = "The disk of the host's state is full: nothing new can be made. Delete images, disks or \
                        machines.";
            add(NoticeLevel::Critical, text.into(), Some("/volumes"));
        }
        if !self.is_witness()
            && let Link::Down { reason } = &*self.0.hypervisor.link().borrow()
        {
            let text = format!(
                "libvirt does not answer ({reason}); running machines go on, but can't be controlled."
            );
            add(NoticeLevel::Critical, text, Some("/host"));
        }
        if let Some(pool) = self.pool_space()
            && let Some((level, text)) = fullness(&pool)
        {
            add(level, text, Some("/images"));
        }
        if let Some(seconds) = self.0.clock.back_s() {
            let text = format!("The clock was set back by {seconds} s; times of events are out of order.");
            add(NoticeLevel::Warning, text, Some("/host"));
        }
        for (urgent, text) in self.certificate_alarms().await {
            let level = if urgent { NoticeLevel::Critical } else { NoticeLevel::Warning };
            add(level, text, Some("/help/clusters#certificates"));
        }
        if self.settings().live {
            let text = "Live mode: everything is kept in memory and vanishes at reboot.";
            add(NoticeLevel::Warning, text.into(), Some("/help/live-mode"));
        }
        let users = self.store().users().await.unwrap_or_default();
        if users.iter().any(|user| user.initial_password) {
            let text = "The administrator's password is still the generated one; change it.";
            add(NoticeLevel::Warning, text.into(), Some("/account"));
        }
        notices
    }
}

/// What every page says of the cluster: this host is on its way or was removed, nothing can be changed, members are gone.
fn of_cluster(view: &ClusterView) -> Vec<Notice> {
    let told = |level, text: String| vec![Notice { level, text, link: Some("/cluster".to_owned()) }];
    match view.condition {
        Condition::Alone => return Vec::new(),
        Condition::Moving => {
            let text = "This host is on its way between two clusters. Machines keep running; what is on it shows up again \
                        as soon as it has arrived.";
            return told(NoticeLevel::Warning, text.into());
        }
        Condition::Removed => {
            let text = "This host was removed from its cluster: nothing can be changed here, and the others do not see it. \
                        Make it a cluster of its own; its machines and disks stay.";
            return told(NoticeLevel::Critical, text.into());
        }
        Condition::Member => {}
    }
    // A suspect may be back in a moment; without a majority it is missed all the same.
    let missed = |member: &&MemberView| match member.liveness {
        Liveness::Up => false,
        Liveness::Suspect => !view.quorum.held,
        Liveness::Down | Liveness::Unknown | Liveness::Fenced => true,
    };
    let silent: Vec<&str> =
        view.members.iter().filter(missed).map(|member| member.host.spec.name.as_str()).collect();
    let names = silent.join(", ");
    let quorum = &view.quorum;
    match (quorum.held, silent.len()) {
        (true, 0) => Vec::new(),
        (true, 1) => told(
            NoticeLevel::Warning,
            format!(
                "{names} does not answer. What is shown of it is as old; its machines can't be reached from here."
            ),
        ),
        (true, _) => told(
            NoticeLevel::Warning,
            format!(
                "{names} do not answer. What is shown of them is as old; their machines can't be reached from here."
            ),
        ),
        (false, _) if quorum.reachable >= quorum.needed => {
            let text = "The hosts are choosing who leads; changes wait for a few seconds.";
            told(NoticeLevel::Warning, text.into())
        }
        (false, many) => {
            let who = match many {
                0 => String::new(),
                1 => format!(" {names} does not answer."),
                _ => format!(" {names} do not answer."),
            };
            let text = format!(
                "No majority: {} of {} voting hosts answer and {} are needed, so settings can't be changed. \
                 Machines keep running, and those of this host can be started and stopped.{who} Start those hosts again, or \
                 repair the network; if they are lost for good, recover with qx on this host.",
                quorum.reachable, quorum.voters, quorum.needed
            );
            told(NoticeLevel::Critical, text)
        }
    }
}

/// Tells who keeps the cluster from using what newer versions can do.
fn of_versions(view: &ClusterView) -> Vec<Notice> {
    if view.condition != Condition::Member || view.level.text.is_empty() {
        return Vec::new();
    }
    let link = Some("/help/clusters#versions".to_owned());
    vec![Notice { level: NoticeLevel::Info, text: view.level.text.clone(), link }]
}

/// Tells when a pool is nearly full.
fn fullness(pool: &PoolFacts) -> Option<(NoticeLevel, String)> {
    let free = pool.free_bytes;
    let share = free as f64 / pool.total_bytes.max(1) as f64;
    let level = if share < 0.02 {
        NoticeLevel::Critical
    } else if share < 0.10 {
        NoticeLevel::Warning
    } else {
        return None;
    };
    Some((level, format!("The pool {} has only {} left; delete images or disks.", pool.name, human(free))))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::federation::{MemberRole, Quorum};
    use hostd_types::*;

    pub(crate) fn view(condition: Condition, held: bool, members: &[(&str, Liveness)]) -> ClusterView {
        let member = |(name, liveness): &(&str, Liveness)| MemberView {
            host: Host {
                id: HostId::new(),
                meta: Meta::created(Timestamp::from_unix(0), &Actor::Console),
                spec: HostSpec {
                    name: (*name).into(),
                    node: None,
                    role: HostRole::Host,
                    fence_epoch: 0,
                    leaving: false,
                    state: HostState::New,
                },
                status: HostStatus::default(),
            },
            role: MemberRole::Voter,
            liveness: *liveness,
            seen_s: None,
            lease_s: None,
            told_address: None,
            lag: None,
            pulse: None,
            vms: 0,
            what_if: String::new(),
        };
        let reachable = members.iter().filter(|m| m.1 == Liveness::Up).count() as u32;
        let voters = members.len() as u32;
        ClusterView {
            cluster: None,
            condition,
            here: HostId::new(),
            leader: None,
            quorum: Quorum { voters, reachable, needed: voters / 2 + 1, held, ..Quorum::default() },
            members: members.iter().map(member).collect(),
            removed: Vec::new(),
            certificates: Default::default(),
            level: Default::default(),
        }
    }

    #[test]
    fn a_lost_majority_names_the_hosts_that_are_silent() {
        let (up, down) = (Liveness::Up, Liveness::Down);
        let of = |condition, held, members: &[(&str, Liveness)]| of_cluster(&view(condition, held, members));
        assert!(of(Condition::Alone, true, &[("h1", up)]).is_empty());
        assert!(of(Condition::Member, true, &[("h1", up), ("h2", up)]).is_empty());
        let lost = of(Condition::Member, false, &[("h1", up), ("h2", down), ("h3", down)]);
        assert_eq!(lost[0].level, NoticeLevel::Critical);
        assert!(lost[0].text.contains("1 of 3") && lost[0].text.contains("h2, h3 do not answer"));
        let suspect = Liveness::Suspect;
        let just_lost = of(Condition::Member, false, &[("h1", up), ("h2", suspect), ("h3", down)]);
        assert!(just_lost[0].text.contains("h2, h3 do not answer"), "{just_lost:?}");
        assert!(of(Condition::Member, true, &[("h1", up), ("h2", up), ("h3", suspect)]).is_empty());
        let one = of(Condition::Member, true, &[("h1", up), ("h2", up), ("h3", down)]);
        assert!(one[0].level == NoticeLevel::Warning && one[0].text.starts_with("h3 does not answer."));
        let election = of(Condition::Member, false, &[("h1", up), ("h2", up), ("h3", down)]);
        assert_eq!(election[0].level, NoticeLevel::Warning);
        let removed = of(Condition::Removed, false, &[]);
        assert!(removed[0].level == NoticeLevel::Critical && removed[0].text.contains("cluster of its own"));
        assert_eq!(of(Condition::Moving, false, &[])[0].level, NoticeLevel::Warning);
    }

    #[test]
    fn a_filling_pool_is_told_in_time() {
        let pool = |free_bytes| PoolFacts {
            name: "local".into(),
            total_bytes: 1000,
            free_bytes,
            ..PoolFacts::default()
        };
        assert!(fullness(&pool(500)).is_none());
        assert_eq!(fullness(&pool(99)).map(|n| n.0), Some(NoticeLevel::Warning));
        assert_eq!(fullness(&pool(5)).map(|n| n.0), Some(NoticeLevel::Critical));
        assert!(fullness(&PoolFacts::default()).is_some());
    }
}
