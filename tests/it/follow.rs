//! What became of calls is found out by the worker: it is what the sandbox knows became of them.

mod pace;

use callq::sandbox::{CallbackFaults, Fault, FaultKind, RecordSpan, SandboxConfig};

use crate::callbacks::{self, SECRET, Web};
use crate::support::Database;
use crate::support::rig::{Rig, SURELY};

/// Whom calls are to: every way in which a phone can end, within what windows overlap.
const KINDS: [&str; 9] = [
    "jack",
    "answer-7-",
    "talk-60-",
    "busy-",
    "noanswer-",
    "decline-",
    "interrupt-",
    "offline-",
    "badcode-5-",
];

/// A sandbox in which an hour is a minute.
fn fast(speed: f64) -> SandboxConfig {
    SandboxConfig {
        calls_per_second_limit: 0,
        speed,
        ..SandboxConfig::default()
    }
}

/// Inserts so many jobs to one callee each, of every kind in turn.
async fn insert_of_every_kind(rig: &Rig, jobs: usize, columns: &str, values: &str) {
    let kinds = KINDS.map(|kind| format!("'{kind}'")).join(",");
    rig.sql(&format!(
        "INSERT INTO callq.jobs (robot_account, callees{columns})
         SELECT 'robot', ARRAY[(ARRAY[{kinds}])[n % 9 + 1] || n]{values} FROM generate_series(0, {jobs} - 1) AS n"
    ))
    .await;
}

/// Holds legs and counts against the sandbox's own tally.
async fn agree(rig: &Rig) {
    let tally = rig.sandbox.tally();
    assert_eq!(tally.pending, 0);
    let mut expected: Vec<(String, i64)> = tally
        .provable
        .iter()
        .map(|(outcome, legs)| ((*outcome).to_owned(), i64::try_from(*legs).unwrap()))
        .collect();
    expected.sort();
    for of in [
        "SELECT outcome, count(*) FROM callq.legs GROUP BY 1 ORDER BY outcome COLLATE \"C\"",
        "SELECT outcome, sum(legs)::bigint FROM callq.leg_counts GROUP BY 1 HAVING sum(legs) <> 0 ORDER BY outcome COLLATE \"C\"",
    ] {
        let counted: Vec<(String, i64)> =
            sqlx::query_as(of).fetch_all(rig.db.pool()).await.unwrap();
        assert_eq!(counted, expected, "{of}");
    }
}

