//! Streams between hosts: a console on one host of a machine on another.

use crate::console::Duplex;
use crate::{ConsoleKind, Core};
use hostd_peer::{Door, LinkError};
use hostd_types::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Time for a stream to open.
const OPEN: Duration = Duration::from_secs(10);

/// What a stream is for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Opening {
    /// A machine's console.
    Console {
        /// The machine.
        vm: VmId,
        /// Which console.
        console: ConsoleKind,
    },
}

/// Serves a stream that another member opens.
pub(crate) async fn serve(core: &Core, from: NodeId, opening: &[u8], door: Door) {
    let Ok(Opening::Console { vm, console }) = serde_json::from_slice(opening) else {
        return door.refuse("this host's version does not know such a stream; update it").await;
    };
    match core.console_here(vm, console).await {
        Err(problem) => door.refuse(problem.detail).await,
        Ok(mut here) => {
            let Ok(mut there) = door.accept().await else { return };
            tracing::info!(%vm, ?console, %from, "console opened for another host");
            // Either side may end it at any time.
            let _ = tokio::io::copy_bidirectional(&mut there, &mut here).await;
            tracing::info!(%vm, ?console, %from, "console closed");
        }
    }
}

impl Core {
    /// The console of a machine on another host.
    pub(crate) async fn console_there(
        &self,
        vm: &Vm,
        console: ConsoleKind,
    ) -> Result<Box<dyn Duplex>, Problem> {
        let host = self.store().host(vm.spec.host).await?;
        let name = host.as_ref().map_or("its host", |host| &host.spec.name);
        let unavailable = |why: String| {
            let detail = format!("The console of {} on {name} can't be opened: {why}.", vm.spec.name);
            Problem::new(ProblemKind::Unavailable, detail)
        };
        let node = host.as_ref().and_then(|host| host.spec.node);
        let (Some(node), Some(link)) = (node, self.0.wire.link()) else {
            return Err(unavailable("there is no way to it".into()));
        };
        let opening = serde_json::to_vec(&Opening::Console { vm: vm.id, console })
            .map_err(|error| crate::error::internal("The stream can't be asked for", error))?;
        match link.stream(node, opening, OPEN).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(LinkError::Refused(why)) => Err(unavailable(why)),
            Err(other) => Err(unavailable(other.to_string())),
        }
    }
}
