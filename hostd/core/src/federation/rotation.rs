//! Replacing the authority that signs the members' certificates. The phases are rows; the leader takes the steps.

use super::certificates::Certificates;
use super::found::keys;
use crate::{Core, Ctx};
use hostd_peer::Issuer;
use hostd_types::command::ClusterCommand;
use hostd_types::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A replacement of the authority under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RotationView {
    /// What is awaited.
    pub phase: RotationPhase,
    /// When it began.
    pub began: Timestamp,
    /// The members it waits for.
    pub waits_for: Vec<HostId>,
    /// The members it goes on without.
    pub without: Vec<HostId>,
}

impl RotationView {
    pub(super) fn of(rotation: &Rotation, hosts: &[Host]) -> Self {
        Self {
            phase: rotation.phase,
            began: rotation.began,
            waits_for: rotation.waits_for(hosts).into_iter().map(|host| host.id).collect(),
            without: rotation.without.clone(),
        }
    }
}

impl Core {
    /// Begins to replace the authority that signs the members' certificates.
    ///
    /// # Errors
    /// `WrongState` while it is replaced already, `NoQuorum`.
    pub async fn rotate_authority(&self, ctx: &Ctx) -> Result<Certificates, Problem> {
        let identity = self.identity()?;
        let issuer = Issuer::generate(identity.cluster(), Timestamp::now()).map_err(keys)?;
        let authority = issuer.record(identity.secret()).map_err(keys)?;
        let fingerprint = issuer.fingerprint().map_err(keys)?.to_string();
        let rotate = ClusterCommand::RotateAuthority { authority, fingerprint };
        self.submit(ctx, Command::Cluster(rotate)).await?;
        Ok(self.cluster_view().await?.certificates)
    }

    /// Goes on with the replacement without waiting for `hosts`.
    ///
    /// # Errors
    /// `NotFound`, `WrongState` when no authority is being replaced, `NoQuorum`.
    pub async fn rotate_without(&self, ctx: &Ctx, hosts: Vec<HostId>) -> Result<Certificates, Problem> {
        self.submit(ctx, Command::Cluster(ClusterCommand::RotateWithout { hosts })).await?;
        Ok(self.cluster_view().await?.certificates)
    }

    /// Takes the next step of a replacement when all members are ready for it. The leader does it.
    ///
    /// # Errors
    /// When the state can't be read or written.
    pub(crate) async fn step_rotation(&self) -> Result<bool, Problem> {
        let Some(cluster) = self.store().cluster().await? else { return Ok(false) };
        let Some(rotation) = cluster.status.rotation.filter(|_| self.0.cluster.group().leads) else {
            return Ok(false);
        };
        if !rotation.waits_for(&self.store().hosts().await?).is_empty() {
            return Ok(false);
        }
        let step = ClusterCommand::StepRotation { from: rotation.phase };
        self.report(Command::Cluster(step)).await?;
        Ok(true)
    }
}
