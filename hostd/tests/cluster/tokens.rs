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
