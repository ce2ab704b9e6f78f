//! The rules the code keeps, made executable. Each rule is a function from file contents to findings, with a test that
//! shows it a sample it must refuse. Knows nothing of building or running the product.

mod apply;
mod direction;
mod layout;
mod licences;
mod places;
mod source;

use crate::checkout::Checkout;
use anyhow::{Result, bail};
use std::fmt;

/// One breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// File, relative to the checkout.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// It is a hint and fails nothing.
    pub hint: bool,
}

impl Finding {
    fn new(file: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, rule, message: message.into(), hint: false }
    }
    fn hint(self) -> Self {
        Self { hint: true, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.hint { "hint: " } else { "" };
        write!(f, "{}:{}: {kind}{} [{}]", self.file, self.line, self.message, self.rule)
    }
}

/// Checks every rule and prints what breaks one.
///
/// # Errors
/// When a rule is broken or the checkout can't be read.
pub fn check(checkout: &Checkout) -> Result<()> {
    let files = checkout.files()?;
    let mut findings = layout::entries(&files);
    let machine = places::Machine::read(checkout);
    for file in &files {
        let Ok(text) = std::fs::read_to_string(checkout.root.join(file)) else { continue }; // not text
        findings.extend(layout::size(file, &text));
        findings.extend(places::check(file, &text, &machine));
        if file.ends_with(".rs") {
            findings.extend(source::check(file, &text));
            findings.extend(apply::check(file, &text));
        }
    }
    let metadata = checkout.metadata(&["--locked"])?;
    findings.extend(direction::check(&metadata));
    let rules = std::fs::read_to_string(checkout.root.join(".deny.toml"))?;
    findings.extend(licences::check(&metadata, &licences::Allowed::read(&rules)));
    for finding in &findings {
        println!("{finding}");
    }
    let broken = findings.iter().filter(|f| !f.hint).count();
    if broken > 0 {
        bail!("tidy: {broken} breaches of the rules");
    }
    println!("tidy: {} files keep the rules, {} hints", files.len(), findings.len());
    Ok(())
}
