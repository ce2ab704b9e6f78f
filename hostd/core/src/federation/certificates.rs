//! This host's own certificate over time: it is renewed by a clock that can be believed, and trusts the authorities that the
//! rows list.

use super::ask::Ask;
use super::found::keys;
use super::rotation::RotationView;
use crate::Core;
use hostd_peer::{Identity, Issuer, Renewal, fingerprint};
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use utoipa::ToSchema;

/// Days before a certificate's end at which pages warn: it should have been renewed a month ago.
pub(crate) const ALARM_DAYS: i64 = 30;
/// Seconds in a day.
const DAY_S: i64 = 24 * 3600;
/// Clocks that differ by less are taken for equal.
const CLOSE_S: i64 = 3600;
/// Local fact: the authority of a certificate that another member gave, until this host's own state knows it.
pub(super) const GRANTED: &str = "certificate.granted";

/// How certificates stand, as this host sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Certificates {
    /// When this host's own certificate as a member ends.
    pub ends: Option<Timestamp>,
    /// Why it could not be renewed when that was last tried.
    pub fault: Option<String>,
    /// When the authority that signs the members' certificates ends.
    pub authority_ends: Option<Timestamp>,
    /// The replacement of that authority, while it is under way.
    pub rotation: Option<RotationView>,
}

/// What is known of renewing this host's certificate.
#[derive(Debug, Default)]
pub(crate) struct Keeping(Mutex<Kept>);

#[derive(Debug, Default)]
pub(super) struct Kept {
    fault: Option<String>,
    clock: Option<String>,
    /// Since when no other member was heard.
    pub(super) silent_since: Option<Instant>,
    /// When one may be asked for another certificate again.
    pub(super) next_plea: Option<Instant>,
}

impl Keeping {
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
    /// Why the certificate could not be renewed.
    pub fn fault(&self) -> Option<String> {
        self.with(|kept| kept.fault.clone())
    }
    /// What is wrong with the clock, in words.
    pub fn clock(&self) -> Option<String> {
        self.with(|kept| kept.clock.clone())
    }
}

impl Core {
    /// Renews this host's certificate when that is due, and trusts the authorities that the rows list. What goes wrong is
    /// told by the notices.
    ///
    /// # Errors
    /// When the state can't be read, or the keys can't be used.
    pub(crate) async fn keep_certificate(&self) -> Result<bool, Problem> {
        let kept = self.try_keep().await;
        let fault = kept.as_ref().err().map(|problem| problem.detail.clone());
        self.0.keeping.with(|known| known.fault = fault);
        if let Ok(true) = kept {
            // The row tells the others.
            self.0.wakes.host.notify_one();
        }
        kept
    }

    async fn try_keep(&self) -> Result<bool, Problem> {
        let (identity, Some(cluster)) = (self.identity()?, self.store().cluster().await?) else {
            return Ok(false);
        };
        let Some(signer) = cluster.status.authorities.last() else { return Ok(false) };
        if cluster.id != identity.cluster() || !self.knows_own_authority(&cluster).await? {
            return Ok(false);
        }
        let trusted: Vec<String> = cluster.status.authorities.iter().map(|a| a.certificate.clone()).collect();
        let replaced =
            identity.authority().map_err(keys)? != fingerprint(&signer.certificate).map_err(keys)?;
        let sign_at = match (self.renew_at(&identity).await?, replaced) {
            (Some(now), _) => Some(now),
            (None, true) => Some(self.best_time(&identity).await),
            (None, false) => None,
        };
        if sign_at.is_none() && identity.authorities() == trusted {
            return Ok(false);
        }
        let mut next = identity;
        if let Some(now) = sign_at {
            let issuer = Issuer::unseal(signer, next.secret()).map_err(keys)?;
            let request = Identity::request(next.cluster(), next.node()).map_err(keys)?;
            let chain = issuer.sign(&request.csr_pem, next.cluster(), next.node(), now).map_err(keys)?;
            let all = next.authorities().iter().chain(&trusted).cloned().collect();
            next = next.trusting(all).and_then(|next| next.renewed(chain, &request.key_pem)).map_err(keys)?;
            tracing::info!(ends = %next.ends(), "renewed this host's certificate as a member");
        }
        self.take_up(next.trusting(trusted).map_err(keys)?)?;
        Ok(true)
    }

    pub(super) fn take_up(&self, identity: Identity) -> Result<(), Problem> {
        identity.save(&self.settings().keys_dir()).map_err(keys)?;
        self.link_as(Some(identity))
    }

    /// The time to sign a new certificate at, when one is due. A clock outside the present certificate is believed only if
    /// another member's agrees.
    async fn renew_at(&self, identity: &Identity) -> Result<Option<Timestamp>, Problem> {
        let now = Timestamp::now();
        let (renewal, sure) = match identity.renewal(now) {
            Renewal::Doubtful => match self.others_time().await? {
                Others::Say(theirs) => {
                    self.judge_clock(now, theirs);
                    (identity.renewal_for_sure(theirs), theirs)
                }
                Others::None => (identity.renewal_for_sure(now), now),
                Others::Silent => {
                    let detail = format!(
                        "This host's certificate holds from {} to {}, here it is {now}, and no other member confirms the time",
                        identity.validity().starts,
                        identity.ends()
                    );
                    return Err(Problem::new(ProblemKind::Unavailable, detail));
                }
            },
            settled @ (Renewal::Due | Renewal::NotDue) => {
                self.0.keeping.with(|kept| kept.clock = None);
                (settled, now)
            }
        };
        Ok((renewal == Renewal::Due).then_some(sure))
    }

