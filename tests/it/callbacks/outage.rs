//! A database that is away, silent or of another schema: nothing is acknowledged that is not stored.

use std::net::SocketAddr;

use callq::store::StoreError;
use callq::web::{Receiver, ReceiverConfig, ReceiverError};

use super::{SECRET, Web, app, count, end_of};
use crate::support::proxy::{Mode, Proxy};
use crate::support::{Database, look_again};

impl Web {
    /// Asks until it says so.
    async fn until_ready(&self, status: u16) {
        while self.ask("GET", "/readyz", b"").await.status != status {
            look_again().await;
        }
    }
}

#[tokio::test]
async fn while_the_database_is_away_callbacks_are_refused_with_503_and_then_taken_again() {
    let database = Database::new().await;
    let (proxy, url) = Proxy::to_database(database.url()).await;
    let web = Web::on(&url, vec![app("clinic", SECRET, None)]).await;
    web.until_ready(200).await;
    let mut acknowledged = 0;
    for (n, mode) in [Mode::Refuse, Mode::BlackHole].into_iter().enumerate() {
        let post = async |name: &str| web.post(&end_of(&format!("{name}-{n}"))).await;
        assert_eq!(post("before").await.status, 200);
        proxy.set(mode);
        for name in ["first", "second", "third"] {
            let answer = post(name).await;
            assert_eq!(answer.status, 503, "{mode:?}");
            assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
        }
        web.until_ready(503).await;
        assert_eq!(web.ask("GET", "/livez", b"").await.status, 200);
        proxy.set(Mode::Pass);
        // Tencent may send it again.
        while post("third").await.status != 200 {}
        acknowledged += 2;
        web.until_ready(200).await;
        for name in ["before", "third"] {
            let of = format!("call_id = '{name}-{n}'");
            assert_eq!(count(&database, &of).await, 1, "{mode:?}");
        }
    }
    assert!(count(&database, "true").await >= acknowledged);
    let refused = "callq_callbacks_refused_total{reason=\"database\"}";
    assert!(web.metric(refused).await >= 6);
    web.stop().await;
}

#[tokio::test]
async fn a_database_that_takes_no_callbacks_is_told_however_well_it_answers() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let off = "ALTER TABLE callq.callbacks RENAME TO elsewhere";
    sqlx::raw_sql(off).execute(database.pool()).await.unwrap();
    assert_eq!(web.post(&end_of("c")).await.status, 503);
    assert_eq!(web.ask("GET", "/readyz", b"").await.status, 503);
    let on = "ALTER TABLE callq.elsewhere RENAME TO callbacks";
    sqlx::raw_sql(on).execute(database.pool()).await.unwrap();
    assert_eq!(web.post(&end_of("c")).await.status, 200);
    assert_eq!(web.ask("GET", "/readyz", b"").await.status, 200);
    web.stop().await;
}

#[tokio::test]
async fn a_receiver_ends_when_the_schema_shuts_it_out_and_does_not_start_on_one() {
    let database = Database::new().await;
    let web = Web::of_clinic(&database).await;
    let shut =
        "UPDATE callq.meta SET schema_version = schema_version + 1, min_binary_version = '99.0.0'";
    sqlx::raw_sql(shut).execute(database.pool()).await.unwrap();
    let is_shut_out = |error: ReceiverError| {
        let is_schema = matches!(error, ReceiverError::Store(StoreError::Schema(_)));
        assert!(is_schema, "{error}");
        assert!(error.to_string().contains("needs callq 99.0.0"), "{error}");
    };
    is_shut_out(web.working.await.unwrap().unwrap_err());
    let config = ReceiverConfig {
        database_url: database.url().to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        apps: vec![app("clinic", SECRET, None)],
    };
    is_shut_out(Receiver::start(config).await.unwrap_err());
}
