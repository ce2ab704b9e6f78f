//! The few DNS messages that finding neighbours needs (RFC 6762, RFC 6763): a question for the service, and an answer with
//! its four records. Of others' answers only the TXT records of this service are read.

use super::Neighbour;
use std::net::Ipv4Addr;

/// The service.
const SERVICE: [&str; 3] = ["_quantix", "_tcp", "local"];
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;
const A: u16 = 1;
const ANY: u16 = 255;
const CLASS_IN: u16 = 1;
/// The record is the only one of its name and type.
const UNIQUE: u16 = 0x8001;
/// Seconds others may remember an answer.
const TTL: u32 = 15;
/// Bytes of a message that are looked at; ours are far shorter.
pub(super) const MOST: usize = 1500;
/// Records of a message that are looked at.
const RECORDS: usize = 64;

/// Asks who offers the service.
pub(super) fn question() -> Vec<u8> {
    let mut out = header([1, 0]);
    name(&mut out, &SERVICE);
    words(&mut out, &[PTR, CLASS_IN]);
    out
}

/// Says what this host is and where: `address` is the one this answer is sent from.
pub(super) fn answer(host: &Neighbour, address: Ipv4Addr) -> Vec<u8> {
    let id = host.host.to_string();
    let instance = [&id, SERVICE[0], SERVICE[1], SERVICE[2]];
    let machine = [id.as_str(), "local"];
    let mut out = header([0, 4]);
    record(&mut out, &SERVICE, PTR, CLASS_IN, |data| name(data, &instance));
    record(&mut out, &instance, SRV, UNIQUE, |data| {
        words(data, &[0, 0, host.port]);
        name(data, &machine);
    });
    record(&mut out, &instance, TXT, UNIQUE, |data| {
        for (key, value) in [
            ("id", &id),
            ("name", &host.name),
            ("cluster", &host.cluster.to_string()),
            ("port", &host.port.to_string()),
        ] {
            label(data, &format!("{key}={value}"));
        }
    });
    record(&mut out, &machine, A, UNIQUE, |data| data.extend(address.octets()));
    out
}

/// What a message means to us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Somebody asks who offers the service.
    Question,
    /// A host tells of itself; its address is that of the message.
    Host(Neighbour),
}

/// Reads a message; nothing when it is not about this service, or damaged.
pub(super) fn read(message: &[u8]) -> Option<Heard> {
    let mut reader = Reader { message, at: 0 };
    let [_, flags, questions, answers, authorities, further] = reader.words()?;
    let asks = flags & 0x8000 == 0;
    for _ in 0..usize::from(questions).min(RECORDS) {
        let labels = reader.name()?;
        let [kind, _class] = reader.words()?;
        if asks && [PTR, ANY].contains(&kind) && is_service(&labels) {
            return Some(Heard::Question);
        }
    }
    if asks {
        return None;
    }
    let records = usize::from(answers) + usize::from(authorities) + usize::from(further);
    for _ in 0..records.min(RECORDS) {
        let labels = reader.name()?;
        let [kind, _class, _ttl, _low, length] = reader.words()?;
        let data = reader.bytes(length.into())?;
        if kind == TXT && labels.split_first().is_some_and(|(_, service)| is_service(service)) {
            return neighbour(data).map(Heard::Host);
        }
    }
    None
}

