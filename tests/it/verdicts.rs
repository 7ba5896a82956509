//! Every code of the table of verdicts, from the sandbox's answer to the job's row.

use std::time::Duration;

use callq::call::Class;
use callq::call::JobDefaults;
use callq::sandbox::SANDBOX_SECRET_KEY;
use callq::tencent::{verdict, verdicts};
use callq::worker::WorkerApp;

use crate::support::rig::{Rig, client};

/// Codes that are in no table; the last two are larger than any that Tencent has.
const UNKNOWN: [i64; 5] = [1, -1, 60_001, 4_294_967_296, i64::MAX];

/// What the database says of one job, when its worker has stopped.
#[derive(Debug, sqlx::FromRow)]
struct Ended {
    app: String,
    state: String,
    reason: String,
    attempt: i32,
    attempts_used: i32,
    error_code: Option<i64>,
    told: bool,
    waits_s: f64,
    classes: Vec<String>,
    paused: Option<String>,
    slowed: bool,
}

const ENDED: &str = "
    SELECT j.app, j.state::text, j.reason, j.attempt, j.attempts_used, j.error_code,
        coalesce(j.error_info <> '', false) AND j.request_id IS NOT NULL AS told,
        extract(epoch FROM coalesce(j.lease_until, j.due_at) - now())::float8 AS waits_s,
        (SELECT array_agg(t.class::text ORDER BY t.attempt) FROM callq.attempts AS t
         WHERE t.job_id = j.id AND t.state = 'replied') AS classes,
        a.pause_reason AS paused, a.throttled_at IS NOT NULL AS slowed
    FROM callq.jobs AS j JOIN callq.apps AS a USING (app)";

/// Each code has an app of its own, so that the pause that one brings holds up no other.
fn app_of(code: i64) -> String {
    format!("code {code}")
}

#[tokio::test]
async fn every_code_leads_to_the_state_reason_attempts_and_time_of_its_class() {
    let rig = Rig::new().await;
    let codes: Vec<i64> = verdicts().map(|(code, _)| code).chain(UNKNOWN).collect();
    assert!(codes.len() > 80, "the table and what is not in it");
    let mut config = rig.config();
    config.apps = codes
        .iter()
        .map(|code| WorkerApp {
            name: app_of(*code),
            client: client(
                &rig.sandbox.url(),
                SANDBOX_SECRET_KEY,
                Duration::from_secs(8),
            ),
            ingest: None,
            cam_again: None,
            user_sigs_again: None,
            calls_per_second: Some(5000.0),
            defaults: JobDefaults::default(),
        })
        .collect();
    let worker = rig.worker_with(config).await;
    for code in &codes {
        let callee = if *code == 0 {
            // Who talks for an hour: the call is still placed when all others are looked at.
            "talk-3600-jack".to_owned()
        } else {
            format!("code-{code}-jack")
        };
        rig.insert(&callee, &[("app", &format!("'{}'", app_of(*code)))])
            .await;
    }
    for (n, code) in codes.iter().enumerate() {
        let id = i64::try_from(n).expect("few codes") + 1;
        let class = verdict(*code).class;
        rig.until(id, |job| {
            let waits = job.state == "scheduled" && job.attempt > 0;
            match class {
                // The first is refused for a UserSig that may be old, the second is not.
                Class::AppFreshSig | Class::AppOrJob => waits && job.attempt > 1,
                _ => waits || !matches!(job.state.as_str(), "scheduled" | "dialing"),
            }
        })
        .await;
        if class == Class::Throttled {
            // What the database is told beside the flow comes with the next throttle, if not with this.
            let slowed = format!(
                "SELECT throttled_at IS NOT NULL FROM callq.apps WHERE app = '{}'",
                app_of(*code)
            );
            rig.until_value(&slowed, |slowed: &bool| *slowed).await;
        }
    }
    worker.stop().await.unwrap();
    rig.audit().await;
    let ended: Vec<Ended> = sqlx::query_as(ENDED)
        .fetch_all(rig.db.pool())
        .await
        .unwrap();
    assert_eq!(ended.len(), codes.len());
    for code in codes {
        let name = app_of(code);
        let job = ended.iter().find(|job| job.app == name).expect("its job");
        check(code, job);
    }
}

/// Holds one job against what the design says of its class.
#[track_caller]
fn check(code: i64, job: &Ended) {
    let class = verdict(code).class;
    let all = |class: &str| job.classes.iter().all(|c| c == class) && !job.classes.is_empty();
    let is = |state: &str, reason: &str, used: i32| {
        (&*job.state, &*job.reason, job.attempts_used) == (state, reason, used)
    };
    let app_is_left_alone = job.paused.is_none() && !job.slowed;
    let good = match class {
        Class::Accepted => {
            is("placed", "accepted", 0) && job.attempt == 1 && all("accepted") && app_is_left_alone
        }
        Class::InDoubt => {
            let six_days = 6.0 * 86_400.0;
            is("in_doubt", "reply_in_doubt", 1)
                && job.attempt == 1
                && all("in_doubt")
                && (six_days - 120.0..=six_days).contains(&job.waits_s)
                && app_is_left_alone
        }
        Class::Cannot => {
            is("failed", "refused", 0) && job.attempt == 1 && all("cannot") && app_is_left_alone
        }
        Class::Throttled => {
            is("scheduled", "throttled", 0)
                && all("safe")
                && job.waits_s <= 60.0
                && job.paused.is_none()
                && job.slowed
        }
        Class::QuotaUsed => {
            is("scheduled", "quota_used", 0)
                && all("safe")
                && job.waits_s <= 0.0
                && job.paused.as_deref() == Some("quota_used")
        }
        // Due again at once: another try may come before the pause is written.
        Class::App | Class::AppBackOff => {
            is("scheduled", "app_fault", 0)
                && job.attempt >= 1
                && all("app")
                && job.waits_s <= 0.0
                && job.paused.as_deref() == Some("app_fault")
        }
        Class::AppFreshSig | Class::AppOrJob => {
            is("scheduled", "app_fault", 0)
                && job.attempt >= 2
                && all("app")
                && job.paused.as_deref() == Some("app_fault")
        }
        Class::Safe => unreachable!("no code has it: it is for what was not sent"),
    };
    assert!(good, "{code}, {class:?}: {job:?}");
    assert_eq!(job.error_code, Some(code), "{job:?}");
    assert!(
        code == 0 || job.told,
        "text and RequestId are kept: {job:?}"
    );
}
