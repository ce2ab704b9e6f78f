//! Streams between hosts: a console on one host of a machine on another, and an upload through one host to another.

use super::ask::Asker;
use crate::console::{Duplex, Entrant};
use crate::{ConsoleKind, ConsoleMode, Core, Ctx, UploadRequest, upload};
use hostd_peer::{Door, LinkError, PeerStream};
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
        /// Who is to look at it; absent from older versions.
        #[serde(default)]
        entrant: Option<Box<Entrant>>,
    },
    /// A file for the opened host's pool.
    Upload {
        /// Who sends it.
        asker: Box<Asker>,
        /// What it is to be.
        request: UploadRequest,
    },
}

/// Serves a stream that another member opens.
pub(crate) async fn serve(core: &Core, from: NodeId, opening: &[u8], door: Door) {
    match serde_json::from_slice(opening) {
        Ok(Opening::Console { vm, console, entrant }) => {
            let another = || Entrant::new("another host".into(), true, ConsoleMode::Control);
            let entrant = entrant.map_or_else(another, |entrant| *entrant);
            serve_console(core, from, (vm, console), entrant, door).await;
        }
        Ok(Opening::Upload { asker, request }) => {
            let Ok(stream) = door.accept().await else { return };
            upload::serve(core, &asker.ctx(), request, stream).await;
        }
        Err(_) => door.refuse("its version does not know such a stream; update it").await,
    }
}

async fn serve_console(
    core: &Core,
    from: NodeId,
    (vm, console): (VmId, ConsoleKind),
    entrant: Entrant,
    door: Door,
) {
    match core.console_here(vm, console, entrant).await {
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
        entrant: Entrant,
    ) -> Result<Box<dyn Duplex>, Problem> {
        let what = format!("The console of {} can't be opened", vm.spec.name);
        let opening = Opening::Console { vm: vm.id, console, entrant: Some(Box::new(entrant)) };
        let (_, stream) = self.open_stream(vm.spec.host, &opening, &what).await?;
        Ok(Box::new(stream))
    }

    /// The way for an upload to another host, and that host's name.
    pub(crate) async fn open_upload(
        &self,
        host: HostId,
        ctx: &Ctx,
        request: UploadRequest,
    ) -> Result<(String, PeerStream), Problem> {
        let what = format!("{} can't be uploaded", request.name);
        let opening = Opening::Upload { asker: Box::new(Asker::of(ctx)), request };
        self.open_stream(host, &opening, &what).await
    }

    /// Opens a stream to another host, and tells its name. `what` is what fails otherwise.
    async fn open_stream(
        &self,
        to: HostId,
        opening: &Opening,
        what: &str,
    ) -> Result<(String, PeerStream), Problem> {
        let host = self.store().host(to).await?.ok_or_else(|| Problem::not_found("host", to))?;
        let name = host.spec.name;
        let unavailable = |why: String| {
            Problem::new(ProblemKind::Unavailable, format!("{what}: {name} can't be reached: {why}."))
        };
        let (Some(node), Some(link)) = (host.spec.node, self.0.wire.link()) else {
            return Err(unavailable("there is no way to it".into()));
        };
        let opening = serde_json::to_vec(opening)
            .map_err(|error| crate::error::internal("The stream can't be asked for", error))?;
        let opened = link.stream(node, opening, OPEN).await.map_err(|error| match error {
            LinkError::Refused(why) => {
                Problem::new(ProblemKind::Unavailable, format!("{what}: {name} says: {why}."))
            }
            other => unavailable(other.to_string()),
        });
        opened.map(|stream| (name.clone(), stream))
    }
}
