//! Customization specifications.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

async fn fixture() -> Fixture {
    let f = Fixture::new().await;
    let status = HostStatus { level: LEVEL, ..HostStatus::default() };
    f.ok(Command::Host(HostCommand::Report { id: f.host, name: "h1".into(), status })).await;
    f.ok(Command::Cluster(ClusterCommand::Raise { level: LEVEL })).await;
    f
}

fn custom(hash: Option<GuestPassword>) -> Customization {
    let user = GuestUser { name: "ada".into(), password: hash, ..GuestUser::default() };
    Customization { users: vec![user], timezone: "UTC".into(), ..Customization::default() }
}

fn make(name: &str) -> (SpecificationId, Command) {
    let id = SpecificationId::new();
    let customization = custom(Some(GuestPassword::Hash("$6$a$b".into())));
    let specification = CreateSpecification { name: name.into(), description: String::new(), customization };
    (id, Command::Specification(SpecificationCommand::Create { id, specification }))
}

fn edit(id: SpecificationId, expect: Option<u64>, edit: EditSpecification) -> Command {
    Command::Specification(SpecificationCommand::Edit { id, expect, edit })
}

#[tokio::test]
async fn below_the_level_there_are_none() {
    let f = Fixture::new().await;
    assert_eq!(f.cluster.store().specifications().await.unwrap(), []);
    f.refused(make("web").1).await;
}

#[tokio::test]
async fn they_are_made_copied_changed_and_deleted_and_machines_keep_what_they_got() {
    let f = fixture().await;
    let (id, made) = make("web");
    f.ok(made).await;
    assert_eq!(f.refused(make("WEB").1).await.kind, ProblemKind::Exists);
    let copy = SpecificationId::new();
    let copied = |name: &str| SpecificationCommand::Copy { id: copy, from: id, name: name.into() };
    assert!(f.refused(Command::Specification(copied("Web"))).await.at("/name").is_some());
    f.ok(Command::Specification(copied("other"))).await;
    let of = async |id| f.cluster.store().specification(id).await.unwrap().unwrap();
    assert_eq!(of(copy).await.spec.customization, of(id).await.spec.customization);

    let stale = EditSpecification { name: Some("x".into()), ..EditSpecification::default() };
    assert_eq!(f.refused(edit(id, Some(7), stale)).await.kind, ProblemKind::Conflict);
    let kept = Customization { timezone: "Europe/Berlin".into(), ..custom(Some(GuestPassword::Kept)) };
    let change = EditSpecification {
        name: Some("Web".into()),
        customization: Some(kept),
        ..EditSpecification::default()
    };
    f.ok(edit(id, Some(1), change)).await;
    let seen = of(id).await;
    assert_eq!((seen.spec.name.as_str(), seen.meta.generation), ("Web", 2));
    assert_eq!(seen.spec.customization.timezone, "Europe/Berlin");
    assert_eq!(seen.spec.customization.users[0].password, Some(GuestPassword::Hash("$6$a$b".into())));
    f.ok(edit(id, None, EditSpecification::default())).await;
    assert_eq!(of(id).await.meta.generation, 2, "nothing changed");

    let vm = VmId::new();
    let mut asked = seen.spec.customization.clone();
    (asked.specification, asked.specification_name) = (Some(id), "Web".into());
    f.ok(create(vm, f.host, CreateVm { customization: Some(asked), ..blank_vm("one") })).await;
    assert_eq!(f.cluster.store().vms_by_specification().await.unwrap(), [(id, 1)].into());
    f.ok(Command::Specification(SpecificationCommand::Delete { id })).await;
    f.refused(Command::Specification(SpecificationCommand::Delete { id })).await;
    let row = f.cluster.store().vm(vm).await.unwrap().unwrap();
    let has = row.spec.customization.unwrap();
    assert_eq!((has.specification_name.as_str(), has.timezone.as_str()), ("Web", "Europe/Berlin"));
}
