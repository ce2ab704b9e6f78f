//! The drive that a guest's cloud-init reads: `user-data`, `meta-data` and `network-config` on a volume labelled `cidata`.
//! Pure: the same machine always yields the same bytes, so that a drive is told to be up to date by its content.

mod iso;
mod text;
mod windows;
mod yaml;

use crate::Core;
use hostd_types::*;

/// The label by which cloud-init and cloudbase-init find the volume.
const LABEL: &str = "cidata";

impl Core {
    /// The image of a machine's drive; nothing without customization.
    pub(crate) fn seed(&self, vm: &Vm) -> Option<Vec<u8>> {
        let password = self.administrator_password(vm.spec.customization.as_ref()?);
        image(vm, password.as_ref().map(|password| password.as_str()))
    }
}

/// The image of the drive; nothing for a machine without customization. `password` is that of a Windows administrator.
fn image(vm: &Vm, password: Option<&str>) -> Option<Vec<u8>> {
    let custom = vm.spec.customization.as_ref()?;
    let reader = custom.windows.as_ref().map(|windows| (windows, windows.reader));
    if let Some((windows, WindowsReader::Setup)) = reader {
        let answers = windows::answers(vm, custom, windows, password);
        return Some(iso::image(LABEL, &[(windows::ANSWERS, answers.as_str())]));
    }
    let user = match reader {
        Some(_) => windows::cloud_config(custom, password),
        None => text::user_data(custom, vm.spec.lineage.source.is_some()),
    };
    let (meta, user) = (text::meta_data(vm.id, custom), user);
    let network = text::network_config(custom, &vm.spec.nics);
    let mut files = vec![("meta-data", meta.as_str()), ("user-data", user.as_str())];
    files.extend(network.as_deref().map(|text| ("network-config", text)));
    Some(iso::image(LABEL, &files))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod windows_tests;
