//! A server that takes no more connections than it has.

use callq::store::Store;
use tokio::task::JoinSet;

use super::{Login, run};
use crate::support::Database;

#[tokio::test]
async fn a_login_that_may_have_one_connection_gets_every_answer_by_it() {
    let database = Database::new().await;
    let login = Login::member_of(Some("callq_worker"), &database).await;
    run(
        &database,
        &format!("ALTER ROLE {} CONNECTION LIMIT 1", login.name),
    )
    .await;
    let store = Store::connect(&login.url, 5).await.expect("it is let in");
    // Five at once ask for connections of their own, and one of them gets one.
    let mut asked = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        asked.spawn(async move { store.unix_time().await });
    }
    for answer in asked.join_all().await {
        answer.expect("the one connection serves all");
    }
}
