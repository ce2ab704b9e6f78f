//! Hosts that join, are removed, go away and come again: each at its own pace, also over power cuts.

use super::asks::{self, Ask};
use super::host::Host;
use super::world::World;
use hostd_cluster::simulation::Sight;
use hostd_cluster::{Destination, Switch};
use hostd_types::command::*;
use hostd_types::*;

/// How far a host is on its way; numbers are those of asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// It makes its cluster of one.
    Founding(Vec<usize>),
    /// It is a cluster of one.
    Alone,
    /// A token for it is asked for.
    Token { ask: usize, token: JoinTokenId, secret: SecretHash },
    /// It was admitted under this identity.
    Admission { ask: usize, node: NodeId },
    /// It moves into the cluster.
    Entering { node: NodeId },
    /// It waits for its own row.
    Waiting,
    /// It brings what it has.
    Importing { ask: usize },
    /// It closes the journal of its move.
    Closing,
    /// It is a member.
    Member,
    /// It hands over its vote before it leaves.
    Handover { ask: usize, until: u64 },
    /// Nobody took over its vote, so it stays.
    Staying { ask: usize },
    /// It is removed: by itself, or by the others while it is off.
    Removal { ask: usize },
    /// It was removed, and does not know yet.
    Removed { until: u64 },
    /// It goes back to being alone.
    Leaving { node: NodeId },
}

impl Way {
    /// It stays as it is by itself.
    pub fn rests(&self) -> bool {
        matches!(self, Way::Alone | Way::Member)
    }

    /// It is in the cluster, as far as it knows.
    pub fn inside(&self) -> bool {
        use Way::*;
        matches!(
            self,
            Waiting
                | Importing { .. }
                | Closing
                | Member
                | Handover { .. }
                | Staying { .. }
                | Removal { .. }
                | Removed { .. }
        )
    }
}

impl World {
    /// Lets host `n` begin to join.
    pub fn join(&mut self, n: usize) {
        let (token, secret) =
            (JoinTokenId::from_uuid(self.dice.uuid()), self.dice.uuid().simple().to_string());
        let secret = SecretHash(format!("{secret}{secret}"));
        let expires_at = Timestamp::from_unix(4_000_000_000);
        let create = ClusterCommand::CreateToken { id: token, secret: secret.clone(), expires_at };
        let ask = self.ask(Command::Cluster(create));
        self.set_way(n, Way::Token { ask, token, secret });
    }

    /// Lets host `n` begin to leave; one that is off is removed by the others.
    pub fn remove(&mut self, n: usize) {
        let host = self.hosts[n].id;
        if self.hosts[n].is_on() {
            let leaving = Command::Host(HostCommand::SetLeaving { id: host, leaving: true });
            let (ask, until) = (self.ask_through(n, leaving), self.now + 20_000_000);
            self.set_way(n, Way::Handover { ask, until });
        } else {
            let ask = self.ask(Command::Cluster(ClusterCommand::Remove { host }));
            self.set_way(n, Way::Removal { ask });
        }
    }

    /// Host `n` waits until another one has its vote, as it must before it is removed.
    fn hand_over(&mut self, n: usize, until: u64) {
        let (host, node) = (self.hosts[n].id, self.hosts[n].node());
        let votes = |sight: &Sight| sight.elected || sight.members.contains(&(node, true));
        if self.sight(n).is_some_and(|sight| !votes(sight)) {
            let ask = self.ask_through(n, Command::Cluster(ClusterCommand::Remove { host }));
            self.set_way(n, Way::Removal { ask });
        } else if self.now > until {
            let stay = Command::Host(HostCommand::SetLeaving { id: host, leaving: false });
            let ask = self.ask_through(n, stay);
            self.set_way(n, Way::Staying { ask });
        }
    }

    pub fn set_way(&mut self, n: usize, way: Way) {
        self.note(&format!("{} is now {way:?}", self.hosts[n].name));
        match (&way, &self.ways[n]) {
            (Way::Member, Way::Closing) => self.tally.add("hosts that joined"),
            (Way::Removed { .. }, _) => self.tally.add("hosts that were removed"),
            (Way::Founding(_), Way::Leaving { .. }) => self.tally.add("removed hosts that went on alone"),
            _ => {}
        }
        self.ways[n] = way;
    }

    /// Takes host `n` one step further, if it is due.
    pub fn go_on(&mut self, n: usize) {
        match self.ways[n].clone() {
            Way::Founding(asks) => self.founding(n, asks),
            Way::Alone | Way::Member => {}
            Way::Token { ask, token, secret } => {
                if self.done(ask) {
                    self.admit(n, token, secret);
                }
            }
            Way::Admission { ask, node } => {
                if self.done(ask) {
                    self.set_way(n, Way::Entering { node });
                }
            }
            Way::Entering { node } => {
                if self.moves(n, node, Destination::Cluster) {
                    self.set_way(n, Way::Waiting);
                }
            }
            Way::Waiting => self.waiting(n),
            Way::Importing { ask } => {
                if self.done(ask) {
                    self.set_way(n, Way::Closing);
                }
            }
            Way::Closing => {
                if self.closes(n) {
                    self.set_way(n, Way::Member);
                }
            }
            Way::Handover { ask, until } => {
                if self.done(ask) {
                    self.hand_over(n, until);
                }
            }
            Way::Staying { ask } => {
                if self.done(ask) {
                    self.set_way(n, Way::Member);
                }
            }
            Way::Removal { ask } => self.removal(n, ask),
            Way::Removed { until } => {
                if self.now >= until {
                    let node = NodeId(self.dice.bits());
                    self.set_way(n, Way::Leaving { node });
                }
            }
            Way::Leaving { node } => {
                if self.moves(n, node, Destination::Alone) {
                    self.found(n);
                }
            }
        }
    }

