//! Notices that this host has other addresses, or hears of its leader again, and wakes who waited for that; looks around
//! for the other members while it hears of no leader. It can't fail, so nothing makes it slower.

use super::{Reconcile, Summary};
use crate::Core;
use crate::facts::addresses;
use hostd_types::Problem;
use std::net::IpAddr;
use std::time::Duration;

/// Looks after how this host and the others reach each other.
pub(super) struct Reach {
    core: Core,
    addresses: Vec<IpAddr>,
    cut_off: bool,
}

impl Reach {
    pub fn new(core: &Core) -> Self {
        Self { core: core.clone(), addresses: addresses(), cut_off: core.cut_off() }
    }
}

impl Reconcile for Reach {
    fn name(&self) -> &'static str {
        "reach"
    }
    fn period(&self) -> Duration {
        Duration::from_secs(2)
    }
    async fn run(&mut self) -> Result<Summary, Problem> {
        let (addresses, cut_off) = (addresses(), self.core.cut_off());
        let news = addresses != self.addresses || (self.cut_off && !cut_off);
        (self.addresses, self.cut_off) = (addresses, cut_off);
        if news {
            self.core.0.wakes.ring_all();
        }
        if cut_off {
            self.core.look_around().await;
        }
        Ok(Summary { checked: 1, changed: usize::from(news), ..Summary::default() })
    }
}
