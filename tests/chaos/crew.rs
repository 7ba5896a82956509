//! The worker processes. Each has proxies of its own to the database and to the host, is started
//! anew when it ends, and everything that happens to it is kept for the judge.

use std::{
    fs::{File, OpenOptions},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use callq::sandbox::{SANDBOX_ADMIN_ACCOUNT, SANDBOX_SDK_APP_ID, SANDBOX_SECRET_KEY, Sandbox};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};

use crate::{
    program::callq,
    proxy::{Mode, Proxy, Upstream},
    schedule::Link,
    skew,
};

/// How a worker is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) concurrency: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) calls_per_second: u32,
    /// How long every answer takes.
    pub(crate) answer_delay: Duration,
}

impl Terms {
    /// How long a worker may take to reach the host.
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(2).min(self.request_timeout / 2)
    }
}

/// One worker process from its start to its end. Times are in microseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) worker: usize,
    pub(crate) pid: u32,
    pub(crate) started_us: i64,
    /// By how much its wall clock was wrong.
    #[allow(dead_code, reason = "read in a failure's history")]
    pub(crate) skew_s: i64,
    /// What it was sent, and when.
    pub(crate) signals: Vec<(i64, i32)>,
    pub(crate) ended: Option<End>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    #[allow(dead_code, reason = "read in a failure's history")]
    pub(crate) at_us: i64,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

impl Life {
    pub(crate) fn got(&self, signal: i32) -> impl Iterator<Item = i64> {
        let got = self.signals.iter().filter(move |(_, s)| *s == signal);
        got.map(|(at_us, _)| *at_us)
    }

    /// It ended because it was asked to, with every result written.
    pub(crate) fn ended_well(&self) -> bool {
        self.ended.is_some_and(|end| end.code == Some(0))
    }

    /// When it was killed.
    pub(crate) fn killed_us(&self) -> Option<i64> {
        let killed = self
            .ended
            .is_some_and(|end| end.signal == Some(libc::SIGKILL));
        killed.then(|| self.got(libc::SIGKILL).next()).flatten()
    }

    /// Whether it did not run at some moment of this span.
    pub(crate) fn stood_still(&self, from_us: i64, until_us: i64) -> bool {
        let stops: Vec<i64> = self.got(libc::SIGSTOP).collect();
        let goes: Vec<i64> = self.got(libc::SIGCONT).collect();
        stops.iter().any(|stop| {
            let end = goes.iter().find(|go| *go >= stop).copied();
            *stop <= until_us && end.is_none_or(|end| end >= from_us)
        })
    }
}

enum Order {
    Signal(i32),
    /// Ends it with SIGTERM and starts no other.
    Retire,
}

struct Post {
    database: Proxy,
    host: Proxy,
    orders: mpsc::UnboundedSender<Order>,
    working: JoinHandle<()>,
}

/// All worker processes.
pub(crate) struct Crew {
    posts: Vec<Post>,
    lives: Arc<Mutex<Vec<Life>>>,
}

impl Crew {
    /// Starts so many workers of the database at `url` and of the sandbox.
    pub(crate) async fn start(
        workers: usize,
        url: &str,
        sandbox: &Sandbox,
        terms: Terms,
        folder: &Path,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let lives = Arc::default();
        let mut posts = Vec::new();
        let skewing = skew::library(folder);
        if skewing.is_none() {
            crate::left_out("clock skew (no C compiler, or the library does not work)");
        }
        for worker in 0..workers {
            let (database, url) = Proxy::to_database(url).await;
            let host = Proxy::to(Upstream::Tcp(sandbox.address()));
            let (orders, received) = mpsc::unbounded_channel();
            let hand = Hand {
                worker,
                url,
                host: host.http_url(),
                terms,
                log: folder.join(format!("worker-{worker}.log")),
                skewing: skewing.clone(),
                rng: rng.fork(),
                lives: Arc::clone(&lives),
            };
            posts.push(Post {
                database,
                host,
                orders,
                working: tokio::spawn(hand.work(received)),
            });
        }
        Self { posts, lives }
    }

    pub(crate) fn signal(&self, worker: usize, signal: i32) {
        let _retired = self.posts[worker].orders.send(Order::Signal(signal));
    }

    pub(crate) fn link(&self, worker: usize, link: Link) -> &Proxy {
        match link {
            Link::Database => &self.posts[worker].database,
            Link::Host => &self.posts[worker].host,
        }
    }

