//! While somebody holds a snapshot nothing that ends can be vacuumed, and the claim meets none of it.

use std::time::Duration;

use callq::store::{Ask, ClaimOrder, Grant, Low, Lows, Store};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{WORKERS, explain, run};
use crate::support::Database;
use crate::support::statements;

/// Calls of one claim, and claims.
const SLOTS: usize = 25;
const CLAIMS: usize = 40;

/// A worker's claims, as far as the database sees them.
struct Claims {
    store: Store,
    lows: Lows,
}

impl Claims {
    async fn grant(&self) -> Grant {
        let ask = Ask {
            app: "default".to_owned(),
            slots: SLOTS,
            fingerprint: "f".to_owned(),
            kind: "sandbox",
            lows: self.lows,
        };
        self.store.grant(&[ask]).await.unwrap().remove(0)
    }

    async fn claim(&mut self) {
        let order = ClaimOrder {
            app: "default".to_owned(),
            granted: self.grant().await.granted,
            lows: self.lows,
            can_stream: true,
        };
        let lease = Duration::from_secs(30);
        let claims = self
            .store
            .claim(&[order], Uuid::new_v4(), "a test", lease)
            .await
            .unwrap();
        assert_eq!(claims.jobs.len(), SLOTS);
        for job in claims.jobs {
            self.lows.raise(job.place());
        }
    }

    /// What the next grant and the next claim read, in buffers.
    async fn buffers(&self, session: &mut PgConnection) -> (u64, u64) {
        let list = |item: &dyn Fn(&Low) -> String| {
            let items: Vec<String> = self.lows.0.iter().map(item).collect();
            format!("'{{{}}}'", items.join(","))
        };
        let due = |low: &Low| {
            if *low == Low::default() {
                "-infinity".to_owned()
            } else {
                low.due_at.to_rfc3339()
            }
        };
        let lows = list(&due) + ", " + &list(&|low| low.job_id.to_string());
        let asked = format!("'{{default}}', '{{{SLOTS}}}', '{{f}}', {lows}, 60, '{{sandbox}}'");
        let token = Uuid::new_v4();
        let ordered =
            format!("'{{default}}', '{{{SLOTS}}}', '{token}', 'worker', 30, {lows}, '{{true}}'");
        let settings = format!("{WORKERS} SET plan_cache_mode = force_generic_plan;");
        let grant = explain(session, &settings, &statements::grant(), &asked).await;
        let claim = explain(session, &settings, &statements::claim(), &ordered).await;
        (grant.buffers, claim.buffers)
    }
}

#[tokio::test]
async fn jobs_of_one_instant_and_the_past_of_a_bucket_cost_nothing_while_a_snapshot_is_held() {
    let database = Database::new().await;
    let mut session = PgConnection::connect(database.url()).await.unwrap();
    let jobs = SLOTS * (CLAIMS + 3);
    run(
        &mut session,
        &format!(
            "INSERT INTO callq.apps (app, kind, calls_per_second, served_at) VALUES ('default', 'sandbox', 1e9, now() + interval '1 hour');
             INSERT INTO callq.jobs (robot_account, callees) SELECT 'bot', '{{jack}}' FROM generate_series(1, {jobs});
             ANALYZE callq.jobs, callq.pace"
        ),
    )
    .await;
    let mut reader = PgConnection::connect(database.url()).await.unwrap();
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM callq.jobs";
    run(&mut reader, hold).await;

    let store = Store::connect(database.url(), 2).await.unwrap();
    let lows = Lows::default();
    let mut claims = Claims { store, lows };
    claims.claim().await;
    claims.claim().await;
    let before = claims.buffers(&mut session).await;
    for _ in 0..CLAIMS {
        claims.claim().await;
        for _ in 0..20 {
            claims.grant().await;
        }
    }
    let after = claims.buffers(&mut session).await;
    // A claim reads two buffers for each job; an index of a few pages has grown by a level.
    assert!(
        after.0 <= before.0 + 10 && after.1 <= before.1 + 60,
        "buffers of grant and claim: {before:?}, after {CLAIMS} claims {after:?}"
    );
    run(&mut reader, "COMMIT").await;
}
