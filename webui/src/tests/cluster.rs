//! Clusters that tests render, and their pages. They never leave the tests.

use super::every_page::{Pages, html};
use super::sample::*;
use crate::forms::cluster::ClusterForm;
use crate::page::Refusal;
use crate::pages::cluster::ClusterPage;
use crate::pages::cluster_move::{JoinPage, MovingPage};
use crate::pages::host::{HostPage, SilentHostPage};
use crate::visit::{Frame, Section};
use hostd_core::*;
use hostd_types::*;

/// The cluster's record.
pub(crate) fn record(name: &str) -> ClusterRecord {
    let authority = Authority {
        certificate: String::new(),
        sealed_key: String::new(),
        ends: Timestamp::now().plus_seconds(86_400 * 3650),
    };
    ClusterRecord {
        id: ClusterId::new(),
        meta: meta(),
        spec: ClusterSpec { name: name.into(), voters: 5, cpu_model: None },
        status: ClusterStatus { level: LEVEL, generation: 1, authorities: vec![authority], rotation: None },
    }
}

fn member(name: &str, role: MemberRole, liveness: Liveness, seen_s: Option<u64>) -> MemberView {
    let mut row = host("", false).host;
    row.spec.name = name.into();
    row.status = HostStatus {
        version: "0.1.0".into(),
        durable: true,
        addresses: vec!["192.168.4.21:8444".into()],
        certificate_ends: Some(Timestamp::now().plus_seconds(86_400 * 61)),
        ..HostStatus::default()
    };
    let pulse = HostPulse {
        fsync_p99_ms: 1.84,
        sample: host_samples().last().copied(),
        memory_bytes: 64 << 30,
        threads: 32,
        pool: host("", false).facts.pools.into_iter().next(),
        faults: Vec::new(),
    };
    MemberView {
        host: row,
        role,
        liveness,
        seen_s,
        lease_s: seen_s.is_none().then_some(13),
        told_address: None,
        lag: Some(0),
        pulse: Some(pulse),
        vms: 4,
        what_if: "Its 4 machines stop until it is back. The cluster goes on without a pause.".into(),
    }
}

/// Three hosts: one up, one suspect, one down; `text` in every name.
pub(super) fn three(text: &str) -> ClusterView {
    let mut members = vec![
        member(&format!("h1{text}"), MemberRole::Leader, Liveness::Up, None),
        member(&format!("h2{text}"), MemberRole::Voter, Liveness::Suspect, Some(12)),
        member(&format!("h3{text}"), MemberRole::Voter, Liveness::Down, Some(280)),
    ];
    for (member, id) in members.iter_mut().zip(*HOSTS) {
        member.host.id = id;
    }
    members[1].lag = Some(34);
    if let Some(pulse) = &mut members[1].pulse {
        pulse.faults = vec![format!("libvirt does not answer{text}")];
    }
    members[2].lag = None;
    members[2].told_address = "192.0.2.7:8444".parse().ok();
    let removed = RemovedHost {
        node: NodeId(7),
        host: HostId::new(),
        name: format!("h0{text}"),
        at: Timestamp::now().plus_seconds(-86_400),
        by: actor(&format!("admin{text}")),
    };
    let said = "2 of 3 voters answer: if one more fails, nothing can be changed.".to_owned();
    ClusterView {
        cluster: Some(record(&format!("rack-7{text}"))),
        condition: Condition::Member,
        here: members[0].host.id,
        leader: Some(members[0].host.id),
        quorum: Quorum { voters: 3, reachable: 2, needed: 2, held: true, may_fail: 0, text: said },
        members,
        removed: vec![removed],
        certificates: certificates(),
        level: LevelView::default(),
    }
}

/// Certificates that are well.
fn certificates() -> Certificates {
    let days = |n: i64| Some(Timestamp::now().plus_seconds(86_400 * n));
    Certificates { ends: days(61), authority_ends: days(3650), ..Certificates::default() }
}

