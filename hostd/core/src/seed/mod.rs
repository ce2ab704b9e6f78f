//! The drive that a guest's cloud-init reads: `user-data`, `meta-data` and `network-config` on a volume labelled `cidata`.
//! Pure: the same machine always yields the same bytes, so that a drive is told to be up to date by its content.

mod iso;
mod text;
mod yaml;

use hostd_types::*;

/// The label by which cloud-init and cloudbase-init find the volume.
const LABEL: &str = "cidata";

/// The image of the drive; nothing for a machine without customization.
pub(crate) fn image(vm: &Vm) -> Option<Vec<u8>> {
    let custom = vm.spec.customization.as_ref()?;
    let (meta, user) =
        (text::meta_data(vm.id, custom), text::user_data(custom, vm.spec.lineage.source.is_some()));
    let network = text::network_config(custom, &vm.spec.nics);
    let mut files = vec![("meta-data", meta.as_str()), ("user-data", user.as_str())];
    files.extend(network.as_deref().map(|text| ("network-config", text)));
    Some(iso::image(LABEL, &files))
}

#[cfg(test)]
mod tests;
