//! The host's certificate: self-signed, made at the first start, the same ever after. Only who asks for the cluster's
//! name for joining, as hosts that want to join do, sees the certificate of this host as a member.

use anyhow::{Context, Result, anyhow};
use axum_server::tls_rustls::RustlsConfig;
use hostd_core::MemberChain;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

/// Days a new certificate is valid; some systems accept no more of one.
const VALID_DAYS: i64 = 825;
/// A certificate is replaced at a start when it ends within so many days.
const RENEW_DAYS: i64 = 30;

/// How the names begin that hosts ask for when they want to join.
const JOIN: &str = "join.";

/// The host's certificate.
pub struct Identity {
    own: Arc<CertifiedKey>,
    /// SHA-256 of the certificate, `AB:CD:…`, as browsers show it.
    pub fingerprint: String,
}

impl Identity {
    /// What the listener needs, when this host is no member of anything.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn alone(&self) -> Result<RustlsConfig> {
        self.with_member(|| None)
    }

    /// What the listener needs; `member` tells this host's certificate as a member at this moment, which changes with
    /// joins, leaves and renewals.
    ///
    /// # Errors
    /// TLS can't be set up.
    pub fn with_member(
        &self,
        member: impl Fn() -> Option<MemberChain> + Send + Sync + 'static,
    ) -> Result<RustlsConfig> {
        let shown = Shown { own: self.own.clone(), member: Box::new(member), read: Mutex::default() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(RustlsConfig::from_config(Arc::new(config)))
    }
}

/// Chooses the certificate by the name that was asked for.
struct Shown {
    own: Arc<CertifiedKey>,
    member: Box<dyn Fn() -> Option<MemberChain> + Send + Sync>,
    /// The member's chain that was read last, and what it was read from.
    read: Mutex<Option<(String, Arc<CertifiedKey>)>>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let joining = hello.server_name().filter(|name| name.starts_with(JOIN));
        Some(joining.and_then(|name| self.as_member(name)).unwrap_or_else(|| self.own.clone()))
    }
}

impl Shown {
    /// The certificate as a member, if `name` is that of its cluster.
    fn as_member(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let member = (self.member)().filter(|member| member.name.eq_ignore_ascii_case(name))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = read.as_ref().filter(|(of, _)| *of == member.chain_pem) {
            return Some(key.clone());
        }
        match certified(member.chain_pem.as_bytes(), member.key_pem.reveal().as_bytes()) {
            Ok(key) => {
                *read = Some((member.chain_pem, key.clone()));
                Some(key)
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the certificate as a member can't be shown");
                None
            }
        }
    }
}

fn certified(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<CertifiedKey>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem).collect();
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|e| anyhow!("{e}"))?;
    let key = CertifiedKey::new(chain.map_err(|e| anyhow!("{e}"))?, any_supported_type(&key)?);
    key.keys_match()?;
    Ok(Arc::new(key))
}

/// Loads the certificate in `dir`, or makes it there.
///
/// # Errors
/// The directory can't be read or written, or what is there is not a certificate and its key.
pub fn load_or_make(dir: &Path) -> Result<Identity> {
    // One file, so that no crash can leave the key of one beside the certificate of another.
    let path = dir.join("tls.pem");
    if path.exists() {
        let cert = CertificateDer::from_pem_file(&path)
            .map_err(|e| anyhow!("{} holds no certificate: {e}", path.display()))?;
        if !ends_soon(&cert)? {
            let key = PrivateKeyDer::from_pem_file(&path)
                .map_err(|e| anyhow!("{} holds no private key: {e}", path.display()))?;
            return identity(cert, key);
        }
        tracing::warn!("the host's certificate ends soon; making a new one");
    }
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    let (cert_pem, key_pem) = make()?;
    write_aside(&path, &format!("{cert_pem}{key_pem}"))?;
    parse(&cert_pem, &key_pem)
}

