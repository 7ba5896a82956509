//! `callq recover`: what it holds, and what it refuses.

use crate::support::program::{Ended, callq, run};
use crate::support::rig::Rig;

async fn recover(rig: &Rig, arguments: &[&str]) -> Ended {
    let all = ["recover"].iter().chain(arguments).copied();
    run(callq(all).env("DATABASE_URL", rig.db.url())).await
}

/// A job as the restored database has it.
async fn job(rig: &Rig, callee: &str, state: &str, columns: &[(&str, &str)]) -> i64 {
    let id = rig.insert(callee, columns).await;
    let attempt = |attempt_state: &str, class: &str| {
        format!(
            "INSERT INTO callq.attempts (job_id, attempt, claim_token, state, class, app, worker, room_id, room_id_type, random, due_at, claimed_at)
             VALUES ({id}, 1, gen_random_uuid(), '{attempt_state}', {class}, 'default', 'w', 'room', 2, 7, now(), now() - interval '5 minutes')"
        )
    };
    let set = |set: &str| format!("UPDATE callq.jobs SET {set} WHERE id = {id}");
    match state {
        "dialing" => {
            rig.sql(&attempt("claimed", "NULL")).await;
            rig.sql(&set("state = 'dialing', attempt = 1, claim_token = gen_random_uuid(), lease_until = now()")).await;
        }
        "in_doubt" => {
            rig.sql(&attempt("unknown", "'in_doubt'")).await;
            rig.sql(&set("state = 'in_doubt', reason = 'reply_unknown', attempt = 1, attempts_used = 1, lease_until = now() + interval '1 minute'")).await;
        }
        "expired" => {
            rig.sql(&set(
                "state = 'expired', reason = 'expired_pace', finished_at = now()",
            ))
            .await;
        }
        _ => {}
    }
    id
}

#[tokio::test]
async fn it_holds_what_may_have_been_rung_and_nothing_else() {
    let rig = Rig::new().await;
    rig.sql("INSERT INTO callq.witnesses VALUES ('gone', now() - interval '10 minutes', 1)")
        .await;
    rig.sql("UPDATE callq.meta SET history_accepted_at = now() - interval '1 day', history_timeline = 9").await;
    let ago = |text: &str| format!("now() - interval '{text}'");
    let (long, recent) = (ago("30 minutes"), ago("5 minutes"));
    let held = [
        // Due before the gap, or in it.
        job(&rig, "backlog", "scheduled", &[("run_at", &long)]).await,
        job(
            &rig,
            "due",
            "scheduled",
            &[("run_at", &recent), ("on_doubt", "'retry'")],
        )
        .await,
        // Its deadline passed in the gap: it may have been rung before.
        job(
            &rig,
            "late",
            "scheduled",
            &[("run_at", &long), ("ttl", "'25 minutes'")],
        )
        .await,
        job(&rig, "dialing", "dialing", &[("on_doubt", "'retry'")]).await,
        job(&rig, "doubt", "in_doubt", &[("on_doubt", "'retry'")]).await,
    ];
    let left = [
        job(
            &rig,
            "future",
            "scheduled",
            &[("run_at", "now() + interval '1 hour'")],
        )
        .await,
        job(
            &rig,
            "over",
            "scheduled",
            &[("run_at", &ago("2 hours")), ("ttl", "'1 hour'")],
        )
        .await,
        job(&rig, "held", "in_doubt", &[]).await,
        job(&rig, "ended", "expired", &[("run_at", &recent)]).await,
    ];
    let counted = recover(&rig, &["--since", "11m ago", "--dry-run", "--json"])
        .await
        .with_code(0);
    let counted: serde_json::Value = serde_json::from_str(&counted.text()).unwrap();
    assert_eq!(
        (&counted["due"], &counted["dialing"], &counted["in_doubt"]),
        (&3.into(), &1.into(), &1.into())
    );
    assert_eq!(counted["was"], "older");
    assert_eq!(
        rig.value::<i64>("SELECT count(*) FROM callq.jobs WHERE reason = 'history_lost'")
            .await,
        0
    );

    recover(&rig, &["--since", "11m ago", "--yes"])
        .await
        .with_code(0);
    let untouched: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM callq.jobs WHERE reason IS DISTINCT FROM 'history_lost' ORDER BY id",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap();
    assert_eq!(untouched, left);
    for id in held {
        let job = rig.job(id).await;
        assert_eq!(
            (job.state.as_str(), job.attempt, job.attempts_used),
            ("in_doubt", 1, 1),
            "{id}"
        );
        assert!(rig.value::<bool>(&format!("SELECT bool_and(class = 'in_doubt' AND state = 'unknown') FROM callq.attempts WHERE job_id = {id}")).await);
    }
    let shown =
        run(callq(["jobs", "show", &held[1].to_string()]).env("DATABASE_URL", rig.db.url())).await;
    assert!(shown.text().contains("Next: unresolved at "), "{shown}");
    // Its policies do not ring them, and time ends them as what they are.
    let evidence =
        "SELECT DISTINCT evidence_looked_for FROM callq.in_doubt WHERE reason = 'history_lost'";
    assert_eq!(rig.value::<String>(evidence).await, "a person");
    rig.sql("UPDATE callq.jobs SET lease_until = now() - interval '1 second' WHERE reason = 'history_lost'").await;
    rig.sql("UPDATE callq.attempts SET claimed_at = now() - interval '7 days'")
        .await;
    let worker = rig.worker().await;
    for id in held {
        rig.until_state(id, "unresolved").await;
    }
    rig.until_state(left[1], "expired").await;
    worker.stop().await.unwrap();
    assert!(rig.sandbox.ledger().requests().is_empty());
    // Once more is harmless: there is nothing left to hold.
    let again = recover(&rig, &["--since", "11m ago", "--yes"])
        .await
        .with_code(0);
    assert!(
        again.stderr.contains("workers go by this database"),
        "{again}"
    );
    assert!(again.text().starts_with("held 0 jobs"), "{again}");
}

