//! Links to consoles: each opens once, and only its hashes are kept.

use crate::cluster_record::founded;
use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn hash(text: &str) -> SecretHash {
    SecretHash(text.repeat(8))
}

fn share(f: &Fixture, vm: VmId, text: &str, seconds: i64) -> (ConsoleLinkId, Command) {
    let id = ConsoleLinkId::new();
    let expires_at = f.now().plus_seconds(1 + seconds);
    let share = AccessCommand::ShareConsole { id, vm, control: true, expires_at, secret: hash(text) };
    (id, Command::Access(share))
}

fn open(text: &str, pass: &str) -> Command {
    let (secret, pass) = (hash(text), hash(pass));
    Command::Access(AccessCommand::OpenLink { secret, pass, address: "192.0.2.7".into() })
}

#[tokio::test]
async fn a_link_opens_once_and_its_pass_as_long_as_it_is_there() {
    let (f, _) = founded().await;
    let (store, vm) = (f.cluster.store(), f.ready_vm("web").await);
    let (id, command) = share(&f, vm, "secret", 60);
    f.ok(command).await;
    let (_, another) = share(&f, VmId::new(), "other", 60);
    assert_eq!(f.refused(another).await.kind, ProblemKind::NotFound);
    f.ok(open("secret", "pass")).await;
    let link = store.console_link_by_pass(&hash("pass")).await.unwrap().expect("it is open");
    assert_eq!((link.id, link.vm, link.control), (id, vm, true));
    assert_eq!(link.used.expect("its use").address, "192.0.2.7");
    for (text, pass) in [("secret", "again"), ("guess", "pass2"), ("pass", "pass3")] {
        assert_eq!(f.refused(open(text, pass)).await.kind, ProblemKind::Unauthenticated, "{text}");
    }
    assert!(store.console_link_by_pass(&hash("again")).await.unwrap().is_none());
    assert_eq!(store.console_links(vm).await.unwrap().len(), 1);
    f.ok(Command::Access(AccessCommand::RevokeLink { id })).await;
    assert!(store.console_link_by_pass(&hash("pass")).await.unwrap().is_none());
    let gone = f.refused(Command::Access(AccessCommand::RevokeLink { id })).await;
    assert_eq!(gone.kind, ProblemKind::NotFound);
    let events = f.events(vm).await;
    for action in ["vm.share_console", "vm.open_link", "vm.revoke_link"] {
        assert!(events.iter().any(|event| event.contains(action)), "{action}: {events:?}");
    }
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_a_machine_has_so_many() {
    let (f, _) = founded().await;
    let vm = f.ready_vm("web").await;
    let (_, short) = share(&f, vm, "short", 10);
    f.ok(short).await;
    f.advance(60);
    assert_eq!(f.refused(open("short", "pass")).await.kind, ProblemKind::Unauthenticated);
    for n in 0..CONSOLE_LINKS_MAX {
        let (_, more) = share(&f, vm, &format!("more{n}"), 600);
        f.ok(more).await;
    }
    let (_, over) = share(&f, vm, "over", 600);
    assert_eq!(f.refused(over).await.kind, ProblemKind::Capacity);
    f.ok(Command::Task(TaskCommand::Prune { before: f.now() })).await;
    assert_eq!(f.cluster.store().console_links(vm).await.unwrap().len(), CONSOLE_LINKS_MAX);
    f.advance(3600);
    f.ok(Command::Task(TaskCommand::Prune { before: Timestamp::from_unix(0) })).await;
    assert!(f.cluster.store().console_links(vm).await.unwrap().is_empty());
}
