//! A member that the others refuse, because its certificate ended or its authority was replaced while it was off, asks for
//! another certificate over the key the cluster knows; and how a member answers.
//!
//! The asker says a random word first. Who has the cluster's secret answers with a nonce sealed for that word, and gets the
//! request for a certificate, which has the nonce under its signature. So nobody else gets a request, not even who has an old
//! certificate of the cluster, and a request that was overheard is of no use.

use super::allowance::Allowance;
use super::certificates::GRANTED;
use super::found::keys;
use crate::Core;
use crate::access::origin;
use crate::error::{chain, internal};
use hostd_peer::{Identity, Issuer, Nonces, PeerError, pinned, request_key, request_nonce};
use hostd_types::command::AuditCommand;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// Silence of all other members after which this host asks whether it is refused.
const SILENCE: Duration = Duration::from_secs(20);
/// Pause between two such questions: in vain, and after a new certificate.
const PAUSE: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(300)];
/// Time for one.
const WITHIN: Duration = Duration::from_secs(5);
/// Certificates for one member in ten minutes, and answers to one that joins and asks again.
const FOR_ONE: u32 = 3;
/// Requests from one address in ten minutes: several hosts may be behind it.
const FROM_ONE: u32 = 60;
/// Characters of the word that an asker says first.
const HELLO: std::ops::RangeInclusive<usize> = 32..=128;

/// What this host remembers of the certificates it gives to members.
pub(crate) struct Renewals {
    nonces: Nonces,
    from: Allowance<IpAddr>,
    members: Allowance<NodeId>,
}

impl Renewals {
    /// None were given yet.
    pub fn new() -> Result<Self, Problem> {
        let nonces = Nonces::new().map_err(keys)?;
        Ok(Self { nonces, from: Allowance::new(FROM_ONE), members: Allowance::new(FOR_ONE) })
    }

    /// The host that is to be `node` gets its answer once more.
    pub fn again(&self, node: NodeId) -> Result<(), Problem> {
        self.members.take(node)
    }

    fn asked(&self, from: Option<IpAddr>) -> Result<(), Problem> {
        from.map_or(Ok(()), |from| self.from.take(origin(from)))
    }
}

/// What a member says first whose certificate the others refuse.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RenewalHello {
    /// A random word of 32 to 128 characters.
    #[schema(min_length = 32, max_length = 128)]
    pub hello: String,
}

/// The answer to it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RenewalNonce {
    /// What the request must name, once and within a minute; only members can read it, and only a member can have made it.
    pub sealed: String,
}

/// What a member asks for whose certificate the others refuse.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RenewalRequest {
    /// The host.
    pub host: HostId,
    /// Its identity in the log.
    pub node: NodeId,
    /// The request for a certificate over the key that the cluster knows, PEM. Its names are the member's and the nonce.
    pub csr_pem: String,
}

impl std::fmt::Debug for RenewalRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenewalRequest").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The answer to it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RenewalAnswer {
    /// The certificate and the authorities to trust; only members can read it.
    pub sealed: String,
}

impl std::fmt::Debug for RenewalAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RenewalAnswer(…)")
    }
}

/// What is sealed in it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// It gets a certificate.
    Certified { chain_pem: String, authorities: Vec<String> },
    /// It was removed, and gets none.
    Removed(String),
}

impl Core {
    /// Tells a member that the others refuse what its request must name. `from` is the address it asked from.
    ///
    /// # Errors
    /// `Invalid` when the word is too short or too long, `TooMany` when it was asked often from there.
    pub fn greet_member(&self, asked: &RenewalHello, from: Option<IpAddr>) -> Result<RenewalNonce, Problem> {
        if !HELLO.contains(&asked.hello.len()) {
            let (least, most) = (HELLO.start(), HELLO.end());
            return Err(Problem::field("/hello", format!("Say {least} to {most} random characters.")));
        }
        self.0.renewals.asked(from)?;
        let nonce = self.0.renewals.nonces.give().map_err(keys)?;
        Ok(RenewalNonce { sealed: self.identity()?.seal_nonce(&asked.hello, &nonce).map_err(keys)? })
    }

