//! A disk image with one GPT partition named `data`, which makes an appliance durable. Made without loop devices, so
//! without root.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where the partition begins and how much the backup table at the end needs, bytes.
const EDGE: u64 = 1 << 20;

/// Makes a sparse disk image of `size` bytes at `file` with a partition named `data` that holds an empty ext4.
///
/// # Errors
/// When `sfdisk` or `mkfs.ext4` is absent or fails; a half-made image is removed.
pub fn make(file: &Path, size: u64) -> Result<()> {
    make_with(file, size, |aside| {
        let blocks = (size - 2 * EDGE) / 4096;
        let offset = format!("offset={EDGE},lazy_itable_init=1,lazy_journal_init=1");
        let mut mkfs = tool("mkfs.ext4");
        mkfs.args(["-q", "-F", "-b", "4096", "-L", "quantix-data", "-E", &offset]).arg(aside);
        run(mkfs.arg(blocks.to_string()), "")
    })
}

/// As [`make`], but the partition holds nothing a file system could be mounted from.
///
/// # Errors
/// As [`make`].
pub fn make_broken(file: &Path, size: u64) -> Result<()> {
    make_with(file, size, |aside| {
        // An ext4 superblock's magic number and nothing that fits it: recognised, and not mountable.
        use std::os::unix::fs::FileExt;
        let disk = std::fs::OpenOptions::new().write(true).open(aside)?;
        disk.write_all_at(&[0x53, 0xef], EDGE + 1024 + 0x38).context("writing the broken superblock")
    })
}

fn make_with(file: &Path, size: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if size < 64 << 20 {
        bail!("a data disk has at least 64 MiB");
    }
    let aside = file.with_extension("part");
    let made = (|| {
        std::fs::File::create(&aside).with_context(|| aside.display().to_string())?.set_len(size)?;
        run(
            tool("sfdisk").args(["-q", "--no-reread", "--no-tell-kernel"]).arg(&aside),
            &format!(
                "label: gpt\nstart={}, size={}, type=linux, name=data\n",
                EDGE / 512,
                (size - 2 * EDGE) / 512
            ),
        )?;
        fill(&aside)?;
        std::fs::rename(&aside, file).with_context(|| file.display().to_string())
    })();
    if made.is_err() {
        let _ = std::fs::remove_file(&aside);
    }
    made
}

/// A program that may live where only root's `PATH` looks.
fn tool(name: &str) -> Command {
    let found = ["/usr/sbin", "/sbin"].iter().map(|d| Path::new(d).join(name)).find(|p| p.exists());
    Command::new(found.unwrap_or_else(|| name.into()))
}

fn run(command: &mut Command, input: &str) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {name}"))?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes()).with_context(|| name.clone())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_is_named_data_and_its_file_system_is_sound() {
        let dir = tempfile::tempdir().expect("scratch");
        let disk = dir.path().join("data.img");
        make(&disk, 256 << 20).expect("a data disk");
        let table = tool("sfdisk").arg("-d").arg(&disk).output().expect("sfdisk").stdout;
        assert!(String::from_utf8_lossy(&table).contains("name=\"data\""));
        let seen = tool("blkid").args(["-p", "-O", "1048576"]).arg(&disk).output().expect("blkid").stdout;
        assert!(String::from_utf8_lossy(&seen).contains("TYPE=\"ext4\""));
        assert!(!disk.with_extension("part").exists());
        let broken = dir.path().join("broken.img");
        make_broken(&broken, 64 << 20).expect("a broken data disk");
        assert!(make(&dir.path().join("tiny.img"), 1 << 20).is_err());
    }
}
