//! The member's side of a join: it mints tokens, tells what joining would do, and makes hosts members.

use super::found::keys;
use super::view::{Admission, AdmissionPreview, AdmissionRequest, MemberAddress, MemberChain, NewJoinToken};
use crate::access::hash_secret;
use crate::{Core, Ctx, Secret};
use hostd_peer::{Identity, Invitation, Issuer, request_key};
use hostd_types::command::ClusterCommand;
use hostd_types::*;
use std::net::IpAddr;

impl Core {
    /// Makes a token with which one host may join within `valid_s` seconds.
    ///
    /// # Errors
    /// `Invalid` when the time is out of range, `WrongState` while this host moves between clusters.
    pub async fn create_join_token(&self, ctx: &Ctx, valid_s: u32) -> Result<NewJoinToken, Problem> {
        if !(1..=JOIN_TOKEN_MAX_S).contains(&valid_s) {
            let detail = format!("A join token is valid for 1 to {JOIN_TOKEN_MAX_S} seconds (a day).");
            return Err(Problem::field("/valid_s", detail));
        }
        let identity = self.identity()?;
        let secret: [u8; 32] = rand::random();
        let (token, expires_at) = (JoinTokenId::new(), Timestamp::now().plus_seconds(valid_s.into()));
        let create =
            ClusterCommand::CreateToken { id: token, secret: hash_secret(&hex::encode(secret)), expires_at };
        let made = self.propose(ctx.actor(self.host()), ctx.request_id(), Command::Cluster(create)).await?;
        if made.subject.is_some_and(|first| first.id != token.to_string()) {
            let detail = "This request made a join token already; its text was shown then.";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        let authority = identity.authorities().last().map(String::as_str).unwrap_or_default();
        let invitation = Invitation {
            cluster: identity.cluster(),
            token,
            authority: hostd_peer::fingerprint(authority).map_err(keys)?,
            secret,
            addresses: self.site_addresses(),
        };
        // A host that is cut off between the answer of the leader and the entry itself has made the token all the same.
        let made = self.store().join_token(token).await?.unwrap_or_else(|| JoinToken {
            id: token,
            meta: Meta::created(Timestamp::now(), &ctx.actor(self.host())),
            expires_at,
            used_by: None,
        });
        Ok(NewJoinToken { token: made, text: invitation.to_string() })
    }

    /// All join tokens that were not taken back, the newest first.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn join_tokens(&self) -> Result<Vec<JoinToken>, Problem> {
        self.store().join_tokens().await
    }

    /// Tells a host that shows a valid token what joining would do. Changes nothing. `from` is the address it asked from.
    ///
    /// # Errors
    /// `Forbidden` when the token is not valid, `TooMany` after some that were not.
    pub async fn preview_admission(
        &self,
        asked: &AdmissionRequest,
        from: Option<IpAddr>,
    ) -> Result<AdmissionPreview, Problem> {
        // A wrong token is a guess, as a wrong password is.
        let attempt = self.0.limiter.attempt(&asked.token.to_string(), from)?;
        let again = self.check_token(asked).await?;
        attempt.succeeded();
        if again {
            self.0.renewals.again(asked.node)?;
        }
        let cluster = self.cluster_record().await?;
        let hosts = self.store().hosts().await?;
        let host_name = self.store().joining_name(asked.host, &asked.name).await?;
        let clashes = self.store().clashes(&asked.belongings, &host_name).await?;
        let mut blockers = Vec::new();
        if hosts.iter().any(|host| host.id == asked.host && host.spec.node != Some(asked.node)) {
            blockers.push(format!(
                "{} is a member of {} already, or was and was not removed. Remove it there first.",
                asked.name, cluster.spec.name
            ));
        }
        if asked.status.level < cluster.status.level {
            let (version, name) = (&asked.status.version, &cluster.spec.name);
            blockers
                .push(format!("{name} uses what version {version} does not know. Update this host first."));
        }
        let members = hosts.into_iter().map(|host| host.spec.name).collect();
        Ok(AdmissionPreview { name: cluster.spec.name, members, host_name, clashes, blockers })
    }

