//! The text of a join token: everything a host needs to know to ask a cluster to let it in.
//!
//! `qxj1_` and base64url without padding of: a version (1), the cluster's id (16 bytes), the token's id (16), the
//! fingerprint of the cluster's authority (32), the token's secret (32), the number of addresses, each address as its
//! family (4 or 6), its bytes and its port, and the first 4 bytes of the BLAKE3 hash of all that.

use crate::Fingerprint;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hostd_types::{ClusterId, JoinTokenId};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use uuid::Uuid;
use zeroize::Zeroizing;

/// How every invitation begins; a number and an underscore follow.
const PREFIX: &str = "qxj";
const VERSION: u8 = 1;
const CHECKSUM: usize = 4;
/// Characters of a text that is looked at, at most: more than 255 addresses need.
const LONGEST: usize = 16 << 10;

/// What a join token says.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The cluster.
    pub cluster: ClusterId,
    /// Which of the cluster's tokens this is.
    pub token: JoinTokenId,
    /// The authority by which the cluster's hosts prove themselves.
    pub authority: Fingerprint,
    /// What makes the token worth something.
    pub secret: [u8; 32],
    /// Where hosts of the cluster serve their site; the first 255 count.
    pub addresses: Vec<SocketAddr>,
}

/// The text is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadInvitation {
    /// It begins otherwise.
    #[error("this is not a join token: one begins with qxj1_")]
    Foreign,
    /// It was made by a newer version.
    #[error("this join token was made by a newer version of Quantix: update this host first")]
    Newer,
    /// A character that can't be in it, at this place (from 1, blanks not counted).
    #[error("the join token has a wrong character at place {0}: copy it again")]
    Character(usize),
    /// Its end is missing.
    #[error("the join token is cut off: copy all of it")]
    CutOff,
    /// Something in it was changed, or more follows.
    #[error("the join token was damaged on the way: copy it again")]
    Damaged,
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend(self.cluster.uuid().as_bytes());
        bytes.extend(self.token.uuid().as_bytes());
        bytes.extend(self.authority.0);
        bytes.extend(self.secret);
        let addresses = &self.addresses[..self.addresses.len().min(usize::from(u8::MAX))];
        bytes.push(addresses.len() as u8);
        for address in addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(address.port().to_be_bytes());
        }
        let checksum = checksum(&bytes);
        bytes.extend(checksum);
        write!(f, "{PREFIX}{VERSION}_{}", *Zeroizing::new(BASE64.encode(&*bytes)))
    }
}

impl FromStr for Invitation {
    type Err = BadInvitation;

