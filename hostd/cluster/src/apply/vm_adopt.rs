//! Taking over a machine that libvirt had already: its rows, like those of a new one, and where its disks are now.

use super::scope::Scope;
use super::{Done, Step, vm_create};
use hostd_types::*;

/// The action of taking over, in its task.
pub(crate) const ADOPT: &str = "vm.adopt";

pub(crate) fn adopt(scope: &mut Scope<'_>, id: VmId, host: HostId, taken: Option<&Adoption>) -> Step<Done> {
    let Some(Adoption { vm, files }) = taken else {
        return Err(Problem::not_found("discovered machine", id).into());
    };
    let done = vm_create::create(scope, id, host, vm, &[])?;
    for (index, file) in files.iter().enumerate() {
        let mut volume = scope.get::<Volume>(derived_volume(id, index))?;
        volume.spec.adopted_from = Some(file.clone());
        scope.update(&volume)?;
    }
    Ok(done)
}
