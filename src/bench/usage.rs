//! What processes of this machine have used, as Linux tells it below `/proc`.

use std::fs;

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 wherever Linux runs.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Seconds of a core, in user and in kernel mode.
    pub(super) cpu_s: f64,
    /// The most memory that was resident, in bytes.
    pub(super) peak_bytes: f64,
}

/// Of one process; `None` if it is gone or this is not Linux.
pub(super) fn of(pid: u32) -> Option<Usage> {
    let times = Times::of(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = peak?.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(Usage {
        cpu_s: times.own / TICKS_PER_SECOND,
        peak_bytes: kib * 1024.0,
    })
}

/// Seconds of a core that a PostgreSQL server has used: its first process, those that it still has
/// and those that have ended. `session` is the process of one session.
pub(super) fn of_server(session: i32) -> Option<f64> {
    let session = Times::of(session.try_into().ok()?)?;
    if session.name != "postgres" {
        return None;
    }
    // A session that ends meanwhile is with neither those that are there nor those that have ended.
    loop {
        let before = Times::of(session.parent)?;
        let ticks = of_children(session.parent)?;
        let after = Times::of(session.parent)?;
        if before
            .of_ended_children
            .total_cmp(&after.of_ended_children)
            .is_eq()
        {
            return Some((after.own + after.of_ended_children + ticks) / TICKS_PER_SECOND);
        }
    }
}

/// Ticks of the processes that a process has.
fn of_children(parent: u32) -> Option<f64> {
    let mut ticks = 0.0;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let child = pid.and_then(Times::of);
        ticks += child.map_or(0.0, |child| {
            if child.parent == parent {
                child.own
            } else {
                0.0
            }
        });
    }
    Some(ticks)
}

#[derive(Debug, PartialEq)]
struct Times {
    name: String,
    parent: u32,
    own: f64,
    of_ended_children: f64,
}

impl Times {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name may hold anything, brackets and spaces included; what follows does not.
    fn read(stat: &str) -> Option<Self> {
        let (before, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some(Self {
            name: before.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            of_ended_children: number(13)? + number(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_read_whatever_the_programs_name_is() {
        let line = "7 (a) b (c) S 3 7 7 0 -1 4194560 1 2 3 4 150 50 20 5 20 0 1 0 9 1 1";
        let times = Times::read(line).expect("it is whole");
        assert_eq!((times.name.as_str(), times.parent), ("a) b (c", 3));
        assert!((times.own - 200.0).abs() < f64::EPSILON);
        assert!((times.of_ended_children - 25.0).abs() < f64::EPSILON);
        assert_eq!(Times::read("7 (cut"), None);
    }
}
