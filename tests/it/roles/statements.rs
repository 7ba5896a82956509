//! Every statement of `src/store`, as each role: whoever needs it may run it, and nobody else.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{may, refused, run, with_logins};

/// Who may run a statement: its file or its first words; e: `callq_enqueue`, w: `callq_worker`,
/// r: `callq_report`, c: `callq_web`, -: nobody's.
const WHO: &[(&str, &str)] = &[
    ("apps.sql", "ew"),
    ("attest.sql", "w"),
    ("beat.sql", "w"),
    ("behind.sql", "ew"),
    ("cancel.sql", "e"),
    ("circuits.sql", "er"),
    ("claim.sql", "w"),
    ("codes.sql", ""),
    ("correct.sql", "w"),
    ("end_done.sql", "w"),
    ("end_due.sql", "ew"),
    ("enqueue.sql", "e"),
    ("expire.sql", "w"),
    ("fire.sql", "w"),
    ("follow_callbacks.sql", "w"),
    ("follow_heeded.sql", "w"),
    ("follow_hints.sql", "w"),
    ("follow_open.sql", "w"),
    ("follow_settled.sql", "ew"),
    ("fold_counts.sql", "w"),
    ("gauge.sql", "ew"),
    ("give_back.sql", "w"),
    ("grant.sql", "w"),
    ("history.sql", "ew"),
    ("SELECT extract(epoch FROM clock_timestamp())", "ewrc-"),
    ("lapse.sql", "w"),
    ("leave.sql", "w"),
    ("list.sql", "ew"),
    ("list_bounds.sql", "ew"),
    ("outcome.sql", "w"),
    ("pause.sql", "w"),
    ("pause_all.sql", "e"),
    ("pause_app.sql", "e"),
    ("prune.sql", ""),
    ("prune_step.sql", "w"),
    ("put_off.sql", "w"),
    ("receive.sql", "c"),
    ("record.sql", "w"),
    ("records.sql", "ew"),
    ("recover.sql", "e"),
    ("refuse.sql", "w"),
    ("report_attempts.sql", "er"),
    ("report_clock.sql", "er"),
    ("report_daily.sql", "er"),
    ("report_errors.sql", "er"),
    ("report_heatmap.sql", "er"),
    ("report_in_doubt.sql", "er"),
    ("report_lateness.sql", "er"),
    ("report_media.sql", "er"),
    ("report_minutes.sql", "er"),
    ("report_not_called.sql", "er"),
    ("report_schedules.sql", "er"),
    ("reschedule.sql", "e"),
    ("resolve.sql", "e"),
    ("resume_all.sql", "e"),
    ("resume_app.sql", "e"),
    ("retry.sql", "e"),
    ("schedule_apply.sql", "e"),
    ("schedule_backfill.sql", "e"),
    ("schedule_faults.sql", "ew"),
    ("schedule_firings.sql", "ew"),
    ("schedule_health.sql", "ew"),
    ("schedule_jobs.sql", "ew"),
    ("schedule_pause.sql", "e"),
    ("schedule_remove.sql", "e"),
    ("schedule_resume.sql", "e"),
    ("schedule_run.sql", "e"),
    ("schedule_skip.sql", "e"),
    ("schedule_withdraw.sql", "w"),
    ("schedules.sql", "e"),
    ("schedules_at_fault.sql", "w"),
    ("schedules_due.sql", "ew"),
    ("schedules_faulty.sql", "ew"),
    ("schedules_rezone.sql", "w"),
    ("schedules_wait.sql", "ew"),
    ("serve.sql", "w"),
    ("settings.sql", "ew"),
    ("settle.sql", "w"),
    ("show_attempts.sql", "e"),
    ("show_job.sql", "e"),
    ("skipped_firings.sql", "e"),
    ("skipped_prune.sql", "w"),
    ("slow_down.sql", "w"),
    ("status.sql", "ew"),
    ("stream_grant.sql", "w"),
    ("stream_heard.sql", "w"),
    ("stream_pause.sql", "w"),
    ("stream_said.sql", "w"),
    ("stream_take.sql", "w"),
    ("succeed.sql", "w"),
    ("sweep_done.sql", "w"),
    ("sweep_due.sql", "ew"),
    ("sweep_later.sql", "w"),
    ("sweep_lease.sql", "w"),
    ("sweep_leave.sql", "w"),
    ("trial_burden.sql", ""),
    ("trial_busy.sql", "ew"),
    ("trial_counters.sql", "ewrc-"),
    ("trial_fill.sql", "e"),
    ("trial_hold.sql", "ewrc-"),
    ("trial_server.sql", "ewrc-"),
    ("trial_tally.sql", "ew"),
    ("waiting.sql", "ewr"),
    ("workers.sql", "er"),
    (
        "INSERT INTO callq.jobs (robot_account, callees, run_at)",
        "ew",
    ),
    ("SELECT NULL AS app, pause_reason", "ew"),
    ("SELECT pg_notify('callq_pings'", "ewrc-"),
    (
        "SELECT schema_version, min_binary_version FROM callq.meta",
        "ewc",
    ),
];

/// Every statement that the program is compiled with.
fn statements() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let files = fs::read_dir(root).expect("the types of the statements are there");
    let text =
        files.map(|file| fs::read_to_string(file.expect("a file").path()).expect("it is text"));
    let json = text.map(|text| serde_json::from_str::<Value>(&text).expect("it is JSON"));
    json.map(|json| json["query"].as_str().expect("a statement").to_owned())
        .collect()
}

/// Whose it is, by its file or its first words.
fn whose(statement: &str) -> (&'static str, &'static str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let is_it = |name: &str| match fs::read_to_string(folder.join(name)) {
        Ok(text) => text.trim_end() == statement.trim_end(),
        Err(_) => statement.starts_with(name),
    };
    let found = WHO.iter().find(|(name, _)| is_it(name));
    *found.unwrap_or_else(|| panic!("say in this test who may run it: {statement}"))
}

#[tokio::test]
async fn every_statement_runs_as_the_roles_that_need_it_and_as_no_other() {
    with_logins(|database, logins, nobody| async move {
        // What a plan leaves out is not checked: values that are not known yet leave nothing out.
        run(&database, "SELECT callq.pause_all('x'); SELECT callq.resume_all()").await;
        let all = statements();
        assert_eq!(all.len(), WHO.len(), "each is in the table once");
        for statement in all {
            let (name, whose) = whose(&statement);
            for (letter, login) in ["e", "w", "r", "c", "-"].iter().zip(logins.iter().chain([&nobody])) {
                let mut session = login.connect().await;
                let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE it AS {statement}");
                let prepared = refused(&mut session, &prepare).await;
                let done = match prepared {
                    // A table of a schema that it may not even look into.
                    Some((code, _)) if code == "42501" => false,
                    Some((code, message)) => panic!("{name}: {code} {message}"),
                    None => {
                        let parameters: i32 = sqlx::query_scalar(
                            "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'it'",
                        )
                        .fetch_one(&mut session)
                        .await
                        .unwrap();
                        let nulls = vec!["NULL"; usize::try_from(parameters).unwrap()].join(", ");
                        let nulls = if nulls.is_empty() { nulls } else { format!("({nulls})") };
                        may(&mut session, &format!("EXPLAIN (COSTS OFF) EXECUTE it{nulls}")).await
                    }
                };
                assert_eq!(done, whose.contains(letter), "{letter}: {name}");
            }
        }
    })
    .await;
}