    pub(crate) fn links(&self, link: Link) -> impl Iterator<Item = &Proxy> {
        (0..self.posts.len()).map(move |worker| self.link(worker, link))
    }

    /// Nothing speaks against working any more.
    pub(crate) fn heal(&self) {
        for worker in 0..self.posts.len() {
            self.signal(worker, libc::SIGCONT);
            self.link(worker, Link::Database).set(Mode::Pass);
            self.link(worker, Link::Host).set(Mode::Pass);
        }
    }

    /// Ends all, each with SIGTERM.
    pub(crate) async fn retire(&mut self) {
        for post in &self.posts {
            let _retired = post.orders.send(Order::Retire);
        }
        for post in &mut self.posts {
            (&mut post.working).await.expect("no panic");
        }
    }

    pub(crate) fn lives(&self) -> Vec<Life> {
        locked(&self.lives).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now_us() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Keeps one worker running.
struct Hand {
    worker: usize,
    url: String,
    host: String,
    terms: Terms,
    log: PathBuf,
    skewing: Option<PathBuf>,
    rng: fastrand::Rng,
    lives: Arc<Mutex<Vec<Life>>>,
}

impl Hand {
    async fn work(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let (mut child, life) = self.begin();
            let (status, retired) = loop {
                tokio::select! {
                    status = child.wait() => break (status, false),
                    order = orders.recv() => match order {
                        Some(Order::Signal(signal)) => self.send(&child, life, signal),
                        Some(Order::Retire) => {
                            self.send(&child, life, libc::SIGCONT);
                            self.send(&child, life, libc::SIGTERM);
                            break (child.wait().await, true);
                        }
                        None => return,
                    }
                }
            };
            let status = status.expect("a child can be waited for");
            locked(&self.lives)[life].ended = Some(End {
                at_us: now_us(),
                code: status.code(),
                signal: status.signal(),
            });
            if retired {
                return;
            }
            if status.code().is_some_and(|code| code != 0) {
                // As a service manager would: not at once.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    fn begin(&mut self) -> (Child, usize) {
        let skew_s = match (&self.skewing, self.rng.u32(..3)) {
            (None, _) | (_, 0) => 0,
            _ => self.rng.i64(-100_000..100_000),
        };
        let started_us = now_us();
        let child = self.command(skew_s).spawn().expect("a worker starts");
        let mut lives = locked(&self.lives);
        lives.push(Life {
            worker: self.worker,
            pid: child.id().expect("it has not been waited for"),
            started_us,
            skew_s,
            signals: Vec::new(),
            ended: None,
        });
        (child, lives.len() - 1)
    }

    fn command(&self, skew_s: i64) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log: File = log.expect("a test may write files");
        let ms = |time: Duration| time.as_millis().to_string();
        let mut command = callq(["worker", "--poll-interval-ms", "500"]);
        command
            .args(["--concurrency", &self.terms.concurrency.to_string()])
            .args(["--request-timeout-ms", &ms(self.terms.request_timeout)])
            .args(["--lease-ms", &ms(self.terms.lease)])
            .env("DATABASE_URL", &self.url)
            .env("CALLQ_HOST", &self.host)
            .env("CALLQ_SDK_APP_ID", SANDBOX_SDK_APP_ID.to_string())
            .env("CALLQ_ADMIN_ACCOUNT", SANDBOX_ADMIN_ACCOUNT)
            .env("CALLQ_SECRET_KEY", SANDBOX_SECRET_KEY)
            .env(
                "CALLQ_CALLS_PER_SECOND",
                self.terms.calls_per_second.to_string(),
            )
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(library) = self.skewing.as_ref().filter(|_| skew_s != 0) {
            command
                .env("LD_PRELOAD", library)
                .env(skew::VARIABLE, skew_s.to_string());
        }
        command
    }

    #[allow(unsafe_code, reason = "std can only kill a child")]
    fn send(&self, child: &Child, life: usize, signal: i32) {
        let Some(pid) = child.id() else { return };
        let pid = libc::pid_t::try_from(pid).expect("a process id");
        let at_us = now_us();
        // SAFETY: two integers; the child is not reaped yet, so the number is its own.
        unsafe { libc::kill(pid, signal) };
        locked(&self.lives)[life].signals.push((at_us, signal));
    }
}