    /// Gives a member that the others refuse a certificate over the key its row names. `from` is the address it asked from.
    ///
    /// # Errors
    /// `Forbidden` when it is no member or has another key, or its request is not made for this moment; `TooMany` after some
    /// of those, and when it got several already.
    pub async fn renew_member(
        &self,
        asked: &RenewalRequest,
        from: Option<IpAddr>,
    ) -> Result<RenewalAnswer, Problem> {
        self.0.renewals.asked(from)?;
        let attempt = self.0.limiter.attempt(&asked.node.to_string(), from)?;
        let removed = self.store().removed().await?;
        if let Some(gone) = removed.iter().find(|gone| gone.node == asked.node) {
            let text = format!("{} was removed from the cluster by {} at {}", gone.name, gone.by, gone.at);
            // Whoever has the secret may know, as on the port for members; nobody else can read it.
            attempt.succeeded();
            return self.seal(asked, &Verdict::Removed(text));
        }
        let refused = |detail: &str| Problem::new(ProblemKind::Forbidden, detail);
        let row = self.store().host(asked.host).await?.filter(|row| row.spec.node == Some(asked.node));
        let row = row.ok_or_else(|| refused("This host is no member of the cluster."))?;
        let key = request_key(&asked.csr_pem).map_err(|error| {
            Problem::field("/csr_pem", format!("The request can't be used: {}.", chain(&error)))
        })?;
        if row.status.public_key != Some(key.to_string()) {
            return Err(refused("The key is not the one by which the cluster knows this host."));
        }
        // That it is made now is looked at last: only a member itself can use a nonce up.
        let nonce = request_nonce(&asked.csr_pem).ok().flatten().unwrap_or_default();
        if !self.0.renewals.nonces.take(&nonce) {
            return Err(refused(
                "The request is not made for this moment: it must name a nonce of this host.",
            ));
        }
        attempt.succeeded();
        self.0.renewals.members.take(asked.node)?;
        let (identity, cluster) = (self.identity()?, self.cluster_record().await?);
        let signer = cluster.status.authorities.last().ok_or_else(|| {
            Problem::new(ProblemKind::Internal, "The cluster has no authority that signs certificates.")
        })?;
        let issuer = Issuer::unseal(signer, identity.secret()).map_err(keys)?;
        let signed = issuer.sign(&asked.csr_pem, cluster.id, asked.node, Timestamp::now());
        let authorities = cluster.status.authorities.iter().map(|a| a.certificate.clone()).collect();
        let verdict = Verdict::Certified { chain_pem: signed.map_err(keys)?, authorities };
        let sealed = self.seal(asked, &verdict)?;
        tracing::info!(host = row.spec.name, "gave a member another certificate");
        let line = AuditCommand {
            action: "cluster.renew_member".into(),
            subject: Some(row.subject()),
            result: EventResult::Ok,
            detail: "proved to have its key; the others refused its certificate".into(),
        };
        self.audit(Actor::Host { id: asked.host }, line).await;
        Ok(sealed)
    }

    fn seal(&self, asked: &RenewalRequest, verdict: &Verdict) -> Result<RenewalAnswer, Problem> {
        let text = serde_json::to_string(verdict).map_err(|e| internal("The answer can't be written", e))?;
        let sealed = self.identity()?.seal_answer(&asked.csr_pem, &text).map_err(keys)?;
        Ok(RenewalAnswer { sealed })
    }

    /// When no other member was heard for a while: perhaps they refuse this host's certificate. Asks for another one.
    ///
    /// # Errors
    /// When the state can't be read or the keys can't be written.
    pub(crate) async fn plead(&self) -> Result<bool, Problem> {
        let Some(link) = self.0.wire.link() else { return Ok(false) };
        let hosts = self.store().hosts().await?;
        let others: Vec<&Host> = hosts.iter().filter(|host| host.id != self.host()).collect();
        let heard = |host: &&Host| host.spec.node.and_then(|node| link.heard(node));
        let now = Instant::now();
        let recent = others.iter().filter_map(heard).any(|at| now.saturating_duration_since(at) < SILENCE);
        let settled = *self.0.settled.borrow();
        let due = self.0.keeping.with(|kept| {
            if recent || others.is_empty() || !settled || self.0.wire.told_removed().is_some() {
                kept.silent_since = None;
                return false;
            }
            let since = *kept.silent_since.get_or_insert(now);
            let due = now - since >= SILENCE && kept.next_plea.is_none_or(|at| at <= now);
            if due {
                kept.next_plea = Some(now + PAUSE[0]);
            }
            due
        });
        if !due {
            return Ok(false);
        }
        let identity = self.identity()?;
        let Some((site, nonce)) = find_member(&identity, &sites(&others, self)).await else {
            return Ok(false);
        };
        let csr_pem = identity.request_again(&nonce).map_err(keys)?;
        let asked = RenewalRequest { host: self.host(), node: identity.node(), csr_pem };
        let Some(next) = self.ask_for_certificate(&identity, &asked, site).await? else {
            return Ok(false);
        };
        self.local().put(GRANTED, &next.authority().map_err(keys)?.to_string()).await?;
        tracing::info!(ends = %next.ends(), "another member gave this host a certificate");
        self.take_up(next)?;
        self.knock(others.iter().filter_map(|host| host.spec.node)).await;
        self.0.keeping.with(|kept| kept.next_plea = Some(Instant::now() + PAUSE[1]));
        Ok(true)
    }

