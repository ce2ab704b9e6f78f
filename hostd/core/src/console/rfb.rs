//! What a viewer sends to a screen (RFB, RFC 6143, with the messages QEMU adds), cut into whole messages, so that the
//! keys and the pointer of who only looks can be left out. Pure.

/// Longest message a viewer may send: a clipboard.
const MESSAGE_MAX: usize = 1 << 20;
/// The one way to prove oneself that is let through: none, for the socket is reached through us alone.
const SECURITY_NONE: u8 = 1;
/// Asks the screen for its first pixel anew: whoever answers is alive.
pub(super) const PROBE: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 1, 0, 1];

/// How far a viewer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It names its version.
    Version,
    /// It chooses how to prove itself.
    Security,
    /// It says whether it shares the screen.
    Init,
    /// It sends messages.
    Messages,
}

/// The viewer does not speak as one: nothing more of it can be let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// One viewer's side of the conversation.
#[derive(Debug)]
pub(super) struct Client {
    stage: Stage,
    buffer: Vec<u8>,
}

/// A whole message: its length, and whether it acts on the machine.
struct Message {
    length: usize,
    acts: bool,
}

impl Client {
    /// A viewer that was just greeted.
    pub fn new() -> Self {
        Self { stage: Stage::Version, buffer: Vec::new() }
    }

    /// Takes what it sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// It is past the handshake, between two messages.
    pub fn talks(&self) -> bool {
        self.stage == Stage::Messages
    }

    /// What of it goes on to the screen; nothing while the next message is not complete. What acts on the machine is left
    /// out unless the viewer `controls` it.
    ///
    /// # Errors
    /// When it sends what no viewer sends.
    pub fn next(&mut self, controls: bool) -> Result<Vec<u8>, Unreadable> {
        let mut passed = Vec::new();
        while let Some(message) = self.message()? {
            let bytes: Vec<u8> = self.buffer.drain(..message.length).collect();
            match self.stage {
                Stage::Version => {
                    self.stage = match bytes.as_slice() {
                        b"RFB 003.003\n" => Stage::Init,
                        _ => Stage::Security,
                    };
                    passed.extend(bytes);
                }
                Stage::Security if bytes == [SECURITY_NONE] => {
                    self.stage = Stage::Init;
                    passed.extend(bytes);
                }
                Stage::Security => return Err(Unreadable),
                Stage::Init => {
                    self.stage = Stage::Messages;
                    // Nobody throws the others out.
                    passed.push(1);
                }
                Stage::Messages if message.acts && !controls => {}
                Stage::Messages => passed.extend(bytes),
            }
        }
        Ok(passed)
    }

    /// The message that the buffer begins with, if it is complete.
    fn message(&self) -> Result<Option<Message>, Unreadable> {
        let b = &self.buffer;
        if b.is_empty() {
            return Ok(None);
        }
        let (length, acts) = match self.stage {
            Stage::Version => {
                if !b"RFB 003.0".starts_with(&b[..b.len().min(9)]) {
                    return Err(Unreadable);
                }
                (Some(12), false)
            }
            Stage::Security | Stage::Init => (Some(1), false),
            Stage::Messages => measured(b)?,
        };
        match length {
            Some(length) if length > MESSAGE_MAX => Err(Unreadable),
            Some(length) if length <= b.len() => Ok(Some(Message { length, acts })),
            Some(_) | None => Ok(None),
        }
    }
}

/// Length of the message, once its header tells it, and whether it acts on the machine.
fn measured(b: &[u8]) -> Result<(Option<usize>, bool), Unreadable> {
    let byte = |at: usize| b.get(at).map(|b| usize::from(*b));
    let word = |at: usize| Some(byte(at)? << 8 | byte(at + 1)?);
    Ok(match b[0] {
        0 => (Some(20), false),                     // pixel format
        2 => (word(2).map(|n| 4 + 4 * n), false),   // encodings
        3 | 150 => (Some(10), false),               // update, continuous updates
        4 => (Some(8), true),                       // key
        5 => (Some(6), true),                       // pointer
        6 => (clipboard(b), true),                  // clipboard
        248 => (byte(8).map(|n| 9 + n), false),     // fence
        250 => (Some(4), true),                     // power
        251 => (byte(6).map(|n| 8 + 16 * n), true), // size of the screen
        255 => match byte(1) {
            None => (None, false),
            Some(0) => (Some(12), true), // key by its place on the keyboard
            Some(1) => match word(2) {
                None => (None, false),
                Some(2) => (Some(10), false), // format of the sound
                Some(_) => (Some(4), false),
            },
            Some(_) => return Err(Unreadable),
        },
        _ => return Err(Unreadable),
    })
}

