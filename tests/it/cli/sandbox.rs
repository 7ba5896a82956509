//! `callq sandbox`

use crate::support::Database;
use crate::support::program::{Program, callq};

#[tokio::test]
async fn a_worker_reaches_the_sandbox_with_what_it_prints() {
    let mut sandbox = Program::start(&mut callq(["sandbox", "--listen", "127.0.0.1:0"]));
    let said = sandbox.says(callq::sandbox::SANDBOX_SECRET_KEY).await;
    let words = said
        .split_whitespace()
        .filter(|word| word.starts_with("CALLQ_"));
    let environment: Vec<_> = words.filter_map(|word| word.split_once('=')).collect();
    assert_eq!(environment.len(), 4, "{said}");

    let database = Database::new().await;
    let mut command = callq(["worker"]);
    command
        .envs(environment)
        .env("DATABASE_URL", database.url());
    let worker = Program::start(&mut command);
    sqlx::query("INSERT INTO callq.jobs (robot_account, callees) VALUES ('bot', '{jack}')")
        .execute(database.pool())
        .await
        .expect("a good row is taken");
    let printed = sandbox.prints("bot -> jack").await;
    assert!(
        printed.contains("  0  ") && printed.contains("  room callq_1_1_"),
        "{printed}"
    );

    worker.signal(libc::SIGTERM);
    worker.end().await.with_code(0);
    sandbox.signal(libc::SIGINT);
    let ended = sandbox.end().await.with_code(0);
    assert_eq!(
        ended.text().lines().count(),
        1,
        "one line per request: {ended}"
    );
}
