//! A small ISO 9660 volume: a few files in its root, under their own names for readers with Joliet (Windows, Linux) and for
//! those without. Every guest has a driver for it, cloud-init and cloudbase-init look for it, and it is read-only by nature.
//!
//! ```text
//! sector  0..15   nothing            19, 20  path tables, both byte orders     23  root, plain names
//!        16       volume, plain      21, 22  the same of Joliet                24  root of Joliet
//!        17       volume, Joliet     18      end of the descriptors            25… the files
//! ```

/// Bytes of a sector.
const SECTOR: usize = 2048;
/// Where the plain volume has its path tables and its root, and where Joliet's has them.
const PLAIN: Places = Places { tables: [19, 20], root: 23 };
const JOLIET: Places = Places { tables: [21, 22], root: 24 };
/// First sector of the first file.
const FILES: u32 = 25;
/// Bytes of a directory record before the name.
const RECORD: usize = 33;

struct Places {
    tables: [u32; 2],
    root: u32,
}

/// One file with its place.
struct File<'a> {
    name: &'a str,
    content: &'a [u8],
    sector: u32,
}

/// A name as the plain standard writes it: with a dot, also where nothing is behind it, and with its version.
fn plain_name(name: &str) -> String {
    let dot = if name.contains('.') { "" } else { "." };
    format!("{}{dot};1", name.to_ascii_uppercase())
}

