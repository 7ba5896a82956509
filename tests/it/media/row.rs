//! The row of a call with media: what each piece of news and each answer makes of it, whoever is faster.

use std::time::Duration;

use callq::store::{
    Look, Store, StreamAnswer, StreamDuty, StreamGrant, StreamNews, StreamPace, StreamSaid,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::support::Database;

const ALL: StreamGrant = StreamGrant {
    asks: 10,
    starts: 10,
    stops: 10,
    next: None,
};

/// A database with a call that rings, and its media.
struct Setting {
    database: Database,
    store: Store,
}

impl Setting {
    async fn new() -> Self {
        let database = Database::new().await;
        let store = Store::connect(database.url(), 4).await.unwrap();
        let setting = Self { database, store };
        setting
            .sql(
                "INSERT INTO callq.jobs (robot_account, callees, media_url) VALUES ('robot', '{jack}', 'https://a/b.mp3');
                 INSERT INTO callq.apps (app) VALUES ('default');
                 INSERT INTO callq.calls (job_id, attempt, app, call_id, room_id, callees, live_until)
                 SELECT id, 1, 'default', 'call', 'room', '{jack}', now() + interval '1 h' FROM callq.jobs;
                 INSERT INTO callq.streams (job_id, attempt, app, call_id, room_id, room_id_type, robot, look_at)
                 SELECT id, 1, 'default', 'call', 'room', 2, 'robot', now() FROM callq.jobs",
            )
            .await;
        setting
    }

    async fn sql(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql)
            .execute(self.database.pool())
            .await
            .unwrap();
    }

    /// State, tasks, doubts, reason and duty.
    async fn row(&self) -> String {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', state, tasks, doubts, coalesce(reason, '-'), coalesce(duty, '-'),
                CASE WHEN look_at IS NULL THEN 'never' WHEN look_at <= now() THEN 'now' ELSE 'later' END) FROM callq.streams",
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap()
    }

    async fn value(&self, sql: &'static str) -> DateTime<Utc> {
        let value = sqlx::query_scalar(sql).fetch_one(self.database.pool());
        value.await.unwrap()
    }

    async fn news(&self, answered: bool, over: bool) {
        let news = [StreamNews {
            job_id: 1,
            attempt: 1,
            answered,
            over,
        }];
        let heard = self.store.hear_of_streams("default", &news, Look::AtThese);
        heard.await.unwrap();
    }

    async fn look(&self) {
        let looked = self.store.hear_of_streams("default", &[], Look::AtAll);
        looked.await.unwrap();
    }

    /// What is taken up: the duty, and the turn.
    async fn take(&self) -> Option<(StreamDuty, i32)> {
        let taken = self
            .store
            .take_streams("default", ALL, Duration::from_secs(10));
        let taken = taken.await.unwrap();
        assert!(taken.due.len() <= 1);
        taken.due.first().map(|due| (due.duty, due.turn))
    }

    /// An answer to what was taken up in this turn, tried again in a minute if it may be.
    async fn said(&self, turn: i32, said: StreamSaid) {
        let again = (said != StreamSaid::Refused).then(|| Duration::from_mins(1));
        self.answered(turn, said, again).await;
    }

    async fn answered(&self, turn: i32, said: StreamSaid, again: Option<Duration>) {
        let answer = StreamAnswer {
            job_id: 1,
            attempt: 1,
            turn,
            said,
            detail: Some("a code".to_owned()),
            again,
        };
        self.store.stream_said(&answer).await.unwrap();
    }

    async fn events(&self) -> Vec<String> {
        sqlx::query_scalar("SELECT event FROM callq.events WHERE event LIKE 'media%' ORDER BY id")
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }

    /// Started, seconds (made whole minutes of what they are) and failed.
    async fn counts(&self) -> String {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', coalesce(sum(started), 0), coalesce(sum(minutes), 0.00), coalesce(sum(failed), 0)) FROM callq.media_minutes",
        )
        .fetch_one(self.database.pool())
        .await
        .unwrap()
    }
}

fn runs(task: &str) -> StreamSaid {
    StreamSaid::Runs(task.to_owned())
}

