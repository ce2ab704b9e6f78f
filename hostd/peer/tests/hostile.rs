//! Who speaks TLS well and everything else badly.

use crate::site::{Peer, SOON, Site};
use hostd_peer::{Identity, Lane, LinkError};
use hostd_types::NodeId;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const NODE: u64 = 1;

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|c| c.expect("a certificate")).collect()
}

fn key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes()).expect("a key")
}

/// A TLS connection to a member, with or without a certificate and the protocol's name.
async fn connect(
    site: &Site,
    to: SocketAddr,
    identity: Option<&Identity>,
    alpn: bool,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificates(site.issuer.certificate()).remove(0)).expect("an authority");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(own) => {
            builder.with_client_auth_cert(certificates(own.chain_pem()), key(own)).expect("a certificate")
        }
        None => builder.with_no_client_auth(),
    };
    if alpn {
        config.alpn_protocols = vec![b"quantix-peer/1".to_vec()];
    }
    let name = hostd_peer::member_name(site.cluster, NodeId(NODE));
    let name = ServerName::try_from(name).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(to).await?).await
}

fn framed(value: serde_json::Value) -> Vec<u8> {
    let bytes = rmp_serde::to_vec_named(&value).expect("encoded");
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

fn hello(site: &Site, purpose: &str) -> Vec<u8> {
    // Ids are bytes in MessagePack.
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Frame<'a> {
        Hello { version: u16, purpose: &'a str, cluster: hostd_types::ClusterId, generation: u64, port: u16 },
    }
    let frame = Frame::Hello { version: 1, purpose, cluster: site.cluster, generation: 0, port: 1 };
    let bytes = rmp_serde::to_vec_named(&frame).expect("encoded");
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

/// Reads until the other side ends the connection, and says how much came.
async fn hung_up(io: &mut TlsStream<TcpStream>) -> usize {
    let mut all = Vec::new();
    let _goodbye_or_not = tokio::time::timeout(SOON, io.read_to_end(&mut all)).await.expect("it hangs up");
    all.len()
}

async fn works(site: &Site, peer: &Peer) {
    let caller = site.member(77);
    caller.link.set_override(NodeId(NODE), Some(peer.address()));
    caller.call(NODE, b"hello").await.expect("members are served as before");
}

#[tokio::test]
async fn without_a_certificate_or_the_protocols_name_nothing_is_said() {
    let site = Site::new();
    let peer = site.member(NODE);
    let own = site.identity(2);
    for (identity, alpn) in [(None, true), (None, false), (Some(&own), false)] {
        if let Ok(mut io) = connect(&site, peer.address(), identity, alpn).await {
            let _gone = io.write_all(&hello(&site, "work")).await;
            assert_eq!(hung_up(&mut io).await, 0, "certificate {}, name {alpn}", identity.is_some());
        }
    }
    assert_eq!(peer.link.heard(NodeId(2)), None);
    works(&site, &peer).await;
}

#[tokio::test]
async fn a_member_that_talks_nonsense_is_hung_up_on() {
    let site = Site::new();
    let peer = site.member(NODE);
    let own = site.identity(2);
    let garbage: Vec<u8> = (0..5000_u32).map(|n| (n * 7919 % 256) as u8).collect();
    let early =
        [vec![255; 4], 100_u32.to_be_bytes().to_vec(), framed(serde_json::json!("alive")), garbage.clone()];
    for bytes in early {
        let mut io = connect(&site, peer.address(), Some(&own), true).await.expect("a connection");
        io.write_all(&bytes).await.expect("written");
        io.shutdown().await.expect("ended");
        assert!(hung_up(&mut io).await < 100, "at most a refusal is said to {:?}", &bytes[..4]);
    }
    assert_eq!(peer.link.heard(NodeId(2)), None, "none of it was a greeting");
    let half = framed(serde_json::json!({"call": {"id": 1}}));
    for bytes in [vec![255; 4], framed(serde_json::json!("accepted")), half, garbage] {
        let mut io = connect(&site, peer.address(), Some(&own), true).await.expect("a connection");
        io.write_all(&hello(&site, "work")).await.expect("written");
        let mut welcome = [0; 4];
        io.read_exact(&mut welcome).await.expect("welcome");
        io.write_all(&bytes).await.expect("written");
        hung_up(&mut io).await;
    }
    assert_eq!(peer.host.called(), 0);
    works(&site, &peer).await;
}

#[tokio::test]
async fn a_member_that_falls_silent_is_let_go_in_seconds() {
    let site = Site::new();
    let peer = site.member(NODE);
    let own = site.identity(2);
    let mut io = connect(&site, peer.address(), Some(&own), true).await.expect("a connection");
    io.write_all(&hello(&site, "work")).await.expect("written");
    let begun = Instant::now();
    assert!(hung_up(&mut io).await > 0, "it was welcome, and heard signs of life");
    assert!(begun.elapsed() >= Duration::from_secs(2), "after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_crowd_that_never_proves_itself_leaves_room_for_members() {
    let site = Site::new();
    let peer = site.member(NODE);
    let caller = site.member(2);
    caller.link.set_override(NodeId(NODE), Some(peer.address()));
    caller.call(NODE, b"before").await.expect("an answer");
    let mut crowd = Vec::new();
    for _ in 0..600 {
        crowd.push(TcpStream::connect(peer.address()).await.expect("the kernel accepts"));
    }
    // Members that are connected go on; of the crowd, most were hung up on at once.
    caller.call(NODE, b"during").await.expect("an answer");
    let mut byte = [0];
    let last = crowd.last_mut().expect("a crowd");
    let end = tokio::time::timeout(Duration::from_secs(5), last.read(&mut byte)).await.expect("hung up on");
    assert!(matches!(end, Ok(0) | Err(_)));
    drop(crowd);
    let late = site.member(3);
    late.link.set_override(NodeId(NODE), Some(peer.address()));
    late.call_until(NODE, Result::is_ok).await.expect("there is room again");
}

/// A member that greets well and then says nothing more, as behind a cut cable.
async fn mute(site: &Site) -> SocketAddr {
    let own = site.identity(NODE);
    let mut roots = RootCertStore::empty();
    roots.add(certificates(site.issuer.certificate()).remove(0)).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(certificates(own.chain_pem()), key(&own))
        .expect("a certificate");
    config.alpn_protocols = vec![b"quantix-peer/1".to_vec()];
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.expect("a port"));
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut io) = acceptor.accept(tcp).await else { continue };
            let _gone = io.write_all(&framed(serde_json::json!({"welcome": {"version": 1}}))).await;
            let _gone = io.flush().await;
            held.push(io);
        }
    });
    address
}

#[tokio::test]
async fn a_cut_network_is_noticed_in_seconds_without_a_word() {
    let site = Site::new();
    let caller = site.member(2);
    caller.link.set_override(NodeId(NODE), Some(mute(&site).await));
    let begun = Instant::now();
    let outcome = caller.link.call(NodeId(NODE), Lane::Work, b"hello".to_vec(), 5 * SOON).await;
    assert!(matches!(&outcome, Err(LinkError::Lost(why)) if why.contains("nothing came")), "{outcome:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "after {:?}", begun.elapsed());
}