    /// Has host `n`, alone, found its cluster.
    pub fn found(&mut self, n: usize) {
        let Host { id, name, .. } = &self.hosts[n];
        let commands = asks::founding(&self.dice, *id, name, self.hosts[n].node());
        let asks: Vec<usize> = commands.into_iter().map(|command| self.ask_through(n, command)).collect();
        for pair in asks.windows(2) {
            self.asks[pair[1]].after = Some(pair[0]);
        }
        self.set_way(n, Way::Founding(asks));
    }

    fn founding(&mut self, n: usize, asks: Vec<usize>) {
        if asks.iter().all(|ask| self.done(*ask)) && self.closes(n) {
            let founder = self.main.contains(&self.hosts[n].node());
            self.set_way(n, if founder { Way::Member } else { Way::Alone });
        }
    }

    fn admit(&mut self, n: usize, token: JoinTokenId, secret: SecretHash) {
        let node = NodeId(self.dice.bits());
        self.main.insert(node);
        let Host { id: host, name, .. } = &self.hosts[n];
        let (role, status) = (HostRole::Host, HostStatus { level: LEVEL, ..HostStatus::default() });
        let join =
            ClusterCommand::Join { token, secret, host: *host, node, name: name.clone(), role, status };
        let ask = self.ask(Command::Cluster(join));
        self.set_way(n, Way::Admission { ask, node });
    }

    /// True when the host has moved; asks it to otherwise, once for each time it is switched on.
    fn moves(&mut self, n: usize, node: NodeId, into: Destination) -> bool {
        let host = &self.hosts[n];
        let Some(cluster) = host.cluster() else { return false };
        if cluster.node() == node && !host.is_moving() {
            return true;
        }
        if cluster.node() != node && host.begin() {
            let vms = machines(&cluster, host.id);
            let belongings = match into {
                Destination::Cluster => Belongings { vms, ..Belongings::default() },
                Destination::Alone => Belongings::default(),
            };
            let switch = Switch { node, into, belongings, carried: serde_json::Value::Null };
            let end = host.end();
            host.spawn(async move {
                // A power cut may come in between; whoever looks sees what became of it.
                let _ = cluster.switch(&switch).await;
                end();
            });
        }
        false
    }

    fn waiting(&mut self, n: usize) {
        let host = &self.hosts[n];
        let (Some(cluster), id) = (host.cluster(), host.id) else { return };
        let sql =
            format!("SELECT count(*) FROM host WHERE json_extract(spec, '$.node') = '{}'", cluster.node());
        if cluster.state_sql(&sql).is_ok_and(|rows| rows[0][0] != "0") {
            let journal = std::fs::read(host.dir.join("switch.json")).expect("the journal of the move");
            let switch: Switch = serde_json::from_slice(&journal).expect("a whole journal");
            let import = ClusterCommand::Import { host: id, belongings: switch.belongings };
            let ask = self.ask_through(n, Command::Cluster(import));
            self.set_way(n, Way::Importing { ask });
        }
    }

    /// True when the journal of the host's move is gone; has it removed otherwise.
    fn closes(&mut self, n: usize) -> bool {
        let host = &self.hosts[n];
        if !host.dir.join("switch.json").exists() {
            return true;
        }
        if let Some(cluster) = host.cluster().filter(|_| host.begin()) {
            let end = host.end();
            host.spawn(async move {
                // Looked for again when it is still there.
                let _ = cluster.switched().await;
                end();
            });
        }
        false
    }

    fn removal(&mut self, n: usize, ask: usize) {
        if self.out.remove(&n) && self.asks[ask].end.is_none() {
            // It can't hear the answer any more, but that it is out it was told.
            self.asks[ask].end = Some(Err(Problem::new(ProblemKind::Removed, "It was removed.")));
            return self.set_way(n, Way::Removed { until: self.now });
        }
        let Some(end) = &self.asks[ask].end else { return };
        if end.is_err() {
            return self.set_way(n, Way::Member);
        }
        self.book.removed.insert(self.hosts[n].node(), self.now);
        let until = self.now + self.dice.number(0..8_000_000);
        self.set_way(n, Way::Removed { until });
    }

    /// An ask ended well; one that was refused is a violation.
    fn done(&mut self, ask: usize) -> bool {
        let Ask { entry, end, .. } = &self.asks[ask];
        match end {
            None => false,
            Some(Ok(_)) => true,
            Some(Err(problem)) => {
                let what = format!("{} was refused: {}", entry.command.name(), problem.detail);
                self.book.violated(what);
                false
            }
        }
    }
}

/// The machines of a host that is alone.
fn machines(cluster: &hostd_cluster::Cluster, host: HostId) -> Vec<Vm> {
    let sql = format!("SELECT id, meta, spec, status FROM vm WHERE host = '{host}' ORDER BY id");
    let rows = cluster.state_sql(&sql).expect("the state can be read");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("a part of a row");
    let vm = |row: Vec<String>| {
        let whole = serde_json::json!({
            "id": row[0], "meta": json(&row[1]), "spec": json(&row[2]), "status": json(&row[3]),
        });
        serde_json::from_value(whole).expect("a machine")
    };
    rows.into_iter().map(vm).collect()
}
