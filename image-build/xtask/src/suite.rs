//! `cargo xtask test`: the whole suite, as a person or CI runs it.

use crate::checkout::{Checkout, run};
use crate::needs::{self, Purpose};
use crate::steps::Steps;
use crate::{cases, iso, openapi, previous, tidy, vendor};
use anyhow::Result;
use clap::Args;

/// What can be chosen.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Leave out the browser and the ISO
    #[arg(long)]
    fast: bool,
}

/// Runs every step, also after one that failed, and ends with one line of counts.
///
/// # Errors
/// When a step failed.
pub async fn test(checkout: &Checkout, args: &TestArgs) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("install what is missing", || {
        needs::install(checkout, &[Purpose::Build, Purpose::Boot, Purpose::Test])?;
        needs::install_nextest(checkout)
    });
    steps.step("format", || run(&mut checkout.cargo(&["fmt", "--all", "--check"])));
    steps.step("lints", || {
        let words = ["clippy", "-q", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        run(&mut checkout.cargo(&words))
    });
    steps.step("tidy", || tidy::check(checkout));
    steps.step("vendored files", || vendor::vendor(checkout, true));
    let mut nextest = checkout.cargo(&["nextest", "run", "--workspace", "--locked", "--profile", "full"]);
    if let Some(reference) = previous::reference(checkout)? {
        steps.step("previous release", || {
            nextest.env(previous::PROGRAM, previous::build(checkout, &reference)?);
            Ok(())
        });
    }
    // The runner's lines are read by a program: no colours, no progress bar.
    nextest.args(["--color", "never", "--show-progress", "none", "--no-fail-fast"]);
    steps.nextest("tests", &mut nextest, &checkout.target.join("test/nextest.log"));
    let checkout = &Checkout { tested: true, ..checkout.clone() };
    steps.step("documentation tests", || {
        run(&mut checkout.cargo(&["test", "-q", "--workspace", "--doc", "--locked"]))
    });
    steps.step("API document", || openapi::openapi(checkout, true));
    if !args.fast {
        for case in cases::STORIES {
            cases::run(checkout, case, &mut steps).await;
        }
        // What the tests compiled goes in: compiling it once more as it ships takes as long as all else. `lab` boots what ships.
        let built = steps.step("ISO build", || iso::build(checkout, iso::Daemon::Debug).map(drop));
        for case in cases::SUITE {
            if built {
                cases::run(checkout, case, &mut steps).await;
            } else {
                steps.skip(case.name(), "there is no ISO");
            }
        }
    }
    steps.close()
}
