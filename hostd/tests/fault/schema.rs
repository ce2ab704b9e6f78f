//! State written by a newer version.

use crate::bed::Bed;
use hyper::Method;
use lab::http::Http;
use std::io::{Read, Seek, SeekFrom, Write};

#[tokio::test]
async fn state_of_a_newer_version_is_refused_with_a_message_and_left_alone() {
    let Some(mut bed) = Bed::start().await else { return };
    bed.stop().await;
    // `PRAGMA user_version`, at its place in the header of an SQLite file.
    let path = bed.state().join("state.db");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(60)).unwrap();
    file.write_all(&9_000_u32.to_be_bytes()).unwrap();
    file.sync_all().unwrap();
    let before = std::fs::read(&path).unwrap();

    bed.host.spawn().unwrap();
    let answer = lab::wait::until("the fault's page", crate::bed::PATIENCE, || {
        let mut http = bed.network();
        async move { Ok(Some(http.send(Method::GET, "/api/v1/health", None).await?)) }
    });
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 503);
    let detail = answer.json().unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("newer"), "{detail}");
    let page = Http::send(&mut bed.network(), Method::GET, "/", None).await.unwrap();
    assert!(page.status == 503 && page.text().contains("newer"), "{}", page.text());
    let mut after = Vec::new();
    std::fs::File::open(&path).unwrap().read_to_end(&mut after).unwrap();
    assert!(before == after, "the state was touched");
}
