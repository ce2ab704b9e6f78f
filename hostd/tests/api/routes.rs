//! Nobody gets past the door of any route that is not public.

use crate::bed::{Bed, hostd};
use hyper::Method;
use hyper::body::Bytes;

/// Everything that may be public, with the path it is reached by.
const PUBLIC: [&str; 7] = [
    "/api/v1/health",
    "/api/v1/session",
    "/api/v1/shared/redeem",
    "/api/v1/cluster/admission/",
    "/login",
    "/shared",
    "/assets/",
];

#[tokio::test]
async fn nobody_gets_past_the_door() {
    let Some(bed) = Bed::start().await else { return };
    let mut nobody = bed.network();
    let mut walked = 0;
    for line in hostd(&["routes"]).lines() {
        let (path, access) = line.split_once(char::is_whitespace).unwrap();
        if access.trim().starts_with("Public") {
            assert!(PUBLIC.iter().any(|p| path.starts_with(p)), "{path} must not be public");
            continue;
        }
        let id = "0192c1d4-7b1e-7c3a-9d3e-2f6a1b0c4d5e";
        let there = path
            .replace("{id}", id)
            .replace("{host}", id)
            .replace("{link}", id)
            .replace("{volume}", id)
            .replace("{snapshot}", id)
            .replace("{mac}", "52:54:00:00:00:01")
            .replace("{device}", "usb-1-2")
            .replace("{*rest}", "x")
            .replace("{topic}", "start");
        assert!(!there.contains('{'), "the test knows no value for {path}");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if path == "/api/v1/session" && method == Method::POST {
                continue; // logging in is for those who are nobody yet
            }
            let answer = nobody.send_bytes(method.clone(), &there, None, Bytes::new()).await.unwrap();
            let status = answer.status.as_u16();
            if path.starts_with("/api/") {
                assert_eq!(status, 401, "{method} {path}");
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            } else {
                let to_login = answer.headers.get("location").and_then(|l| l.to_str().ok());
                let shown_login =
                    (300..400).contains(&status) && to_login.is_some_and(|l| l.starts_with("/login"));
                assert!(status == 401 || shown_login, "{method} {path}: {status}");
            }
            walked += 1;
        }
    }
    assert!(walked > 150, "only {walked} requests were made");
}

#[tokio::test]
async fn the_console_s_routes_are_not_for_the_network() {
    let Some(bed) = Bed::start().await else { return };
    let mut browser = bed.browser().await;
    for (method, path) in [(Method::GET, "/api/v1/banner"), (Method::POST, "/api/v1/account/reset-password")]
    {
        let answer = browser.send(method, path, None).await.unwrap();
        crate::bed::refused(&answer, 403, "forbidden");
    }
}
