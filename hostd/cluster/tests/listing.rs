//! Lists: pages, filters, orders.

use crate::fixture::*;
use hostd_types::*;

fn list() -> ListParams {
    ListParams::default()
}

/// Names of all pages of `limit` rows.
async fn walk(f: &Fixture, params: ListParams, limit: u32) -> Vec<String> {
    let mut names = Vec::new();
    let mut params = ListParams { limit: Some(limit), ..params };
    loop {
        let page = f.cluster.store().vms(&params).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        names.extend(page.items.into_iter().map(|vm| vm.spec.name));
        match page.next {
            Some(next) => params.cursor = Some(next),
            None => return names,
        }
    }
}

#[tokio::test]
async fn pages_in_every_order_hold_every_row_once() {
    let f = Fixture::new().await;
    for (n, name) in ["delta", "Alpha", "charlie", "bravo", "echo"].into_iter().enumerate() {
        let id = VmId::new();
        let vm = CreateVm { cpus: 1 + n as u32 % 2, memory_mib: 64 * (9 - n as u64), ..blank_vm(name) };
        f.ok(create(id, f.host, vm)).await;
        if n % 2 == 0 {
            f.ok(vm_report(id, running(), None)).await;
        }
    }
    let by = |sort: &str, desc| ListParams { sort: Some(sort.into()), desc, ..list() };
    let expected = [
        (list(), "Alpha bravo charlie delta echo"),
        (by("name", true), "echo delta charlie bravo Alpha"),
        (by("memory", false), "echo bravo charlie Alpha delta"),
        (by("created", false), "delta Alpha charlie bravo echo"),
        (by("cpus", false), "delta charlie echo Alpha bravo"),
        (by("cpus", true), "bravo Alpha echo charlie delta"),
        (by("state", false), "delta charlie echo Alpha bravo"),
    ];
    for (params, names) in expected {
        for limit in [1, 2, 3, 5, 500] {
            assert_eq!(walk(&f, params.clone(), limit).await.join(" "), names, "{params:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn filters_match_text_and_state_and_the_total_counts_them() {
    let f = Fixture::new().await;
    for name in ["web-1", "WEB_2", "db.web", "mail"] {
        let id = VmId::new();
        f.ok(create(id, f.host, blank_vm(name))).await;
        if name != "mail" {
            f.ok(vm_report(id, running(), None)).await;
        }
    }
    let q = |text: &str| ListParams { q: Some(text.into()), ..list() };
    // What has a meaning in patterns is text like any other; what breaks out of SQL finds nothing.
    for (text, names) in
        [("web", "db.web web-1 WEB_2"), ("_", "WEB_2"), ("%", ""), ("\\", ""), ("' OR 1=1 --", "")]
    {
        assert_eq!(walk(&f, q(text), 2).await.join(" "), names, "{text}");
    }
    let page = f.cluster.store().vms(&ListParams { limit: Some(1), ..q("web") }).await.unwrap();
    assert_eq!((page.items.len(), page.total), (1, 3));
    let running = ListParams { state: Some("running".into()), ..q("web") };
    assert_eq!(f.cluster.store().vms(&running).await.unwrap().total, 3);
    let on = |host| ListParams { host: Some(host), ..q("web") };
    assert_eq!(walk(&f, on(f.host), 2).await.join(" "), "db.web web-1 WEB_2");
    assert!(walk(&f, on(HostId::new()), 2).await.is_empty());
    let unknown = ListParams { state: Some("unknown".into()), ..list() };
    assert_eq!(walk(&f, unknown, 9).await, ["mail"]);
    assert_eq!(
        f.cluster.store().vm_named("Web-1").await.unwrap().map(|vm| vm.spec.name),
        Some("web-1".into())
    );
}

#[tokio::test]
async fn orders_and_cursors_that_do_not_exist_are_refused() {
    let f = Fixture::new().await;
    for name in ["a", "b", "c"] {
        f.ready_vm(name).await;
    }
    let store = f.cluster.store();
    let odd = ListParams { sort: Some("name; DROP TABLE vm".into()), ..list() };
    let problem = store.vms(&odd).await.unwrap_err();
    assert_eq!((problem.kind, problem.at("/sort").is_some()), (ProblemKind::Invalid, true));
    let first = store.vms(&ListParams { limit: Some(1), ..list() }).await.unwrap();
    let elsewhere = ListParams { cursor: first.next, sort: Some("cpus".into()), ..list() };
    assert_eq!(store.vms(&elsewhere).await.unwrap_err().kind, ProblemKind::BadRequest);
    for cursor in ["", "%%%", "bm90IGpzb24"] {
        let params = ListParams { cursor: Some(cursor.into()), ..list() };
        assert_eq!(store.vms(&params).await.unwrap_err().kind, ProblemKind::BadRequest, "{cursor:?}");
    }
}

#[tokio::test]
async fn tasks_and_events_come_newest_first_in_pages() {
    let f = Fixture::new().await;
    let id = f.ready_vm("web").await;
    for _ in 0..5 {
        f.ok(power(id, PowerAction::Start)).await;
    }
    let mut tasks = Vec::new();
    let mut params = ListParams { limit: Some(2), ..list() };
    loop {
        let page = f.cluster.store().tasks(&params).await.unwrap();
        assert_eq!(page.total, 6);
        tasks.extend(page.items.iter().map(|t| t.created_at.unix()));
        match page.next {
            Some(next) => params.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(tasks.len(), 6);
    assert!(tasks.is_sorted_by(|a, b| a > b), "{tasks:?}");
    let running = ListParams { state: Some("running".into()), ..list() };
    assert_eq!(f.cluster.store().tasks(&running).await.unwrap().total, 1);
    let mut seqs = Vec::new();
    let mut params = ListParams { limit: Some(3), ..list() };
    loop {
        let page = f.cluster.store().events(&params, Some(&id.to_string())).await.unwrap();
        seqs.extend(page.items.iter().map(|e| e.seq));
        match page.next {
            Some(next) => params.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seqs.len(), 7);
    assert!(seqs.is_sorted_by(|a, b| a > b), "{seqs:?}");
}
