use crate::site::Site;
use hostd_peer::{Identity, Issuer, PeerError, Secret, fingerprint, validity};
use hostd_types::{Authority, NodeId, Timestamp};

#[test]
fn a_sealed_authority_opens_with_its_secret_alone_and_signs_as_before() {
    let site = Site::new();
    let record = site.issuer.record(&site.secret).expect("sealed");
    assert!(!record.sealed_key.contains("PRIVATE"));
    assert_eq!(record.ends, validity(&record.certificate).expect("dates").ends);
    let opened = Issuer::unseal(&record, &site.secret).expect("opened");
    assert_eq!(opened.fingerprint().expect("read"), fingerprint(&record.certificate).expect("read"));
    let resealed = Site { issuer: opened, ..site };
    resealed.identity(5); // checks itself against the authority
    let other = Secret::generate().expect("random");
    assert!(matches!(Issuer::unseal(&record, &other), Err(PeerError::Sealed)));
    let swapped = Authority { certificate: Site::new().issuer.certificate().into(), ..record };
    assert!(matches!(Issuer::unseal(&swapped, &resealed.secret), Err(PeerError::Sealed)));
}

#[test]
fn only_a_request_signed_by_its_own_key_is_signed() {
    let site = Site::new();
    let node = NodeId(1);
    let request = Identity::request(site.cluster, node).expect("a request");
    let now = Timestamp::now();
    assert!(site.issuer.sign("rubbish", site.cluster, node, now).is_err());
    let other = Identity::request(site.cluster, NodeId(2)).expect("a request");
    // The start of one and the signature of another.
    let (a, b): (Vec<_>, Vec<_>) = (request.csr_pem.lines().collect(), other.csr_pem.lines().collect());
    let half = a.len() / 2;
    let mixed = [&a[..half], &b[half..]].concat().join("\n");
    assert!(site.issuer.sign(&mixed, site.cluster, node, now).is_err());
    // What the request asks for does not count: the certificate is for the node that the cluster says.
    let chain = site.issuer.sign(&other.csr_pem, site.cluster, node, now).expect("signed");
    let trusted = vec![site.issuer.certificate().into()];
    let identity = Identity::new(site.cluster, node, 0, chain, &other.key_pem, trusted, site.secret.clone());
    assert_eq!(identity.expect("an identity").node(), node);
}

#[test]
fn nothing_secret_is_shown() {
    let site = Site::new();
    let request = Identity::request(site.cluster, NodeId(1)).expect("a request");
    let record = site.issuer.record(&site.secret).expect("sealed");
    let shown = format!("{:?} {:?} {:?} {record:?}", site.issuer, site.secret, request);
    assert!(!shown.contains("PRIVATE") && !shown.contains(&record.sealed_key), "{shown}");
}
