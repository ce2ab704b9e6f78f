//! The form of a new network.

use crate::fields::{Fields, Reading};
use hostd_types::{CreateNetwork, NetworkMode, Problem};

/// The form, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkForm {
    /// The host it is made on; empty: the one asked.
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// `nat`, `bridged` or `isolated`.
    pub(crate) mode: String,
    pub(crate) subnet: String,
    pub(crate) nic: String,
}

impl Default for NetworkForm {
    fn default() -> Self {
        Self {
            host: String::new(),
            name: String::new(),
            description: String::new(),
            mode: "nat".into(),
            subnet: "10.210.0.0/24".into(),
            nic: String::new(),
        }
    }
}

impl NetworkForm {
    /// What was sent.
    pub(crate) fn read(fields: &Fields) -> Self {
        Self {
            host: fields.text("host"),
            name: fields.text("name"),
            description: fields.text("description"),
            mode: fields.text("mode"),
            subnet: fields.text("subnet"),
            nic: fields.text("nic"),
        }
    }
    /// The network asked for.
    pub(crate) fn network(&self) -> Result<CreateNetwork, Problem> {
        let mut reading = Reading::default();
        let mode = if self.mode == "bridged" {
            if self.nic.is_empty() {
                reading.wrong("/nic", "Choose the card to put the bridge on.");
            }
            NetworkMode::Bridged { nic: self.nic.clone() }
        } else if self.mode == "isolated" {
            NetworkMode::Isolated
        } else {
            let subnet = self.subnet.parse().unwrap_or_else(|_| {
                reading.wrong("/subnet", "Give a subnet such as 10.210.0.0/24.");
                Default::default()
            });
            NetworkMode::Nat { subnet }
        };
        reading.done(CreateNetwork { name: self.name.clone(), description: self.description.clone(), mode })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_reads_its_own_field() {
        let form = NetworkForm { name: "lab".into(), ..NetworkForm::default() };
        assert!(matches!(form.network().expect("NAT").mode, NetworkMode::Nat { .. }));
        let bad = NetworkForm { subnet: "10.0.0.0/99".into(), ..form.clone() };
        assert!(bad.network().expect_err("no subnet").at("/subnet").is_some());
        let bridged = NetworkForm { mode: "bridged".into(), ..form };
        assert!(bridged.network().expect_err("no card").at("/nic").is_some());
        let alone = NetworkForm { mode: "isolated".into(), subnet: String::new(), ..bridged.clone() };
        assert_eq!(alone.network().expect("isolated").mode, NetworkMode::Isolated);
        let good = NetworkForm { nic: "eth0".into(), ..bridged };
        assert_eq!(good.network().expect("bridged").mode, NetworkMode::Bridged { nic: "eth0".into() });
    }
}
