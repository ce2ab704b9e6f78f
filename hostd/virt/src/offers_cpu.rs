//! What libvirt says of this host's processor.

use crate::element::Element;
use hostd_types::HostCpu;
use virt::connect::Connect;

/// Asks libvirt of guests that run on hardware virtualization (`kvm`) or in emulation; none when it does not tell.
pub(crate) fn ask(connect: &Connect, kvm: bool) -> Option<HostCpu> {
    let kind = if kvm { "kvm" } else { "qemu" };
    let told = connect.domain_capabilities(None, Some("x86_64"), Some("q35"), Some(kind), 0);
    let told = told.map_err(|error| error.message().to_owned()).and_then(|xml| read(&xml, kvm));
    told.inspect_err(|why| tracing::debug!(why, kind, "libvirt does not tell of the processor")).ok()
}

/// The nearest model and the usable ones. See <https://libvirt.org/formatdomaincaps.html>.
fn read(capabilities: &str, kvm: bool) -> Result<HostCpu, String> {
    let root = Element::parse(capabilities)?;
    let cpu = root.child("cpu").ok_or("there is nothing about the processor")?;
    let mode = |name: &str| cpu.all("mode").find(|mode| mode.get("name") == Some(name));
    let own = mode("host-model").filter(|mode| mode.get("supported") == Some("yes"));
    let model = own.and_then(|own| own.child("model")).map(|model| model.text.trim().to_owned());
    let features = |policy: &str| {
        let all = own.into_iter().flat_map(|own| own.all("feature"));
        let of = all.filter(|feature| feature.get("policy") == Some(policy));
        let mut names: Vec<String> =
            of.filter_map(|feature| feature.get("name").map(str::to_owned)).collect();
        names.sort();
        names
    };
    let named = mode("custom").into_iter().flat_map(|custom| custom.all("model"));
    let usable = named.filter(|model| model.get("usable") == Some("yes"));
    let mut usable: Vec<String> = usable.map(|model| model.text.trim().to_owned()).collect();
    usable.sort();
    usable.dedup();
    let model = model.unwrap_or_default();
    Ok(HostCpu { kvm, model, requires: features("require"), disables: features("disable"), usable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_model_its_features_and_the_usable_ones_are_read() {
        let xml = "<domainCapabilities><cpu><mode name='host-passthrough' supported='yes'/>\
            <mode name='host-model' supported='yes'><model fallback='forbid'>Skylake-Client-IBRS</model>\
            <vendor>Intel</vendor><feature policy='require' name='ss'/><feature policy='disable' name='hle'/>\
            <feature policy='require' name='md-clear'/></mode><mode name='custom' supported='yes'>\
            <model usable='yes'>qemu64</model><model usable='no'>EPYC</model><model usable='unknown'>max</model>\
            <model usable='yes'>Westmere</model></mode></cpu></domainCapabilities>";
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let wanted = HostCpu {
            kvm: true,
            model: "Skylake-Client-IBRS".into(),
            requires: words(&["md-clear", "ss"]),
            disables: words(&["hle"]),
            usable: words(&["Westmere", "qemu64"]),
        };
        assert_eq!(read(xml, true), Ok(wanted));
        let bare =
            "<domainCapabilities><cpu><mode name='host-model' supported='no'/></cpu></domainCapabilities>";
        assert_eq!(read(bare, false), Ok(HostCpu::default()));
        assert!(read("<domainCapabilities/>", true).is_err() && read("<", true).is_err());
    }
}