    /// The time, by another member's clock when this host's may be wrong.
    async fn best_time(&self, identity: &Identity) -> Timestamp {
        let now = Timestamp::now();
        match (identity.renewal(now), self.others_time().await) {
            (Renewal::Doubtful, Ok(Others::Say(theirs))) => theirs,
            (Renewal::Doubtful | Renewal::Due | Renewal::NotDue, _) => now,
        }
    }

    fn judge_clock(&self, here: Timestamp, theirs: Timestamp) {
        let wrong = (here.unix() - theirs.unix()).abs() > CLOSE_S;
        let text = format!(
            "This host's clock is wrong: it says {here}, the other members say {theirs}. Machines run on; times shown here are \
             wrong until it is set right."
        );
        self.0.keeping.with(|kept| kept.clock = wrong.then_some(text));
    }

    /// The middle one of the other members' clocks.
    async fn others_time(&self) -> Result<Others, Problem> {
        let hosts = self.store().hosts().await?;
        let others: Vec<HostId> = hosts.iter().map(|host| host.id).filter(|id| *id != self.host()).collect();
        if others.is_empty() {
            return Ok(Others::None);
        }
        let asked = others.iter().map(|id| self.ask::<Timestamp>(*id, &Ask::Clock));
        let mut told: Vec<Timestamp> =
            futures_util::future::join_all(asked).await.into_iter().flatten().collect();
        told.sort();
        Ok(told.get(told.len() / 2).copied().map_or(Others::Silent, Others::Say))
    }

    /// Whether the rows list the authority of a certificate that another member gave. Until they do, they are older than it.
    async fn knows_own_authority(&self, cluster: &ClusterRecord) -> Result<bool, Problem> {
        let granted = self.local().get(GRANTED).await?.unwrap_or_default();
        if granted.is_empty() {
            return Ok(true);
        }
        let known = cluster.status.authorities.iter().filter_map(|a| fingerprint(&a.certificate).ok());
        if known.into_iter().any(|print| print.to_string() == granted) {
            self.local().put(GRANTED, "").await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// How certificates stand, by rows as they were read.
    pub(crate) fn certificates(&self, cluster: Option<&ClusterRecord>, hosts: &[Host]) -> Certificates {
        let status = cluster.map(|cluster| &cluster.status);
        let rotation = status.and_then(|status| status.rotation.as_ref());
        Certificates {
            ends: self.identity().ok().map(|identity| identity.ends()),
            fault: self.0.keeping.fault(),
            authority_ends: status.and_then(|status| status.authorities.last()).map(|a| a.ends),
            rotation: rotation.map(|rotation| RotationView::of(rotation, hosts)),
        }
    }

    /// What pages say of certificates: this host's is not renewed, its clock is wrong, the authority ends.
    pub(crate) async fn certificate_alarms(&self) -> Vec<(bool, String)> {
        // A state that can't be read is a notice of its own.
        let cluster = self.store().cluster().await.ok().flatten();
        let state = self.certificates(cluster.as_ref(), &[]);
        alarms(&state, self.0.keeping.clock(), Timestamp::now())
    }
}

/// What the other members' clocks say.
enum Others {
    /// There is no other member.
    None,
    /// None answers.
    Silent,
    /// It is this time.
    Say(Timestamp),
}

/// The alarms; `true` for those that can't wait.
fn alarms(state: &Certificates, clock: Option<String>, now: Timestamp) -> Vec<(bool, String)> {
    let mut alarms: Vec<(bool, String)> = clock.iter().map(|text| (false, text.clone())).collect();
    let left = |ends: Timestamp| (ends.unix() - now.unix()).div_euclid(DAY_S);
    let why = state.fault.as_deref().unwrap_or("it was not tried yet");
    match state.ends.map(left) {
        // A clock that is wrong says nothing about the days left.
        Some(_) if clock.is_some() => {}
        Some(days) if days < 0 => {
            alarms.push((
                true,
                format!("This host's certificate as a member has ended and is not renewed: {why}."),
            ));
        }
        Some(days) if days < ALARM_DAYS => alarms.push((
            days < 7,
            format!("This host's certificate as a member ends in {days} days and is not renewed: {why}."),
        )),
        Some(_) | None => {}
    }
    if let Some(days) = state.authority_ends.map(left).filter(|days| *days < 365 && clock.is_none()) {
        let text =
            format!("The authority that signs the members' certificates ends in {days} days. Replace it.");
        alarms.push((days < ALARM_DAYS, text));
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_renewed_is_told_with_the_days_left_and_the_reason() {
        let now = Timestamp::from_unix(1_800_000_000);
        let state = |days: i64, fault: Option<&str>| Certificates {
            ends: Some(now.plus_seconds(days * DAY_S + 1)),
            fault: fault.map(str::to_owned),
            authority_ends: Some(now.plus_seconds(3000 * DAY_S)),
            rotation: None,
        };
        assert!(alarms(&state(31, None), None, now).is_empty());
        let soon = alarms(&state(29, Some("the keys can't be written")), None, now);
        assert_eq!(soon.len(), 1);
        assert!(
            !soon[0].0
                && soon[0].1.contains("ends in 29 days")
                && soon[0].1.contains("keys can't be written")
        );
        assert!(alarms(&state(6, None), None, now)[0].0);
        assert!(alarms(&state(-1, None), None, now)[0].1.contains("has ended"));
        let ahead = alarms(&state(-3650, None), Some("This host's clock is wrong".into()), now);
        assert_eq!(ahead.len(), 1, "a wrong clock is a warning and nothing else: {ahead:?}");
        assert!(!ahead[0].0);
        let old = Certificates { authority_ends: Some(now.plus_seconds(20 * DAY_S)), ..state(80, None) };
        assert!(alarms(&old, None, now)[0].0);
    }
}