/// Length of a clipboard message; a negative one says that it is of the extended kind.
fn clipboard(b: &[u8]) -> Option<usize> {
    let length = i32::from_be_bytes(b.get(4..8)?.try_into().ok()?).unsigned_abs();
    Some(usize::try_from(length).unwrap_or(usize::MAX).saturating_add(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn talking() -> Client {
        let mut client = Client::new();
        client.feed(b"RFB 003.008\n\x01\x00");
        assert_eq!(client.next(false).expect("a handshake"), b"RFB 003.008\n\x01\x01", "always shared");
        client
    }

    /// One of each kind: the bytes, and whether it acts.
    fn messages() -> Vec<(Vec<u8>, bool)> {
        let of = |kind: u8, length: usize| {
            let mut bytes = vec![0; length];
            bytes[0] = kind;
            bytes
        };
        let mut encodings = of(2, 12);
        encodings[3] = 2;
        let mut text = of(6, 13);
        text[7] = 5;
        let mut extended = of(6, 12);
        extended[4..8].copy_from_slice(&(-4_i32).to_be_bytes());
        let mut fence = of(248, 12);
        fence[8] = 3;
        let mut size = of(251, 24);
        size[6] = 1;
        let mut sound = of(255, 10);
        (sound[1], sound[3]) = (1, 2);
        vec![
            (of(0, 20), false),
            (encodings, false),
            (PROBE.to_vec(), false),
            (of(4, 8), true),
            (of(5, 6), true),
            (text, true),
            (extended, true),
            (of(150, 10), false),
            (fence, false),
            (of(250, 4), true),
            (size, true),
            (of(255, 12), true),
            (sound, false),
        ]
    }

    proptest! {
        #[test]
        fn who_only_looks_asks_for_pictures_and_does_nothing_else(
            order in proptest::collection::vec(0..13_usize, 1..40),
            cuts in proptest::collection::vec(1..9_usize, 1..40),
        ) {
            let all: Vec<(Vec<u8>, bool)> = order.iter().map(|n| messages()[*n].clone()).collect();
            let sent: Vec<u8> = all.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            for controls in [false, true] {
                let (mut client, mut passed, mut rest) = (talking(), Vec::new(), sent.as_slice());
                for cut in cuts.iter().cycle() {
                    let (now, later) = rest.split_at((*cut).min(rest.len()));
                    client.feed(now);
                    passed.extend(client.next(controls).expect("messages"));
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                let expected: Vec<u8> =
                    all.iter().filter(|(_, acts)| controls || !acts).flat_map(|(b, _)| b.clone()).collect();
                prop_assert_eq!(passed, expected);
            }
        }

        #[test]
        fn nonsense_ends_it_and_never_grows(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut client = talking();
            client.feed(&bytes);
            let _ = client.next(true);
            prop_assert!(client.buffer.len() <= bytes.len());
        }
    }

    #[test]
    fn nobody_chooses_another_way_in_or_sends_without_end() {
        for greeting in [&b"RFB 003.008\n\x02"[..], b"GET / HTTP/1.1\r\n", b"RFB 004.000\n"] {
            let mut client = Client::new();
            client.feed(greeting);
            assert_eq!(client.next(true), Err(Unreadable), "{greeting:?}");
        }
        let mut old = Client::new();
        old.feed(b"RFB 003.003\n\x00");
        assert_eq!(old.next(true).expect("an old viewer"), b"RFB 003.003\n\x01");
        let mut client = talking();
        client.feed(&[6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(client.next(true), Err(Unreadable));
    }
}
