//! One worker of the shipped program, as a child process.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::BenchError;
use super::usage::{self, Usage};
use crate::dev::terminate;

/// How long a worker may take to finish and to end: its own patience and more.
const END_WITHIN: Duration = Duration::from_secs(30);

/// As many of its last lines as tell why it ended.
const LINES: usize = 10;

/// What a worker is told; everything else is its default.
#[derive(Clone, Debug)]
pub struct Orders {
    /// `DATABASE_URL`.
    pub database_url: String,
    /// Where it sends its requests.
    pub host: String,
    /// How many at once.
    pub concurrency: usize,
    /// The pace of each app.
    pub calls_per_second: f64,
    /// How many apps it serves: [`app_name`](crate::store::app_name).
    pub apps: usize,
    /// Where a configuration can be put for it.
    pub folder: PathBuf,
}

/// Makes the command of a worker: the program and its environment are not for this module to know.
pub type WorkerCommand = Box<dyn Fn(&Orders) -> io::Result<std::process::Command> + Send + Sync>;

/// A running worker. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Hand {
    child: Child,
    pid: u32,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Hand {
    pub(super) fn start(command: std::process::Command) -> Result<Self, BenchError> {
        let mut command = Command::from(command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(BenchError::Worker)?;
        let pid = child.id().unwrap_or_default();
        let said = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stderr) = child.stderr.take() {
            let said = Arc::clone(&said);
            tokio::spawn(async move {
                let mut lines = BufReader::new(stderr).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    if said.len() == LINES {
                        said.pop_front();
                    }
                    said.push_back(line);
                }
            });
        }
        Ok(Self { child, pid, said })
    }

    /// An error if it has ended by itself.
    pub(super) fn is_well(&mut self) -> Result<(), BenchError> {
        match self.child.try_wait().map_err(BenchError::Worker)? {
            None => Ok(()),
            Some(_) => Err(BenchError::WorkerEnded(self.last_lines())),
        }
    }

    /// What it has used up to now.
    pub(super) fn usage(&self) -> Option<Usage> {
        usage::of(self.pid)
    }

    /// Asks it to end, and waits until it has recorded everything.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        terminate(self.pid);
        match timeout(END_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Err(error)) => Err(BenchError::Worker(error)),
            Ok(Ok(_)) | Err(_) => Err(BenchError::WorkerEnded(self.last_lines())),
        }
    }

    fn last_lines(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().cloned().collect::<Vec<_>>().join("\n")
    }
}