/// A certificate that is kept nowhere, for a host whose state can't be reached.
///
/// # Errors
/// The system gives no random numbers.
pub fn passing() -> Result<Identity> {
    let (cert_pem, key_pem) = make()?;
    parse(&cert_pem, &key_pem)
}

fn parse(cert_pem: &str, key_pem: &str) -> Result<Identity> {
    let cert = CertificateDer::from_pem_slice(cert_pem.as_bytes()).map_err(|e| anyhow!("{e}"))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|e| anyhow!("{e}"))?;
    identity(cert, key)
}

fn identity(cert: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Identity> {
    let digest = Sha256::digest(&cert);
    let fingerprint = digest.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":");
    let own = CertifiedKey::new(vec![cert], any_supported_type(&key)?);
    own.keys_match().context("the host's certificate and key don't belong together")?;
    Ok(Identity { own: Arc::new(own), fingerprint })
}

fn ends_soon(cert: &CertificateDer<'_>) -> Result<bool> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(cert).context("the host's certificate can't be read")?;
    let soon = OffsetDateTime::now_utc() + Duration::days(RENEW_DAYS);
    Ok(parsed.validity().not_after.to_datetime() < soon)
}

fn make() -> Result<(String, String)> {
    let host = hostd_core::hostname();
    let mut names = vec![host.clone(), "localhost".into(), "127.0.0.1".into(), "::1".into()];
    names.extend(hostd_core::addresses().iter().map(ToString::to_string));
    names.dedup();
    let mut params = CertificateParams::new(names).context("naming the host in its certificate")?;
    let now = OffsetDateTime::now_utc();
    // A day's leeway for clients whose clock is behind.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(VALID_DAYS - 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    params.distinguished_name.push(DnType::OrganizationName, "Quantix");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

fn write_aside(path: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_made_once_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let keys = dir.path().join("keys");
        let first = load_or_make(&keys).expect("made").fingerprint;
        assert_eq!(first, load_or_make(&keys).expect("loaded").fingerprint);
        assert_eq!(first.len(), 95);
        let mode = fs::metadata(keys.join("tls.pem")).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn damaged_keys_are_reported_not_replaced() {
        let dir = tempfile::tempdir().expect("a scratch directory");
        load_or_make(dir.path()).expect("made");
        fs::write(dir.path().join("tls.pem"), "rubbish").expect("written");
        assert!(load_or_make(dir.path()).is_err());
    }

    #[test]
    fn who_asks_for_the_cluster_sees_the_member_as_it_is_now() {
        let identity = passing().expect("made");
        let now = Arc::new(Mutex::new(None::<MemberChain>));
        let told = now.clone();
        let member = Box::new(move || told.lock().expect("no panic").clone());
        let shown = Shown { own: identity.own.clone(), member, read: Mutex::default() };
        let become_member = |name: &str| {
            let (chain_pem, key_pem) = make().expect("made");
            let der = CertificateDer::from_pem_slice(chain_pem.as_bytes()).expect("a certificate");
            let chain = MemberChain { name: name.into(), chain_pem, key_pem: key_pem.into() };
            *now.lock().expect("no panic") = Some(chain);
            der
        };
        let asked = |name: &str| shown.as_member(name).map(|key| key.cert[0].clone());
        assert_eq!(asked("join.a.internal"), None, "it is no member");
        let first = become_member("join.a.internal");
        assert_eq!(asked("join.a.internal"), Some(first.clone()));
        assert_eq!(asked("JOIN.A.internal"), Some(first), "names have no case");
        assert_eq!(asked("join.b.internal"), None);
        let renewed = become_member("join.a.internal");
        assert_eq!(asked("join.a.internal"), Some(renewed));
        let moved = become_member("join.b.internal");
        assert_eq!((asked("join.a.internal"), asked("join.b.internal")), (None, Some(moved)));
        now.lock().expect("no panic").as_mut().expect("a member").chain_pem = "rubbish".into();
        assert_eq!(asked("join.b.internal"), None, "the host's own is shown instead");
    }
}
