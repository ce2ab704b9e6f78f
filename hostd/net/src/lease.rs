//! dnsmasq's lease file. Its host names come from guests: foreign bytes.

use hostd_types::{Lease, Timestamp};
use std::net::Ipv4Addr;

/// The leases in the text of a lease file; lines of another shape are left out.
pub fn parse(bytes: &[u8]) -> Vec<Lease> {
    bytes.split(|b| *b == b'\n').filter_map(line).collect()
}

/// `expiry mac address hostname client-id`.
fn line(bytes: &[u8]) -> Option<Lease> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let expiry: i64 = fields.next()?.parse().ok()?;
    let mac = fields.next().filter(|m| is_mac(m))?;
    let address: Ipv4Addr = fields.next()?.parse().ok()?;
    let hostname = fields.next().filter(|h| is_host_name(h));
    // Our ranges have leases that end; 0 would mean one that does not.
    (expiry > 0).then(|| Lease {
        mac: mac.to_ascii_lowercase(),
        address,
        hostname: hostname.map(str::to_owned),
        expires_at: Timestamp::from_unix(expiry),
    })
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_hexdigit()))
}

fn is_host_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_lines_are_read_and_others_left_out() {
        let text = b"1800000000 52:54:00:AA:bb:01 10.200.0.10 web-1 01:52:54:00:aa:bb:01\n\
            1800000001 52:54:00:aa:bb:02 10.200.0.11 * *\n\
            1800000002 52:54:00:aa:bb:03 10.200.0.12 <script> *\n\
            0 52:54:00:aa:bb:04 10.200.0.13 forever *\n\
            duid 00:01\nnonsense\n\xff\xfe\n1800000003 52:54:00:aa:bb 10.200.0.14 short *\n";
        let leases = parse(text);
        let names: Vec<_> = leases.iter().map(|l| (l.address.octets()[3], l.hostname.as_deref())).collect();
        assert_eq!(names, [(10, Some("web-1")), (11, None), (12, None)]);
        assert_eq!(leases[0].mac, "52:54:00:aa:bb:01");
        assert_eq!(leases[0].expires_at.unix(), 1_800_000_000);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            parse(&bytes);
        }
        #[test]
        fn no_line_like_text_panics(text in "[0-9]{0,25} [0-9a-f:]{0,20} [0-9.]{0,16} \\PC{0,20}\n?") {
            parse(text.as_bytes());
        }
    }
}
