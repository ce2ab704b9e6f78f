//! The cluster's own record, its join tokens, and its members' coming and going.

use super::scope::Scope;
use super::{Done, Step};
use hostd_types::command::ClusterCommand;
use hostd_types::*;

pub(crate) fn apply(_scope: &mut Scope<'_>, _command: &ClusterCommand) -> Step<Done> {
    Err(Problem::new(ProblemKind::Unsupported, "This version can't change the cluster.").into())
}
