//! Brings the schema up to date, and the list of Tencent's codes that the reports use.

use crate::store::{self, CodeRow, Migrated, Store, StoreError};
use crate::tencent;

/// Migrates the database at `url` and publishes the table of codes there.
///
/// # Errors
/// If the database cannot be reached, the user may not, or the schema is of another program.
pub async fn migrate(url: &str) -> Result<Migrated, StoreError> {
    let migrated = store::migrate(url).await?;
    let codes: Vec<CodeRow> = tencent::verdicts()
        .map(|(code, verdict)| CodeRow {
            code,
            class: verdict.class.family().as_str(),
            meaning: verdict.meaning,
            source: verdict.source,
        })
        .collect();
    let store = Store::connect(url, 1).await?;
    store.publish_codes(&codes).await?;
    store.close().await;
    Ok(migrated)
}