#[tokio::test]
async fn until_spares_what_became_due_when_no_worker_was_left() {
    let rig = Rig::new().await;
    rig.sql("UPDATE callq.meta SET history_accepted_at = now() - interval '1 hour', history_timeline = 9").await;
    let early = rig
        .insert(
            "early",
            &[
                ("run_at", "now() - interval '70 minutes'"),
                ("ttl", "'1 day'"),
            ],
        )
        .await;
    let later = rig
        .insert("later", &[("run_at", "now() - interval '10 minutes'")])
        .await;
    let times = ["--since", "61m ago", "--until", "30m ago", "--yes"];
    recover(&rig, &times).await.with_code(0);
    assert_eq!(rig.job(early).await.state, "in_doubt");
    assert_eq!(rig.job(later).await.state, "scheduled");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_sentence() {
    let rig = Rig::new().await;
    rig.sql("UPDATE callq.meta SET history_accepted_at = '2030-01-01T09:00:00Z'::timestamptz - interval '20 years'").await;
    rig.sql("INSERT INTO callq.witnesses VALUES ('w', '2020-01-01T09:00:00Z', 1)")
        .await;
    let late = recover(&rig, &["--since", "2020-01-01T09:00:01Z", "--yes"])
        .await
        .with_code(2);
    assert!(
        late.stderr.contains(
            "must not be later than 2020-01-01 09:00:00+00, the newest that this database remembers"
        ),
        "{late}"
    );
    assert!(late.stderr.contains("\nhint: Give that time"), "{late}");
    for (arguments, words) in [
        (
            &[
                "--since",
                "2019-01-01T09:00:00Z",
                "--until",
                "in 1h",
                "--yes",
            ][..],
            "until is ",
        ),
        (
            &[
                "--since",
                "2019-01-01T09:00:00Z",
                "--until",
                "2018-01-01T09:00:00Z",
                "--yes",
            ][..],
            "it must be after since",
        ),
        (
            &["--since", "2019-01-01T09:00:00Z"][..],
            "there is no terminal to ask on",
        ),
        (&["--yes"][..], "--since <TIME>|--nothing-lost"),
        (
            &["--nothing-lost", "--since", "now", "--yes"][..],
            "cannot be used with",
        ),
        (
            &["--nothing-lost", "--until", "now", "--yes"][..],
            "cannot be used with",
        ),
    ] {
        let refused = recover(&rig, arguments).await.with_code(2);
        assert!(refused.stderr.contains(words), "{refused}");
    }
    assert_eq!(
        rig.value::<i64>("SELECT history_no FROM callq.meta").await,
        1,
        "nothing was changed"
    );
}

#[tokio::test]
async fn a_worker_that_misses_any_of_its_writes_stops_everybody() {
    let token = "00000000-0000-0000-0000-000000000001";
    let nothing = "NULL, NULL, NULL";
    let own = format!("1, 1, '{token}'");
    let here = "(SELECT origin FROM callq.present_history()), (SELECT timeline FROM callq.present_history())";
    for (joined, wrote, claim, filed, position, misses) in [
        (1, 1, own.as_str(), nothing, 0, None),
        (
            1,
            1,
            nothing,
            own.as_str(),
            0,
            Some("the result of attempt 1 of job 1"),
        ),
        (
            1,
            1,
            "1, 2, gen_random_uuid()",
            nothing,
            0,
            Some("attempt 2 of job 1"),
        ),
        (
            1,
            2,
            nothing,
            nothing,
            0,
            Some("the newest write of worker w is not there"),
        ),
        (
            2,
            1,
            nothing,
            nothing,
            0,
            Some("has worked in history number 2"),
        ),
        (
            1,
            1,
            nothing,
            nothing,
            i64::MAX,
            Some("has seen its write-ahead log"),
        ),
    ] {
        let rig = Rig::new().await;
        rig.sql(&format!(
            "INSERT INTO callq.attempts (job_id, attempt, claim_token, app, worker, room_id, room_id_type, random, due_at, claimed_at)
             VALUES (1, 1, '{token}', 'default', 'w', 'room', 2, 7, now(), now())"
        ))
        .await;
        let fresh = |name: &str| {
            format!(
                "SELECT may_work FROM callq.attest('{name}', 1, NULL, 1, 0, {nothing}, {nothing}, {nothing})"
            )
        };
        assert!(rig.value::<bool>(&fresh("w")).await);
        let said = format!(
            "SELECT may_work FROM callq.attest('w', 1, {joined}, 3, {wrote}, {claim}, {filed}, {here}, {position})"
        );
        assert_eq!(
            rig.value::<bool>(&said).await,
            misses.is_none(),
            "{misses:?}"
        );
        let detail: Option<String> = rig
            .value("SELECT history_lost_detail FROM callq.meta")
            .await;
        match misses {
            None => assert_eq!(detail, None),
            Some(words) => {
                let detail = detail.unwrap();
                assert!(detail.contains(words), "{detail}");
                assert!(!rig.value::<bool>(&fresh("other")).await, "nobody works");
            }
        }
    }
}