fn stopped(task: &str) -> StreamSaid {
    StreamSaid::Stopped(task.to_owned())
}

#[tokio::test]
async fn media_is_started_after_an_answer_and_stopped_after_the_end() {
    let setting = Setting::new().await;
    assert_eq!(setting.row().await, "waiting {} 0 - ask now");
    let before: DateTime<Utc> = setting.value("SELECT now()").await;
    assert_eq!(setting.take().await, Some((StreamDuty::Ask, 1)));
    let again = setting.value("SELECT look_at FROM callq.streams").await;
    assert!(before + TimeDelta::seconds(1) <= again, "{before}, {again}");
    setting.look().await;
    setting.news(true, false).await;
    assert_eq!(setting.row().await, "answered {} 0 - start now");
    let (duty, turn) = setting.take().await.unwrap();
    assert_eq!(duty, StreamDuty::Start);
    // The request is written down before it is sent, and nobody else sends one.
    assert_eq!(setting.row().await, "answered {} 1 - start later");
    assert_eq!(setting.take().await, None);
    setting.said(turn, runs("t1")).await;
    assert_eq!(setting.row().await, "playing {t1} 0 - - never");
    setting.look().await;
    assert_eq!(setting.take().await, None);
    setting
        .sql("UPDATE callq.streams SET started_at = now() - interval '5 min'")
        .await;
    setting.sql("DELETE FROM callq.calls").await;
    setting.look().await;
    assert_eq!(setting.row().await, "playing {t1} 0 - stop now");
    let (duty, turn) = setting.take().await.unwrap();
    assert_eq!(duty, StreamDuty::Stop);
    setting.said(turn, StreamSaid::NotStopped).await;
    assert_eq!(setting.row().await, "playing {t1} 0 - stop later");
    setting
        .sql("UPDATE callq.streams SET look_at = now()")
        .await;
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, stopped("t1")).await;
    assert_eq!(setting.row().await, "ended {} 0 media_stopped - never");
    assert_eq!(setting.events().await, ["media_started", "media_stopped"]);
    assert_eq!(setting.counts().await, "1 5.00 0");
}

#[tokio::test]
async fn each_way_in_which_a_call_ends_is_seen() {
    for over in [
        "DELETE FROM callq.calls",
        "UPDATE callq.calls SET record = '{}'",
        "UPDATE callq.calls SET live_until = now()",
        "UPDATE callq.calls SET end_at = now(), end_why = 'cancelled'",
        "UPDATE callq.calls SET end_at = now() + interval '1 min', end_why = 'max_call_seconds', ends = 1",
    ] {
        let setting = Setting::new().await;
        setting.news(true, false).await;
        setting.sql("UPDATE callq.calls SET end_at = now() + interval '1 min', end_why = 'max_call_seconds'").await;
        setting.look().await;
        assert_eq!(setting.row().await, "answered {} 0 - start now", "{over}");
        setting.sql(over).await;
        setting.look().await;
        assert_eq!(
            setting.row().await,
            "ended {} 0 media_too_late - never",
            "{over}"
        );
        assert_eq!(setting.take().await, None);
        assert_eq!(setting.counts().await, "0 0.00 1", "{over}");
    }
}

#[tokio::test]
async fn a_call_that_nobody_answers_has_no_media_and_that_is_no_failure_unless_it_proves_wrong() {
    let setting = Setting::new().await;
    setting.news(false, true).await;
    assert_eq!(setting.row().await, "ended {} 0 media_unanswered - never");
    assert_eq!(setting.counts().await, "0 0.00 0");
    // The record says that somebody had.
    setting.news(true, true).await;
    assert_eq!(setting.row().await, "ended {} 0 media_too_late - never");
    assert_eq!(setting.counts().await, "0 0.00 1");
}

