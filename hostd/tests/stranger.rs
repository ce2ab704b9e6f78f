//! Who comes to a host's doors with papers of its own making: hosts that exist on paper alone, and connections to the
//! port for peers that say whatever they are told.

use crate::bed::Bed;
use hostd_peer::{Identity, Invitation, pinned};
use hostd_types::{ClusterId, HostId, NodeId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The port for peers, seen from inside a host.
const DOOR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8444);
/// Time for an answer over HTTPS.
const ANSWER: Duration = Duration::from_secs(30);
/// Time for a host to hang up: less than it gives to somebody who only falls silent.
const SOON: Duration = Duration::from_secs(8);

/// A host that exists on paper: it asks to join and never comes.
pub struct Paper {
    pub host: HostId,
    pub node: NodeId,
    key_pem: String,
    csr_pem: String,
}

impl Paper {
    pub fn new(cluster: ClusterId) -> Self {
        let node = NodeId::random();
        let request = Identity::request(cluster, node).unwrap();
        Self { host: HostId::new(), node, key_pem: request.key_pem.to_string(), csr_pem: request.csr_pem }
    }

    /// The same host and node with another key, as somebody would have it who only knows their names.
    pub fn with_another_key(&self, cluster: ClusterId) -> Self {
        let request = Identity::request(cluster, self.node).unwrap();
        let (key_pem, csr_pem) = (request.key_pem.to_string(), request.csr_pem);
        Self { host: self.host, node: self.node, key_pem, csr_pem }
    }

    /// What it says when it asks to be let in.
    pub fn body(&self, invitation: &Invitation) -> Value {
        json!({
            "token": invitation.token, "secret": hex::encode(invitation.secret), "host": self.host, "name": "paper",
            "role": "host", "node": self.node, "csr_pem": self.csr_pem,
            "status": {"version": "1", "boot_id": "", "durable": true, "level": hostd_types::LEVEL},
            "belongings": {"networks": [], "images": [], "volumes": [], "vms": []},
        })
    }

    /// Asks `bed` to be let in; answers the status and what was said.
    pub async fn ask(&self, bed: &Bed, invitation: &Invitation) -> (u16, Value) {
        post(bed, invitation, "join", &self.body(invitation)).await
    }

    /// Joins `bed`'s cluster by a new token; answers who it is then.
    pub async fn join(&self, bed: &mut Bed) -> Identity {
        let invitation = invite(bed, 3600).await;
        let (status, said) = self.ask(bed, &invitation).await;
        assert_eq!(status, 200, "{said:#}");
        let text = |field: &str| said[field].as_str().unwrap().to_owned();
        let trusted: Vec<String> = serde_json::from_value(said["authorities"].clone()).unwrap();
        let secret = serde_json::from_value(said["secret"].clone()).unwrap();
        let generation = said["generation"].as_u64().unwrap();
        let (cluster, node) = (invitation.cluster, self.node);
        Identity::new(cluster, node, generation, text("chain_pem"), &self.key_pem, trusted, secret).unwrap()
    }
}

/// A token of `bed`'s cluster, read.
pub async fn invite(bed: &mut Bed, valid_s: u32) -> Invitation {
    let made = bed.post("cluster/tokens", json!({"valid_s": valid_s})).await.json().unwrap();
    made["text"].as_str().unwrap().parse().unwrap()
}

/// Asks as a host would that wants to join.
pub async fn post(bed: &Bed, invitation: &Invitation, what: &str, body: &Value) -> (u16, Value) {
    let address: SocketAddr = bed.host.address().parse().unwrap();
    let path = format!("/api/v1/cluster/admission/{what}");
    pinned::post(&[address], invitation.cluster, Some(invitation.authority), &path, body, ANSWER)
        .await
        .unwrap()
}

/// A connection to the port for peers from an address inside the host, so that it can be told from others in the log.
pub async fn knock(bed: &Bed, from: Ipv4Addr) -> Result<TcpStream> {
    let socket = bed.host.libvirt.namespaces().in_network(|| {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        Ok(socket)
    });
    socket.map_err(std::io::Error::other)?.connect(DOOR).await
}

/// TLS with papers, or with none, to the member `to` of `cluster`, who must prove itself by `authority`.
pub struct Papers {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Papers {
    pub fn new(authority: &str, cluster: ClusterId, to: NodeId, own: Option<&Identity>, alpn: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificates(authority).remove(0)).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key_pem().as_bytes()).unwrap();
                builder.with_client_auth_cert(certificates(own.chain_pem()), key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = if alpn { vec![b"quantix-peer/1".to_vec()] } else { Vec::new() };
        let name = ServerName::try_from(hostd_peer::member_name(cluster, to)).unwrap();
        Self { config: Arc::new(config), name }
    }

    pub async fn show(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>> {
        TlsConnector::from(self.config.clone()).connect(self.name.clone(), tcp).await
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|found| found.unwrap()).collect()
}

/// A frame with its length.
pub fn framed<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let bytes = rmp_serde::to_vec_named(value).unwrap();
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

/// A proper greeting for calls.
pub fn greeting(cluster: ClusterId) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Frame {
        Hello { version: u16, purpose: &'static str, cluster: ClusterId, generation: u64, port: u16 },
    }
    framed(&Frame::Hello { version: 1, purpose: "work", cluster, generation: 0, port: 0 })
}

/// Says each of `words` in turn, waiting for a frame between two, then listens until the host hangs up; answers
/// the first frame that came.
pub async fn say<S>(io: &mut S, words: &[Vec<u8>]) -> Result<Vec<u8>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let talk = async {
        let mut first = Vec::new();
        for (n, word) in words.iter().enumerate() {
            if n > 0 {
                let length = io.read_u32().await?;
                first = vec![0; length as usize];
                io.read_exact(&mut first).await?;
            }
            io.write_all(word).await?;
            io.flush().await?;
        }
        let mut rest = Vec::new();
        // Whether it says goodbye or not: it hangs up.
        let _ended = io.read_to_end(&mut rest).await;
        Ok(if first.is_empty() { rest } else { first })
    };
    tokio::time::timeout(SOON, talk).await.expect("the host hangs up")
}
