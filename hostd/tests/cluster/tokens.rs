//! A join token opens the door once, to one host, until it ends; and whoever guesses gets nowhere.

use crate::bed::Bed;
use crate::stranger::{Paper, invite, post};
use hostd_peer::Invitation;
use serde_json::json;
use std::time::Duration;

/// Guesses of a token's secret.
const GUESSES: usize = 300;

async fn members(bed: &Bed) -> usize {
    bed.view().await.unwrap()["members"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_once_for_one_host_until_it_ends() {
    let Some(mut bed) = Bed::start().await else { return };
    let invitation = invite(&mut bed, 3600).await;
    let (first, second) = (Paper::new(invitation.cluster), Paper::new(invitation.cluster));
    let (status, said) = first.ask(&bed, &invitation).await;
    assert_eq!(status, 200, "{said:#}");
    // The answer may have been lost: asked again it is the same join.
    assert_eq!(first.ask(&bed, &invitation).await.0, 200);
    assert_eq!(members(&bed).await, 2);
    // Who knows the token and the host's names, which are no secrets, has another key.
    let (status, said) = first.with_another_key(invitation.cluster).ask(&bed, &invitation).await;
    assert_eq!(status, 403, "{said:#}");
    assert!(said["secret"].is_null() && said["chain_pem"].is_null(), "{said:#}");
    for _ in 0..3 {
        let (status, said) = second.ask(&bed, &invitation).await;
        assert_eq!(status, 403, "{said:#}");
        assert!(said["detail"].as_str().unwrap().contains("used this join token"), "{said:#}");
    }
    assert_eq!(members(&bed).await, 2);

    // Once removed, the same words bring it back no more.
    let removed = bed.delete(&format!("cluster/hosts/{}?confirm=paper", first.host)).await;
    assert!(removed.status.is_success(), "{}", removed.text());
    let (status, said) = first.ask(&bed, &invitation).await;
    assert_eq!(status, 410, "{said:#}");
    assert_eq!(members(&bed).await, 1);

    let brief = invite(&mut bed, 1).await;
    // The end of its second is what is waited for.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (status, said) = second.ask(&bed, &brief).await;
    assert_eq!(status, 403, "{said:#}");
    assert!(said["detail"].as_str().unwrap().contains("ended"), "{said:#}");
    assert_eq!(members(&bed).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_is_asked_for_again_a_few_times_and_each_is_in_the_audit_trail() {
    let Some(mut bed) = Bed::start().await else { return };
    let invitation = invite(&mut bed, 3600).await;
    let paper = Paper::new(invitation.cluster);
    let mut told = Vec::new();
    for _ in 0..6 {
        told.push(paper.ask(&bed, &invitation).await.0);
    }
    assert_eq!(told, [200, 200, 200, 200, 429, 429]);
    let events = bed.list("events?limit=500").await;
    let joins = events.iter().filter(|event| event["action"] == "cluster.join");
    let joins: Vec<&str> = joins.map(|event| event["detail"].as_str().unwrap()).collect();
    assert_eq!(joins.len(), 4, "{joins:?}");
    assert_eq!(joins.iter().filter(|detail| detail.contains("asked again")).count(), 3, "{joins:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_slowed_down_and_fills_no_log() {
    let Some(mut bed) = Bed::start().await else { return };
    let invitation = invite(&mut bed, 3600).await;
    let length = std::fs::metadata(bed.host.log()).unwrap().len();
    let mut heard = 0;
    for n in 0..GUESSES {
        let guess = Invitation { secret: [n as u8; 32], ..invitation.clone() };
        let (status, said) = Paper::new(invitation.cluster).ask(&bed, &guess).await;
        assert!(status == 403 || status == 429, "{said:#}");
        heard += usize::from(status == 403);
    }
    assert!(heard < GUESSES / 10, "{heard} of {GUESSES} guesses were looked at");
    // What is no question at all is refused before anything else.
    for body in [json!(null), json!([]), json!({"token": "x"}), json!({"secret": "00".repeat(1 << 20)})] {
        let (status, said) = post(&bed, &invitation, "join", &body).await;
        assert_eq!(status, 422, "{said:#}");
    }
    let grown = std::fs::metadata(bed.host.log()).unwrap().len() - length;
    assert!(grown < 20_000, "{GUESSES} guesses wrote {grown} bytes into the log");
    let events = bed.list("events?limit=500").await;
    assert!(events.len() < 40, "{GUESSES} guesses made {} events", events.len());
    assert_eq!(members(&bed).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_request_is_refused_or_answered_and_changes_nothing() {
    let Some(mut bed) = Bed::start().await else { return };
    let invitation = invite(&mut bed, 3600).await;
    let mut body = Paper::new(invitation.cluster).body(&invitation);
    body.as_object_mut().unwrap().retain(|field, _| field != "token" && field != "secret");
    let (token, secret) = (invitation.token, hex::encode(invitation.secret));
    let head = format!("{{\"token\":\"{token}\",\"secret\":\"{secret}\",");
    let rest = body.to_string()[1..].to_owned();
    let mut http = bed.network();
    let handle = tokio::runtime::Handle::current();
    let garbling = move || {
        lab::garble::for_a_while(8, |garbler| {
            // The token stays right: a wrong one is a guess, and guesses are slowed down.
            let text = [head.as_bytes(), &garbler.garble(rest.as_bytes())].concat();
            let asked = http.send_bytes(
                hyper::Method::POST,
                "/api/v1/cluster/admission/preview",
                Some("application/json"),
                text.clone().into(),
            );
            let answer = handle.block_on(asked).unwrap();
            let shown = String::from_utf8_lossy(&text);
            assert!(!answer.status.is_server_error(), "{shown}: {} {}", answer.status, answer.text());
        });
    };
    tokio::task::spawn_blocking(garbling).await.unwrap();
    assert_eq!(members(&bed).await, 1);
    assert_eq!(Paper::new(invitation.cluster).ask(&bed, &invitation).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_gets_a_certificate_for_a_request_of_this_moment_once() {
    let Some(mut bed) = Bed::start().await else { return };
    let cluster = serde_json::from_value(bed.view().await.unwrap()["cluster"]["id"].clone()).unwrap();
    let paper = Paper::new(cluster);
    let identity = paper.join(&mut bed).await;
    let hello = "0123456789abcdef0123456789abcdef";
    let asks = async |bed: &Bed, what: &str, body: &serde_json::Value| {
        let path = format!("/api/v1/cluster/admission/{what}");
        bed.network().send(hyper::Method::POST, &path, Some(body)).await.unwrap()
    };
    let request = async |bed: &Bed| {
        let given = asks(bed, "renew/hello", &json!({"hello": hello})).await;
        assert_eq!(given.status, 200, "{}", given.text());
        let sealed = given.json().unwrap()["sealed"].as_str().unwrap().to_owned();
        let nonce = identity.open_nonce(hello, &sealed).expect("a member's answer");
        json!({"host": paper.host, "node": paper.node, "csr_pem": identity.request_again(&nonce).unwrap()})
    };

    // Of another moment, or of none.
    for nonce in ["join", &hex::encode([7; 56])] {
        let csr_pem = identity.request_again(nonce).unwrap();
        let body = json!({"host": paper.host, "node": paper.node, "csr_pem": csr_pem});
        let answer = asks(&bed, "renew", &body).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    let body = request(&bed).await;
    let answer = asks(&bed, "renew", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for _ in 0..30 {
        let answer = asks(&bed, "renew", &body).await;
        assert!(answer.status == 403 || answer.status == 429, "{}", answer.text());
    }
    let events = bed.list("events?limit=500").await;
    assert_eq!(events.iter().filter(|event| event["action"] == "cluster.renew_member").count(), 1);
    for bad in ["", "short", &"x".repeat(4000)] {
        assert_eq!(asks(&bed, "renew/hello", &json!({"hello": bad})).await.status, 422, "{bad:.10}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_a_member_gets_certificates_without_end() {
    let Some(mut bed) = Bed::start().await else { return };
    let cluster = serde_json::from_value(bed.view().await.unwrap()["cluster"]["id"].clone()).unwrap();
    let paper = Paper::new(cluster);
    let identity = paper.join(&mut bed).await;
    let hello = "0123456789abcdef0123456789abcdef";
    let mut told = Vec::new();
    for _ in 0..40 {
        let path = "/api/v1/cluster/admission/renew/hello";
        let given =
            bed.network().send(hyper::Method::POST, path, Some(&json!({"hello": hello}))).await.unwrap();
        if given.status != 200 {
            told.push(given.status.as_u16());
            continue;
        }
        let sealed = given.json().unwrap()["sealed"].as_str().unwrap().to_owned();
        let csr_pem = identity.request_again(&identity.open_nonce(hello, &sealed).unwrap()).unwrap();
        let body = json!({"host": paper.host, "node": paper.node, "csr_pem": csr_pem});
        let path = "/api/v1/cluster/admission/renew";
        told.push(bed.network().send(hyper::Method::POST, path, Some(&body)).await.unwrap().status.as_u16());
    }
    assert_eq!(told[..3], [200, 200, 200], "{told:?}");
    assert!(told[3..].iter().all(|status| *status == 429), "{told:?}");
    let events = bed.list("events?limit=500").await;
    assert_eq!(events.iter().filter(|event| event["action"] == "cluster.renew_member").count(), 3);
}
