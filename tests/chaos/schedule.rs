//! What goes wrong and when: drawn from the seed alone, so that a seed repeats it.

use std::time::Duration;

use callq::sandbox::{Fault as Script, FaultKind};

/// How many worker processes there are.
pub(crate) const WORKERS: usize = 3;

/// How PostgreSQL goes down.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Down {
    /// Clients are cut off, everything is written.
    Fast,
    /// As a crash: the next start recovers.
    Immediate,
    /// One of its processes is killed, so that it starts anew by itself.
    Crash,
}

/// One side of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    Database,
    Host,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Kill(usize),
    Term(usize),
    /// SIGSTOP, and SIGCONT after this.
    Stop(usize, Duration),
    Postgres(Down),
    /// Some of the workers' sessions are terminated.
    Backends,
    Cut(usize, Link),
    /// Every byte is swallowed and no connection closes.
    Silent(usize, Link, Duration),
    Refused(usize, Link, Duration),
    /// No worker reaches the database.
    DatabaseAway(Duration),
    /// No worker reaches Tencent.
    HostAway(Duration),
    DiskFull(Duration),
    /// An open session holds rows of jobs that are due or dialing.
    Locks(Duration),
    Answers(Script),
    /// Tencent refuses the app until a person resumes it after this.
    AppRefused(Duration),
}

/// One entry of the schedule.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
}

/// The faults of so long a run.
pub(crate) fn of(seed: u64, long: Duration) -> Vec<Event> {
    let mut draw = Draw {
        rng: fastrand::Rng::with_seed(seed),
        // A whole minute without a database takes a long run.
        away_max_ms: if long >= Duration::from_mins(10) {
            60_000
        } else {
            8_000
        },
    };
    let (mut events, mut at) = (Vec::new(), Duration::from_secs(2));
    while at < long {
        let fault = draw.fault();
        events.push(Event { at, fault });
        at += draw.ms(200..1400);
    }
    events
}

struct Draw {
    rng: fastrand::Rng,
    away_max_ms: u64,
}

impl Draw {
    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.u64(range))
    }

    fn link(&mut self) -> Link {
        if self.rng.bool() {
            Link::Database
        } else {
            Link::Host
        }
    }

    fn fault(&mut self) -> Fault {
        let worker = self.rng.usize(..WORKERS);
        match self.rng.u32(..100) {
            0..18 => Fault::Kill(worker),
            18..24 => Fault::Term(worker),
            // The lease is 4.5 s: some stops are shorter, most are longer.
            24..32 => Fault::Stop(worker, self.ms(1000..8000)),
            32..35 => Fault::Postgres(Down::Fast),
            35..38 => Fault::Postgres(Down::Immediate),
            38..41 => Fault::Postgres(Down::Crash),
            41..45 => Fault::Backends,
            45..51 => Fault::Cut(worker, self.link()),
            51..60 => Fault::Silent(worker, self.link(), self.ms(500..7000)),
            60..65 => Fault::Refused(worker, self.link(), self.ms(500..5000)),
            65..67 => Fault::DatabaseAway(self.ms(1000..self.away_max_ms)),
            67..69 => Fault::HostAway(self.ms(1000..6000)),
            69..71 => Fault::DiskFull(self.ms(1000..4000)),
            71..75 => Fault::Locks(self.ms(1000..8000)),
            75..77 => Fault::AppRefused(self.ms(1000..3000)),
            _ => Fault::Answers(self.answers()),
        }
    }

    /// Some of the next answers are spoilt.
    fn answers(&mut self) -> Script {
        let kind = match self.rng.u32(..13) {
            0 => FaultKind::ErrorCode(60_008),
            1 => FaultKind::ErrorCode(60_007),
            2 => FaultKind::ErrorCode(60_011),
            3 => FaultKind::ErrorCode(80_001),
            4 => FaultKind::ErrorCode(987_654),
            5 => FaultKind::HttpStatus(502),
            6 => FaultKind::CloseBeforeReading,
            7 => FaultKind::CloseAfterReading,
            8 => FaultKind::Garbage,
            9 => FaultKind::Stall,
            10 => FaultKind::TruncatedBody,
            11 => FaultKind::Redirect,
            _ => FaultKind::Delay,
        };
        let times = match kind {
            // Each halves the pace, which then takes its time to recover.
            FaultKind::ErrorCode(60_007 | 60_011) => 1,
            _ => self.rng.u32(1..15),
        };
        let script = Script::new(kind).times(times);
        match kind {
            FaultKind::Delay => script.delayed_ms(self.rng.u64(50..1200)),
            // The worst case for a client: the phone rings and the answer does not say so.
            FaultKind::ErrorCode(60_008 | 987_654)
            | FaultKind::HttpStatus(_)
            | FaultKind::Redirect
                if self.rng.bool() =>
            {
                script.that_rings()
            }
            _ => script,
        }
    }
}
