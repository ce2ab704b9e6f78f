//! Users, sessions, tokens.

use crate::fixture::*;
use hostd_types::command::*;
use hostd_types::*;

fn session(f: &Fixture, user: UserId, lives_s: i64) -> Session {
    Session {
        id: SessionId::new(),
        user,
        created_at: f.now(),
        expires_at: f.now().plus_seconds(lives_s),
        address: "192.0.2.7".into(),
        agent: "browser".into(),
    }
}

fn secret(text: &str) -> SecretHash {
    SecretHash(text.into())
}

async fn administrator(f: &Fixture) -> UserId {
    let id = UserId::new();
    let password = PasswordHash("$argon2id$first".into());
    f.ok(Command::Access(AccessCommand::CreateUser { id, name: "admin".into(), password, initial: true }))
        .await;
    id
}

#[tokio::test]
async fn sessions_are_found_by_their_secret_until_logout_or_a_new_password() {
    let f = Fixture::new().await;
    let user = administrator(&f).await;
    let store = f.cluster.store();
    let mut sessions = Vec::new();
    for text in ["a", "b", "c"] {
        let session = session(&f, user, 3600);
        let login = AccessCommand::Login { session: session.clone(), secret: secret(text) };
        f.ok(Command::Access(login)).await;
        sessions.push(session);
    }
    let (found, of) = store.session_by_secret(&secret("b")).await.unwrap().expect("session b");
    assert_eq!((&found, of.name.as_str(), of.initial_password), (&sessions[1], "admin", true));
    f.ok(Command::Access(AccessCommand::Logout { id: sessions[2].id })).await;
    assert_eq!(store.session_by_secret(&secret("c")).await.unwrap(), None);
    assert_eq!(
        f.refused(Command::Access(AccessCommand::Logout { id: sessions[2].id })).await.kind,
        ProblemKind::NotFound
    );

    let password = PasswordHash("$argon2id$second".into());
    let change = AccessCommand::SetPassword {
        id: user,
        password: password.clone(),
        keep: Some(sessions[0].id),
        initial: false,
    };
    f.ok(Command::Access(change)).await;
    assert!(store.session_by_secret(&secret("a")).await.unwrap().is_some());
    assert_eq!(store.session_by_secret(&secret("b")).await.unwrap(), None);
    let (changed, hash) = store.user_with_password("ADMIN").await.unwrap().expect("the user");
    assert_eq!((hash, changed.initial_password), (password, false));
    let forget = AccessCommand::SetPassword {
        id: user,
        password: PasswordHash("x".into()),
        keep: None,
        initial: false,
    };
    f.ok(Command::Access(forget)).await;
    assert_eq!(store.session_by_secret(&secret("a")).await.unwrap(), None);
    assert!(f.events(user).await.iter().all(|e| !e.contains("argon2")), "a secret in the audit trail");
}

#[tokio::test]
async fn names_of_users_and_tokens_are_taken_once_and_tokens_can_be_revoked() {
    let f = Fixture::new().await;
    let user = administrator(&f).await;
    let again = AccessCommand::CreateUser {
        id: UserId::new(),
        name: "Admin".into(),
        password: PasswordHash("x".into()),
        initial: false,
    };
    assert_eq!(f.refused(Command::Access(again)).await.kind, ProblemKind::Exists);
    let store = f.cluster.store();
    assert_eq!(store.users().await.unwrap().len(), 1);
    let token = |id, hash: &str| {
        Command::Access(AccessCommand::CreateToken {
            id,
            name: "ci".into(),
            user,
            expires_at: f.now().plus_seconds(86_400),
            secret: secret(hash),
        })
    };
    let id = TokenId::new();
    f.ok(token(id, "t")).await;
    assert_eq!(f.refused(token(TokenId::new(), "u")).await.kind, ProblemKind::Exists);
    let (found, of) = store.token_by_secret(&secret("t")).await.unwrap().expect("the token");
    assert_eq!((found.id, of.id), (id, user));
    assert_eq!(store.tokens(user).await.unwrap(), [found]);
    f.ok(Command::Access(AccessCommand::RevokeToken { id })).await;
    assert_eq!(store.token_by_secret(&secret("t")).await.unwrap(), None);
}

#[tokio::test]
async fn pruning_drops_ended_sessions_and_tokens() {
    let f = Fixture::new().await;
    let user = administrator(&f).await;
    for (text, lives_s) in [("short", 10), ("long", 1000)] {
        let login = AccessCommand::Login { session: session(&f, user, lives_s), secret: secret(text) };
        f.ok(Command::Access(login)).await;
        let token = AccessCommand::CreateToken {
            id: TokenId::new(),
            name: text.into(),
            user,
            expires_at: f.now().plus_seconds(lives_s),
            secret: secret(text),
        };
        f.ok(Command::Access(token)).await;
    }
    f.advance(100);
    f.ok(Command::Task(TaskCommand::Prune { before: Timestamp::from_unix(0) })).await;
    let store = f.cluster.store();
    for (text, stays) in [("short", false), ("long", true)] {
        assert_eq!(store.session_by_secret(&secret(text)).await.unwrap().is_some(), stays, "{text}");
        assert_eq!(store.token_by_secret(&secret(text)).await.unwrap().is_some(), stays, "{text}");
    }
}
