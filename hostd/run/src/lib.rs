//! The one way this product runs an external program (`qemu-img`, `nft`, `dnsmasq`): an argument vector, never a shell
//! string; no inherited environment but `PATH`; a deadline; the program is killed when the caller goes away.

use std::ffi::{OsStr, OsString};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Where programs are found; `/usr` first, so that the full `ip` wins over a smaller one.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why a program gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error("starting {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("{program} failed ({status}): {stderr}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said, at most 2,000 characters.
        stderr: String,
    },
    /// It did not end within its deadline and was killed.
    #[error("{program} did not end within {seconds} s")]
    Late {
        /// The program.
        program: String,
        /// The deadline.
        seconds: u64,
    },
    /// Talking to it failed.
    #[error("talking to {program}")]
    Pipe {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// One run of an external program.
#[derive(Debug)]
pub struct Run {
    program: OsString,
    args: Vec<OsString>,
    input: Option<Vec<u8>>,
    deadline: Duration,
}

impl Run {
    /// A run of `program`, found in [`PATH`], with a deadline of 30 s.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().into(),
            args: Vec::new(),
            input: None,
            deadline: Duration::from_secs(30),
        }
    }
    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().into());
        self
    }
    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }
    /// Feeds `input` to its standard input.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }
    /// Sets the deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
    /// The program with its arguments, environment and pipes set, for callers that follow its output themselves.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").kill_on_drop(true);
        command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    /// Runs it to its end and returns its standard output.
    ///
    /// # Errors
    /// When it can't be started, ends with a failure, or is late.
    pub async fn output(self) -> Result<Vec<u8>, RunError> {
        let program = self.program.to_string_lossy().into_owned();
        let work = async {
            let mut child = self
                .command()
                .spawn()
                .map_err(|source| RunError::Start { program: program.clone(), source })?;
            let pipe = |source| RunError::Pipe { program: program.clone(), source };
            if let (Some(input), Some(mut stdin)) = (&self.input, child.stdin.take()) {
                stdin.write_all(input).await.map_err(pipe)?;
            }
            let output = child.wait_with_output().await.map_err(pipe)?;
            if output.status.success() {
                return Ok(output.stdout);
            }
            let said = String::from_utf8_lossy(&output.stderr).trim().chars().take(2000).collect();
            Err(RunError::Failed { program: program.clone(), status: output.status, stderr: said })
        };
        tokio::time::timeout(self.deadline, work).await.unwrap_or_else(|_| {
            Err(RunError::Late { program: program.clone(), seconds: self.deadline.as_secs() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_failure_and_lateness_are_told_apart() {
        assert_eq!(Run::new("cat").input("x").output().await.expect("cat"), b"x");
        assert!(matches!(Run::new("false").output().await, Err(RunError::Failed { .. })));
        assert!(matches!(Run::new("no-such-program").output().await, Err(RunError::Start { .. })));
        let late = Run::new("sleep").arg("60").deadline(Duration::from_millis(50)).output().await;
        assert!(matches!(late, Err(RunError::Late { .. })));
    }

    #[tokio::test]
    async fn arguments_reach_the_program_as_they_are() {
        let out = Run::new("printf").args(["%s", "$(id); `id`"]).output().await.expect("printf");
        assert_eq!(out, b"$(id); `id`");
    }
}
