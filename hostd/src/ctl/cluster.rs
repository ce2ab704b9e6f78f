//! `qx cluster`

use super::authority::{authority, rotate};
use super::given::{TokenSource, line, typed};
use super::lookup::id;
use super::moving::{join, leave, preview};
use super::neighbours::{neighbours, token_of};
use super::{Session, Stop, output};
use crate::http::v1::cluster::{CreateJoinToken, EditCluster, RecoverCluster, SetPeer, Standing};
use anyhow::Context;
use clap::Subcommand;
use hostd_core::{ClusterView, Condition, MemberView, NewJoinToken};
use hostd_types::{HostRole, JoinToken, JoinTokenId, Timestamp};
use hyper::Method;
use serde_json::Value;
use std::net::SocketAddr;

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the cluster, its majority and its hosts
    Show,
    /// Tokens with which hosts join
    #[command(subcommand)]
    Token(TokenVerb),
    /// Tell what joining the cluster of a token would do to this host; changes nothing
    Preview {
        #[command(flatten)]
        token: TokenSource,
    },
    /// Join the cluster of a token with everything this host has
    Join {
        #[command(flatten)]
        token: TokenSource,
        /// Instead of a token: a neighbour that was found; the eight digits it shows are read from standard input
        #[arg(long, value_name = "HOST", conflicts_with_all = ["input", "token_file"])]
        neighbour: Option<String>,
        /// What this host's daemon was started as; it joins as that in any case
        #[arg(long, value_name = "host|witness")]
        role: Option<HostRole>,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    /// Leave the cluster with everything this host has
    Leave {
        /// Don't ask: this host's name
        #[arg(long, value_name = "NAME")]
        yes: Option<String>,
    },
    /// Remove a host that is gone, with the rows of everything on it
    Remove {
        host: String,
        /// Don't ask: its name
        #[arg(long, value_name = "NAME")]
        yes: Option<String>,
    },
    /// Give the cluster another name
    Rename { name: String },
    /// How many hosts vote at most: 3, 5 or 7
    Voters { count: u8 },
    /// The processor that machines in the CPU mode Flexible see
    Cpu(super::cpu::Given),
    /// Look for hosts on this network for ten minutes and show a code with which one may join; again: list them
    Neighbours {
        /// End the search
        #[arg(long)]
        close: bool,
    },
    /// Replace the authority that signs the members' certificates
    RotateCa {
        /// While one is being replaced: go on without these hosts, which are off
        #[arg(long, num_args = 1.., value_name = "HOST")]
        without: Vec<String>,
    },
    /// Tell this host alone where another one is, when the cluster does not know
    SetPeer {
        host: String,
        /// Its address and port, such as 192.0.2.7:8444; absent: where it says itself
        address: Option<SocketAddr>,
    },
    /// Go on alone when the majority is lost for ever; all other hosts must join again
    Recover {
        /// Every other host by its name: you vouch that they are off
        #[arg(long, required = true, num_args = 1.., value_name = "HOST")]
        i_have_powered_off: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// List join tokens
    List,
    /// Make a token for one host and print it; it can't be shown again
    Create {
        /// How long it is valid, such as 90s, 15m, 1h; at most 24h
        #[arg(long, default_value = "1h", value_parser = seconds)]
        valid: u32,
    },
    /// Take one back
    Revoke { id: JoinTokenId },
}

/// A time such as `15m`; a bare number is seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let each = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("use s, m or h, such as 15m".into()),
    };
    let count: u32 =
        digits.parse().map_err(|_| "use a whole number and s, m or h, such as 15m".to_owned())?;
    count.checked_mul(each).ok_or_else(|| "that is too long".into())
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::Show => show(session).await,
        Verb::Token(verb) => token(session, verb).await,
        Verb::Preview { token } => preview(session, token.read().await?).await.map(|_| ()),
        Verb::Join { token, neighbour, role, yes } => {
            let token = match neighbour {
                Some(name) => token_of(session, &name, line("Its code:").await?).await?,
                None => token.read().await?,
            };
            join(session, token, role, yes).await
        }
        Verb::Neighbours { close } => neighbours(session, close).await,
        Verb::Leave { yes } => leave(session, yes).await,
        Verb::Remove { host, yes } => remove(session, &host, yes).await,
        Verb::SetPeer { host, address } => set_peer(session, &host, address).await,
        Verb::Recover { i_have_powered_off } => recover(session, i_have_powered_off).await,
        Verb::RotateCa { without } => rotate(session, without).await,
        Verb::Rename { name } => edit(session, EditCluster { name: Some(name), voters: None }).await,
        Verb::Cpu(given) => super::cpu::run(session, given).await,
        Verb::Voters { count } => edit(session, EditCluster { name: None, voters: Some(count) }).await,
    }
}

/// The cluster as this host sees it.
pub async fn view(session: &Session) -> Result<ClusterView, Stop> {
    Ok(session.client.get("/api/v1/cluster").await?)
}

async fn show(session: &Session) -> Result<(), Stop> {
    let answer: Value = session.client.get("/api/v1/cluster").await?;
    if session.json {
        output::json(&answer);
        return Ok(());
    }
    let view: ClusterView = output::typed(answer)?;
    output::facts([("This host", condition(view.condition).into())]);
    if let Some(cluster) = &view.cluster {
        output::facts([
            ("Cluster", cluster.spec.name.clone()),
            ("Id", cluster.id.to_string()),
            ("Voters", format!("{} at most", cluster.spec.voters)),
        ]);
    }
    let leader = view.members.iter().find(|m| Some(m.host.id) == view.leader);
    output::facts([
        ("Leader", leader.map_or("nobody", |m| &m.host.spec.name).into()),
        ("Majority", view.quorum.text.clone()),
    ]);
    output::facts(
        Some(&view.level.text).filter(|text| !text.is_empty()).map(|text| ("Versions", text.clone())),
    );
    output::facts(authority(&view).map(|text| ("Authority", text)));
    output::facts(view.certificates.fault.clone().map(|why| ("Certificate", format!("not renewed: {why}"))));
    output::say!("");
    members(&view);
    for gone in &view.removed {
        output::facts([("Removed", format!("{} by {} at {}", gone.name, gone.by, gone.at))]);
    }
    Ok(())
}

