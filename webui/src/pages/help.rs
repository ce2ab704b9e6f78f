//! Help for operators: it is part of the product, works offline and matches the version.

use super::Answer;
use crate::filters;
use crate::page::{answer, page};
use crate::visit::{Layout, Section, Theme, Visit};
use askama::Template;
use axum::extract::Path;
use hostd_types::{Problem, ProblemKind};

/// Topics in reading order: path, title, one line.
pub(crate) const TOPICS: [(&str, &str, &str); 16] = [
    ("getting-started", "Getting started", "From the first login to a running machine"),
    ("machines", "Machines", "States, power, editing, consoles, deleting"),
    ("snapshots", "Snapshots", "Keeping what disks hold, and going back to it"),
    ("clones", "Clones and templates", "Copies of machines, full, linked or for a test"),
    ("customization", "Customization", "What a guest sets up at its first boot: cloud-init"),
    ("consoles", "Consoles", "Screen, serial port, several viewers, links, several machines"),
    (
        "folders",
        "Folders, tags and notes",
        "Finding machines again, saved views, and doing the same with many",
    ),
    ("images", "Images and volumes", "What can be uploaded, and how disks relate to it"),
    ("networks", "Networks", "Private subnets and bridges to the LAN"),
    ("clusters", "Clusters", "Several hosts as one: joining, leaving, and when one is gone"),
    ("access", "Access and tokens", "Passwords, sessions, certificates, API tokens"),
    ("live-mode", "Live mode and data", "Where things are kept, and what a reboot keeps"),
    ("qx", "Command line", "qx on the host itself"),
    ("api", "API", "The same product for scripts"),
    ("problems", "Problems", "What each refusal means and the way out"),
    ("keyboard", "Keyboard", "Everything without a mouse"),
];

/// Every kind of problem, for the page that explains them.
const PROBLEMS: [ProblemKind; 16] = [
    ProblemKind::Invalid,
    ProblemKind::Exists,
    ProblemKind::NotFound,
    ProblemKind::WrongState,
    ProblemKind::Conflict,
    ProblemKind::Capacity,
    ProblemKind::Unavailable,
    ProblemKind::NoQuorum,
    ProblemKind::Removed,
    ProblemKind::Unauthenticated,
    ProblemKind::Forbidden,
    ProblemKind::TooMany,
    ProblemKind::BadRequest,
    ProblemKind::Unsupported,
    ProblemKind::Cancelled,
    ProblemKind::Internal,
];

/// Path and title of a topic beside another.
type Neighbour = (&'static str, &'static str);

/// The list of topics.
#[derive(Template)]
#[template(path = "help/index.html")]
pub(crate) struct HelpIndex {
    pub(crate) layout: Layout,
}
page!(HelpIndex);

/// One topic.
#[derive(Template)]
#[template(path = "help/topic.html")]
pub(crate) struct HelpTopic {
    pub(crate) layout: Layout,
    pub(crate) topic: &'static str,
    pub(crate) title: &'static str,
}
page!(HelpTopic);

impl HelpTopic {
    /// What a kind of problem means and the way out.
    fn explain(&self, kind: &ProblemKind) -> &'static str {
        match kind {
            ProblemKind::Invalid => {
                "A field breaks a rule. The message beside it says which; what you typed is kept."
            }
            ProblemKind::Exists => {
                "Names are unique, whatever their letter case. Choose another, or use the one that is there."
            }
            ProblemKind::NotFound => {
                "It was deleted, or the address is wrong. The list of its kind shows what there is."
            }
            ProblemKind::WrongState => {
                "The machine or file is in a state that does not allow it: a running machine's memory can't change, a deleted one can't start. The message names the state; change that first."
            }
            ProblemKind::Conflict => {
                "Somebody changed it since you opened the page, or something uses it: an image under a disk, a network with machines. Reload and try again, or free it first."
            }
            ProblemKind::Capacity => {
                "The host lacks memory, processors or disk space. Stop or delete something, or ask for less. The Host page shows what is free."
            }
            ProblemKind::Unavailable => {
                "Something the host needs does not answer, most often libvirt. Running machines go on. The host tries again by itself; the Host page shows the cause."
            }
            ProblemKind::NoQuorum => {
                "The majority of the cluster can't be reached, so nothing may be decided here. Machines keep running, and those of this host can be started and stopped. Start the hosts that don't answer, or repair the network; the help page on clusters tells what to do when they are lost. A lone host never says this."
            }
            ProblemKind::Removed => {
                "Somebody removed this host from its cluster. Its machines and disks are where they were. They can still be started and stopped; nothing else can be changed on it. On its Cluster page paste a fresh join token, or make it a cluster of its own."
            }
            ProblemKind::Unauthenticated => {
                "The session ended, or the name or password is wrong. Log in again; after a few wrong passwords there is a short wait."
            }
            ProblemKind::Forbidden => {
                "It needs other rights, or a form came from another site or an old session. Reload the page and try again."
            }
            ProblemKind::TooMany => "Too many tries in a short time. Wait as long as the message says.",
            ProblemKind::BadRequest => {
                "The request was cut off, too large or not in the form expected. Send it again."
            }
            ProblemKind::Unsupported => "This host, guest or version can't do it.",
            ProblemKind::Cancelled => {
                "Somebody cancelled the work, a newer request replaced it, or the host restarted meanwhile. What was begun is undone; start again if it is still wanted."
            }
            ProblemKind::Internal => {
                "A defect or an unexpected failure of the host. Note the request's number: the host's log names it with the cause."
            }
        }
    }
    /// The topics before and after this one.
    fn neighbours(&self) -> (Option<Neighbour>, Option<Neighbour>) {
        let at = TOPICS.iter().position(|t| t.0 == self.topic).unwrap_or(0);
        let named = |i: usize| TOPICS.get(i).map(|t| (t.0, t.1));
        (at.checked_sub(1).and_then(named), named(at + 1))
    }
}

/// `GET /help`
pub(crate) async fn index(visit: Visit) -> Answer {
    Ok(answer(&HelpIndex { layout: visit.layout("help", Section::Help, "Help") }))
}

/// `GET /help/{topic}`
pub(crate) async fn topic(visit: Visit, Path(topic): Path<String>) -> Answer {
    let Some((topic, title, _)) = TOPICS.into_iter().find(|t| t.0 == topic) else {
        return Err(visit.failed(Problem::not_found("help page", topic)));
    };
    Ok(answer(&HelpTopic {
        layout: visit.layout("help", Section::Help, format!("{title} · Help")),
        topic,
        title,
    }))
}