#[tokio::test]
async fn a_start_whose_reply_is_lost_is_asked_about_and_never_leaves_two() {
    let setting = Setting::new().await;
    setting.news(true, false).await;
    let (_, lost) = setting.take().await.unwrap();
    setting.said(lost, StreamSaid::Unknown).await;
    setting
        .sql("UPDATE callq.streams SET look_at = now()")
        .await;
    let (duty, turn) = setting.take().await.unwrap();
    assert_eq!((duty, turn), (StreamDuty::Start, lost + 1));
    assert_eq!(setting.row().await, "answered {} 2 - start later");
    // It runs already: nothing more is started, and it is known that its TaskId is not.
    setting.said(turn, StreamSaid::Unnamed).await;
    assert_eq!(setting.row().await, "playing {} 2 - - never");
    setting.news(false, true).await;
    assert_eq!(setting.row().await, "playing {} 2 - settle now");
    // Nothing is started to find out: without a TaskId nothing can be stopped, which is told.
    assert_eq!(setting.take().await, None);
    setting.look().await;
    assert_eq!(setting.row().await, "ended {} 2 media_lost - never");
    assert_eq!(setting.events().await, ["media_started", "media_failed"]);
    assert_eq!(setting.counts().await, "1 0.00 1");
    // Should it be told after all, it is stopped.
    setting.said(lost, runs("t1")).await;
    assert_eq!(setting.row().await, "playing {t1} 0 - stop now");
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, stopped("t1")).await;
    assert_eq!(setting.row().await, "ended {} 0 media_stopped - never");
    assert_eq!(setting.counts().await, "1 0.00 0");
}

#[tokio::test]
async fn a_call_that_is_over_while_a_start_is_under_way_waits_for_its_reply() {
    for (said, becomes) in [
        (None, "ended {} 1 media_lost - never"),
        (Some(StreamSaid::Unknown), "ended {} 1 media_lost - never"),
        (Some(StreamSaid::Unnamed), "ended {} 1 media_lost - never"),
        (
            Some(StreamSaid::NoRoom),
            "ended {} 0 media_too_late - never",
        ),
        (
            Some(StreamSaid::NotNow),
            "ended {} 0 media_too_late - never",
        ),
        (
            Some(StreamSaid::Refused),
            "ended {} 0 media_too_late - never",
        ),
        (Some(runs("t1")), "playing {t1} 0 - stop now"),
    ] {
        let setting = Setting::new().await;
        setting.news(true, false).await;
        let (_, turn) = setting.take().await.unwrap();
        setting.news(false, true).await;
        setting.look().await;
        assert_eq!(setting.row().await, "answered {} 1 - settle later");
        match &said {
            Some(said) => setting.said(turn, said.clone()).await,
            None => {
                setting
                    .sql("UPDATE callq.streams SET look_at = now()")
                    .await;
            }
        }
        setting.look().await;
        assert_eq!(setting.row().await, becomes, "{said:?}");
    }
}

#[tokio::test]
async fn a_task_id_that_comes_late_is_kept_whatever_the_row_has_become() {
    let setting = Setting::new().await;
    setting.news(true, false).await;
    let (_, slow) = setting.take().await.unwrap();
    // Its lease is over, and another worker starts.
    setting
        .sql("UPDATE callq.streams SET look_at = now()")
        .await;
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, runs("t2")).await;
    // What is no fact about a task changes nothing in an older turn.
    for said in [
        StreamSaid::Refused,
        StreamSaid::Unnamed,
        StreamSaid::NotNow,
        StreamSaid::NoRoom,
    ] {
        setting.said(slow, said).await;
    }
    assert_eq!(setting.row().await, "playing {t2} 0 - - never");
    setting.said(slow, runs("t1")).await;
    assert_eq!(setting.row().await, "playing {t2,t1} 0 - - never");
    setting.news(false, true).await;
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, stopped("t2")).await;
    assert_eq!(setting.row().await, "playing {t1} 0 - stop now");
    setting.said(turn, stopped("t1")).await;
    assert_eq!(setting.row().await, "ended {} 0 media_stopped - never");
    // One that comes when all is over is stopped too.
    setting.said(slow, runs("t3")).await;
    assert_eq!(setting.row().await, "playing {t3} 0 - stop now");
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, stopped("t3")).await;
    assert_eq!(setting.row().await, "ended {} 0 media_stopped - never");
    assert_eq!(setting.counts().await, "1 0.00 0");
}

