//! The steps of a long run: how long each took, what passed, failed or was skipped, and one plain line at the end.

use crate::checkout::shown;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Counts of cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ended well.
    pub passed: u64,
    /// Did not.
    pub failed: u64,
    /// Could not run here.
    pub skipped: u64,
    /// Passed only when tried again; counted among the passed.
    pub flaky: u64,
}

/// What happened so far.
#[derive(Debug, Default)]
pub struct Steps {
    counts: Counts,
    rows: Vec<(String, f64, String)>,
    skips: Vec<String>,
    failures: Vec<String>,
}

impl Steps {
    /// Runs one step that counts as one case.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        let begun = self.begin(name);
        let result = work();
        self.end(name, begun, result)
    }

    /// Announces a step; [`Self::end`] closes it.
    pub fn begin(&self, name: &str) -> Instant {
        println!("\n==> {name}");
        Instant::now()
    }

    /// Records how a step that counts as one case ended.
    pub fn end(&mut self, name: &str, begun: Instant, result: Result<()>) -> bool {
        let good = result.is_ok();
        if let Err(error) = &result {
            println!("{name} failed: {error:#}");
            self.failures.push(format!("{name}: {error:#}"));
        }
        self.counts.passed += u64::from(good);
        self.counts.failed += u64::from(!good);
        self.row(name, begun, if good { "passed" } else { "FAILED" }.into());
        good
    }

    /// Records a case that can't run here, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        println!("\n==> {name}\nskipped: {why}");
        self.counts.skipped += 1;
        self.skips.push(format!("{name}: {why}"));
    }

    /// Runs cargo-nextest, showing results, failures and skips; everything goes into `log`.
    pub fn nextest(&mut self, name: &str, command: &mut Command, log: &Path) -> bool {
        let begun = self.begin(name);
        match stream(command, log) {
            Ok(told) => {
                let mut counts = told.counts;
                counts.skipped += told.skips.len() as u64;
                // A test that says it skipped itself was counted as passed by its runner.
                counts.passed = counts.passed.saturating_sub(told.skips.len() as u64);
                if !told.success && counts.failed == 0 {
                    counts.failed = 1;
                }
                self.counts.passed += counts.passed;
                self.counts.failed += counts.failed;
                self.counts.skipped += counts.skipped;
                self.counts.flaky += counts.flaky;
                self.skips.extend(told.skips);
                self.failures.extend(told.failures);
                self.row(
                    name,
                    begun,
                    format!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped),
                );
                told.success
            }
            Err(error) => self.end(name, begun, Err(error)),
        }
    }

    fn row(&mut self, name: &str, begun: Instant, outcome: String) {
        let seconds = begun.elapsed().as_secs_f64();
        println!("--- {name}: {outcome} in {seconds:.1} s");
        self.rows.push((name.into(), seconds, outcome));
    }

    /// Prints the table and the closing line.
    ///
    /// # Errors
    /// When something failed.
    pub fn close(self) -> Result<()> {
        println!("\n{:<28} {:>9}  outcome", "step", "seconds");
        for (name, seconds, outcome) in &self.rows {
            println!("{name:<28} {seconds:>9.1}  {outcome}");
        }
        println!("{:<28} {:>9.1}", "all", self.rows.iter().map(|(_, s, _)| s).sum::<f64>());
        for skip in &self.skips {
            println!("skipped: {skip}");
        }
        // Once more, because who reads only the end of a long output must see them.
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        let Counts { passed, failed, skipped, flaky } = self.counts;
        if flaky > 0 {
            println!("flaky: {flaky} passed only when tried again; look at their first try above");
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        if failed > 0 {
            bail!("{failed} failed");
        }
        Ok(())
    }
}

/// What a test runner told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    counts: Counts,
    skips: Vec<String>,
    failures: Vec<String>,
    success: bool,
}