/// One host alone.
pub(super) fn alone() -> ClusterView {
    let members = vec![member("qx-1", MemberRole::Leader, Liveness::Up, None)];
    let quorum = Quorum {
        voters: 1,
        reachable: 1,
        needed: 1,
        held: true,
        may_fail: 0,
        text: "This host decides alone.".into(),
    };
    ClusterView {
        cluster: Some(record("qx-1")),
        condition: Condition::Alone,
        here: members[0].host.id,
        leader: Some(members[0].host.id),
        quorum,
        members,
        removed: Vec::new(),
        certificates: certificates(),
        level: LevelView::default(),
    }
}

fn join_token(text: &str, minutes: i64, used: bool) -> JoinToken {
    let used_by = used.then(|| JoinTokenUse {
        host: HostId::new(),
        node: NodeId(9),
        public_key: None,
        name: format!("h2{text}"),
        at: Timestamp::now().plus_seconds(-600),
    });
    JoinToken {
        id: JoinTokenId::new(),
        meta: Meta::created(Timestamp::now().plus_seconds(-900), &actor(&format!("admin{text}"))),
        expires_at: Timestamp::now().plus_seconds(minutes * 60),
        used_by,
    }
}

/// A token's text as long as one with three addresses is.
fn secret(text: &str) -> String {
    format!("qxj1_AQGaH9iyXNdpgB-74OKS-9EB{}{text}", "0h5mWv4_T7uRkQe2-bYcXz9L".repeat(6))
}

/// A search with one neighbour in it.
fn neighbours(text: &str) -> NeighboursView {
    let found = NeighbourView {
        host: HostId::new(),
        cluster: ClusterId::new(),
        name: format!("h7{text}"),
        site: "192.0.2.7:8443".into(),
        same: false,
    };
    let until = Some(Timestamp::now().plus_seconds(500));
    NeighboursView { until, code: Some("1234 5678".into()), tries_left: 3, found: vec![found] }
}

/// A processor that the last of several hosts limits.
fn baseline(view: &ClusterView, text: &str) -> CpuBaseline {
    let ids: Vec<HostId> = view.members.iter().map(|member| member.host.id).collect();
    let model = CpuModel {
        name: format!("Haswell-noTSX-IBRS{text}"),
        requires: vec![format!("md-clear{text}")],
        disables: vec!["hle".into()],
    };
    CpuBaseline {
        model: (ids.len() > 1).then_some(model),
        models: vec!["Nehalem".into(), format!("Haswell-noTSX-IBRS{text}")],
        limited_by: ids.last().copied().into_iter().collect(),
        emulating: ids.first().copied().into_iter().collect(),
        ..CpuBaseline::default()
    }
}

fn cluster_page(view: ClusterView, text: &str, page: &'static str) -> ClusterPage {
    ClusterPage {
        layout: if text.is_empty() {
            quiet(page, Section::Cluster)
        } else {
            layout(page, Section::Cluster, text)
        },
        refusal: Refusal::default(),
        tokens: Vec::new(),
        fresh: None,
        neighbours: neighbours(text),
        form: ClusterForm::of(view.cluster.as_ref()),
        cpu: baseline(&view, text),
        view,
        now: Timestamp::now(),
    }
}

/// A preview in which much comes along and some is called otherwise; `text` in every name.
fn preview(text: &str) -> JoinPreview {
    let belongings = Belongings {
        snapshots: Vec::new(),
        networks: vec![network(&format!("default{text}")).network],
        images: vec![image(&format!("debian-12-cloud{text}"), ImageKind::Disk).image],
        volumes: vec![volume(&format!("web-1-disk0{text}"), None).volume],
        vms: ["web-1", "db-primary", "mail"].map(|n| vm(&format!("{n}{text}"), VmState::Running)).into(),
    };
    let clash = |kind, name: &str, becomes: &str| Clash {
        kind,
        id: HostId::new().to_string(),
        name: format!("{name}{text}"),
        becomes: format!("{becomes}{text}"),
    };
    let host = clash(Kind::Host, "quantix", "quantix-2");
    JoinPreview {
        cluster: ClusterId::new(),
        name: format!("rack-7{text}"),
        members: vec![format!("h1{text}"), "h2".into()],
        clashes: vec![
            host.clone(),
            clash(Kind::Network, "default", "default-quantix-2"),
            clash(Kind::Vm, "web-1", "web-1-quantix-2"),
        ],
        host,
        facts: super::sample::host(text, false).facts,
        level: LEVEL,
        belongings,
        blockers: Vec::new(),
        notes: vec![
            "Machines go on running; their disks stay on this host.".into(),
            format!(
                "Users, passwords and API tokens are those of rack-7{text}; the ones of this host end, and so does this session."
            ),
            "Tasks and events of this host so far stay behind in its archive.".into(),
        ],
    }
}

