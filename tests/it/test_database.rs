//! The databases that the other tests get.

use crate::support::Database;

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let (one, other) = tokio::join!(Database::new(), Database::new());
    sqlx::raw_sql("CREATE TABLE mine (id int)")
        .execute(one.pool())
        .await
        .expect("the database takes a table");
    let seen: Option<String> = sqlx::query_scalar("SELECT to_regclass('mine')::text")
        .fetch_one(other.pool())
        .await
        .expect("the other database answers");
    assert_eq!(seen, None);
    assert_ne!(one.url(), other.url());
}

#[tokio::test]
async fn a_database_is_gone_after_its_test() {
    let observer = Database::empty().await;
    let name = {
        let database = Database::new().await;
        let name = sqlx::query_scalar("SELECT current_database()")
            .fetch_one(database.pool())
            .await;
        let name: String = name.expect("the database answers");
        name
    };
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_one(observer.pool())
        .await
        .expect("the observer answers");
    assert_eq!(left, 0, "{name} was left behind");
}
