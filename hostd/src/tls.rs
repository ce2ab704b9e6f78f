//! The host's certificate: self-signed, made at the first start, the same ever after.

use anyhow::{Context, Result, anyhow};
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Days a new certificate is valid; some systems accept no more of one.
const VALID_DAYS: i64 = 825;
/// A certificate is replaced at a start when it ends within so many days.
const RENEW_DAYS: i64 = 30;

/// The certificate in use.
pub struct Identity {
    /// What the listener needs.
    pub config: RustlsConfig,
    /// SHA-256 of the certificate, `AB:CD:…`, as browsers show it.
    pub fingerprint: String,
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .context("the host's certificate and key don't belong together")?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { config: RustlsConfig::from_config(Arc::new(config)), fingerprint })
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
}
