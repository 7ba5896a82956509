//! Many callbacks at once: those of the sandbox with all that goes wrong with them, and more than a
//! database takes one by one.

use std::sync::Arc;

use callq::sandbox::{CallbackFaults, Sandbox, SandboxConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Answer, PATIENCE, QUERY, SECRET, Web, app, count, end_of};
use crate::support::Database;
use crate::support::rig::Rig;

#[tokio::test]
async fn every_callback_of_a_sandbox_that_loses_doubles_and_delays_is_stored_once() {
    let database = Database::new().await;
    let web = Web::on(database.url(), vec![app("default", SECRET, None)]).await;
    let sandbox = Sandbox::start(SandboxConfig {
        calls_per_second_limit: 0,
        speed: 100.0,
        callback_url: Some(format!("http://{}/callbacks/default/{SECRET}", web.address)),
        callback_faults: CallbackFaults {
            lost: 0.1,
            doubled: 0.2,
            reordered: 0.2,
            late: 0.1,
            seed: 7,
        },
        ..SandboxConfig::default()
    })
    .await
    .unwrap();
    let rig = Rig {
        db: database,
        sandbox,
    };
    let worker = rig.worker().await;
    rig.sql(
        "INSERT INTO callq.jobs (robot_account, callees)
         SELECT 'robot', ARRAY[(ARRAY['jack', 'reject-a', 'busy-a', 'noanswer-a', '144115212830834855'])[1 + i % 5] || i] FROM generate_series(1, 200) AS i",
    )
    .await;
    rig.until_requests(200).await;
    let quiet = |tally: &callq::sandbox::Tally, callbacks: callq::sandbox::CallbackStats| {
        tally.pending == 0 && callbacks.waiting == 0
    };
    rig.sandbox
        .wait_for_outcomes(PATIENCE, quiet)
        .await
        .unwrap();
    let stats = rig.sandbox.callback_stats();
    assert_eq!(stats.given_up, 0, "{stats:?}");
    assert!(
        stats.lost > 0 && stats.doubled > 0 && stats.late > 0,
        "{stats:?}"
    );
    let told = i64::try_from(stats.events - stats.lost).unwrap();
    assert_eq!(count(&rig.db, "fault IS NULL").await, told);
    assert_eq!(count(&rig.db, "true").await, told);
    worker.stop().await.unwrap();
    web.stop().await;
}

/// Posts on a connection that is kept, as a reverse proxy does.
async fn post(stream: &mut TcpStream, body: &[u8]) -> u16 {
    let head = format!(
        "POST /callbacks/clinic/{SECRET}{QUERY} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .await
        .unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 1024]);
    while !bytes.ends_with(b"}") && !bytes.ends_with(b"\n") || bytes.ends_with(b"\r\n") {
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the connection is kept");
        bytes.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&bytes)[9..12].parse().unwrap()
}

#[tokio::test]
async fn two_receivers_that_are_given_the_same_storm_store_it_once() {
    const CALLBACKS: usize = 2000;
    const CONNECTIONS: usize = 32;
    let database = Database::new().await;
    let webs = [
        Web::of_clinic(&database).await,
        Web::of_clinic(&database).await,
    ];
    let bodies: Arc<Vec<Vec<u8>>> =
        Arc::new((0..CALLBACKS).map(|n| end_of(&format!("c-{n}"))).collect());
    let mut senders = JoinSet::new();
    for web in &webs {
        for n in 0..CONNECTIONS {
            let (address, bodies) = (web.address, Arc::clone(&bodies));
            senders.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for body in bodies.iter().skip(n).step_by(CONNECTIONS) {
                    // Where the machine is too busy, Tencent sends it again.
                    while post(&mut stream, body).await != 200 {}
                }
            });
        }
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    assert_eq!(
        count(&database, "true").await,
        i64::try_from(CALLBACKS).unwrap()
    );
    let stored = webs[0].metric("callq_callbacks_stored_total").await
        + webs[1].metric("callq_callbacks_stored_total").await;
    assert_eq!(stored, 2000);
    let Answer { body, .. } = webs[0].ask("GET", "/metrics", b"").await;
    assert!(body.contains("callq_callbacks_batch_bucket"), "{body}");
    for web in webs {
        web.stop().await;
    }
}
