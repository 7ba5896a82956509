//! The server's process: run from a thread of its own, watched, stopped, and never left behind.

use std::{
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, Weak, mpsc},
    thread,
    time::{Duration, Instant},
};

use super::{DevError, Directory, Durability, LogTail, os};

/// Fresh data are ready in 50 ms; recovery after a crash of the machine may read much.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// What each way of stopping is given before the next, harder one: SIGINT (disconnects clients,
/// writes a checkpoint), SIGQUIT (no checkpoint: recovery at the next start), SIGKILL.
const STOP_LADDER: [(i32, Duration); 3] = [
    (libc::SIGINT, Duration::from_secs(10)),
    (libc::SIGQUIT, Duration::from_secs(5)),
    (libc::SIGKILL, Duration::from_secs(5)),
];

/// A standby accepts "read-only connections".
const READY_LINE: &str = "ready to accept";

/// A longer line is cut in pieces of this size: the log of a private server must not fill the
/// memory.
const MAX_LINE_BYTES: u64 = 8192;

/// Every server of this process, for the exit hook. `Drop` alone is not enough: statics are never
/// dropped, and `exit()` drops nothing.
static RUNNING: Mutex<Vec<Weak<Process>>> = Mutex::new(Vec::new());
static EXIT_HOOK: Once = Once::new();

/// A server that was started.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    watch: Arc<Watch>,
    /// Taken out by the first stop.
    directory: Mutex<Option<Directory>>,
}

/// What the threads of a server tell each other.
#[derive(Debug, Default)]
struct Watch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    log: LogTail,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Starting,
    Ready,
    /// Ended and reaped: its process id may already be somebody else's.
    Ended,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Takes the next phase, and never leaves the last one: the log's reader and the waiter race.
    fn reach(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Ended {
            state.phase = phase;
        }
        self.changed.notify_all();
    }

    /// Waits until the server has left `phase`, or the time has passed.
    fn wait_while(&self, within: Duration, phase: impl Fn(Phase) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        while phase(state.phase) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                break;
            };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }
}

/// What these locks guard is valid after every step, and the exit hook must not panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts the server and waits until it accepts connections. Takes care of the directory from
    /// here on.
    pub(super) fn start(
        mut command: Command,
        durability: Durability,
        directory: Directory,
    ) -> Result<Arc<Self>, DevError> {
        EXIT_HOOK.call_once(|| {
            // Without the hook the kernel still ends the server; only a temporary folder stays, to
            // be swept.
            let _swept_later = os::at_exit(stop_all);
        });
        // A group of its own: Ctrl-C in the terminal is for us alone, who stop the server last.
        command
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        os::end_with_parent(
            &mut command,
            match durability {
                Durability::Throwaway => libc::SIGQUIT,
                Durability::Durable => libc::SIGINT,
            },
        );

        let watch = Arc::new(Watch::default());
        let (spawned, pid) = mpsc::channel();
        let for_thread = Arc::clone(&watch);
        // The kernel ends the server with the thread that spawned it, and a runtime's threads may
        // end early.
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || match command.spawn() {
                Ok(child) => {
                    let _starter_waits = spawned.send(Ok(child.id()));
                    supervise(child, &for_thread);
                }
                Err(error) => {
                    let _starter_waits = spawned.send(Err(error));
                }
            })
            .map_err(DevError::Spawn)?;
        let pid = pid
            .recv()
            .expect("the thread sends before it ends")
            .map_err(DevError::Spawn)?;
        let process = Arc::new(Self {
            pid,
            watch,
            directory: Mutex::new(Some(directory)),
        });
        locked(&RUNNING).push(Arc::downgrade(&process));

        let state = process
            .watch
            .wait_while(READY_WITHIN, |phase| phase == Phase::Starting);
        let (phase, log) = (state.phase, state.log.text());
        drop(state);
        let failure = match phase {
            Phase::Ready => return Ok(process),
            Phase::Ended => DevError::Ended { log },
            Phase::Starting => DevError::NotReady {
                waited_s: READY_WITHIN.as_secs(),
                log,
            },
        };
        // The failure to start is the news; what cannot be removed now is swept later.
        let _swept_later = process.stop();
        Err(failure)
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn log_tail(&self) -> String {
        self.watch.lock().log.text()
    }

    /// Stops the server and removes what must not stay. A second call does nothing.
    pub(super) fn stop(&self) -> Result<(), DevError> {
        let Some(directory) = locked(&self.directory).take() else {
            return Ok(());
        };
        for (signal, patience) in STOP_LADDER {
            {
                // Under the lock: the process is reaped under it too, so the id is still our
                // server's.
                let state = self.watch.lock();
                if state.phase == Phase::Ended {
                    break;
                }
                if let Ok(pid) = i32::try_from(self.pid) {
                    let _ended_already = os::send_signal(pid, signal);
                }
            }
            drop(
                self.watch
                    .wait_while(patience, |phase| phase != Phase::Ended),
            );
        }
        locked(&RUNNING).retain(|process| !std::ptr::eq(process.as_ptr(), self));
        directory.clean_up()
    }
}

/// Stops every server that is still running when the process exits.
///
/// The runtime of the main thread is gone by now: nothing in here may log or use thread-local
/// storage.
extern "C" fn stop_all() {
    let running: Vec<_> = locked(&RUNNING).iter().filter_map(Weak::upgrade).collect();
    for process in running {
        let _swept_later = process.stop();
    }
}

/// Reads the server's log to its end, reaps the server, and says so.
fn supervise(mut child: Child, watch: &Arc<Watch>) {
    let reader = child.stderr.take().map(|stderr| {
        let for_log = Arc::clone(watch);
        thread::Builder::new()
            .name("postgres-log".to_owned())
            .spawn(move || read_log(stderr, &for_log))
    });
    match reader {
        Some(Ok(reader)) => {
            os::wait_for_end(child.id());
            // The log ends when the last of the server's processes does: from then on its files are
            // not touched.
            let _read = reader.join();
        }
        // Without a reader the server would block on its log: end it, and the start reports that.
        _ => drop(child.kill()),
    }
    os::wait_for_end(child.id());
    let mut state = watch.lock();
    let _reaped = child.wait();
    state.phase = Phase::Ended;
    watch.changed.notify_all();
}

fn read_log(stderr: ChildStderr, watch: &Watch) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(
        (&mut reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line),
        Ok(1..)
    ) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let is_ready = text.contains(READY_LINE);
        watch.lock().log.push(text);
        if is_ready {
            watch.reach(Phase::Ready);
        }
        line.clear();
    }
}

/// Runs a program that ends by itself; what it said is the error if it failed.
pub(super) fn run_to_end(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let mut tail = LogTail::default();
    for text in [&output.stdout, &output.stderr] {
        String::from_utf8_lossy(text)
            .lines()
            .for_each(|line| tail.push(line.to_owned()));
    }
    Err(tail.text())
}
