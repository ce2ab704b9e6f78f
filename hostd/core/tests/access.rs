//! Logging in, sessions, tokens, passwords, and a clock that was set back.

use crate::bed::*;
use hostd_core::{Caller, Core, Ctx};
use hostd_types::*;
use std::net::IpAddr;

fn credentials(name: &str, password: &str) -> Credentials {
    Credentials { name: name.into(), password: password.into() }
}

async fn login(
    core: &Core,
    password: &str,
    from: u8,
) -> Result<(Session, User, hostd_core::Secret), Problem> {
    let address = IpAddr::from([192, 0, 2, from]);
    core.login(&credentials("admin", password), Some(address), "a test\nbrowser").await
}

fn as_user(user: &User, session: &Session) -> Ctx {
    let caller = Caller::User { user: user.clone(), session: Some(session.clone()), token: None };
    Ctx { caller, request: None, address: None }
}

#[test]
fn the_first_password_opens_a_session_until_it_is_changed() {
    let Some(bed) = Bed::bare() else { return };
    let mut kept = None;
    let slot = &mut kept;
    bed.with_core(|core| async move {
        let (name, first) = core.initial_password().await.expect("a first password");
        assert_eq!((name.as_str(), first.reveal().len()), ("admin", 20));
        assert!(
            core.notices(&core.cluster_view().await)
                .await
                .iter()
                .any(|n| n.link.as_deref() == Some("/account"))
        );
        let refused = login(&core, "wrong password", 1).await.expect_err("wrong");
        assert_eq!(refused.kind, ProblemKind::Unauthenticated);
        let unknown = core.login(&credentials("nobody", "wrong password"), None, "").await;
        assert_eq!(unknown.expect_err("unknown").detail, refused.detail);
        let (session, user, secret) = login(&core, first.reveal(), 1).await.expect("a session");
        let (_, _, other) = login(&core, first.reveal(), 2).await.expect("another session");
        assert!(core.session("guess").await.expect("no failure").is_none());
        assert_eq!(core.session(secret.reveal()).await.expect("no failure").map(|s| s.1), Some(user.clone()));

        let ctx = as_user(&user, &session);
        let wrong = core.change_password(&ctx, "wrong password", "a new password").await;
        assert!(wrong.expect_err("wrong").at("/current").is_some());
        let short = core.change_password(&ctx, first.reveal(), "short").await;
        assert!(short.expect_err("short").at("/new").is_some());
        core.change_password(&ctx, first.reveal(), "a new password").await.expect("changed");
        assert!(core.initial_password().await.is_none());
        assert!(core.session(other.reveal()).await.expect("no failure").is_none(), "others are out");
        assert!(core.session(secret.reveal()).await.expect("no failure").is_some(), "this one stays");

        let body = CreateToken { name: "ci".into(), days: 30 };
        let made = core.create_token(&as_user(&user, &session), &body).await.expect("a token");
        assert!(made.secret.starts_with("qx_"));
        assert!(core.token(&made.secret).await.expect("no failure").is_some());
        assert!(core.token("qx_guess").await.expect("no failure").is_none());
        let bad = core.create_token(&ctx, &CreateToken { name: "../x".into(), days: 0 }).await;
        assert_eq!(bad.expect_err("both fields").errors.len(), 2);
        let exists = core.create_token(&console(), &body).await.expect_err("the same administrator's name");
        assert_eq!(exists.kind, ProblemKind::Exists);
        let revoke = command::AccessCommand::RevokeToken { id: made.token.id };
        let ctx = as_user(&user, &session);
        core.submit(&ctx, Command::Access(revoke)).await.expect("revoked");
        assert!(core.token(&made.secret).await.expect("no failure").is_none());
        *slot = Some(secret);
    });
    let secret = kept.expect("a session");
    bed.with_core(|core| async move {
        assert!(core.session(secret.reveal()).await.expect("no failure").is_some(), "it survives a restart");
        assert!(core.initial_password().await.is_none());
        let (name, fresh) = core.reset_password(&console()).await.expect("a reset");
        assert!(core.session(secret.reveal()).await.expect("no failure").is_none());
        let (session, user, _) = login(&core, fresh.reveal(), 9).await.expect("the new password");
        assert_eq!(user.name, name);
        core.reset_password(&as_user(&user, &session)).await.expect_err("root alone");
    });
}