    /// Makes a host that shows a valid token a member; its token is used up. Asked again by the same host
    /// over the same key it answers again.
    /// `from` is the address it asked from.
    ///
    /// # Errors
    /// `Forbidden` when the token is not valid, `TooMany` after some that were not, `Conflict` when the host can't join,
    /// `NoQuorum`.
    pub async fn admit_host(
        &self,
        asked: &AdmissionRequest,
        from: Option<IpAddr>,
    ) -> Result<Admission, Problem> {
        let preview = self.preview_admission(asked, from).await?;
        if let Some(blocker) = preview.blockers.into_iter().next() {
            return Err(Problem::new(ProblemKind::Conflict, blocker));
        }
        let identity = self.identity()?;
        let cluster = self.cluster_record().await?;
        let authority = cluster.status.authorities.last().ok_or_else(|| {
            Problem::new(ProblemKind::Internal, "The cluster has no authority that signs certificates.")
        })?;
        let issuer = Issuer::unseal(authority, identity.secret()).map_err(keys)?;
        let unusable =
            |error| Problem::field("/csr_pem", format!("The certificate can't be signed: {error}."));
        let key = request_key(&asked.csr_pem).map_err(unusable)?;
        let chain_pem =
            issuer.sign(&asked.csr_pem, cluster.id, asked.node, Timestamp::now()).map_err(unusable)?;
        let join = ClusterCommand::Join {
            token: asked.token,
            secret: hash_secret(&asked.secret),
            host: asked.host,
            node: asked.node,
            name: asked.name.clone(),
            role: asked.role,
            status: HostStatus {
                addresses: reachable(&asked.status.addresses, from),
                // What it says of itself may be of the identity it had so far.
                public_key: Some(key.to_string()),
                ..asked.status.clone()
            },
        };
        let by = Actor::Host { id: asked.host };
        self.propose(by, RequestId::new(), Command::Cluster(join)).await?;
        let hosts = self.store().hosts().await?;
        let members = hosts.into_iter().filter_map(|host| {
            Some(MemberAddress { node: host.spec.node?, addresses: host.status.addresses })
        });
        Ok(Admission {
            chain_pem,
            authorities: cluster.status.authorities.iter().map(|a| a.certificate.clone()).collect(),
            secret: identity.secret().clone(),
            generation: cluster.status.generation,
            members: members.collect(),
        })
    }

    /// Refuses a token that opens nothing. What is wrong with it is told only to who knows its secret. Answers
    /// whether it is the same join again.
    async fn check_token(&self, asked: &AdmissionRequest) -> Result<bool, Problem> {
        let refused = |detail: &str| Problem::new(ProblemKind::Forbidden, detail);
        let secret = hash_secret(&asked.secret);
        let token = self.store().join_token_with(asked.token, &secret).await?;
        let token = token.ok_or_else(|| {
            refused("The cluster does not know this join token: it was taken back, or has ended. Make a new one there.")
        })?;
        match &token.used_by {
            // The answer holds the cluster's secret, so the host alone gets it again, which the key proves.
            Some(by)
                if by.host == asked.host
                    && by.node == asked.node
                    && by.public_key.is_some()
                    && by.public_key == request_key(&asked.csr_pem).ok().map(|key| key.to_string()) =>
            {
                return Ok(true);
            }
            Some(by) => {
                let detail = format!("{} has used this join token already. Make a new one.", by.name);
                return Err(Problem::new(ProblemKind::Forbidden, detail));
            }
            None => {}
        }
        if token.expires_at < Timestamp::now() {
            return Err(refused("This join token has ended. Make a new one."));
        }
        Ok(false)
    }

    pub(crate) async fn cluster_record(&self) -> Result<ClusterRecord, Problem> {
        self.store().cluster().await?.ok_or_else(moving)
    }

    /// With what this host proves to hosts that want to join that it is a member; none while it moves from one cluster
    /// into another.
    pub fn member_chain(&self) -> Option<MemberChain> {
        let identity = self.identity().ok()?;
        Some(MemberChain {
            name: hostd_peer::join_name(identity.cluster()),
            chain_pem: identity.chain_pem().to_owned(),
            key_pem: Secret(identity.key_pem().to_owned()),
        })
    }

    /// Who this host is to other members.
    ///
    /// # Errors
    /// `WrongState` while it moves from one cluster into another.
    pub(crate) fn identity(&self) -> Result<Identity, Problem> {
        self.0.wire.link().and_then(|link| link.identity()).ok_or_else(moving)
    }
}

fn moving() -> Problem {
    Problem::wrong_state("This host is on its way between two clusters. Wait until it has arrived.")
}

/// The addresses a host told, the one it was seen under first.
fn reachable(told: &[String], from: Option<IpAddr>) -> Vec<String> {
    let mut addresses: Vec<String> = told.iter().take(16).cloned().collect();
    if let Some(from) = from.map(|ip| ip.to_canonical()) {
        addresses.sort_by_key(|text| {
            !text.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip() == from)
        });
    }
    addresses
}