/// Where a host is: as it was told here, or else as it says itself.
fn address(member: &MemberView) -> String {
    let told = member.told_address.map(|address| format!("{address} (set here)"));
    told.or_else(|| member.host.status.addresses.first().cloned()).unwrap_or_default()
}

/// A table of the hosts.
pub fn members(view: &ClusterView) {
    let row = |member: &MemberView| {
        let MemberView { host, .. } = member;
        let here = if host.id == view.here { "*" } else { "" };
        let seen = member.seen_s.map_or_else(String::new, |s| format!("{s} s ago"));
        [
            format!("{}{here}", host.spec.name),
            role(member),
            member.liveness.as_str().into(),
            if host.id == view.here { String::new() } else { seen },
            member.lease_s.map_or_else(|| "none".into(), |s| format!("{s} s")),
            member.lag.map_or_else(String::new, |lag| lag.to_string()),
            member.vms.to_string(),
            host.status.version.clone(),
            address(member),
            host.id.to_string(),
        ]
    };
    let headings = ["NAME", "ROLE", "STATE", "SEEN", "LEASE", "BEHIND", "VMS", "VERSION", "ADDRESS", "ID"];
    output::table(headings, view.members.iter().map(row));
}

async fn token(session: &Session, verb: TokenVerb) -> Result<(), Stop> {
    match verb {
        TokenVerb::List => {
            let page: Value = session.client.get("/api/v1/cluster/tokens").await?;
            output::page(session, page, ["ID", "STATE", "EXPIRES"], |token: JoinToken| {
                let state = match &token.used_by {
                    Some(by) => format!("used by {}", by.name),
                    None if token.expires_at < Timestamp::now() => "ended".into(),
                    None => "valid".into(),
                };
                [token.id.to_string(), state, token.expires_at.to_string()]
            })
        }
        TokenVerb::Create { valid } => {
            let body = CreateJoinToken { valid_s: valid };
            let path = "/api/v1/cluster/tokens";
            let answer: Value = session.client.ask(Method::POST, path, Some(&body)).await?;
            if session.json {
                output::json(&answer);
                return Ok(());
            }
            let made: NewJoinToken = output::typed(answer)?;
            output::say!("{}", made.text);
            Ok(())
        }
        TokenVerb::Revoke { id } => {
            let path = format!("/api/v1/cluster/tokens/{id}");
            session.client.ask::<()>(Method::DELETE, &path, None::<&()>).await?;
            output::say!("{id}: revoked");
            Ok(())
        }
    }
}

async fn remove(session: &Session, name: &str, yes: Option<String>) -> Result<(), Stop> {
    let id = id(session, "hosts", name).await?;
    let confirm = match yes {
        Some(name) => name,
        None => {
            let view = view(session).await?;
            let member = view.members.iter().find(|m| m.host.id.to_string() == id);
            let (name, vms) = member.map_or((name, 0), |m| (m.host.spec.name.as_str(), m.vms));
            output::say!("{name} is removed, and so is what the cluster knows of its {vms} machines.");
            typed("Type the host's name to confirm:").await?
        }
    };
    let query = serde_urlencoded::to_string([("confirm", &confirm)]).context("writing the name")?;
    let path = format!("/api/v1/cluster/hosts/{id}?{query}");
    session.client.ask::<()>(Method::DELETE, &path, None::<&()>).await?;
    output::say!("{name}: removed");
    Ok(())
}

async fn set_peer(session: &Session, name: &str, address: Option<SocketAddr>) -> Result<(), Stop> {
    let path = format!("/api/v1/cluster/hosts/{}/address", id(session, "hosts", name).await?);
    session.client.ask::<()>(Method::PUT, &path, Some(&SetPeer { address })).await?;
    match address {
        Some(address) => output::say!("{name}: at {address}"),
        None => output::say!("{name}: where it says itself"),
    }
    Ok(())
}

async fn recover(session: &Session, powered_off: Vec<String>) -> Result<(), Stop> {
    let body = RecoverCluster { powered_off };
    let now: Standing = session.client.ask(Method::POST, "/api/v1/cluster/recover", Some(&body)).await?;
    output::say!("this host: {}", condition(now.condition));
    Ok(())
}

async fn edit(session: &Session, edit: EditCluster) -> Result<(), Stop> {
    let answer: Value = session.client.ask(Method::PATCH, "/api/v1/cluster", Some(&edit)).await?;
    if session.json {
        output::json(&answer);
    } else {
        output::say!("{}: changed", answer["spec"]["name"].as_str().unwrap_or("the cluster"));
    }
    Ok(())
}

/// How a host stands to its cluster, after "This host:".
pub fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Alone => "a cluster of its own",
        Condition::Member => "a member",
        Condition::Moving => "on its way between two clusters",
        Condition::Removed => "removed by the others; qx cluster leave makes it a cluster of its own",
    }
}

fn role(member: &MemberView) -> String {
    let does = member.role.as_str();
    match member.host.spec.role {
        HostRole::Host => does.into(),
        HostRole::Witness => format!("witness, {does}"),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_have_units() {
        for (text, expected) in [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86_400)] {
            assert_eq!(seconds(text).expect(text), expected);
        }
        for bad in ["", "h", "-1h", "1.5h", "1d", "9999999h", "1 h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
