//! Secrets that a person gives: by standard input or in a file. Never as arguments, which every user of the host can read.

use super::Stop;
use anyhow::{Context, anyhow};
use clap::error::ErrorKind;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

/// Longest file that is read for a token.
const TOKEN_FILE_MAX: u64 = 64 << 10;

/// Where a join token is read from.
#[derive(Debug, clap::Args)]
pub struct TokenSource {
    /// Read the token (qxj1_…, made on a host of that cluster) from standard input; the same as nothing
    #[arg(value_name = "-", hide_possible_values = true)]
    input: Option<String>,
    /// Read the token from a file
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    token_file: Option<PathBuf>,
}

impl TokenSource {
    /// The token.
    pub async fn read(self) -> Result<String, Stop> {
        if self.input.is_some_and(|given| given != "-") {
            let text = "the token must not be an argument: every user of this host can read those. Take it back (qx cluster \
                        token revoke), make another one, and give that on standard input or with --token-file.\n";
            clap::Error::raw(ErrorKind::ValueValidation, text).exit();
        }
        let Some(path) = self.token_file else { return line("Join token:").await };
        let shown = path.display().to_string();
        let mut text = String::new();
        let file = std::fs::File::open(&path).with_context(|| shown.clone())?;
        file.take(TOKEN_FILE_MAX).read_to_string(&mut text).context(shown)?;
        Ok(text.trim().to_owned())
    }
}

/// A line of standard input; who sits at a terminal is told what is wanted.
pub async fn line(wanted: &str) -> Result<String, Stop> {
    let given = match std::io::stdin().is_terminal() {
        true => typed(wanted).await?,
        false => read_line().await?,
    };
    match given.is_empty() {
        true => Err(anyhow!("nothing was given on standard input").into()),
        false => Ok(given),
    }
}

/// What somebody types in answer to `question`, which goes to the error output: the other may be a file.
pub async fn typed(question: &str) -> Result<String, Stop> {
    eprint!("{question} ");
    // A terminal that can't be written to can't be read from either, which is found out next.
    let _ = std::io::stderr().flush();
    read_line().await
}

async fn read_line() -> Result<String, Stop> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = read.await.context("reading the answer")?.context("reading the answer")?;
    Ok(line.trim().to_owned())
}
