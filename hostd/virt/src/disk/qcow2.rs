//! The header of a foreign qcow2 file: what it refers to outside itself, and whether its tables are inside the file.
//! `qemu-img check` looks at the rest; this runs first, so that it is never given a header it could follow elsewhere.

use super::format::field;
use hostd_types::VOLUME_MAX_BYTES;

/// Incompatible features: broken, an external data file, and those that only change the layout (dirty, compression
/// type, extended entries).
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const KNOWN: u64 = 0b11111;
/// Header extension that names an external data file.
const DATA_FILE_NAME: u32 = 0x4441_5441;
/// Most header extensions walked.
const EXTENSIONS: usize = 64;

/// Checks the header in the first bytes of a file of `file_bytes`; returns the size a guest sees.
///
/// # Errors
/// A sentence with the way out.
pub fn check_header(head: &[u8], file_bytes: u64) -> Result<u64, String> {
    let word = |at: usize| u32::from_be_bytes(field(head, at));
    let long = |at: usize| u64::from_be_bytes(field(head, at));
    if head.len() < 72 {
        return Err(truncated());
    }
    let version = word(4);
    if !matches!(version, 2 | 3) {
        return Err(format!("The file is QCOW of version {version}; versions 2 and 3 are supported."));
    }
    let (cluster_bits, virtual_bytes) = (word(20), long(24));
    if long(8) != 0 {
        return Err("The image is layered over another file (it has a backing file). Make it independent: \
                    qemu-img convert -O qcow2 IMAGE NEW"
            .into());
    }
    if word(32) != 0 {
        return Err("The image is encrypted. Decrypt it first (qemu-img convert)".into());
    }
    if !(9..=21).contains(&cluster_bits) {
        return Err(format!("The image is damaged: its clusters have 2^{cluster_bits} bytes."));
    }
    if virtual_bytes == 0 || virtual_bytes > VOLUME_MAX_BYTES {
        return Err(format!(
            "The image claims a disk of {virtual_bytes} bytes; 1 byte to 64 TiB are supported."
        ));
    }
    if version == 3 {
        check_features(head, long(72), word(100), cluster_bits)?;
    }
    let cluster = 1_u64 << cluster_bits;
    let l1_bytes = u64::from(word(36)) * 8;
    let refcount_bytes = u64::from(word(56)).saturating_mul(cluster);
    for (start, length) in [(long(40), l1_bytes), (long(48), refcount_bytes)] {
        if start < cluster || start % cluster != 0 || length == 0 {
            return Err("The image is damaged: its tables are misplaced.".into());
        }
        if start.saturating_add(length) > file_bytes {
            return Err(truncated());
        }
    }
    // Each entry of the first table covers a cluster full of 8-byte (extended: 16-byte) entries.
    let extended = version == 3 && long(72) & (1 << 4) != 0;
    let covered = (cluster / if extended { 16 } else { 8 }).saturating_mul(cluster);
    if u64::from(word(36)).saturating_mul(covered) < virtual_bytes {
        return Err("The image is damaged: its table is too short for its size.".into());
    }
    Ok(virtual_bytes)
}

fn check_features(head: &[u8], features: u64, header_bytes: u32, cluster_bits: u32) -> Result<(), String> {
    if features & DATA_FILE != 0 {
        return Err(data_file());
    }
    if features & CORRUPT != 0 {
        return Err("The image is marked as damaged. Repair it first: qemu-img check -r all IMAGE".into());
    }
    if features & !KNOWN != 0 {
        return Err(
            "The image uses features of a newer QEMU. Rewrite it: qemu-img convert -O qcow2 IMAGE NEW".into(),
        );
    }
    let end = head.len().min(1 << cluster_bits);
    let mut at = usize::try_from(header_bytes).unwrap_or(usize::MAX);
    for _ in 0..EXTENSIONS {
        let (kind, length) = match at.checked_add(8) {
            Some(body) if body <= end => {
                (u32::from_be_bytes(field(head, at)), u32::from_be_bytes(field(head, at + 4)))
            }
            _ => return Ok(()),
        };
        match kind {
            0 => return Ok(()),
            DATA_FILE_NAME => return Err(data_file()),
            _ => {}
        }
        let padded = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(7) & !7;
        at = (at + 8).saturating_add(padded);
    }
    Ok(())
}

fn data_file() -> String {
    "The image keeps its data in another file. Make it independent: qemu-img convert -O qcow2 IMAGE NEW"
        .into()
}

fn truncated() -> String {
    "The image is incomplete: the file ends before its tables do. Upload it again".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A header of version 3 as qemu-img writes it for a disk of 1 MiB.
    fn header() -> Vec<u8> {
        let mut head = vec![0; 512];
        head[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
        head[20..24].copy_from_slice(&16_u32.to_be_bytes());
        head[24..32].copy_from_slice(&(1_u64 << 20).to_be_bytes());
        head[36..40].copy_from_slice(&1_u32.to_be_bytes());
        head[40..48].copy_from_slice(&(3_u64 << 16).to_be_bytes());
        head[48..56].copy_from_slice(&(1_u64 << 16).to_be_bytes());
        head[56..60].copy_from_slice(&1_u32.to_be_bytes());
        head[100..104].copy_from_slice(&104_u32.to_be_bytes());
        head
    }

    #[test]
    fn a_header_that_leads_elsewhere_or_is_damaged_is_refused() {
        assert_eq!(check_header(&header(), 4 << 16), Ok(1 << 20));
        let cases: [(usize, &[u8], &str); 12] = [
            (7, &[4], "version 4"),
            (15, &[200], "backing file"),
            (35, &[1], "encrypted"),
            (23, &[40], "damaged"),
            (24, &[0xff], "claims"),
            (24, &[0; 8], "claims"),
            (79, &[4], "another file"),
            (79, &[2], "marked as damaged"),
            (78, &[1], "newer QEMU"),
            (104, b"DATA", "another file"),
            (44, &[0xff], "incomplete"),
            (39, &[0], "misplaced"),
        ];
        for (at, bytes, says) in cases {
            let mut head = header();
            head[at..at + bytes.len()].copy_from_slice(bytes);
            let why = check_header(&head, 4 << 16).expect_err(says);
            assert!(why.contains(says), "{why}");
        }
        assert!(check_header(&header(), 3 << 16).expect_err("cut").contains("incomplete"));
        assert!(check_header(&header()[..60], 60).expect_err("cut").contains("incomplete"));
    }

    proptest! {
        #[test]
        fn any_header_is_judged_without_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            at in 4..112_usize,
            file_bytes in any::<u64>(),
        ) {
            let _ = check_header(&noise, file_bytes);
            let mut head = header();
            let end = (at + noise.len()).min(head.len());
            head[at..end].copy_from_slice(&noise[..end - at]);
            let _ = check_header(&head, file_bytes);
        }
    }
}
