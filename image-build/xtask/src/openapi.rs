//! The API's document, written by the daemon from its handlers and kept in the repository.

use crate::checkout::{Checkout, read};
use anyhow::{Context, Result, bail};

/// Where it is kept.
const FILE: &str = "hostd/docs/openapi.json";

/// Writes the document, or with `check` compares it with what is there.
///
/// # Errors
/// When the daemon does not compile, or with `check` when they differ.
pub fn openapi(checkout: &Checkout, check: bool) -> Result<()> {
    let program = checkout.program("hostd")?;
    let text = read(checkout.command(&program.to_string_lossy()).arg("openapi"))?;
    let file = checkout.root.join(FILE);
    if check {
        let kept = std::fs::read_to_string(&file).with_context(|| format!("reading {FILE}"))?;
        let differs = kept.lines().zip(text.lines()).position(|(a, b)| a != b);
        if let Some(line) = differs {
            bail!("{FILE}:{}: differs from what the handlers say; run cargo xtask openapi", line + 1);
        }
        if kept.lines().count() != text.lines().count() {
            bail!("{FILE} differs in length from what the handlers say; run cargo xtask openapi");
        }
        return Ok(());
    }
    let aside = file.with_extension("part");
    std::fs::write(&aside, text)?;
    std::fs::rename(&aside, &file)?;
    println!("wrote {FILE}");
    Ok(())
}