fn is_service(labels: &[String]) -> bool {
    labels.len() == SERVICE.len() && labels.iter().zip(SERVICE).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Reads the pairs of a TXT record; every one of ours must be there.
fn neighbour(data: &[u8]) -> Option<Neighbour> {
    let mut reader = Reader { message: data, at: 0 };
    let mut pairs = std::collections::BTreeMap::new();
    while let Some(length) = reader.bytes(1) {
        let text = std::str::from_utf8(reader.bytes(length[0].into())?).ok()?;
        if let Some((key, value)) = text.split_once('=') {
            pairs.insert(key, value);
        }
    }
    let name: String = pairs.get("name")?.chars().filter(|c| !c.is_control()).take(63).collect();
    Some(Neighbour {
        host: pairs.get("id")?.parse().ok()?,
        cluster: pairs.get("cluster")?.parse().ok()?,
        port: pairs.get("port")?.parse().ok()?,
        name,
    })
}

fn header([questions, answers]: [u16; 2]) -> Vec<u8> {
    let flags = if answers > 0 { 0x8400 } else { 0 };
    let mut out = Vec::with_capacity(512);
    words(&mut out, &[0, flags, questions, answers, 0, 0]);
    out
}

fn words(out: &mut Vec<u8>, words: &[u16]) {
    out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

fn label(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(&text.as_bytes()[..length.into()]);
}

fn name(out: &mut Vec<u8>, labels: &[&str]) {
    labels.iter().for_each(|text| label(out, text));
    out.push(0);
}

fn record(out: &mut Vec<u8>, of: &[&str], kind: u16, class: u16, data: impl FnOnce(&mut Vec<u8>)) {
    name(out, of);
    words(out, &[kind, class]);
    out.extend(TTL.to_be_bytes());
    let mut content = Vec::new();
    data(&mut content);
    words(out, &[u16::try_from(content.len()).unwrap_or(u16::MAX)]);
    out.extend(content);
}

/// Reads a message from others: nothing in it is trusted to be as long as it says.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn words<const N: usize>(&mut self) -> Option<[u16; N]> {
        let bytes = self.bytes(N * 2)?;
        let mut words = [0; N];
        for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
        Some(words)
    }

    /// A name, which may go on at an earlier place of the message. Each such jump must go back, so there is an end.
    fn name(&mut self) -> Option<Vec<String>> {
        let mut labels = Vec::new();
        let (mut at, mut after, mut barrier) = (self.at, None, self.at);
        loop {
            let length = usize::from(*self.message.get(at)?);
            match length {
                0 => break,
                1..=63 => {
                    let text = self.message.get(at + 1..at + 1 + length)?;
                    labels.push(String::from_utf8_lossy(text).into_owned());
                    at += 1 + length;
                }
                0xc0.. => {
                    let low = usize::from(*self.message.get(at + 1)?);
                    let target = ((length & 0x3f) << 8) | low;
                    if target >= barrier {
                        return None;
                    }
                    after.get_or_insert(at + 2);
                    (at, barrier) = (target, target);
                }
                _ => return None,
            }
            if labels.len() > 32 {
                return None;
            }
        }
        self.at = after.unwrap_or(at + 1);
        Some(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostd_types::{ClusterId, HostId};

    fn host() -> Neighbour {
        Neighbour { host: HostId::new(), cluster: ClusterId::new(), name: "räck=7".into(), port: 8443 }
    }

    #[test]
    fn what_one_host_says_another_understands() {
        let host = host();
        assert_eq!(read(&question()), Some(Heard::Question));
        let answer = answer(&host, Ipv4Addr::new(192, 0, 2, 7));
        assert_eq!(read(&answer), Some(Heard::Host(host)));
    }

    #[test]
    fn damaged_and_foreign_messages_are_nothing() {
        let whole = answer(&host(), Ipv4Addr::LOCALHOST);
        for cut in 0..whole.len() {
            let _ = read(&whole[..cut]); // no panic; whole records before the cut may be enough
        }
        for at in 0..whole.len() {
            for value in [0, 0x3f, 0x40, 0xc0, 0xff] {
                let mut bent = whole.clone();
                bent[at] = value;
                let _ = read(&bent);
            }
        }
        assert_eq!(read(&[]), None);
        let mut loops = header([0, 1]);
        words(&mut loops, &[0xc00c]);
        assert_eq!(read(&loops), None, "a name that points at itself");
    }

    #[test]
    fn a_name_may_point_back() {
        let mut message = header([0, 2]);
        record(&mut message, &SERVICE, PTR, CLASS_IN, |data| data.extend([1, b'x', 0xc0, 12]));
        // x._quantix._tcp.local by way of the name above.
        message.extend([1, b'x', 0xc0, 12]);
        words(&mut message, &[TXT, UNIQUE, 0, 15]);
        let host = host();
        let mut data = Vec::new();
        for pair in [
            format!("id={}", host.host),
            "name=a".into(),
            format!("cluster={}", host.cluster),
            "port=1".into(),
        ] {
            label(&mut data, &pair);
        }
        words(&mut message, &[u16::try_from(data.len()).expect("short")]);
        message.extend(data);
        assert_eq!(read(&message), Some(Heard::Host(Neighbour { name: "a".into(), port: 1, ..host })));
    }
}