fn stream(command: &mut Command, log: &Path) -> Result<Told> {
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut kept = std::fs::File::create(log).with_context(|| log.display().to_string())?;
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("starting {}", shown(command)))?;
    command.stdout(Stdio::null()).stderr(Stdio::null()); // closes our ends of the pipe
    let mut reading = Reading::default();
    for line in BufReader::new(reader).lines() {
        let line = line.context("reading the tests' output")?;
        writeln!(kept, "{line}")?;
        if reading.take(&line) {
            println!("{line}");
        }
    }
    reading.told.success = child.wait()?.success();
    Ok(reading.told)
}

/// Reads a test runner's output line by line.
#[derive(Debug, Default)]
struct Reading {
    told: Told,
    /// The output of a passing test follows; the test's name.
    quiet: Option<String>,
    /// The summary was read; what follows lists the tests that failed for good.
    ended: bool,
}

impl Reading {
    /// Takes a line and says whether a person wants to see it.
    fn take(&mut self, line: &str) -> bool {
        let word = line.split_whitespace().next().unwrap_or_default();
        if let Some(why) = line.trim().strip_prefix("skipped: ") {
            let who = self.quiet.clone().unwrap_or_default();
            self.told.skips.push(format!("{who}: {why}"));
            return true;
        }
        if word == "Summary" {
            self.quiet = None;
            self.ended = true;
            self.told.counts = summary(line);
            return true;
        }
        let status =
            ["PASS", "FAIL", "SLOW", "TIMEOUT", "ABORT", "SIGKILL", "SIGSEGV", "LEAK", "TRY"].contains(&word);
        if status && line.starts_with(' ') && line.contains('[') {
            let rest = line.split_once(']').map_or(line, |(_, rest)| rest).trim();
            // `(1/25) ` stands before the name when tests run one by one.
            let name = rest.rsplit(") ").next().unwrap_or(rest).to_owned();
            if self.ended && !line.contains("FLAKY") {
                self.told.failures.push(name.clone());
            }
            self.quiet = (word == "PASS" || word == "LEAK").then_some(name);
            return true;
        }
        if line.starts_with("────") {
            self.quiet = None;
        }
        self.quiet.is_none()
    }
}

/// Reads `Summary [ 1.0s] 7 tests run: 5 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
fn summary(line: &str) -> Counts {
    let mut counts = Counts::default();
    let results = line.split_once("run:").map_or(line, |(_, rest)| rest);
    let mut words = results.split([' ', ',', '(', ')', ':']).filter(|w| !w.is_empty()).peekable();
    while let Some(word) = words.next() {
        let Ok(number) = word.parse::<u64>() else { continue };
        match words.peek().copied().unwrap_or_default() {
            "passed" => counts.passed += number,
            "skipped" => counts.skipped += number,
            "flaky" => counts.flaky += number,
            "failed" | "timed" | "exec" | "errored" => counts.failed += number,
            // "slow", "leaky": counted among the others already
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_summary_is_read() {
        let counts = summary(
            "     Summary [   9.0s] 8 tests run: 5 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped",
        );
        assert_eq!(counts, Counts { passed: 5, failed: 3, skipped: 3, flaky: 1 });
    }

    #[test]
    fn the_output_of_passing_tests_is_hidden_but_for_skips() {
        let mut reading = Reading::default();
        let lines = [
            ("   Compiling x", true),
            ("        PASS [   0.1s] (1/2) hostd-virt qemu::starts", true),
            ("  stdout ───", false),
            ("    running 1 test", false),
            ("    skipped: no libvirt", true),
            ("        FAIL [   0.1s] (2/2) hostd-virt qemu::stops", true),
            ("    thread panicked", true),
            ("     Summary [   0.2s] 2 tests run: 1 passed, 1 failed, 0 skipped", true),
            ("  TRY 3 FAIL [   0.1s] (2/2) hostd-virt qemu::stops", true),
        ];
        for (line, shown) in lines {
            assert_eq!(reading.take(line), shown, "{line}");
        }
        assert_eq!(reading.told.skips, ["hostd-virt qemu::starts: no libvirt"]);
        assert_eq!(reading.told.failures, ["hostd-virt qemu::stops"]);
    }
}
