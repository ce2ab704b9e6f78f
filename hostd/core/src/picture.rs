//! Small pictures of screens: many who look cost a machine one picture every few seconds, and a QEMU that hangs costs
//! them nothing but the picture.

use crate::Core;
use crate::error::virt;
use crate::federation::Ask;
use hostd_types::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as Turn;

/// Seconds a picture is shown before another one is taken.
const FRESH: Duration = Duration::from_secs(5);
/// A machine whose picture could not be taken is left alone for so long.
const PAUSE: Duration = Duration::from_secs(30);
/// Longest time to wait for one.
const WITHIN: Duration = Duration::from_secs(3);
/// Pictures kept.
const KEPT: usize = 256;

/// The last picture of a machine, or why there is none.
type Last = Option<(Instant, Result<Arc<Vec<u8>>, Problem>)>;

/// The pictures kept, by machine.
#[derive(Debug, Default)]
pub(crate) struct Pictures(Mutex<HashMap<VmId, Arc<Turn<Last>>>>);

impl Pictures {
    /// The place of a machine's picture; whoever locks it takes the next one.
    fn of(&self, vm: VmId) -> Arc<Turn<Last>> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= KEPT && !map.contains_key(&vm) {
            // Those nobody waits for; they are taken again when somebody looks.
            map.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(map.entry(vm).or_default())
    }
}

impl Core {
    /// A small picture of a machine's screen as PNG, some seconds old at most.
    ///
    /// # Errors
    /// `WrongState` when the machine is off; `Unavailable` when its host or QEMU does not answer, or it shows nothing.
    pub async fn thumbnail(&self, vm: VmId) -> Result<Vec<u8>, Problem> {
        let machine = self.running(vm).await?;
        if machine.spec.host != self.host() {
            return self.ask(machine.spec.host, &Ask::Thumbnail(vm)).await;
        }
        let turn = self.0.pictures.of(vm);
        let Ok(mut last) = tokio::time::timeout(WITHIN, turn.lock()).await else {
            return Err(no_picture(&machine));
        };
        if let Some((at, known)) = &*last
            && at.elapsed() < if known.is_ok() { FRESH } else { PAUSE }
        {
            return known.clone().map(|picture| picture.to_vec());
        }
        let doing = format!("Taking a picture of {}", machine.spec.name);
        let taken = match tokio::time::timeout(WITHIN, self.0.hypervisor.thumbnail(vm)).await {
            Ok(taken) => taken.map(Arc::new).map_err(|error| virt(&doing, error)),
            Err(_) => Err(no_picture(&machine)),
        };
        *last = Some((Instant::now(), taken.clone()));
        taken.map(|picture| picture.to_vec())
    }
}

fn no_picture(vm: &Vm) -> Problem {
    let detail = format!("{} gives no picture: QEMU does not answer in time.", vm.spec.name);
    Problem::new(ProblemKind::Unavailable, detail).retry_after(30)
}