/// The volume `label` with `files`, sorted by their names, in its root. Their names are short, in ASCII, with one dot at most; a
/// directory is one sector, so that there are few.
pub(super) fn image(label: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let mut next = FILES;
    let mut placed = Vec::new();
    for (name, content) in files {
        placed.push(File { name, content: content.as_bytes(), sector: next });
        next += sectors(content.len());
    }
    placed.sort_by_key(|file| file.name);
    let mut image = vec![0; next as usize * SECTOR];
    let mut put = |sector: u32, bytes: &[u8]| {
        let at = sector as usize * SECTOR;
        image[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(16, &descriptor(1, label, next, &PLAIN));
    put(17, &descriptor(2, label, next, &JOLIET));
    put(18, &[255, b'C', b'D', b'0', b'0', b'1', 1]);
    for places in [&PLAIN, &JOLIET] {
        put(places.tables[0], &path_table(places.root.to_le_bytes(), 1_u16.to_le_bytes()));
        put(places.tables[1], &path_table(places.root.to_be_bytes(), 1_u16.to_be_bytes()));
    }
    // Lower case and dashes are against the letter of the plain standard; readers take them, and have no other names without
    // Joliet.
    put(PLAIN.root, &directory(&PLAIN, &placed, |name| plain_name(name).into_bytes()));
    put(JOLIET.root, &directory(&JOLIET, &placed, |name| utf16(&format!("{name};1"))));
    for file in &placed {
        put(file.sector, file.content);
    }
    image
}

fn sectors(bytes: usize) -> u32 {
    // Texts of the seed are far below what a u32 counts.
    u32::try_from(bytes.div_ceil(SECTOR)).unwrap_or(u32::MAX)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A number in both byte orders, one behind the other.
fn both32(number: u32) -> [u8; 8] {
    let mut both = [0; 8];
    both[..4].copy_from_slice(&number.to_le_bytes());
    both[4..].copy_from_slice(&number.to_be_bytes());
    both
}

fn both16(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

/// The primary (1) or supplementary (2) volume descriptor.
fn descriptor(kind: u8, label: &str, total: u32, places: &Places) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
    let joliet = kind == 2;
    let text = |text: &str, len: usize| -> Vec<u8> {
        let mut bytes = if joliet { utf16(text) } else { text.as_bytes().to_vec() };
        let blank: &[u8] = if joliet { &[0, b' '] } else { b" " };
        while bytes.len() + blank.len() <= len {
            bytes.extend(blank);
        }
        bytes.resize(len, 0);
        bytes
    };
    put(0, &[kind, b'C', b'D', b'0', b'0', b'1', 1]);
    put(8, &text("", 32));
    put(40, &text(label, 32));
    put(80, &both32(total));
    if joliet {
        put(88, b"%/E"); // level 3 of UCS-2
    }
    put(120, &both16(1));
    put(124, &both16(1));
    put(128, &both16(2048));
    put(132, &both32(10)); // bytes of the path table: the root alone
    put(140, &places.tables[0].to_le_bytes());
    put(148, &places.tables[1].to_be_bytes());
    put(156, &record(&[0], places.root, SECTOR, true));
    put(190, &text("", 128)); // volume set
    put(318, &text("", 128)); // publisher
    put(446, &text("", 128)); // who prepared it
    put(574, &text("QUANTIX", 128));
    put(702, &text("", 111)); // three files that say more: none
    for at in [813, 830, 847, 864] {
        put(at, b"0000000000000000\0"); // no date
    }
    put(881, &[1]);
    sector
}

/// The path table with the root alone.
fn path_table(root: [u8; 4], parent: [u8; 2]) -> [u8; 10] {
    let mut table = [0; 10];
    table[0] = 1;
    table[2..6].copy_from_slice(&root);
    table[6..8].copy_from_slice(&parent);
    table
}

fn directory(places: &Places, files: &[File<'_>], name: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let mut records = record(&[0], places.root, SECTOR, true);
    records.extend(record(&[1], places.root, SECTOR, true));
    for file in files {
        records.extend(record(&name(file.name), file.sector, file.content.len(), false));
    }
    records
}

fn record(name: &[u8], sector: u32, bytes: usize, directory: bool) -> Vec<u8> {
    let mut record = vec![0; RECORD];
    record[2..10].copy_from_slice(&both32(sector));
    record[10..18].copy_from_slice(&both32(u32::try_from(bytes).unwrap_or(u32::MAX)));
    record[18..25].copy_from_slice(&[100, 1, 1, 0, 0, 0, 0]); // the year 2000: the same machine, the same bytes
    record[25] = if directory { 2 } else { 0 };
    record[28..32].copy_from_slice(&both16(1));
    record[32] = u8::try_from(name.len()).unwrap_or(u8::MAX);
    record.extend(name);
    if record.len() % 2 == 1 {
        record.push(0);
    }
    record[0] = u8::try_from(record.len()).unwrap_or(u8::MAX);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn have(program: &str) -> bool {
        let found = Command::new(program).arg("--version").output().is_ok();
        if !found {
            eprintln!("skipped: {program} is not installed");
        }
        found
    }

    fn isoinfo(file: &std::path::Path, words: &[&str]) -> String {
        let done = Command::new("isoinfo").arg("-i").arg(file).args(words).output().expect("isoinfo");
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    #[test]
    fn others_find_the_label_and_the_files_with_and_without_joliet() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("seed.iso");
        let large = "x".repeat(5000);
        std::fs::write(&file, image("cidata", &[("user-data", &large), ("meta-data", "m\n"), ("empty", "")]))
            .expect("file");
        if have("isoinfo") {
            let told = isoinfo(&file, &["-d"]);
            assert!(told.contains("Volume id: cidata") && told.contains("Joliet with UCS level 3"), "{told}");
            for words in [["-J"].as_slice(), &[]] {
                let names = isoinfo(&file, &[words, &["-f"]].concat());
                assert_eq!(names.to_ascii_lowercase().split_whitespace().count(), 3, "{names}");
            }
            assert_eq!(isoinfo(&file, &["-J", "-x", "/user-data;1"]), large);
            assert_eq!(isoinfo(&file, &["-x", "/META-DATA.;1"]), "m\n");
        }
        if have("blkid") {
            let told = Command::new("blkid").args(["-p", "-o", "export"]).arg(&file).output().expect("blkid");
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            assert!(told.contains("LABEL=cidata") && told.contains("TYPE=iso9660"), "{told}");
        }
    }

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let files = [("user-data", "a"), ("meta-data", "b")];
        assert_eq!(image("cidata", &files), image("cidata", &files));
        assert_eq!(image("cidata", &files).len() % SECTOR, 0);
    }
}
