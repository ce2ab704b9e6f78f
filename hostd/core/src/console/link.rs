//! Links that open one machine's consoles once, for a time, without a login.

use super::{ConsoleStream, Entrant};
use crate::access::{hash_secret, random_secret};
use crate::{ConsoleKind, ConsoleMode, Core, Ctx, Secret};
use hostd_types::command::AccessCommand;
use hostd_types::*;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long an unknown link is waited for.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What an opened link gives the browser that opened it.
#[derive(Debug)]
pub struct Redeemed {
    /// The link.
    pub link: ConsoleLink,
    /// What the browser connects with from now on.
    pub pass: Secret,
}

impl Core {
    /// Makes a link to the consoles of a machine.
    ///
    /// # Errors
    /// `Invalid` when the time is out of range, `NotFound`, `Capacity` when there are too many already.
    pub async fn share_console(
        &self,
        ctx: &Ctx,
        vm: VmId,
        asked: &ShareConsole,
    ) -> Result<NewConsoleLink, Problem> {
        let made = self.try_share(ctx, vm, asked).await;
        if let Err(problem) = &made {
            let subject = self.vm(vm).await.ok().map(|vm| vm.subject());
            self.audit_refusal(ctx, "vm.share_console".into(), subject, problem).await;
        }
        made
    }

    async fn try_share(&self, ctx: &Ctx, vm: VmId, asked: &ShareConsole) -> Result<NewConsoleLink, Problem> {
        if !(CONSOLE_LINK_MIN_S..=CONSOLE_LINK_MAX_S).contains(&asked.valid_s) {
            let detail = format!(
                "A link is valid for {CONSOLE_LINK_MIN_S} to {CONSOLE_LINK_MAX_S} seconds (a minute to a week)."
            );
            return Err(Problem::field("/valid_s", detail));
        }
        let (id, secret) = (ConsoleLinkId::new(), random_secret());
        let command = AccessCommand::ShareConsole {
            id,
            vm,
            control: asked.control,
            expires_at: Timestamp::now().plus_seconds(asked.valid_s.into()),
            secret: hash_secret(secret.reveal()),
        };
        let made = self.propose(ctx.actor(self.host()), ctx.request_id(), Command::Access(command)).await?;
        self.catch_up(made.index).await;
        let link = self.store().console_link(id).await?.ok_or_else(|| {
            let detail = "This request made a link already; it was shown then.";
            Problem::new(ProblemKind::Conflict, detail)
        })?;
        Ok(NewConsoleLink { link, path: format!("/shared#{}", secret.reveal()) })
    }

    /// The links of a machine that have not ended, the newest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn console_links(&self, vm: VmId) -> Result<Vec<ConsoleLink>, Problem> {
        self.vm(vm).await?;
        let (mut links, now) = (self.store().console_links(vm).await?, Timestamp::now());
        links.retain(|link| link.expires_at > now);
        Ok(links)
    }

    /// Uses a link up: from now on the browser that opened it may connect, until the link ends.
    ///
    /// # Errors
    /// `Unauthenticated`, in the same words whatever was wrong; `TooMany` with the seconds to wait.
    pub async fn redeem_link(&self, secret: &str, address: Option<IpAddr>) -> Result<Redeemed, Problem> {
        let attempt = self.0.limiter.attempt("a console link", address)?;
        let (secret, pass) = (hash_secret(secret), random_secret());
        if !self.is_openable(&secret).await? {
            return Err(Problem::new(ProblemKind::Unauthenticated, CONSOLE_LINK_REFUSED));
        }
        let command = AccessCommand::OpenLink {
            secret,
            pass: hash_secret(pass.reveal()),
            address: address.map_or_else(String::new, |address| address.to_canonical().to_string()),
        };
        let opened = self.propose(Actor::Anonymous, RequestId::new(), Command::Access(command)).await?;
        attempt.succeeded();
        self.catch_up(opened.index).await;
        let link = self.link_of(pass.reveal()).await?.ok_or_else(|| {
            Problem::new(ProblemKind::Unauthenticated, "This link was taken back as it was opened.")
        })?;
        Ok(Redeemed { link, pass })
    }

    /// Whether a link with this secret can be opened. It is looked up before anything is proposed: guessing must not grow
    /// the cluster's log. What another host made a moment ago may still be on its way here.
    async fn is_openable(&self, secret: &SecretHash) -> Result<bool, Problem> {
        let begun = Instant::now();
        loop {
            match self.store().console_link_by_secret(secret).await? {
                Some(link) => return Ok(link.used.is_none() && Timestamp::now() < link.expires_at),
                None if begun.elapsed() >= ON_ITS_WAY => return Ok(false),
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// The link that the browser with this pass opened; `None` when it is unknown, taken back or over.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn link_of(&self, pass: &str) -> Result<Option<ConsoleLink>, Problem> {
        let found = self.store().console_link_by_pass(&hash_secret(pass)).await?;
        Ok(found.filter(|link| Timestamp::now() < link.expires_at))
    }

    /// Opens a console for whoever holds `link`.
    ///
    /// # Errors
    /// As [`Core::open_console`].
    pub async fn open_shared(
        &self,
        link: &ConsoleLink,
        kind: ConsoleKind,
        mode: ConsoleMode,
        address: Option<IpAddr>,
    ) -> Result<ConsoleStream, Problem> {
        // It may have been taken back since the door let it in.
        let link =
            self.store().console_link(link.id).await?.filter(|link| Timestamp::now() < link.expires_at);
        let link = &link.ok_or_else(|| {
            let detail = "This link was taken back, or its time is over.";
            Problem::new(ProblemKind::Unauthenticated, detail)
        })?;
        let by = &link.meta.created_by;
        let from = address.map_or_else(|| "the host itself".into(), |a| a.to_canonical().to_string());
        let entrant = Entrant::new(format!("a link made by {by}"), link.control, mode).by_link(link.id);
        let detail = format!("console opened by the link made by {by}, from {from}");
        self.enter(link.vm, kind, entrant, Actor::Anonymous, detail).await
    }
}
