//! `hostd run`: opens the core, serves the site, and stops both in order.

use crate::address::Site;
use crate::config::{DataState, RunArgs};
use crate::connections::{self, Counted};
use crate::http::layers;
use crate::{fault, http, tls};
use anyhow::{Context, Result, anyhow};
use axum::{Extension, Router};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hostd_core::Core;
use hostd_edge::Peer;
use hostd_types::{Problem, ProblemKind};
use std::fs::Permissions;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long requests under way may take once the daemon was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT. Guests are not touched.
///
/// # Errors
/// An address is taken, a file can't be written, or the state can't be opened.
pub async fn run(args: RunArgs) -> Result<()> {
    connections::allow_files();
    let closing = CancellationToken::new();
    let live = match args.data_state()? {
        DataState::Durable => false,
        DataState::Live => true,
        DataState::Failed(why) => {
            let detail = format!("The data partition can't be used: {why}.");
            return serve_fault(&args, Problem::new(ProblemKind::Unavailable, detail), closing).await;
        }
    };
    let core = match Core::start(args.settings(live)?).await {
        Ok(core) => core,
        // Passing: whoever supervises the daemon starts it again.
        Err(problem) if problem.kind == ProblemKind::Unavailable => return Err(problem.into()),
        Err(problem) => return serve_fault(&args, problem, closing).await,
    };
    let served = serve_core(&args, &core, closing).await;
    core.shutdown().await;
    served
}

async fn serve_core(args: &RunArgs, core: &Core, closing: CancellationToken) -> Result<()> {
    let identity = match tls::load_or_make(&args.keys_dir()) {
        Ok(identity) => identity,
        Err(error) => {
            let detail = format!("The host's certificate can't be used: {error:#}.");
            return serve_fault(args, Problem::new(ProblemKind::Internal, detail), closing).await;
        }
    };
    let asked = core.clone();
    let config = identity.with_member(move || asked.member_chain())?;
    let listener = bind(args.listen)?;
    tracing::info!(fingerprint = identity.fingerprint, "the site's certificate");
    let site = Site { listen: listener.local_addr()?, fingerprint: identity.fingerprint };
    let router = http::router(core.clone()).layer(Extension(site)).merge(webui::router(core.clone()));
    serve(args, layers::wrap(router, closing.clone()), config, listener, closing).await
}

/// Shows what is wrong until somebody stops the daemon, instead of vanishing or working on the wrong state.
async fn serve_fault(args: &RunArgs, problem: Problem, closing: CancellationToken) -> Result<()> {
    tracing::error!(%problem, "serving nothing but this fault");
    std::fs::create_dir_all(args.run_dir()).context("making the run directory")?;
    let router = layers::wrap(fault::site(problem.clone()), closing.clone());
    serve(args, router, tls::passing()?.alone()?, bind(args.listen)?, closing).await?;
    Err(anyhow!("{problem}"))
}

async fn serve(
    args: &RunArgs,
    router: Router,
    config: RustlsConfig,
    listener: TcpListener,
    closing: CancellationToken,
) -> Result<()> {
    let local = bind_local(&args.socket())?;
    let handle = Handle::new();
    let address = listener.local_addr()?;
    let mut network = axum_server::from_tcp(listener)?.acceptor(Counted::new(config));
    connections::set_times(network.http_builder());
    let network =
        network.handle(handle.clone()).serve(router.clone().into_make_service_with_connect_info::<Peer>());
    let on_socket = axum::serve(local, router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(closing.clone().cancelled_owned());
    tracing::info!(%address, socket = %args.socket().display(), "serving");

    let stop = tokio::spawn(stop_on_signal(closing.clone(), handle));
    let on_socket = async {
        let serving = on_socket.into_future();
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return ended,
            () = closing.cancelled() => {}
        }
        // Whoever is not done by then is cut off.
        tokio::time::timeout(DRAIN, serving).await.unwrap_or(Ok(()))
    };
    let network = async {
        let ended = network.await;
        closing.cancel(); // one without the other is no use
        ended
    };
    let (network, on_socket) = tokio::join!(network, on_socket);
    stop.abort();
    network.context("serving HTTPS")?;
    on_socket.context("serving the Unix socket")
}

async fn stop_on_signal(closing: CancellationToken, handle: Handle<SocketAddr>) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; guests keep running");
    closing.cancel();
    handle.graceful_shutdown(Some(DRAIN));
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The socket is bound aside and renamed, so that it is never there with other permissions or without a listener.
fn bind_local(path: &Path) -> Result<UnixListener> {
    let aside = path.with_extension("new");
    let bound = || -> std::io::Result<UnixListener> {
        match std::fs::remove_file(&aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&aside)?;
        std::fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
        std::fs::rename(&aside, path)?;
        Ok(listener)
    };
    bound().with_context(|| format!("listening on {}", path.display()))
}
