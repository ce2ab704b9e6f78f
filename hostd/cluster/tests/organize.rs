//! Folders, tags, notes and saved views.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

/// A cluster whose members know all of it.
async fn fixture() -> Fixture {
    let f = Fixture::new().await;
    let status = HostStatus { level: LEVEL, ..HostStatus::default() };
    f.ok(Command::Host(HostCommand::Report { id: f.host, name: "h1".into(), status })).await;
    f.ok(Command::Cluster(ClusterCommand::Raise { level: LEVEL })).await;
    f
}

fn command(command: OrganizeCommand) -> Command {
    Command::Organize(command)
}

fn make(name: &str, parent: Option<FolderId>) -> (FolderId, Command) {
    let id = FolderId::new();
    (id, command(OrganizeCommand::CreateFolder { id, folder: CreateFolder { name: name.into(), parent } }))
}

async fn folder(f: &Fixture, name: &str, parent: Option<FolderId>) -> FolderId {
    let (id, made) = make(name, parent);
    f.ok(made).await;
    id
}

fn edit_folder(id: FolderId, name: Option<&str>, parent: Option<Option<FolderId>>) -> Command {
    let edit = EditFolder { name: name.map(str::to_owned), parent: parent.map(FolderPlace) };
    command(OrganizeCommand::EditFolder { id, expect: None, edit })
}

fn file(kind: Kind, id: impl ToString, filing: EditFiling) -> Command {
    command(OrganizeCommand::File { kind, id: id.to_string(), filing })
}

fn into(folder: Option<FolderId>) -> EditFiling {
    EditFiling { folder: Some(FolderPlace(folder)), ..EditFiling::default() }
}

fn set(tags: &[(&str, &str)]) -> EditFiling {
    let set = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    EditFiling { set, ..EditFiling::default() }
}