fn moving(text: &str, joins: bool) -> String {
    let page = if joins { "joining" } else { "leaving" };
    let layout = Frame::default().layout(page, Section::None, "On the way");
    html(MovingPage { layout, name: format!("h2{text}"), joins, next: "/cluster".into() })
}

fn join(preview: JoinPreview, text: &str) -> String {
    html(JoinPage { layout: layout("join", Section::Cluster, text), preview, token: secret(text) })
}

/// Every page of the cluster with something on it.
pub(super) fn cluster_pages(text: &str) -> Pages {
    let view = three(text);
    let mut full = cluster_page(view.clone(), text, "cluster");
    full.tokens = vec![join_token(text, 40, false), join_token(text, 40, true), join_token(text, -5, false)];
    let mut fresh = cluster_page(view.clone(), text, "cluster");
    fresh.fresh = Some(NewJoinToken { token: join_token(text, 60, false), text: secret(text) });
    fresh.tokens = vec![join_token(text, 60, false)];
    let mut lost = cluster_page(view.clone(), text, "cluster");
    lost.view.quorum = Quorum {
        reachable: 1,
        held: false,
        text: "1 of 3 voters answer and 2 are needed. Nothing can be changed until more come back; \
               machines keep running."
            .into(),
        ..view.quorum.clone()
    };
    let mut removed = cluster_page(view.clone(), text, "cluster");
    removed.view.condition = Condition::Removed;
    let mut wrong = cluster_page(alone(), text, "cluster");
    wrong.form.token = format!("qxj1_abc{text}");
    wrong.refusal = Refusal(Some(Problem::field("/token", format!("The token is cut off. {text}"))));
    let mut blocked = preview(text);
    blocked.blockers =
        vec![format!("Create machine of web-1{text} is under way. Wait until it has ended, or cancel it.")];
    let mut other = host(text, false);
    other.host = view.members[1].host.clone();
    let silent = SilentHostPage {
        layout: layout("host", Section::Cluster, text),
        member: view.members[2].clone(),
        problem: Problem::new(
            ProblemKind::Unavailable,
            format!(
                "h3{text} can't be reached: it does not answer. What is on it can be seen and changed when it is back."
            ),
        ),
        vms: vec![located(&format!("db-replica{text}"), VmState::Running, &view, 2)],
    };
    vec![
        ("cluster", html(full)),
        ("cluster-fresh", html(fresh)),
        ("cluster-lost", html(lost)),
        ("cluster-removed", html(removed)),
        ("cluster-wrong", html(wrong)),
        ("join", join(preview(text), text)),
        ("join-blocked", join(blocked, text)),
        ("joining", moving(text, true)),
        ("leaving", moving(text, false)),
        (
            "host-other",
            html(HostPage {
                devices: Some(super::host_devices::devices(text)),
                layout: layout("host", Section::Cluster, text),
                host: other,
                charts: vec![],
                health: ClusterHealth::default(),
                member: view.members.get(2).cloned(),
            }),
        ),
        ("host-silent", html(silent)),
    ]
}

/// A machine on host number `n` of `view`.
pub(super) fn located(name: &str, state: VmState, view: &ClusterView, n: usize) -> Vm {
    let mut vm = vm(name, state);
    vm.spec.host = view.members[n].host.id;
    vm
}

