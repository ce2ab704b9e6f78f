//! The first frames on a connection: who connects says for what, who accepts says yes or no.

use crate::LinkError;
use crate::credentials::Credentials;
use crate::error::Refusal;
use crate::frame::{self, Frame, FrameError, GREETING_MOST, Purpose, VERSION};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// How long the other side may be silent while it greets.
const SILENCE: Duration = Duration::from_secs(5);

/// Sends a frame at once.
pub(crate) async fn send<W: AsyncWrite + Unpin>(io: &mut W, frame: &Frame) -> Result<(), FrameError> {
    io.write_all(&frame.encode()?).await?;
    Ok(io.flush().await?)
}

/// The caller's part: says hello and waits to be welcome.
pub(crate) async fn knock<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    credentials: &Credentials,
    purpose: Purpose,
    port: u16,
) -> Result<(), LinkError> {
    let identity = &credentials.identity;
    let (cluster, generation) = (identity.cluster(), identity.generation());
    send(io, &Frame::Hello { version: VERSION, purpose, cluster, generation, port }).await.map_err(told)?;
    match frame::read(io, GREETING_MOST, SILENCE).await.map_err(told)? {
        Frame::Welcome { version: 1..=VERSION } => Ok(()),
        Frame::Refused { removed: true, text } => Err(LinkError::Removed(text)),
        Frame::Refused { removed: false, text } => Err(LinkError::Refused(text)),
        other => Err(LinkError::Refused(format!("it answered a greeting with {other:?}"))),
    }
}

/// What a failed greeting means: an alert of TLS is the peer's no to our certificate.
fn told(error: FrameError) -> LinkError {
    if let FrameError::Io(io) = &error
        && let Some(rustls::Error::AlertReceived(alert)) = io.get_ref().and_then(|e| e.downcast_ref())
    {
        return LinkError::Refused(format!("it does not accept this host's certificate ({alert:?})"));
    }
    LinkError::Unreachable(error.to_string())
}

/// Judges a greeting, but for whether the node is a member; answers with the caller's purpose and port.
pub(crate) fn judge(hello: Frame, own: &Credentials) -> Result<(Purpose, u16), Refusal> {
    let no = |removed, text: String| Err(Refusal { removed, text });
    let Frame::Hello { version, purpose, cluster, generation, port } = hello else {
        return no(false, "the first frame is not a greeting".into());
    };
    let (own_cluster, own_generation) = (own.identity.cluster(), own.identity.generation());
    if version == 0 {
        no(false, format!("version {version} of the protocol is not spoken here"))
    } else if cluster != own_cluster {
        no(false, format!("this is a host of cluster {own_cluster}, not of {cluster}"))
    } else if generation < own_generation {
        let text = format!(
            "the cluster was recovered without this host (generation {own_generation}, this host is of \
             {generation}); it must join again"
        );
        no(true, text)
    } else if generation > own_generation {
        let text = format!(
            "the peer is of generation {own_generation} of the cluster, before its recovery (generation \
             {generation}); it must join again"
        );
        no(false, text)
    } else {
        Ok((purpose, port))
    }
}