    /// Reads an invitation; blanks and line ends anywhere in it are skipped.
    fn from_str(text: &str) -> Result<Self, BadInvitation> {
        if text.len() > LONGEST {
            return Err(BadInvitation::Damaged);
        }
        let text: Zeroizing<String> = Zeroizing::new(text.split_whitespace().collect());
        let rest = text.strip_prefix(PREFIX).ok_or(BadInvitation::Foreign)?;
        let (version, code) = match rest.split_once('_') {
            Some(parts) => parts,
            None if rest.bytes().all(|b| b.is_ascii_digit()) => return Err(BadInvitation::CutOff),
            None => return Err(BadInvitation::Foreign),
        };
        match version.parse::<u32>() {
            Ok(version) if version == u32::from(VERSION) => {}
            Ok(version) if version > u32::from(VERSION) => return Err(BadInvitation::Newer),
            Ok(_) | Err(_) => return Err(BadInvitation::Foreign),
        }
        if let Some((at, _)) =
            code.char_indices().find(|(_, c)| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        {
            return Err(BadInvitation::Character(text.len() - code.len() + at + 1));
        }
        // All characters are right: what is wrong now is the number of them.
        let bytes = Zeroizing::new(BASE64.decode(code).map_err(|_| BadInvitation::CutOff)?);
        read(&bytes)
    }
}

fn read(bytes: &[u8]) -> Result<Invitation, BadInvitation> {
    let mut rest = bytes;
    let [version] = take(&mut rest)?;
    if version != VERSION {
        return Err(BadInvitation::Damaged);
    }
    let cluster = ClusterId::from_uuid(Uuid::from_bytes(take(&mut rest)?));
    let token = JoinTokenId::from_uuid(Uuid::from_bytes(take(&mut rest)?));
    let authority = Fingerprint(take(&mut rest)?);
    let secret = take(&mut rest)?;
    let [count] = take(&mut rest)?;
    let mut addresses = Vec::new();
    for _ in 0..count {
        let ip: IpAddr = match take(&mut rest)? {
            [4] => take::<4>(&mut rest)?.into(),
            [6] => take::<16>(&mut rest)?.into(),
            [_] => return Err(BadInvitation::Damaged),
        };
        addresses.push(SocketAddr::new(ip, u16::from_be_bytes(take(&mut rest)?)));
    }
    let expected = checksum(&bytes[..bytes.len() - rest.len()]);
    let found: [u8; CHECKSUM] = take(&mut rest)?;
    if found != expected || !rest.is_empty() {
        return Err(BadInvitation::Damaged);
    }
    Ok(Invitation { cluster, token, authority, secret, addresses })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadInvitation> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(BadInvitation::CutOff)?;
    *rest = left;
    Ok(*taken)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM]);
    short
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("cluster", &self.cluster)
            .field("token", &self.token)
            .field("authority", &self.authority)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn invitation() -> Invitation {
        Invitation {
            cluster: ClusterId::new(),
            token: JoinTokenId::new(),
            authority: Fingerprint([7; 32]),
            secret: [9; 32],
            addresses: vec![([192, 0, 2, 1], 8443).into(), "[2001:db8::1]:443".parse().expect("an address")],
        }
    }

    #[test]
    fn it_comes_back_as_it_went_also_over_several_lines() {
        let invitation = invitation();
        let text = invitation.to_string();
        assert!(text.starts_with("qxj1_"), "{text}");
        assert_eq!(text.parse(), Ok(invitation.clone()));
        let folded = format!(" {}\n  {}\r\n", &text[..40], &text[40..]);
        assert_eq!(folded.parse(), Ok(invitation.clone()));
        assert!(!format!("{invitation:?}").contains("9, 9"), "the secret stays out of logs");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let text = invitation().to_string();
        let parse = |text: &str| text.parse::<Invitation>().expect_err("refused");
        assert_eq!(parse(""), BadInvitation::Foreign);
        assert_eq!(parse("hello"), BadInvitation::Foreign);
        assert_eq!(parse(&text.replace("qxj1_", "qxj2_")), BadInvitation::Newer);
        assert_eq!(parse(&text.replace("qxj1_", "qxj1_ä")), BadInvitation::Character(6));
        for cut in 3..text.len() {
            assert_eq!(parse(&text[..cut]), BadInvitation::CutOff, "{cut} characters");
        }
        assert_eq!(parse(&format!("{text}AAAA")), BadInvitation::Damaged);
    }

    #[test]
    fn texts_that_are_almost_right_are_refused_or_say_the_same() {
        let invitation = invitation();
        let text = invitation.to_string();
        lab::garble::for_a_while(5, |garbler| {
            let garbled = String::from_utf8_lossy(&garbler.garble(text.as_bytes())).into_owned();
            let read = garbled.parse::<Invitation>();
            assert!(read.is_err() || read == Ok(invitation.clone()), "{garbled}");
        });
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
            let (invitation, at) = (invitation(), at.index(170));
            let mut text = invitation.to_string();
            let at = at.min(text.len() - 1);
            text.replace_range(at..=at, &to);
            let read: Result<Invitation, _> = text.parse();
            prop_assert!(read.is_err() || read == Ok(invitation));
        }

        #[test]
        fn any_text_is_an_error_and_never_a_panic(text in "\\PC{0,80}", code in "[A-Za-z0-9_-]{0,300}") {
            prop_assert!(text.parse::<Invitation>().is_err());
            prop_assert!(["qxj1_", &code].concat().parse::<Invitation>().is_err());
        }
    }
}