#[tokio::test]
async fn two_workers_that_learn_of_tasks_at_once_lose_none() {
    let setting = Setting::new().await;
    setting.news(true, false).await;
    let (_, turn) = setting.take().await.unwrap();
    tokio::join!(
        setting.said(turn, runs("t1")),
        setting.said(turn, runs("t2")),
        setting.said(turn, runs("t3")),
        setting.said(turn, runs("t4")),
    );
    let kept = "SELECT array_agg(t ORDER BY t) FROM callq.streams, unnest(tasks) AS t";
    let kept: Vec<String> = sqlx::query_scalar(kept)
        .fetch_one(setting.database.pool())
        .await
        .unwrap();
    assert_eq!(kept, ["t1", "t2", "t3", "t4"]);
}

#[tokio::test]
async fn what_is_refused_ends_and_what_is_not_is_tried_again_until_the_call_is_over() {
    let setting = Setting::new().await;
    setting.news(true, false).await;
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, StreamSaid::NotNow).await;
    assert_eq!(setting.row().await, "answered {} 0 - start later");
    setting.news(false, true).await;
    assert_eq!(setting.row().await, "ended {} 0 media_too_late - never");

    let setting = Setting::new().await;
    setting.news(true, false).await;
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, StreamSaid::NoRoom).await;
    assert_eq!(setting.row().await, "answered {} 0 - start later");
    setting
        .sql("UPDATE callq.streams SET look_at = now()")
        .await;
    let (_, turn) = setting.take().await.unwrap();
    setting.answered(turn, StreamSaid::NoRoom, None).await;
    assert_eq!(setting.row().await, "ended {} 0 media_room_unknown - never");

    let setting = Setting::new().await;
    setting.news(true, false).await;
    let (_, turn) = setting.take().await.unwrap();
    setting.said(turn, StreamSaid::Refused).await;
    assert_eq!(setting.row().await, "ended {} 0 media_refused - never");
    assert_eq!(setting.events().await, ["media_failed"]);
    let detail = "SELECT detail FROM callq.streams";
    let detail: String = sqlx::query_scalar(detail)
        .fetch_one(setting.database.pool())
        .await
        .unwrap();
    assert_eq!(detail, "a code");
}

#[tokio::test]
async fn a_stop_that_is_in_vain_for_six_days_is_told() {
    let setting = Setting::new().await;
    setting.news(true, true).await;
    setting
        .sql("UPDATE callq.streams SET state = 'playing', tasks = '{t1}', over_at = now() - interval '6 days 1 min', look_at = now()")
        .await;
    assert_eq!(setting.take().await, None);
    assert_eq!(
        setting.row().await,
        "ended {t1} 0 media_not_stopped stop never"
    );
}

#[tokio::test]
async fn the_pace_is_shared_and_a_pause_lets_one_start_find_out() {
    let setting = Setting::new().await;
    setting
        .sql(
            "INSERT INTO callq.streams (job_id, attempt, app, room_id, room_id_type, robot, state, look_at)
             SELECT n, 1, 'default', 'r', 2, 'robot', 'answered', now() FROM generate_series(2, 101) AS n",
        )
        .await;
    let paces = [StreamPace {
        request: "start",
        per_second: 0.001,
        burst: 5.0,
        most: 100,
    }];
    let other = Store::connect(setting.database.url(), 2).await.unwrap();
    let grants = [
        setting
            .store
            .grant_streams("default", &paces)
            .await
            .unwrap(),
        other.grant_streams("default", &paces).await.unwrap(),
        setting
            .store
            .grant_streams("default", &paces)
            .await
            .unwrap(),
    ];
    assert_eq!(grants.map(|grant| grant.starts), [5, 0, 0]);
    assert!(
        grants[1]
            .next
            .is_some_and(|next| next > Duration::from_secs(1))
    );
    setting.sql("UPDATE callq.media_pace SET tokens = 5").await;
    for paused in ["now() + interval '1 min'", "now()"] {
        setting
            .sql(&format!("UPDATE callq.apps SET media_retry_at = {paused}"))
            .await;
        let first = setting
            .store
            .grant_streams("default", &paces)
            .await
            .unwrap();
        let second = other.grant_streams("default", &paces).await.unwrap();
        let one = i32::from(paused == "now()");
        assert_eq!((first.starts, second.starts), (one, 0), "{paused}");
    }
}