/// Holds the seconds against the sandbox's, where each of them can be known.
async fn agree_on_seconds(rig: &Rig) {
    let tally = rig.sandbox.tally();
    for of in ["callq.legs", "callq.leg_counts"] {
        let sums =
            format!("SELECT ARRAY[sum(ring_seconds), sum(talk_seconds)]::bigint[] FROM {of}");
        let sums: Vec<i64> = rig.value(&sums).await;
        let expected = [tally.ring_seconds, tally.talk_seconds].map(|s| i64::try_from(s).unwrap());
        assert_eq!(sums, expected, "{of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_every_call_is_known_from_records_alone_whatever_a_window_is_of() {
    for record_span in [RecordSpan::OfEnd, RecordSpan::OfStart, RecordSpan::OfBoth] {
        let rig = Rig::with_sandbox(SandboxConfig {
            record_span,
            ..fast(200.0)
        })
        .await;
        let worker = rig.worker().await;
        insert_of_every_kind(&rig, 180, "", "").await;
        rig.until_all("'completed', 'failed'").await;
        // Refused at once: their legs are settled when nobody else's news are waited for.
        rig.sql("UPDATE callq.calls SET look_at = now()").await;
        rig.until_settled().await;
        agree(&rig).await;
        agree_on_seconds(&rig).await;
        let outcomes: i64 = rig
            .value("SELECT count(*) FROM callq.jobs AS j JOIN callq.legs AS l ON l.job_id = j.id WHERE j.state = 'completed' AND j.outcome = l.outcome")
            .await;
        assert_eq!(outcomes, 160);
        worker.stop().await.unwrap();
        rig.audit().await;
    }
}

/// How many calls: `make follow` asks for thousands.
fn calls() -> usize {
    let asked = std::env::var("CALLQ_FOLLOW_CALLS").ok();
    asked.map_or(360, |asked| {
        asked.parse().expect("CALLQ_FOLLOW_CALLS is a number")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn with_callbacks_lost_doubled_reordered_and_late_every_callee_ends_as_the_sandbox_can_prove()
{
    let seed = fastrand::u64(..);
    println!("callbacks go wrong by seed {seed}");
    let database = Database::new().await;
    let web = Web::on(
        database.url(),
        vec![callbacks::app("default", SECRET, None)],
    )
    .await;
    let sandbox = SandboxConfig {
        callback_url: Some(format!("http://{}/callbacks/default/{SECRET}", web.address)),
        callback_faults: CallbackFaults {
            lost: 0.2,
            doubled: 0.2,
            reordered: 0.1,
            late: 0.05,
            seed,
        },
        ..fast(60.0)
    };
    let rig = Rig::between(database, sandbox).await;
    let worker = rig.worker().await;
    insert_of_every_kind(&rig, calls(), "", "").await;
    let kinds = KINDS.map(|kind| format!("'{kind}'")).join(",");
    rig.sql(&format!(
        "INSERT INTO callq.jobs (robot_account, callees)
         SELECT 'robot', ARRAY(SELECT (ARRAY[{kinds}])[(n * 5 + i * (1 + n % 3)) % 9 + 1] || n || '-' || i FROM generate_series(1, 2 + n % 3) AS i)
         FROM generate_series(1, {} / 6) AS n",
        calls()
    ))
    .await;
    rig.until_all("'completed', 'failed'").await;
    let told = rig
        .sandbox
        .wait_for_outcomes(4 * SURELY, |tally, callbacks| {
            tally.pending == 0 && callbacks.waiting == 0
        });
    told.await.expect("everything was told that will be");
    rig.until_value(
        "SELECT count(*) FROM callq.callbacks WHERE look_at IS NOT NULL",
        |waiting: &i64| *waiting == 0,
    )
    .await;
    rig.sql("UPDATE callq.calls SET look_at = now() WHERE record IS NULL")
        .await;
    rig.until_value(
        "SELECT count(*) FROM callq.calls WHERE record IS NULL",
        |waiting: &i64| *waiting == 0,
    )
    .await;
    agree(&rig).await;
    let strangers: i64 = rig
        .value("SELECT count(*) FROM callq.callbacks WHERE job_id IS NULL")
        .await;
    assert_eq!(strangers, 0);
    // Whoever answered was told of once, and so was every call that is over.
    for (told, happened) in [
        (
            "event = 'answered'",
            "SELECT count(*) FROM callq.legs WHERE outcome = 'answered'",
        ),
        (
            "event = 'completed'",
            "SELECT count(*) FROM callq.jobs WHERE state = 'completed'",
        ),
        (
            "event = 'placed'",
            "SELECT count(*) FROM callq.jobs WHERE state = 'completed'",
        ),
    ] {
        let told: i64 = rig
            .value(&format!("SELECT count(*) FROM callq.events WHERE {told}"))
            .await;
        assert_eq!(told, rig.value::<i64>(happened).await, "{happened}");
    }
    worker.stop().await.unwrap();
    web.stop().await;
    rig.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_settled_by_the_record_or_rings_again_on_proof_that_nobody_rang() {
    a_doubt_is_settled(FaultKind::CloseAfterReading, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_in_doubt_is_settled_by_the_record_or_rings_again_on_proof_that_nobody_rang() {
    a_doubt_is_settled(FaultKind::ErrorCode(60008), Some(60008)).await;
}

/// Ten calls that ring and ten that ring nobody are answered so, with this code if with any.
async fn a_doubt_is_settled(answer: FaultKind, code: Option<i64>) {
    let rig = Rig::with_sandbox(fast(3000.0)).await;
    let lost = Fault::new(answer).for_command("start_call_by_robot");
    rig.sandbox
        .script(lost.clone().for_callee("answer-7-*").times(10).that_rings())
        .unwrap();
    rig.sandbox
        .script(lost.for_callee("decline-*").times(10).that_rings_nobody())
        .unwrap();
    let worker = rig.worker().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees)
         SELECT 'robot', ARRAY[k || n] FROM generate_series(1, 10) AS n, unnest('{answer-7-,decline-}'::text[]) AS k",
    )
    .await;
    rig.until_all("'completed'").await;
    worker.stop().await.unwrap();
    rig.audit().await;
    let told: Vec<(String, i32, Option<String>, i64)> = sqlx::query_as(
        "SELECT rtrim(callees[1], '0123456789'), attempt, reason, count(*) FROM callq.jobs GROUP BY 1, 2, 3 ORDER BY 1",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap();
    assert_eq!(
        told,
        [
            (
                "answer-7-".to_owned(),
                1,
                Some("record_found".to_owned()),
                10
            ),
            ("decline-".to_owned(), 2, Some("accepted".to_owned()), 10),
        ]
    );
    // What was answered stays beside what was seen later.
    let answered: Vec<(String, Option<i64>, i64)> = sqlx::query_as(
        "SELECT a.state || ' ' || a.class, a.error_code, count(*) FROM callq.attempts AS a
         JOIN callq.jobs AS j ON j.id = a.job_id
         WHERE a.attempt < j.attempt OR j.callees[1] LIKE 'answer%' GROUP BY 1, 2 ORDER BY 1",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap();
    let unanswered = if code.is_some() {
        "replied safe"
    } else {
        "unknown safe"
    };
    assert_eq!(
        answered,
        [
            ("replied accepted".to_owned(), code, 10),
            (unanswered.to_owned(), code, 10),
        ]
    );
    // Nobody was rung twice.
    assert_eq!(rig.sandbox.read_ledger(|ledger| ledger.calls().len()), 20);
    agree(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_in_doubt_that_named_its_call_is_settled_by_the_record_of_that_call() {
    let rig = Rig::with_sandbox(fast(10.0)).await;
    let doubtful = Fault::new(FaultKind::ErrorCode(60008)).for_command("start_call_by_robot");
    rig.sandbox.script(doubtful.that_rings()).unwrap();
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_state(id, "in_doubt").await;
    // As if the reply had had it, and the record no room to know the call by.
    let call_id = rig
        .sandbox
        .read_ledger(|ledger| ledger.calls()[0].call_id.to_string());
    rig.sql(&format!(
        "UPDATE callq.calls SET call_id = '{call_id}', room_id = 'another', look_at = now()"
    ))
    .await;
    rig.until_state(id, "completed").await;
    assert_eq!(rig.job(id).await.reason.as_deref(), Some("record_found"));
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_that_a_person_is_to_settle_is_not_rung_again_on_proof() {
    let rig = Rig::with_sandbox(fast(3000.0)).await;
    let lost = Fault::new(FaultKind::CloseAfterReading).for_command("start_call_by_robot");
    rig.sandbox.script(lost.that_rings_nobody()).unwrap();
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[("on_doubt", "'hold'")]).await;
    rig.until_state(id, "in_doubt").await;
    let looked =
        "SELECT coalesce(max(looks), 0) FROM callq.calls WHERE look_at > now() + interval '1 hour'";
    rig.until_value(looked, |looks: &i32| *looks > 0).await;
    assert_eq!(rig.job(id).await.state, "in_doubt");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_record_cannot_be_had_yet_holds_up_no_other() {
    let rig = Rig::with_sandbox(fast(3000.0)).await;
    let worker = rig.worker().await;
    // Longer than this test takes.
    let talks = rig.insert("talk-4000000-ann", &[]).await;
    rig.until_state(talks, "placed").await;
    let asked = Fault::new(FaultKind::ErrorCode(101_001)).for_command("get_record_by_callid");
    for fault in [None, Some(asked)] {
        if let Some(fault) = fault {
            rig.sandbox.script(fault).unwrap();
        }
        rig.sql("UPDATE callq.calls SET look_at = now(), looks = 0")
            .await;
        rig.until_value("SELECT looks FROM callq.calls", |looks: &i32| *looks == 1)
            .await;
        let lost = Fault::new(FaultKind::CloseAfterReading).for_command("start_call_by_robot");
        rig.sandbox
            .script(lost.times(1).that_rings_nobody())
            .unwrap();
        rig.sql(&format!(
            "UPDATE callq.calls SET look_at = now() WHERE job_id = {talks}"
        ))
        .await;
        let proven = rig.insert("jack", &[]).await;
        rig.until_state(proven, "completed").await;
        assert_eq!(rig.job(proven).await.attempt, 2);
    }
    assert_eq!(rig.job(talks).await.state, "placed");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_refused_for_now_is_asked_for_again_and_no_span_is_given_up() {
    let rig = Rig::with_sandbox(fast(200.0)).await;
    rig.sql(
        "CREATE TABLE public.failures AS SELECT failure FROM callq.sweeps;
         CREATE FUNCTION note_failure() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO public.failures VALUES (NEW.failure); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER INSERT OR UPDATE ON callq.sweeps FOR EACH ROW WHEN (NEW.failure IS NOT NULL)
           EXECUTE FUNCTION note_failure()",
    )
    .await;
    for kind in [FaultKind::HttpStatus(502), FaultKind::CloseAfterReading] {
        let away = Fault::new(kind).for_command("get_record_by_filter");
        rig.sandbox.script(away.times(2)).unwrap();
    }
    let worker = rig.worker().await;
    insert_of_every_kind(&rig, 9, "", "").await;
    rig.until_all("'completed', 'failed'").await;
    worker.stop().await.unwrap();
    let failures = "SELECT count(*) FROM public.failures";
    assert_eq!(rig.value::<i64>(failures).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_listed_are_read_one_by_one() {
    let rig = Rig::with_sandbox(fast(3000.0)).await;
    let refused = Fault::new(FaultKind::ErrorCode(101_001)).for_command("get_record_by_filter");
    rig.sandbox.script(refused).unwrap();
    let worker = rig.worker().await;
    let id = rig.insert("jack", &[]).await;
    rig.until_state(id, "placed").await;
    rig.sql("UPDATE callq.calls SET look_at = now()").await;
    rig.until_settled().await;
    assert_eq!(rig.job(id).await.state, "completed");
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_reads_on_when_the_one_that_read_has_left() {
    let rig = Rig::with_sandbox(fast(200.0)).await;
    let first = rig.worker().await;
    insert_of_every_kind(&rig, 9, "", "").await;
    rig.until_all("'completed', 'failed'").await;
    let reader = "SELECT worker FROM callq.sweeps";
    let earlier: String = rig.value(reader).await;
    let second = rig.worker().await;
    first.stop().await.unwrap();
    insert_of_every_kind(&rig, 9, "", "").await;
    rig.until_all("'completed', 'failed'").await;
    assert_ne!(rig.value::<String>(reader).await, earlier);
    second.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_several_of_whom_nothing_more_is_told_is_followed_for_six_days_and_no_longer() {
    let rig = Rig::with_sandbox(fast(200.0)).await;
    let worker = rig.worker().await;
    // Without callbacks nobody knows which of the two it was.
    let id = rig.insert("answer-7-ann,busy-ben", &[]).await;
    rig.until_state(id, "completed").await;
    let followed = "SELECT count(*) FROM callq.calls WHERE record IS NOT NULL";
    assert_eq!(rig.value::<i64>(followed).await, 1);
    rig.sql("UPDATE callq.calls SET opened_at = opened_at - interval '6 days', look_at = look_at - interval '6 days'")
        .await;
    rig.until_settled().await;
    let unknown =
        "SELECT count(*) FROM callq.legs WHERE outcome = 'unknown' AND source = 'nothing'";
    assert_eq!(rig.value::<i64>(unknown).await, 2);
    worker.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_windows_are_of_beginnings_long_calls_that_began_together_are_looked_for_together() {
    let rig = Rig::with_sandbox(SandboxConfig {
        record_span: RecordSpan::OfStart,
        ..fast(200.0)
    })
    .await;
    let worker = rig.worker().await;
    // One that tells what windows are of, and then those that are longer than windows overlap.
    let short = rig.insert("talk-30-ann", &[]).await;
    rig.until_state(short, "completed").await;
    // No mark of the clock falls between them: there is one each ten seconds.
    let young =
        "SELECT coalesce(max(marked_at) > now() - interval '7 s', false) FROM callq.clock_marks";
    rig.until_value(young, |young: &bool| *young).await;
    rig.sql("INSERT INTO callq.jobs (robot_account, callees) SELECT 'robot', ARRAY['talk-3600-' || n] FROM generate_series(1, 60) AS n")
        .await;
    rig.until_all("'placed', 'completed'").await;
    let over = rig
        .sandbox
        .wait_for_outcomes(SURELY, |tally, _| tally.pending == 0);
    over.await.expect("every call ends");
    let marked = "SELECT EXISTS (SELECT FROM callq.clock_marks AS m WHERE m.asked_at > (SELECT max(opened_at) FROM callq.calls))";
    rig.until_value(marked, |marked: &bool| *marked).await;
    rig.sql("UPDATE callq.calls SET look_at = now()").await;
    rig.until_all("'completed'").await;
    agree(&rig).await;
    agree_on_seconds(&rig).await;
    let alone = rig.sandbox.read_ledger(|ledger| {
        let alone = |command: &str| command == "get_record_by_callid";
        let queries = ledger.queries().iter();
        queries.filter(|query| alone(&query.command)).count()
    });
    assert_eq!(alone, 0);
    worker.stop().await.unwrap();
}
