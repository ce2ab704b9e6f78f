//! The frames that peers exchange: a length of four bytes, big endian, and so many bytes of MessagePack with names.
//!
//! The caller's first frame is [`Frame::Hello`], answered by [`Frame::Welcome`] or [`Frame::Refused`]. On a connection for
//! calls many [`Frame::Call`] are on their way at once, answered in any order. On a connection for a stream one
//! [`Frame::Open`] follows; after [`Frame::Accepted`] there are no frames any more. Fields may be added: unknown ones are
//! skipped. A new kind of frame needs a new version, which both sides learn before they use it.

use hostd_types::ClusterId;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// The newest version of the protocol that is spoken here.
pub(crate) const VERSION: u16 = 1;
/// Bytes of a frame at most, without its length.
pub(crate) const MOST: usize = 4 << 20;
/// Bytes of the frames of a greeting at most.
pub(crate) const GREETING_MOST: usize = 4 << 10;
/// Bytes that the body of a call, of an answer or of a stream's opening has at most.
pub const BODY_MOST: usize = MOST - 256;
/// Bytes of the length.
const LENGTH: usize = 4;
/// Bytes for which memory is taken before any of them came.
const AHEAD: usize = 64 << 10;

/// What peers say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Frame {
    /// The first word of who connects. Who that is stands in its certificate.
    Hello { version: u16, purpose: Purpose, cluster: ClusterId, generation: u64, port: u16 },
    /// The answer: the version that will be spoken.
    Welcome { version: u16 },
    /// No, and why; the connection ends.
    Refused { removed: bool, text: String },
    /// A request.
    Call { id: u64, body: Body },
    /// Its answer.
    Answer { id: u64, body: Body },
    /// There will be no answer.
    Failed { id: u64, text: String },
    /// Nothing to say, but still there.
    Alive,
    /// What a stream is wanted for.
    Open { body: Body },
    /// The stream begins.
    Accepted,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    Consensus,
    Work,
    Stream,
}

/// Bytes; MessagePack would make a list of numbers of a plain vector.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Body(pub Vec<u8>);

/// Why bytes are not a frame, or none came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes was announced, more than the {1} that are allowed")]
    TooLong(usize, usize),
    #[error("a frame makes no sense: {0}")]
    Senseless(String),
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the other side hung up")]
    Closed,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Frame {
    /// The frame with its length.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let mut bytes = vec![0; LENGTH];
        rmp_serde::encode::write_named(&mut bytes, self).map_err(|e| FrameError::Senseless(e.to_string()))?;
        let length = bytes.len() - LENGTH;
        if length > MOST {
            return Err(FrameError::TooLong(length, MOST));
        }
        bytes[..LENGTH].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(bytes)
    }

    /// The frame in exactly these bytes, without the length.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        rmp_serde::from_slice(bytes).map_err(|e| FrameError::Senseless(e.to_string()))
    }
}

/// Reads the announced length; refuses one above `most`.
pub(crate) fn length(announced: [u8; LENGTH], most: usize) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(announced) as usize;
    if length > most { Err(FrameError::TooLong(length, most)) } else { Ok(length) }
}

/// Reads one frame and not a byte more. Fails when no byte comes for `silence`. Memory grows with what came, not with
/// what was announced.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    io: &mut R,
    most: usize,
    silence: Duration,
) -> Result<Frame, FrameError> {
    let mut announced = [0; LENGTH];
    fill(io, &mut announced, silence).await?;
    let length = length(announced, most)?;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let begun = bytes.len();
        bytes.resize((begun + AHEAD).min(length), 0);
        fill(io, &mut bytes[begun..], silence).await?;
    }
    Frame::decode(&bytes)
}

async fn fill<R: AsyncRead + Unpin>(
    io: &mut R,
    mut into: &mut [u8],
    silence: Duration,
) -> Result<(), FrameError> {
    while !into.is_empty() {
        let read = timeout(silence, io.read(into)).await.map_err(|_| FrameError::Silent(silence))??;
        if read == 0 {
            return Err(FrameError::Closed);
        }
        into = &mut into[read..];
    }
    Ok(())
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Body;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Body, E> {
                Ok(Body(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Body, E> {
                Ok(Body(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOON: Duration = Duration::from_millis(100);

    fn all() -> Vec<Frame> {
        let cluster = ClusterId::new();
        vec![
            Frame::Hello { version: 1, purpose: Purpose::Stream, cluster, generation: u64::MAX, port: 8444 },
            Frame::Welcome { version: 1 },
            Frame::Refused { removed: true, text: "you were removed".into() },
            Frame::Call { id: 7, body: Body(vec![0, 255]) },
            Frame::Answer { id: u64::MAX, body: Body(vec![1; 70_000]) },
            Frame::Failed { id: 0, text: String::new() },
            Frame::Alive,
            Frame::Open { body: Body(Vec::new()) },
            Frame::Accepted,
        ]
    }

    fn read_now(bytes: &[u8], most: usize) -> Result<Frame, FrameError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(read(&mut &*bytes, most, SOON))
    }

    #[test]
    fn every_frame_comes_back_as_it_went() {
        for frame in all() {
            let bytes = frame.encode().expect("encoded");
            assert_eq!(read_now(&bytes, MOST).expect("read"), frame);
            for cut in [0, 3, 4, bytes.len() - 1] {
                assert!(matches!(read_now(&bytes[..cut], MOST), Err(FrameError::Closed)), "{cut}");
            }
        }
    }

    #[test]
    fn the_longest_body_fits_and_a_longer_frame_is_not_even_made() {
        let frame = |length| Frame::Call { id: u64::MAX, body: Body(vec![7; length]) }.encode();
        assert!(frame(BODY_MOST).is_ok());
        assert!(matches!(frame(MOST), Err(FrameError::TooLong(..))));
    }

    #[test]
    fn four_gigabytes_announced_are_refused_before_they_come() {
        assert!(matches!(read_now(&[255; 4], MOST), Err(FrameError::TooLong(..))));
        assert!(matches!(length((MOST as u32 + 1).to_be_bytes(), MOST), Err(FrameError::TooLong(..))));
        assert_eq!(length((MOST as u32).to_be_bytes(), MOST).expect("allowed"), MOST);
    }

    #[test]
    fn fields_of_a_newer_version_are_skipped() {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Newer {
            Welcome { version: u16, motto: String },
        }
        let bytes = rmp_serde::to_vec_named(&Newer::Welcome { version: 2, motto: "hi".into() });
        assert_eq!(Frame::decode(&bytes.expect("encoded")).expect("read"), Frame::Welcome { version: 2 });
    }

    #[test]
    fn frames_that_are_almost_right_are_an_error_or_a_frame() {
        let frames: Vec<Vec<u8>> = all().iter().map(|frame| frame.encode().expect("encoded")).collect();
        lab::garble::for_a_while(10, |garbler| {
            let bytes = garbler.garble_one(&frames);
            let _ = read_now(&bytes, MOST);
            if let Some(Ok(frame)) = bytes.get(LENGTH..).map(Frame::decode) {
                let again = frame.encode().expect("what was read can be written");
                assert_eq!(Frame::decode(&again[LENGTH..]).expect("and read again"), frame);
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn random_bytes_are_an_error_or_a_frame_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&bytes);
            let _ = read_now(&bytes, GREETING_MOST);
        }

        #[test]
        fn damaged_frames_are_an_error_or_a_frame_and_never_a_panic(
            which in 0..9_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = all()[which].encode().expect("encoded");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Frame::decode(&bytes[LENGTH..]);
            let _ = read_now(&bytes, MOST);
        }
    }
}
