//! Neighbours: for ten minutes after somebody asked for it, this host looks who is on its network, tells of itself, and shows
//! a short code with which a neighbour gets a join token. Otherwise it neither sends nor listens.

use super::found::keys;
use super::view::Condition;
use crate::error::internal;
use crate::{Core, Ctx, addresses};
use hostd_peer::{Answering, Asking, CodeAnswer, Found, Neighbour, PeerError, Search, ShortCode, pinned};
use hostd_types::command::AuditCommand;
use hostd_types::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use utoipa::ToSchema;

/// Seconds a search lasts, and the token that comes of it.
const OPEN_S: u32 = 600;
/// Times a code may be tried.
const TRIES: u8 = 3;
/// How often it is looked for news for pages that show them.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// Time for each of the two questions to a neighbour.
const ASK: Duration = Duration::from_secs(10);

/// A search for neighbours, as this host sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NeighboursView {
    /// When it ends; absent when there is none.
    pub until: Option<Timestamp>,
    /// What is to be typed on a neighbour that shall join this host's cluster; absent when it was used or tried too often.
    pub code: Option<String>,
    /// How often it may still be tried.
    pub tries_left: u8,
    /// Who is there.
    pub found: Vec<NeighbourView>,
}

/// A host on the network that looks for neighbours, too. What it says of itself is not proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NeighbourView {
    /// The host.
    pub host: HostId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: String,
    /// Its site (`address:port`).
    pub site: String,
    /// It is in this host's cluster already.
    pub same: bool,
}

/// What a host asks that has typed a code.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CodeRequest {
    /// The host that asks.
    pub host: HostId,
    /// Its part of the exchange, in hexadecimal.
    pub opening: String,
}

/// What it is answered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CodeReply {
    /// The other part of the exchange, in hexadecimal.
    pub opening: String,
    /// The proof that this host knows the code, in hexadecimal.
    pub proof: String,
    /// How often the code may be tried after this.
    pub tries_left: u8,
}

/// The asker's proof that it knows the code.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CodeProof {
    /// The host that asks.
    pub host: HostId,
    /// The proof, in hexadecimal.
    pub proof: String,
}

/// A join token that only who knows the code can read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CodeGrant {
    /// The token, encrypted.
    pub sealed: String,
}

/// The search under way on this host.
#[derive(Default)]
pub(crate) struct Neighbours(Mutex<Option<Open>>);

struct Open {
    search: Search,
    until: Timestamp,
    /// Who asked for it: in their name the token is made.
    by: Ctx,
    cluster: ClusterId,
    code: Option<ShortCode>,
    tries: u8,
    /// Exchanges that wait for their proof, by who asks.
    exchanges: BTreeMap<HostId, Answering>,
}

impl Neighbours {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.until <= Timestamp::now()) {
            *open = None;
        }
        open
    }
}

impl Core {
    /// Looks for neighbours for ten minutes and shows a code; asked again it begins anew with another one.
    ///
    /// # Errors
    /// `WrongState` while this host moves between clusters or was removed, `Unavailable` without a network for it.
    pub async fn open_neighbours(&self, ctx: &Ctx) -> Result<NeighboursView, Problem> {
        match self.condition().await? {
            Condition::Alone | Condition::Member => {}
            Condition::Moving | Condition::Removed => {
                let detail = "This host is in no cluster at the moment. Look for neighbours when it is.";
                return Err(Problem::wrong_state(detail));
            }
        }
        let cluster = self.cluster_record().await?.id;
        let me = Neighbour {
            host: self.host(),
            cluster,
            name: self.own_name().await?,
            port: self.settings().site_listen.port(),
        };
        let search = Search::start(me, &addresses(), &self.0.stop, &self.0.tracker).map_err(|error| {
            let detail = format!("This host can't look for neighbours: {error}. Use a join token instead.");
            Problem::new(ProblemKind::Unavailable, detail)
        })?;
        let until = Timestamp::now().plus_seconds(OPEN_S.into());
        let by = Ctx { request: None, ..ctx.clone() };
        let code = Some(ShortCode::generate().map_err(keys)?);
        let open = Open { search, until, by, cluster, code, tries: TRIES, exchanges: BTreeMap::new() };
        *self.0.neighbours.lock() = Some(open);
        let line = AuditCommand {
            action: "cluster.find_neighbours".into(),
            subject: None,
            result: EventResult::Ok,
            detail: format!("until {until}"),
        };
        self.audit(ctx.actor(self.host()), line).await;
        self.tell_neighbours(until);
        self.neighbours().await
    }

    /// Ends the search.
    pub fn close_neighbours(&self) {
        *self.0.neighbours.lock() = None;
        self.0.live.tell(Kind::Cluster, self.host());
    }

    /// Tells pages of news until the search ends, and ends it in time.
    fn tell_neighbours(&self, until: Timestamp) {
        let core = self.clone();
        let watch = async move {
            let mut shown = None;
            loop {
                let now = core
                    .0
                    .neighbours
                    .lock()
                    .as_ref()
                    .filter(|open| open.until == until)
                    .map(|open| (open.search.found(), open.tries, open.code.is_some()));
                let over = now.is_none();
                if now != shown {
                    core.0.live.tell(Kind::Cluster, core.host());
                    shown = now;
                }
                if over {
                    return;
                }
                tokio::time::sleep(TELL_EVERY).await;
            }
        };
        let stop = self.0.stop.clone();
        self.0.tracker.spawn(async move {
            let _ = stop.run_until_cancelled(watch).await;
        });
    }