#[test]
fn an_unchanged_first_password_is_replaced_when_a_boot_lost_it() {
    let Some(bed) = Bed::bare() else { return };
    let mut first = None;
    let slot = &mut first;
    bed.with_core(|core| async move { *slot = core.initial_password().await });
    let first = first.expect("a first password").1;
    let same = first.reveal().to_owned();
    bed.with_core(|core| async move {
        let again = core.initial_password().await.expect("still shown").1;
        assert_eq!(again.reveal(), same, "a restart of the daemon changes nothing");
    });
    std::fs::write(bed.path("r/initial-password"), "another\n").expect("a file of a daemon that died");
    bed.with_core(|core| async move {
        let shown = core.initial_password().await.expect("shown").1;
        assert_ne!(shown.reveal(), "another", "what is shown must be what is set");
    });
    std::fs::remove_dir_all(bed.path("r")).expect("a boot");
    bed.with_core(|core| async move {
        let fresh = core.initial_password().await.expect("a new first password").1;
        assert_ne!(fresh.reveal(), first.reveal());
        login(&core, first.reveal(), 1).await.expect_err("the old one is gone");
        let (session, user, _) = login(&core, fresh.reveal(), 1).await.expect("the new one works");
        assert!(user.initial_password);
        let ctx = as_user(&user, &session);
        core.change_password(&ctx, fresh.reveal(), "a new password").await.expect("changed");
    });
    std::fs::remove_dir_all(bed.path("r")).expect("another boot");
    bed.with_core(|core| async move {
        assert!(core.initial_password().await.is_none());
        login(&core, "a new password", 1).await.expect("the owner's own password stays");
    });
}

#[test]
fn root_makes_tokens_of_the_administrator() {
    let Some(bed) = Bed::bare() else { return };
    bed.with_core(|core| async move {
        let body = CreateToken { name: "ci".into(), days: 1 };
        let made = core.create_token(&console(), &body).await.expect("a token");
        let (token, user) = core.token(&made.secret).await.expect("no failure").expect("it opens");
        assert_eq!((token.user, user.name.as_str()), (user.id, "admin"));
        assert_eq!(core.tokens(&console()).await.expect("tokens"), [made.token]);
        let events = core.events(&ListParams::default(), None).await.expect("events").items;
        assert!(events.iter().any(|e| e.action == "token.create" && e.by == Actor::Console), "{events:?}");
        let host = Ctx { caller: Caller::Host, ..console() };
        let refused = core.create_token(&host, &body).await.expect_err("a host is no person");
        assert_eq!(refused.kind, ProblemKind::Forbidden);
        let revoke = command::AccessCommand::RevokeToken { id: token.id };
        core.submit(&console(), Command::Access(revoke)).await.expect("revoked");
        assert!(core.token(&made.secret).await.expect("no failure").is_none());
    });
}

#[test]
fn guessing_is_slowed_down_and_audited() {
    let Some(bed) = Bed::bare() else { return };
    bed.with_core(|core| async move {
        let mut waits = 0;
        for _ in 0..7 {
            let refused = login(&core, "wrong password", 1).await.expect_err("wrong");
            if refused.kind == ProblemKind::TooMany {
                assert!(refused.retry_after.is_some());
                waits += 1;
            }
        }
        assert!(waits >= 1);
        let first = core.initial_password().await.expect("a first password").1;
        let right = credentials("admin", first.reveal());
        core.login(&right, None, "").await.expect("the local console does not wait for strangers");
        login(&core, first.reveal(), 2).await.expect("nor does another address");
        let list = ListParams { state: Some("refused".into()), ..ListParams::default() };
        let events = core.events(&list, None).await.expect("events").items;
        assert!(
            events.iter().any(|e| e.by == Actor::Anonymous && e.detail.contains("192.0.2.1")),
            "{events:?}"
        );
        assert!(events.iter().all(|e| !e.detail.contains("wrong password")), "{events:?}");
    });
}

#[test]
fn a_clock_set_back_is_told_and_locks_nobody_out() {
    let Some(bed) = Bed::bare() else { return };
    let mut kept = None;
    let slot = &mut kept;
    bed.with_core(|core| async move {
        let (_, first) = core.initial_password().await.expect("a first password");
        *slot = Some(login(&core, first.reveal(), 1).await.expect("a session").2);
    });
    let secret = kept.expect("a session");
    // As if everything so far had happened a day later than it is now.
    bed.runtime.block_on(async {
        let cluster = bed.bare_cluster().await;
        let later = Timestamp::now().unix() + 86_400;
        cluster.local().put("clock", &later.to_string()).await.expect("a note");
        let seen = cluster.local().get("sessions_seen").await.expect("read").expect("seen");
        let shifted = seen.split(':').next().map(|head| format!("{head}:{later}}}")).expect("one session");
        cluster.local().put("sessions_seen", &shifted).await.expect("a note");
        cluster.shutdown().await;
    });
    bed.with_core(|core| async move {
        let back = core.host_view(core.host()).await.expect("the host").facts.clock_back_s.expect("a jump");
        assert!((86_000..=86_400).contains(&back), "{back}");
        assert!(
            core.notices(&core.cluster_view().await).await.iter().any(|notice| notice.text.contains("clock"))
        );
        assert!(core.session(secret.reveal()).await.expect("no failure").is_some());
        let id = VolumeId::new();
        let volume = CreateVolume { name: "data".into(), size_bytes: 1 << 20, format: DiskFormat::Raw };
        let make = command::VolumeCommand::Create { id, host: core.host(), volume };
        succeeded(&core, ask(&core, Command::Volume(make)).await).await;
        let events = core.events(&ListParams::default(), None).await.expect("events").items;
        assert!(events.windows(2).all(|pair| pair[0].seq > pair[1].seq), "newest first");
    });
}
