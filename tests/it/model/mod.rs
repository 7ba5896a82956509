//! The protocol as a model, explored exhaustively: claim, send, reply, record, rescue, resolve, cancel,
//! give back and expire, in every order that a bounded number of workers, jobs and claims allows.
//!
//! - `setting`: how many of everything, and what is switched off.
//! - `state`: rows, memories of workers, bytes on the wire, and what really happened.
//! - `actions`: the steps, each with the function or statement that it stands for.
//! - `steps`, `rows`: what a step makes of the whole, and what a statement makes of its rows.
//! - `promises`: what holds in every state.
//! - `explore`: the search, with the crate `stateright`.
//! - `mutations`: one safeguard taken away at a time, and the promise that breaks.
//! - `names`: that what the steps stand for is there, and that their verdicts are the real ones.
//! - `replay`: ways through the model, gone with the real statements, client and sandbox.
//! - `living`: ways that a worker goes by itself, beside one that does.
//!
//! What it leaves out: follow-up jobs, priorities, the pace, probes of a paused app, rows that were written
//! with the rules switched off, and a network that delivers a request's bytes after its connection is
//! reset. A fault of the app does to its job what a throttle does.

mod actions;
mod explore;
mod living;
mod mutations;
mod names;
mod promises;
mod replay;
mod rows;
mod setting;
mod state;
mod steps;

use setting::{Answers, Machine, OnDoubt, Person, Setting};

const HOLD: Setting = Setting::SMALL;
const RETRY: Setting = Setting {
    on_doubt: OnDoubt::Retry,
    ..HOLD
};
const FEW: Setting = Setting {
    answers: Answers::Few,
    ..HOLD
};
const FEW_RETRY: Setting = Setting {
    on_doubt: OnDoubt::Retry,
    ..FEW
};

#[test]
fn two_workers_and_a_person_keep_every_promise_of_a_job_on_hold() {
    explore::holds(&HOLD);
}

#[test]
fn two_workers_and_a_person_keep_every_promise_of_a_job_that_rings_again() {
    explore::holds(&FEW_RETRY);
    explore::holds(&Setting {
        max_attempts: 1,
        ..FEW_RETRY
    });
}

#[test]
fn a_deadline_is_kept_at_every_moment_at_which_it_can_pass() {
    for policy in [HOLD, RETRY] {
        for deadline in [1, 2] {
            let alone = Setting {
                deadline,
                person: Person::Absent,
                ..policy.clone()
            };
            explore::holds(&alone);
        }
        explore::holds(&Setting {
            deadline: 2,
            claims: 1,
            ..policy
        });
    }
}

#[test]
fn three_workers_keep_every_promise() {
    let three = Setting {
        workers: 3,
        claims: 3,
        max_attempts: 3,
        person: Person::Absent,
        ..FEW
    };
    explore::holds(&three);
}

#[test]
fn two_jobs_of_one_claim_keep_every_promise() {
    let two = Setting {
        jobs: 2,
        claims: 1,
        max_attempts: 1,
        person: Person::Absent,
        ..FEW
    };
    explore::holds(&two);
}

#[test]
fn a_person_who_is_wrong_is_the_only_one_to_make_a_job_on_hold_ring_twice() {
    // A second ring breaks a promise unless somebody asked for it, and it is come upon.
    let wrong = Setting {
        person: Person::MayBeWrong,
        ..FEW
    };
    explore::comes_to("the phone rings twice", &wrong, |job| job.truth.rings == 2);
}

#[test]
fn a_machine_paused_between_the_check_and_the_write_is_the_exception_that_the_promises_name() {
    let paused = |setting| Setting {
        machine: Machine::MayBePaused,
        ..setting
    };
    explore::finds(&paused(FEW), promises::Promise::NoSecondRingByMistake);
    explore::finds(
        &paused(Setting { deadline: 2, ..FEW }),
        promises::Promise::NoRequestPastTheDeadline,
    );
}

#[test]
#[ignore = "minutes and gigabytes: make model"]
fn larger_settings_keep_every_promise() {
    let three = Setting {
        workers: 3,
        claims: 3,
        max_attempts: 3,
        ..FEW
    };
    for setting in [
        RETRY,
        Setting {
            deadline: 2,
            ..HOLD
        },
        Setting {
            deadline: 2,
            ..RETRY
        },
        Setting {
            deadline: 4,
            ..FEW_RETRY
        },
        Setting {
            person: Person::MayBeWrong,
            ..RETRY
        },
        Setting {
            person: Person::Absent,
            on_doubt: OnDoubt::Retry,
            ..three.clone()
        },
        Setting {
            person: Person::Absent,
            jobs: 2,
            claims: 2,
            ..FEW
        },
        Setting {
            workers: 2,
            ..three
        },
    ] {
        explore::holds(&setting);
    }
}
