//! Connections that say nothing.

use crate::bed::{Bed, PATIENCE};
use lab::wait;

#[tokio::test]
async fn silent_connections_take_neither_the_socket_nor_the_network_for_long() {
    let Some(mut bed) = Bed::start().await else { return };
    let mut silent = Vec::new();
    for _ in 0..200 {
        // Those beyond the limit are refused during the handshake.
        if let Ok(stream) = lab::tls::connect(&bed.host.address()).await {
            silent.push(stream);
        }
    }
    assert!((64..150).contains(&silent.len()), "{} connections were taken", silent.len());
    assert!(lab::tls::connect(&bed.host.address()).await.is_err(), "there is a limit for one address");
    assert_eq!(bed.get("vms").await["total"], 0, "the socket is not concerned");
    // Nobody closes them but the daemon.
    let answers = wait::until("the network again", PATIENCE, || async {
        let mut http = bed.network();
        Ok(http.get("/api/v1/health").await.ok())
    });
    answers.await.unwrap();
    drop(silent);
}
