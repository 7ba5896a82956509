//! Tencent's codes, for reports: `callq.error_codes` mirrors the table in the program.

use super::connect::bounded;
use super::{Store, StoreError};

/// One code and what callq does on it.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// `ErrorCode`.
    pub code: i64,
    /// The family of its class, as a word.
    pub class: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Which page says so.
    pub source: &'static str,
}

impl Store {
    /// Makes `callq.error_codes` hold exactly these rows.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn publish_codes(&self, rows: &[CodeRow]) -> Result<(), StoreError> {
        let codes: Vec<i64> = rows.iter().map(|r| r.code).collect();
        let classes: Vec<&str> = rows.iter().map(|r| r.class).collect();
        let meanings: Vec<&str> = rows.iter().map(|r| r.meaning).collect();
        let sources: Vec<&str> = rows.iter().map(|r| r.source).collect();
        bounded!(
            self,
            "publish the error codes",
            execute,
            sqlx::query_file!(
                "src/store/codes.sql",
                &codes,
                &classes as &[&str],
                &meanings as &[&str],
                &sources as &[&str],
            )
        )?;
        Ok(())
    }
}
