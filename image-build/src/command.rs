//! The one door to external programs: argument vectors, a fixed environment, typed failures.
//!
//! Nothing here knows what a program is for. Every program sees `SOURCE_DATE_EPOCH`, the C locale and UTC,
//! so that its output depends on its inputs alone.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::{Command as Process, ExitStatus, Stdio};

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started at all.
    #[error("cannot start {program}")]
    Start {
        /// The program as it was named.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended with a failure.
    #[error("{line}\nended with {status}\n{stderr}")]
    Failed {
        /// Program and arguments, for reading only.
        line: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to standard error and, when that is empty, standard output.
        stderr: String,
    },
}

/// One program to be run.
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    process: Process,
    input: Vec<u8>,
}

impl Command {
    /// A program by name or path; `epoch` is the build's one point in time (seconds since 1970).
    pub fn new(program: impl AsRef<OsStr>, epoch: u64) -> Self {
        let mut process = Process::new(program.as_ref());
        process.env("SOURCE_DATE_EPOCH", epoch.to_string()).env("LC_ALL", "C").env("TZ", "UTC");
        process.env("PATH", search_path());
        Self { program: program.as_ref().to_owned(), args: Vec::new(), process, input: Vec::new() }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    pub fn args<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets one environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.process.env(name, value);
        self
    }

    /// Bytes for its standard input, which is empty otherwise.
    pub fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    /// Runs it and returns its standard output. An exit status other than 0 is an error.
    pub fn output(mut self) -> Result<Vec<u8>, CommandError> {
        let start = |source| CommandError::Start { program: self.program.to_string_lossy().into(), source };
        self.process.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.process.spawn().map_err(start)?;
        let pipe = child.stdin.take();
        let input = std::mem::take(&mut self.input);
        // written beside the reading, or a program that answers while it reads would block both sides
        let writer = std::thread::spawn(move || {
            if let Some(mut pipe) = pipe {
                // a program may end without reading all of it; its exit status tells
                let _ = pipe.write_all(&input);
            }
        });
        let out = child.wait_with_output().map_err(|source| CommandError::Start {
            program: self.program.to_string_lossy().into(),
            source,
        })?;
        let _ = writer.join();
        if out.status.success() {
            return Ok(out.stdout);
        }
        let said = if out.stderr.is_empty() { &out.stdout } else { &out.stderr };
        Err(CommandError::Failed { line: self.line(), status: out.status, stderr: tail(said) })
    }

    /// Runs it for its effect.
    pub fn run(self) -> Result<(), CommandError> {
        self.output().map(|_| ())
    }

    /// Runs it and returns its standard output as text, invalid bytes replaced.
    pub fn text(self) -> Result<String, CommandError> {
        self.output().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn line(&self) -> String {
        let mut line = self.program.to_string_lossy().into_owned();
        for arg in self.args.iter().take(40) {
            line.push(' ');
            line.push_str(&arg.to_string_lossy());
        }
        line
    }
}

/// The caller's search path with the administrator's directories added: `debugfs`, `depmod` and `mkfs.vfat`
/// live there and an ordinary user's path lacks them.
pub fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_and_reads() {
        let text = Command::new("cat", 1).input(b"one\n".to_vec()).text().unwrap();
        assert_eq!(text, "one\n");
    }

    #[test]
    fn failure_names_the_program() {
        let error = Command::new("ls", 1).arg("/no/such/place").run().unwrap_err();
        assert!(error.to_string().contains("ls /no/such/place"), "{error}");
    }

    #[test]
    fn absent_program_is_told_apart() {
        let error = Command::new("no-such-program-here", 1).run().unwrap_err();
        assert!(matches!(error, CommandError::Start { .. }));
    }
}
