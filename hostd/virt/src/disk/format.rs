//! Telling formats apart by their first bytes. Everything here reads foreign bytes and can't fail in other ways than
//! by saying so.

/// Bytes of the beginning that [`recognize`] looks at: up to the second descriptor of an ISO.
pub const HEAD: usize = 34 << 10;
/// Bytes of the end it looks at.
pub const TAIL: usize = 512;

/// What the bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognized {
    /// QEMU's copy-on-write format.
    Qcow2,
    /// A CD or DVD image whose file system claims this many bytes, if it tells.
    Iso(Option<u64>),
    /// Some other disk format, and its name for `qemu-img convert -f`.
    Foreign(&'static str, &'static str),
    /// Packed; the name of the packing.
    Packed(&'static str),
    /// Nothing known: a raw disk, if its size fits; its partition table claims this many bytes, if it has a GPT.
    Raw(Option<u64>),
}

/// Formats with a signature: offset, bytes, name, name for qemu-img.
const FOREIGN: [(usize, &[u8], &str, &str); 11] = [
    (0, b"KDMV", "VMDK", "vmdk"),
    (0, b"COWD", "VMDK", "vmdk"),
    (0, b"# Disk DescriptorFile", "VMDK", "vmdk"),
    (64, &[0x7f, 0x10, 0xda, 0xbe], "VDI", "vdi"),
    (0, b"vhdxfile", "VHDX", "vhdx"),
    (0, b"conectix", "VHD", "vpc"),
    (0, b"QED\0", "QED", "qed"),
    (0, b"WithoutFreeSpace", "Parallels", "parallels"),
    (0, b"WithouFreSpacExt", "Parallels", "parallels"),
    (0, b"Bochs Virtual HD Image", "Bochs", "bochs"),
    (0, b"#!/bin/sh\n#V2.0 Format", "cloop", "cloop"),
];

const PACKED: [(usize, &[u8], &str); 7] = [
    (0, &[0x1f, 0x8b], "gzip"),
    (0, &[0xfd, b'7', b'z', b'X', b'Z', 0], "xz"),
    (0, &[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (0, b"BZh", "bzip2"),
    (0, b"PK\x03\x04", "zip"),
    (0, &[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], "7-zip"),
    (257, b"ustar", "tar (an OVA is one)"),
];

/// Recognizes a file by its first [`HEAD`] and last [`TAIL`] bytes (fewer when it is shorter).
pub fn recognize(head: &[u8], tail: &[u8]) -> Recognized {
    let at = |offset: usize, bytes: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
    if at(0, b"QFI\xfb") {
        let version = u32::from_be_bytes(field(head, 4));
        return if version == 1 {
            Recognized::Foreign("QCOW (version 1)", "qcow")
        } else {
            Recognized::Qcow2
        };
    }
    if let Some((.., name, driver)) = FOREIGN.iter().find(|(offset, bytes, ..)| at(*offset, bytes)) {
        return Recognized::Foreign(name, driver);
    }
    if at(32769, b"CD001") || at(32769, b"BEA01") {
        return Recognized::Iso(iso_bytes(head));
    }
    if let Some((.., name)) = PACKED.iter().find(|(offset, bytes, _)| at(*offset, bytes)) {
        return Recognized::Packed(name);
    }
    if tail.starts_with(b"conectix") {
        return Recognized::Foreign("VHD", "vpc");
    }
    if tail.starts_with(b"koly") {
        return Recognized::Foreign("DMG", "dmg");
    }
    Recognized::Raw(gpt_bytes(head))
}

/// `N` bytes at `at`; zeros past the end.
pub fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| at.checked_add(index).and_then(|i| bytes.get(i)).copied().unwrap_or(0))
}

/// Size of the ISO 9660 file system by its primary descriptor (blocks and block size, little-endian halves).
fn iso_bytes(head: &[u8]) -> Option<u64> {
    if field(head, 32768) != [1_u8, b'C', b'D', b'0', b'0', b'1'] {
        return None;
    }
    let blocks = u64::from(u32::from_le_bytes(field(head, 32768 + 80)));
    let size = u64::from(u16::from_le_bytes(field(head, 32768 + 128)));
    Some(blocks * size)
}

/// Size of the disk by the place of the backup table of its GPT (512-byte blocks).
fn gpt_bytes(head: &[u8]) -> Option<u64> {
    if field(head, 512) != *b"EFI PART" {
        return None;
    }
    u64::from_le_bytes(field(head, 512 + 32)).checked_add(1)?.checked_mul(512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        head[offset..offset + bytes.len()].copy_from_slice(bytes);
        head
    }

    #[test]
    fn every_format_is_told_by_its_signature() {
        assert_eq!(recognize(&with(0, b"QFI\xfb\0\0\0\x03"), &[]), Recognized::Qcow2);
        assert_eq!(
            recognize(&with(0, b"QFI\xfb\0\0\0\x01"), &[]),
            Recognized::Foreign("QCOW (version 1)", "qcow")
        );
        for (offset, bytes, name, driver) in FOREIGN {
            assert_eq!(recognize(&with(offset, bytes), &[]), Recognized::Foreign(name, driver));
        }
        for (offset, bytes, name) in PACKED {
            assert_eq!(recognize(&with(offset, bytes), &[]), Recognized::Packed(name));
        }
        assert_eq!(recognize(&[0; 512], b"conectix"), Recognized::Foreign("VHD", "vpc"));
        assert_eq!(recognize(&with(32768, b"\x02CD001"), &[]), Recognized::Iso(None));
        assert_eq!(recognize(&[], &[]), Recognized::Raw(None));
    }

    #[test]
    fn sizes_claimed_inside_are_read() {
        let mut iso = with(32768, b"\x01CD001");
        iso[32848..32852].copy_from_slice(&100_u32.to_le_bytes());
        iso[32896..32898].copy_from_slice(&2048_u16.to_le_bytes());
        assert_eq!(recognize(&iso, &[]), Recognized::Iso(Some(204_800)));
        let mut gpt = with(512, b"EFI PART");
        gpt[544..552].copy_from_slice(&2047_u64.to_le_bytes());
        assert_eq!(recognize(&gpt, &[]), Recognized::Raw(Some(1 << 20)));
        gpt[544..552].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(recognize(&gpt, &[]), Recognized::Raw(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_recognized_as_something(
            mut head in proptest::collection::vec(any::<u8>(), 0..1200),
            tail in proptest::collection::vec(any::<u8>(), 0..512),
            magic in 0..FOREIGN.len(),
        ) {
            let _ = recognize(&head, &tail);
            let (offset, bytes, ..) = FOREIGN[magic];
            if head.len() >= offset + bytes.len() {
                head[offset..offset + bytes.len()].copy_from_slice(bytes);
                prop_assert!(matches!(recognize(&head, &tail), Recognized::Foreign(..)));
            }
        }
    }
}
