use crate::site::{DAY_S, SOON, Site};
use hostd_peer::{Fingerprint, Identity, PeerError, fingerprint, pinned};
use hostd_types::{ClusterId, Timestamp};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A site's listener that shows the identity's chain and answers with what it was asked.
async fn site(identity: &Identity) -> SocketAddr {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.chain_pem().as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).expect("a key");
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.expect("a chain"), key)
            .expect("a certificate");
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(io) = acceptor.accept(tcp).await else { return };
                let name = io.get_ref().1.server_name().map(String::from);
                let serve = service_fn(move |request| echo(name.clone(), request));
                let _gone = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(io), serve)
                    .await;
            });
        }
    });
    address
}

async fn echo(
    name: Option<String>,
    request: Request<Incoming>,
) -> Result<Response<Full<hyper::body::Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let answer = match path.as_str() {
        "/text" => "<html>".to_owned(),
        _ => {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            json!({"name": name, "path": path, "body": body}).to_string()
        }
    };
    let status = if path == "/no" { 409 } else { 200 };
    Ok(Response::builder().status(status).body(Full::from(answer)).expect("a response"))
}

fn pin(site: &Site) -> Fingerprint {
    fingerprint(site.issuer.certificate()).expect("a fingerprint")
}

async fn post(
    at: &[SocketAddr],
    cluster: ClusterId,
    pin: Fingerprint,
    path: &str,
) -> Result<(u16, Value), PeerError> {
    pinned::post(at, cluster, Some(pin), path, &json!({"a": 1}), SOON).await
}

#[tokio::test]
async fn a_host_of_the_cluster_is_asked_and_answers() {
    let cluster = Site::new();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let at = [closed, site(&cluster.identity(1)).await];
    let (status, answer) = post(&at, cluster.cluster, pin(&cluster), "/join").await.expect("an answer");
    assert_eq!(status, 200);
    let name = format!("join.{}.internal", cluster.cluster);
    assert_eq!(answer, json!({"name": name, "path": "/join", "body": {"a": 1}}));
    let (status, _) = post(&at, cluster.cluster, pin(&cluster), "/no").await.expect("an answer");
    assert_eq!(status, 409);
    let text = post(&at, cluster.cluster, pin(&cluster), "/text").await;
    assert!(matches!(text, Err(PeerError::Answer { .. })), "{text:?}");
    // Its clock, or ours, is off.
    let old = cluster.signed(2, 0, Timestamp::now().plus_seconds(-4000 * DAY_S));
    post(&[site(&old).await], cluster.cluster, pin(&cluster), "/join").await.expect("an answer");
}

#[tokio::test]
async fn who_does_not_prove_to_be_of_the_cluster_is_not_asked() {
    let (cluster, other) = (Site::new(), Site::new());
    let at = [site(&cluster.identity(1)).await];
    let unreachable = |outcome: Result<_, _>| matches!(outcome, Err(PeerError::Unreachable(_)));
    assert!(unreachable(post(&at, cluster.cluster, pin(&other), "/join").await), "another authority");
    assert!(unreachable(post(&at, other.cluster, pin(&cluster), "/join").await), "another cluster");
    // The right authority's certificate below a leaf that it did not sign.
    let forged = Site::of(cluster.cluster).identity(1);
    let leaf = forged.chain_pem().split_inclusive("-----END CERTIFICATE-----\n").next().expect("a leaf");
    let chain = format!("{leaf}{}", cluster.issuer.certificate());
    let forged = forged.renewed(chain, forged.key_pem()).expect("an identity");
    assert!(unreachable(post(&[site(&forged).await], cluster.cluster, pin(&cluster), "/join").await));
    assert!(unreachable(post(&[], cluster.cluster, pin(&cluster), "/join").await), "no address");
}

#[tokio::test]
async fn a_silent_host_takes_no_longer_than_allowed() {
    let cluster = Site::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = [silent.local_addr().expect("bound")];
    let within = Duration::from_millis(300);
    let outcome =
        pinned::post(&at, cluster.cluster, Some(pin(&cluster)), "/join", &Value::Null, within).await;
    assert!(matches!(outcome, Err(PeerError::Late(_))), "{outcome:?}");
}