    async fn ask_for_certificate(
        &self,
        identity: &Identity,
        asked: &RenewalRequest,
        site: SocketAddr,
    ) -> Result<Option<Identity>, Problem> {
        let body = serde_json::to_value(asked).map_err(|e| internal("The question can't be written", e))?;
        let path = "/api/v1/cluster/admission/renew";
        let (status, answer) =
            match pinned::post(&[site], identity.cluster(), None, path, &body, WITHIN).await {
                Ok(answered) => answered,
                Err(PeerError::Unreachable(_) | PeerError::Late(_)) => return Ok(None),
                Err(error) => {
                    tracing::debug!(%error, "no member can be asked for a certificate");
                    return Ok(None);
                }
            };
        if status != 200 {
            // Nothing of this proves who said it, so it changes nothing here.
            let detail = answer["detail"].as_str().unwrap_or("no reason was given");
            tracing::warn!(status, detail, "a member gives this host no certificate");
            return Ok(None);
        }
        let opened = serde_json::from_value::<RenewalAnswer>(answer).ok().and_then(|answer| {
            let text = identity.open_answer(&asked.csr_pem, &answer.sealed).ok()?;
            serde_json::from_str::<Verdict>(&text).ok()
        });
        match opened {
            Some(Verdict::Certified { chain_pem, authorities }) => {
                identity.certified(chain_pem, authorities).map(Some).map_err(keys)
            }
            Some(Verdict::Removed(text)) => {
                self.0.wire.tell_removed(text);
                Ok(None)
            }
            None => {
                tracing::warn!("somebody who is no member answered as one");
                Ok(None)
            }
        }
    }
}

/// The first of `sites` that proves to be a member's, with the nonce it gave.
pub(super) async fn find_member(identity: &Identity, sites: &[SocketAddr]) -> Option<(SocketAddr, String)> {
    let greetings: Vec<_> = sites.iter().map(|site| Box::pin(greet(identity, *site))).collect();
    if greetings.is_empty() {
        return None;
    }
    match futures_util::future::select_ok(greetings).await {
        Ok((found, _)) => Some(found),
        Err(why) => {
            tracing::debug!(why, "no member can be asked for a certificate");
            None
        }
    }
}

/// Says a random word to `site`; only who has the cluster's secret knows what to answer.
async fn greet(identity: &Identity, site: SocketAddr) -> Result<(SocketAddr, String), String> {
    let hello = hex::encode(rand::random::<[u8; 32]>());
    let body = serde_json::json!(RenewalHello { hello: hello.clone() });
    let path = "/api/v1/cluster/admission/renew/hello";
    let answer = pinned::post(&[site], identity.cluster(), None, path, &body, WITHIN).await;
    let (status, answer) = answer.map_err(|error| chain(&error))?;
    let given: RenewalNonce =
        serde_json::from_value(answer).map_err(|_| format!("{site} answers with status {status}"))?;
    let nonce = identity.open_nonce(&hello, &given.sealed).map_err(|_| format!("{site} is no member's"))?;
    Ok((site, nonce))
}

/// Where members' sites may be: where their links are, on the port of this host's own.
pub(super) fn sites(others: &[&Host], core: &Core) -> Vec<SocketAddr> {
    let port = core.settings().site_listen.port();
    let addresses = others.iter().flat_map(|host| core.addresses_of(host));
    addresses.map(|address| SocketAddr::new(address.ip(), port)).collect()
}