    /// The search as it stands.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn neighbours(&self) -> Result<NeighboursView, Problem> {
        let members = self.store().hosts().await?;
        let open = self.0.neighbours.lock();
        let Some(open) = open.as_ref() else { return Ok(NeighboursView::default()) };
        let view = |found: Found| NeighbourView {
            same: members.iter().any(|host| host.id == found.neighbour.host),
            host: found.neighbour.host,
            cluster: found.neighbour.cluster,
            name: found.neighbour.name,
            site: found.site.to_string(),
        };
        Ok(NeighboursView {
            until: Some(open.until),
            code: open.code.as_ref().map(ShortCode::shown),
            tries_left: open.tries,
            found: open.search.found().into_iter().map(view).collect(),
        })
    }

    /// The text of a join token of a neighbour's cluster, for the code that the neighbour shows.
    ///
    /// # Errors
    /// `Invalid` at `/code` when it is wrong, `NotFound` when there is no such neighbour, `Unavailable` when it does not answer.
    pub async fn token_of_neighbour(&self, id: HostId, code: &str) -> Result<String, Problem> {
        let code = ShortCode::typed(code)
            .ok_or_else(|| Problem::field("/code", "The code has eight digits; the other host shows it."))?;
        let found = self.0.neighbours.lock().as_ref().map(|open| open.search.found()).unwrap_or_default();
        let found = found.into_iter().find(|found| found.neighbour.host == id);
        let found = found.ok_or_else(|| Problem::not_found("neighbour", id))?;
        let (asking, opening) = Asking::begin(&code, self.host(), found.neighbour.cluster);
        let reply: CodeReply = ask(&found, "code", &CodeRequest { host: self.host(), opening }).await?;
        let (proof, key) =
            asking.check(&CodeAnswer { opening: reply.opening, proof: reply.proof }).map_err(|_| {
                let detail = match reply.tries_left {
                    0 => "That is not the code. It was tried too often: let the other host show a new one."
                        .to_owned(),
                    left => format!(
                        "That is not the code that {} shows. Tries left: {left}.",
                        found.neighbour.name
                    ),
                };
                Problem::field("/code", detail)
            })?;
        let grant: CodeGrant = ask(&found, "code/proof", &CodeProof { host: self.host(), proof }).await?;
        let text = key.open_handover(&grant.sealed).map_err(keys)?;
        Ok(text.to_string())
    }

    /// Answers a neighbour that has typed a code: the first half of the exchange.
    ///
    /// # Errors
    /// `Forbidden` when no code is shown, or it was tried too often.
    pub fn answer_code(&self, asked: &CodeRequest) -> Result<CodeReply, Problem> {
        let mut open = self.0.neighbours.lock();
        let open = open.as_mut().filter(|open| open.code.is_some()).ok_or_else(no_code)?;
        let Some(code) = &open.code else { return Err(no_code()) };
        let (answering, answer) = Answering::answer(code, asked.host, open.cluster, &asked.opening)
            .map_err(|_| Problem::field("/opening", "This is no part of an exchange."))?;
        // The answer alone lets the other side try one code, whether it comes back or not.
        open.tries = open.tries.saturating_sub(1);
        if open.tries == 0 {
            open.code = None;
        }
        open.exchanges.insert(asked.host, answering);
        let CodeAnswer { opening, proof } = answer;
        Ok(CodeReply { opening, proof, tries_left: open.tries })
    }

    /// The second half: a join token for who has proved to know the code, which is used up by it.
    ///
    /// # Errors
    /// `Forbidden` when the proof is wrong, or no exchange was begun; what making a token may refuse.
    pub async fn grant_code(&self, asked: &CodeProof) -> Result<CodeGrant, Problem> {
        let (answering, by) = {
            let mut open = self.0.neighbours.lock();
            let open = open.as_mut().ok_or_else(no_code)?;
            (open.exchanges.remove(&asked.host).ok_or_else(no_code)?, open.by.clone())
        };
        let key = answering.check(&asked.proof).map_err(|_| no_code())?;
        if let Some(open) = self.0.neighbours.lock().as_mut() {
            (open.code, open.tries) = (None, 0);
            open.exchanges.clear();
        }
        let token = self.create_join_token(&by, OPEN_S).await?;
        Ok(CodeGrant { sealed: key.seal_handover(&token.text).map_err(keys)? })
    }
}

fn no_code() -> Problem {
    let detail = "This host shows no such code (any more). Let it show a new one: Find neighbours on its Cluster page.";
    Problem::new(ProblemKind::Forbidden, detail)
}

/// Asks a neighbour. Who answers proves itself by the code alone.
async fn ask<T: DeserializeOwned>(found: &Found, what: &str, body: &impl Serialize) -> Result<T, Problem> {
    let Neighbour { cluster, name, .. } = &found.neighbour;
    let body = serde_json::to_value(body).map_err(|e| internal("The question can't be written", e))?;
    let path = format!("/api/v1/cluster/admission/{what}");
    let silent = |error: PeerError| {
        Problem::new(
            ProblemKind::Unavailable,
            format!("{name} does not answer on its port for pages: {error}."),
        )
    };
    let (status, answer) =
        pinned::post(&[found.site], *cluster, None, &path, &body, ASK).await.map_err(silent)?;
    if status == 200 {
        return serde_json::from_value(answer)
            .map_err(|e| internal("The neighbour's answer can't be read", e));
    }
    let detail = answer["detail"].as_str().unwrap_or("It gave no reason.").to_owned();
    match status {
        403 => Err(Problem::field("/code", format!("{name} refused: {detail}"))),
        _ => Err(Problem::new(ProblemKind::Unavailable, format!("{name} refused: {detail}"))),
    }
}