async fn names(f: &Fixture, list: ListParams) -> String {
    let page = f.cluster.store().vms(&list).await.unwrap();
    assert_eq!(page.total as usize, page.items.len());
    page.items.into_iter().map(|vm| vm.spec.name).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn below_the_level_there_are_no_folders_and_none_can_be_made() {
    let f = Fixture::new().await;
    assert_eq!(f.cluster.store().folders().await.unwrap(), []);
    assert_eq!(f.cluster.store().views(None).await.unwrap(), []);
    let nowhere =
        ListParams { folder: Some(FolderPlace(Some(FolderId::new()))), below: true, ..ListParams::default() };
    assert_eq!(names(&f, nowhere).await, "");
    f.refused(make("Lab", None).1).await;
    let filed = CreateVm { filing: NewFiling { notes: "n".into(), ..NewFiling::default() }, ..blank_vm("x") };
    f.refused(create(VmId::new(), f.host, filed)).await;
    f.ok(create(VmId::new(), f.host, blank_vm("x"))).await;
}

#[tokio::test]
async fn a_tree_keeps_its_names_apart_and_has_no_cycles_and_an_end() {
    let f = fixture().await;
    let prod = folder(&f, "Production", None).await;
    let web = folder(&f, "Web", Some(prod)).await;
    let lab = folder(&f, "Lab", None).await;
    folder(&f, "web", Some(lab)).await;
    let taken = f.refused(make("WEB", Some(prod)).1).await;
    assert_eq!((taken.kind, taken.at("/name").is_some()), (ProblemKind::Exists, true));
    assert_eq!(f.refused(edit_folder(web, None, Some(Some(lab)))).await.kind, ProblemKind::Exists);
    for into in [prod, web] {
        let cycle = f.refused(edit_folder(prod, None, Some(Some(into)))).await;
        assert!(cycle.at("/parent").unwrap().contains("itself"), "{cycle:?}");
    }
    let nowhere = f.refused(make("x", Some(FolderId::new())).1).await;
    assert!(nowhere.at("/parent").is_some());
    f.ok(edit_folder(web, Some("Front"), Some(Some(lab)))).await;
    assert_eq!(f.events(web).await.last().unwrap(), "folder.edit moved to /Lab, was Web");
    f.ok(edit_folder(web, None, Some(None))).await;
    let mut deepest = web;
    for level in 2..=FOLDER_DEPTH_MAX {
        deepest = folder(&f, &format!("level {level}"), Some(deepest)).await;
    }
    let deep = f.refused(make("too deep", Some(deepest)).1).await;
    assert!(deep.at("/parent").unwrap().contains('8'), "{deep:?}");
    // What is below counts when something moves.
    assert!(f.refused(edit_folder(web, None, Some(Some(lab)))).await.at("/parent").is_some());
}

#[tokio::test]
async fn a_folder_goes_when_it_is_empty_or_what_is_in_it_moves_up() {
    let f = fixture().await;
    let prod = folder(&f, "Production", None).await;
    let web = folder(&f, "Web", Some(prod)).await;
    let inner = folder(&f, "Inner", Some(web)).await;
    let vm = f.ready_vm("web-1").await;
    f.ok(file(Kind::Vm, vm, into(Some(web)))).await;
    let generation = f.vm(vm).await.meta.generation;
    let delete = |id, move_up| command(OrganizeCommand::DeleteFolder { id, move_up });
    let full = f.refused(delete(web, false)).await;
    assert!(full.detail.contains("folders: 1, machines: 1"), "{full:?}");
    let clash = folder(&f, "inner", Some(prod)).await;
    let problem = f.refused(delete(web, true)).await;
    assert!(problem.detail.contains("Inner"), "{problem:?}");
    assert_eq!(f.vm(vm).await.spec.filing.folder, Some(web), "a refusal changes nothing");
    f.ok(delete(clash, false)).await;
    f.ok(delete(web, true)).await;
    assert_eq!(f.vm(vm).await.spec.filing.folder, Some(prod));
    assert_eq!(f.vm(vm).await.meta.generation, generation, "a guest does not see its folder");
    let store = f.cluster.store();
    assert_eq!(store.folder(inner).await.unwrap().unwrap().spec.parent, Some(prod));
    assert_eq!(store.folder(web).await.unwrap(), None);
    f.ok(delete(prod, true)).await;
    assert_eq!(f.vm(vm).await.spec.filing.folder, None);
    assert_eq!(f.refused(delete(prod, true)).await.kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn lists_are_filtered_by_folder_and_by_tags() {
    let f = fixture().await;
    let prod = folder(&f, "Production", None).await;
    let web = folder(&f, "Web", Some(prod)).await;
    for (name, place, tags) in [
        ("a", None, vec![("env", "prod")]),
        ("b", Some(prod), vec![("env", "prod"), ("web", "")]),
        ("c", Some(web), vec![("env", "test"), ("web", "")]),
        ("d", Some(web), vec![]),
    ] {
        let tags = tags.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let filing = NewFiling { folder: place, tags, notes: String::new() };
        f.ok(create(VmId::new(), f.host, CreateVm { filing, ..blank_vm(name) })).await;
    }
    let by = |folder, below| ListParams { folder: Some(FolderPlace(folder)), below, ..ListParams::default() };
    for (list, wanted) in [
        (by(None, false), "a"),
        (by(None, true), "a b c d"),
        (by(Some(prod), false), "b"),
        (by(Some(prod), true), "b c d"),
        (by(Some(web), true), "c d"),
        (by(Some(FolderId::new()), true), ""),
    ] {
        assert_eq!(names(&f, list.clone()).await, wanted, "{list:?}");
    }
    let tagged = |tag: &str| ListParams { tag: Some(tag.into()), ..ListParams::default() };
    for (tag, wanted) in [
        ("env=prod", "a b"),
        ("env", "a b c"),
        ("web", "b c"),
        ("web=", "b c"),
        ("env=prod,web", "b"),
        ("en", ""),
    ] {
        assert_eq!(names(&f, tagged(tag)).await, wanted, "{tag}");
    }
    assert_eq!(names(&f, ListParams { tag: Some("web".into()), ..by(Some(web), false) }).await, "c");
    let odd = f.cluster.store().vms(&tagged("a\"b")).await.unwrap_err();
    assert!(odd.at("/tag").is_some(), "{odd:?}");
    let by_folder = f.cluster.store().vms_by_folder().await.unwrap();
    assert_eq!(by_folder, [(None, 1), (Some(prod), 1), (Some(web), 2)].into());
    let template = f.ready_vm("template").await;
    f.ok(file(Kind::Vm, template, into(Some(prod)))).await;
    assert_eq!(f.cluster.store().vms_by_folder().await.unwrap()[&Some(prod)], 2);
    f.ok(Command::Vm(VmCommand::SetTemplate { id: template, expect: None, template: true })).await;
    assert_eq!(f.cluster.store().vms_by_folder().await.unwrap(), by_folder, "a template is no machine");
    let nowhere = NewFiling { folder: Some(FolderId::new()), ..NewFiling::default() };
    let problem = f.refused(create(VmId::new(), f.host, CreateVm { filing: nowhere, ..blank_vm("e") })).await;
    assert!(problem.at("/filing/folder").is_some(), "{problem:?}");
}

#[tokio::test]
async fn everything_that_is_listed_has_tags_and_machines_have_notes() {
    let f = fixture().await;
    let vm = f.ready_vm("web").await;
    let volume = f.ready_volume("data").await;
    let image = f.ready_image("iso", ImageKind::Iso).await;
    let network = f.ready_network("lan", "10.9.0.0/24").await;
    for (kind, id) in [
        (Kind::Vm, vm.to_string()),
        (Kind::Volume, volume.to_string()),
        (Kind::Image, image.to_string()),
        (Kind::Network, network.to_string()),
    ] {
        f.ok(file(kind, &id, set(&[("env", "prod"), ("old", "")]))).await;
        let change = EditFiling { remove: vec!["old".into(), "none".into()], ..set(&[("owner", "Ann")]) };
        f.ok(file(kind, &id, change.clone())).await;
        f.ok(file(kind, &id, change)).await;
        let events = f.events(&id).await;
        let said: Vec<&str> = events.iter().rev().take(3).map(|e| e.split_once(' ').unwrap().1).collect();
        assert_eq!(said, ["nothing changed", "-old, +owner=Ann", "+env=prod, +old"], "{kind:?}");
    }
    let list = ListParams { tag: Some("env=prod,owner=Ann".into()), ..ListParams::default() };
    let store = f.cluster.store();
    let found = (
        store.vms(&list).await.unwrap().total,
        store.volumes(&list).await.unwrap().total,
        store.images(&list).await.unwrap().total,
        store.networks(&list).await.unwrap().total,
    );
    assert_eq!(found, (1, 1, 1, 1));
    let notes = EditFiling { notes: Some("two\nlines".into()), ..EditFiling::default() };
    f.ok(file(Kind::Vm, vm, notes.clone())).await;
    assert_eq!(f.vm(vm).await.spec.filing.notes, "two\nlines");
    let problem = f.refused(file(Kind::Volume, volume, notes)).await;
    assert!(problem.at("/notes").is_some());
    assert!(f.refused(file(Kind::Image, image, into(None))).await.at("/folder").is_some());
    f.refused(file(Kind::Task, vm, set(&[("a", "")]))).await;
    f.refused(file(Kind::Vm, VmId::new(), set(&[("a", "")]))).await;
    let many: Vec<(String, String)> = (0..TAGS_MAX).map(|n| (format!("k{n}"), String::new())).collect();
    let many = EditFiling { set: many.into_iter().collect(), ..EditFiling::default() };
    assert!(f.refused(file(Kind::Vm, vm, many)).await.at("/set").is_some());
    assert_eq!(f.vm(vm).await.meta.labels.len(), 2);
}

#[tokio::test]
async fn saved_views_are_their_users_alone_and_survive_a_restart() {
    let f = fixture().await;
    let (ann, bob) = (Some(UserId::new()), Some(UserId::new()));
    let save = |user, name: &str, query: &str| {
        let view = SaveView { name: name.into(), list: ListName::Vms, query: query.into() };
        command(OrganizeCommand::SaveView { id: ViewId::new(), user, view })
    };
    f.ok(save(ann, "Mine", "q=a")).await;
    f.ok(save(bob, "Mine", "q=b")).await;
    f.ok(save(ann, "MINE", "q=c")).await;
    f.ok(save(None, "Console", "")).await;
    let f = f.reopen(hostd_cluster::Settings::default()).await;
    let views = f.cluster.store().views(ann).await.unwrap();
    let told: Vec<_> = views.iter().map(|v| (v.name.as_str(), v.query.as_str())).collect();
    assert_eq!(told, [("MINE", "q=c")], "saved again, it is replaced");
    let id = views[0].id;
    let delete = |user| command(OrganizeCommand::DeleteView { id, user });
    assert_eq!(f.refused(delete(bob)).await.kind, ProblemKind::NotFound);
    f.ok(delete(ann)).await;
    assert_eq!(f.cluster.store().views(ann).await.unwrap(), []);
    assert_eq!(f.cluster.store().views(bob).await.unwrap().len(), 1);
    assert_eq!(f.cluster.store().views(None).await.unwrap().len(), 1);
}