/// The cluster's pages with nothing on them.
pub(super) fn empty_cluster_pages() -> Pages {
    let mut moving = cluster_page(alone(), "", "cluster");
    moving.view.condition = Condition::Moving;
    moving.view.cluster = None;
    moving.view.members.clear();
    let mut bare = preview("");
    bare.belongings = Belongings::default();
    bare.clashes.clear();
    bare.facts.cpu = CpuFacts::default();
    bare.facts.memory_bytes = 0;
    bare.facts.disks.clear();
    bare.host.becomes = bare.host.name.clone();
    let mut unknown = three("");
    for member in &mut unknown.members[1..] {
        member.liveness = Liveness::Unknown;
        (member.seen_s, member.lag, member.pulse, member.vms) = (None, None, None, 0);
        member.host.status = HostStatus::default();
    }
    unknown.removed.clear();
    vec![
        ("cluster-alone", html(cluster_page(alone(), "", "cluster"))),
        ("cluster-moving", html(cluster_page(moving.view, "", "cluster"))),
        ("cluster-unknown", html(cluster_page(unknown, "", "cluster"))),
        ("join-bare", join(bare, "")),
    ]
}

#[test]
fn the_hooks_of_the_cluster_are_there() {
    let pages = [cluster_pages(""), empty_cluster_pages()].concat();
    let html = |name: &str| &pages.iter().find(|(n, _)| *n == name).expect(name).1;
    let cluster = html("cluster");
    assert!(cluster.contains("data-page=\"cluster\"") && cluster.matches("<tr data-host=\"").count() == 3);
    for hook in
        ["data-role=\"leader\"", "data-liveness=\"suspect\"", "last seen 12 s ago", "last seen 4 min ago"]
    {
        assert!(cluster.contains(hook), "{hook}");
    }
    // Only who is gone can be removed, and only by a majority.
    assert_eq!(cluster.matches("/remove\"").count(), 1);
    assert_eq!(html("cluster-lost").matches("/remove\"").count(), 0);
    assert!(
        html("cluster-fresh").contains("id=\"join-token\"") && html("cluster-fresh").contains("class=\"qr\"")
    );
    assert!(
        html("cluster-alone").contains("id=\"join-form\"")
            && html("cluster-alone").contains("name=\"token\"")
    );
    assert!(!html("cluster-alone").contains("action=\"/cluster/leave\""));
    assert!(
        html("cluster-wrong").contains("qxj1_abc") && html("cluster-wrong").contains("id=\"token-error\"")
    );
    assert!(html("cluster-removed").contains("action=\"/cluster/leave\""));
    assert!(html("join").contains("data-page=\"join\"") && html("join").contains("action=\"/cluster/join\""));
    assert_eq!(html("join").matches("<tr data-clash=\"").count(), 2);
    assert!(html("join-blocked").contains("disabled>Join"));
    for fact in ["16 cores, 32 threads", "nvme0n1", "0.1.0, level "] {
        assert!(html("join").contains(fact), "{fact}");
    }
    assert_eq!(html("join-bare").matches("not known").count(), 3);
    // One that was used or has ended opens nothing more.
    assert_eq!(cluster.matches("/revoke\"").count(), 1);
    // Nobody is logged in any more, so no link of theirs may need it.
    for name in ["joining", "leaving"] {
        assert!(
            html(name).contains("href=\"/login?next=/cluster\"") && !html(name).contains("action="),
            "{name}"
        );
        // The page goes on without scripts.
        assert!(html(name).contains("<meta http-equiv=\"refresh\""), "{name}");
    }
    assert!(
        html("host-silent").contains("last seen 4 min ago") && html("host-silent").contains("data-stale")
    );
    for name in ["host-silent", "host-other"] {
        let said = html(name).contains("Looked for here at") && html(name).contains("192.0.2.7:8444<");
        assert!(said && html(name).contains("/address\""), "{name}");
    }
}
