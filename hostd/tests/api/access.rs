//! Logging in, sessions, forgery, tokens.

use crate::bed::{Bed, pointers, refused};
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;

#[tokio::test]
async fn a_session_is_a_strict_cookie_and_survives_the_daemon() {
    let Some(mut bed) = Bed::start().await else { return };
    let credentials = bed.credentials().await;
    let mut http = bed.network();
    let answer = http.send(Method::POST, "/api/v1/session", Some(&credentials)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["__Host-quantix=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{part} is missing in the cookie");
    }
    assert!(!answer.text().contains(credentials["password"].as_str().unwrap()));

    bed.crash().await;
    assert_eq!(http.get("/api/v1/session").await.unwrap()["user"]["name"], credentials["name"]);

    // Logged out is logged out, cookie or not.
    let csrf = answer.json().unwrap()["csrf"].as_str().unwrap().to_owned();
    http.fields = vec![("origin", bed.host.url()), ("x-csrf-token", csrf)];
    let stolen = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(http.send(Method::DELETE, "/api/v1/session", None).await.unwrap().status, 204);
    let mut thief = bed.network();
    thief.fields = vec![("cookie", stolen)];
    refused(&thief.send(Method::GET, "/api/v1/session", None).await.unwrap(), 401, "unauthenticated");
}

#[tokio::test]
async fn other_sites_can_t_use_the_cookie() {
    let Some(bed) = Bed::start().await else { return };
    let mut browser = bed.browser().await;
    let good = browser.fields.clone();
    let (origin, token) = (good[0].clone(), good[1].clone());
    let body = json!({"name": "ci", "days": 1});
    let attempts = [
        ("no origin", vec![token.clone()]),
        ("no token", vec![origin.clone()]),
        ("another session's token", vec![origin.clone(), ("x-csrf-token", "00".repeat(32))]),
        ("another site", vec![("origin", "https://evil.example".into()), token.clone()]),
        (
            "the browser says cross-site",
            vec![origin.clone(), token.clone(), ("sec-fetch-site", "cross-site".into())],
        ),
    ];
    for (what, fields) in attempts {
        browser.fields = fields;
        let answer = browser.send(Method::POST, "/api/v1/tokens", Some(&body)).await.unwrap();
        assert_eq!(answer.status, 403, "{what}: {}", answer.text());
    }
    browser.fields = good;
    let answer = browser.send(Method::POST, "/api/v1/tokens", Some(&body)).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test]
async fn a_multipart_form_does_not_get_around_the_token() {
    let Some(bed) = Bed::start().await else { return };
    let mut browser = bed.browser().await;
    browser.fields.retain(|(name, _)| *name != "x-csrf-token");
    let form = |csrf: &str| {
        let csrf = format!("--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n");
        let file =
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x.img\"\r\n\r\nx\r\n--b--\r\n";
        Bytes::from(csrf + file)
    };
    let kind = Some("multipart/form-data; boundary=b");
    for path in ["/account/theme", "/logout", "/tokens", "/images"] {
        let answer = browser.send_bytes(Method::POST, path, kind, form("00")).await.unwrap();
        assert_eq!(answer.status, 403, "{path}: {}", answer.text());
    }
    assert!(browser.get("/api/v1/session").await.is_ok(), "nobody was logged out");
}

#[tokio::test]
async fn a_token_works_until_it_is_revoked_and_is_named_in_events() {
    let Some(mut bed) = Bed::start().await else { return };
    let mut browser = bed.browser().await;
    let made = browser.post("/api/v1/tokens", &json!({"name": "ci", "days": 30})).await.unwrap();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("qx_"));
    let listed = browser.send(Method::GET, "/api/v1/tokens", None).await.unwrap();
    assert!(!listed.text().contains(secret), "a secret is shown once");

    let mut client = bed.network();
    client.fields = vec![("authorization", format!("Bearer {secret}"))];
    let volume = json!({"name": "v", "size_bytes": 1 << 20});
    let answer = client.send(Method::POST, "/api/v1/volumes", Some(&volume)).await.unwrap();
    bed.done(&answer).await;
    let events = bed.get("events").await;
    let event = events["items"].as_array().unwrap().iter().find(|e| e["action"] == "volume.create").unwrap();
    assert_eq!(event["by"]["token"], "ci");

    // A token can't outlive itself by another one, nor take the account over.
    let another = json!({"name": "another", "days": 365});
    refused(&client.send(Method::POST, "/api/v1/tokens", Some(&another)).await.unwrap(), 403, "forbidden");
    let change = json!({"current": "x", "new": "seven green apples"});
    let answer = client.send(Method::POST, "/api/v1/account/password", Some(&change)).await.unwrap();
    refused(&answer, 403, "forbidden");

    let path = format!("/api/v1/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(browser.send(Method::DELETE, &path, None).await.unwrap().status, 204);
    refused(&client.send(Method::GET, "/api/v1/vms", None).await.unwrap(), 401, "unauthenticated");

    let answer =
        browser.send(Method::POST, "/api/v1/tokens", Some(&json!({"name": "x", "days": 0}))).await.unwrap();
    assert_eq!(pointers(&refused(&answer, 422, "invalid")), ["/days"]);
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down_and_recorded() {
    let Some(mut bed) = Bed::start().await else { return };
    let mut http = bed.network();
    let name = bed.credentials().await["name"].clone();
    let mut slowed = None;
    for _ in 0..30 {
        let guess = json!({"name": name, "password": "not-the-password"});
        let answer = http.send(Method::POST, "/api/v1/session", Some(&guess)).await.unwrap();
        if answer.status == 429 {
            slowed = Some(answer);
            break;
        }
        refused(&answer, 401, "unauthenticated");
    }
    let slowed = slowed.expect("thirty wrong passwords in a row were all tried");
    refused(&slowed, 429, "too-many");
    assert!(slowed.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    let events = bed.get("events").await;
    let failed = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|e| e["action"] == "session.login" && (e["result"] == "refused" || e["result"] == "failed"));
    assert!(failed, "{events:#}");
    assert!(!events.to_string().contains("not-the-password"));
}

#[tokio::test]
async fn a_changed_password_ends_other_sessions() {
    let Some(mut bed) = Bed::start().await else { return };
    let mut here = bed.browser().await;
    let mut elsewhere = bed.browser().await;
    let current = bed.credentials().await["password"].clone();
    let change = "/api/v1/account/password";
    let short =
        here.send(Method::POST, change, Some(&json!({"current": current, "new": "short"}))).await.unwrap();
    assert_eq!(pointers(&refused(&short, 422, "invalid")), ["/new"]);
    let guess = json!({"current": "not-the-password", "new": "seven green apples"});
    refused(&here.send(Method::POST, change, Some(&guess)).await.unwrap(), 422, "invalid");
    let events = bed.get("events?limit=1").await;
    let guessed = (&events["items"][0]["action"], &events["items"][0]["result"]);
    assert_eq!(guessed, (&json!("user.set_password"), &json!("refused")), "{events:#}");
    let good = json!({"current": current, "new": "seven green apples"});
    let answer = here.send(Method::POST, change, Some(&good)).await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(here.get("/api/v1/session").await.unwrap()["user"]["initial_password"], false);
    let gone = elsewhere.send(Method::GET, "/api/v1/session", None).await.unwrap();
    refused(&gone, 401, "unauthenticated");
    let banner = bed.host.console().get("/api/v1/banner").await.unwrap();
    assert!(banner["administrator"].is_null(), "the generated password is no longer shown");
}
