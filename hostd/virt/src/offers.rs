//! What this host's QEMU offers machines, as libvirt tells it.

use crate::Hypervisor;
use crate::connection::locked;
use crate::element::Element;
use hostd_types::{HostCpu, q35_version};
use virt::connect::Connect;

impl Hypervisor {
    /// The q35 machine types, the newest last; empty until libvirt has answered. Asked once for each session with it, so
    /// that nobody waits for the answer.
    pub fn machine_types(&self) -> Vec<String> {
        locked(&self.shared.machine_types).clone()
    }

    /// What libvirt says of the processor for guests on hardware virtualization (`kvm`) or in emulation; none until it
    /// has told. Asked once for each session, too.
    pub fn cpu(&self, kvm: bool) -> Option<HostCpu> {
        locked(&self.shared.cpus)[usize::from(kvm)].clone()
    }
}

/// Asks libvirt for them; none when it does not tell.
pub(crate) fn ask(connect: &Connect) -> Vec<String> {
    let told = connect.capabilities().map_err(|error| error.message().to_owned());
    told.and_then(|xml| q35_types(&xml)).unwrap_or_else(|why| {
        tracing::warn!(why, "libvirt does not tell the machine types");
        Vec::new()
    })
}

/// The q35 types among the machines of x86-64 guests. See <https://libvirt.org/formatcaps.html>.
fn q35_types(capabilities: &str) -> Result<Vec<String>, String> {
    let root = Element::parse(capabilities)?;
    let arches = root.all("guest").filter_map(|guest| guest.child("arch"));
    let machines =
        arches.filter(|arch| arch.get("name") == Some("x86_64")).flat_map(|arch| arch.all("machine"));
    let mut found: Vec<String> = machines
        .map(|machine| machine.text.trim().to_owned())
        .filter(|name| q35_version(name).is_some())
        .collect();
    found.sort_by_key(|name| q35_version(name));
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_q35_types_of_64_bit_guests_are_offered_in_order() {
        let xml = "<capabilities><host/><guest><os_type>hvm</os_type><arch name='i686'>\
            <machine>pc-q35-1.0</machine></arch></guest><guest><arch name='x86_64'>\
            <machine maxCpus='1024'>pc-q35-10.0</machine><machine canonical='pc-q35-10.0'>q35</machine>\
            <machine>pc-i440fx-10.0</machine><machine>pc-q35-9.2</machine>\
            <domain type='kvm'><machine>pc-q35-9.2</machine></domain></arch></guest></capabilities>";
        assert_eq!(q35_types(xml), Ok(vec!["pc-q35-9.2".to_owned(), "pc-q35-10.0".to_owned()]));
        assert!(q35_types("<capabilities>").is_err());
    }
}
