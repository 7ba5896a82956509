//! The commands about calls that were started: their records, and their end. None of them rings
//! anybody, and each may be sent again whatever came of it before.
//!
//! For each, `random` goes into the URL as it is, and `signed_at_unix` is the database's time in
//! seconds, by which a `UserSig` is signed if the kept one is too old. Tencent takes 200 of each a
//! second.

use serde::Serialize;

use super::judge::Command;
use super::{TencentClient, records};
use crate::call::{Answer, Record};

/// The records of one page (68931: the default; how many more a page may have is not documented).
pub const RECORD_PAGE_SIZE: u32 = 10;

/// A record can be had so many seconds after the end of its call (68940).
pub const RECORD_AFTER_S: i64 = 5;

/// A record can be had for so many seconds, which are 7 days (68930, 68931).
pub const RECORDS_KEPT_S: i64 = 7 * 86_400;

/// What `get_record_by_callid` led to.
#[derive(Debug)]
pub struct FoundRecord {
    /// The answer, to be judged as one to [`Command::GetRecordByCallId`].
    pub answer: Answer,
    /// The record, if the answer is a success that holds one.
    pub record: Option<Record>,
    /// Tencent's clock, as its answer has it, in seconds since the Unix epoch.
    pub date_unix: Option<i64>,
}

/// Which records to list: those of a span of Tencent's time, page by page.
///
/// Whether the span is that of a call's beginning or of its end is not documented: let spans
/// overlap by more than the longest call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordWindow {
    /// `StartTime`, in seconds since the Unix epoch; one of more than 7 days ago is taken as that.
    pub from_unix: i64,
    /// `EndTime`, likewise.
    pub to_unix: i64,
    /// `Page`, from 1.
    pub page: u32,
}

/// What `get_record_by_filter` led to.
#[derive(Debug)]
pub struct RecordPage {
    /// The answer, to be judged as one to [`Command::GetRecordByFilter`].
    pub answer: Answer,
    /// `TotalNum`: how many records the span has on all pages. If it is not what it was on the page
    /// before, records came meanwhile, and may have moved others from one page to another.
    pub total: Option<u64>,
    /// `Page`.
    pub page: Option<u64>,
    /// The records that can be read.
    pub records: Vec<Record>,
    /// How many cannot, because they name no call; one, if the answer neither lists nor counts any.
    /// A page with such a one was not read whole.
    pub unreadable: usize,
    /// Tencent's clock, as its answer has it, in seconds since the Unix epoch.
    pub date_unix: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct OfCall<'a> {
    call_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    start_time: i64,
    end_time: i64,
    number_per_page: u32,
    page: u32,
}

impl TencentClient {
    /// Asks for the record of one call. 101050 is no failure: the call goes on, ended within the
    /// last [`RECORD_AFTER_S`], or more than [`RECORDS_KEPT_S`] ago.
    pub async fn get_record_by_callid(
        &self,
        call_id: &str,
        random: u32,
        signed_at_unix: i64,
    ) -> FoundRecord {
        let path = Command::GetRecordByCallId.path();
        let body = OfCall { call_id };
        let asked = self.ask(path, &body, random, signed_at_unix).await;
        FoundRecord {
            record: asked.body.as_deref().and_then(records::read_record),
            answer: asked.answer,
            date_unix: asked.date_unix,
        }
    }

    /// Asks for one page of the records of a span, [`RECORD_PAGE_SIZE`] at a time.
    pub async fn get_record_by_filter(
        &self,
        window: RecordWindow,
        random: u32,
        signed_at_unix: i64,
    ) -> RecordPage {
        let path = Command::GetRecordByFilter.path();
        let body = Filter {
            start_time: window.from_unix,
            end_time: window.to_unix,
            number_per_page: RECORD_PAGE_SIZE,
            page: window.page,
        };
        let asked = self.ask(path, &body, random, signed_at_unix).await;
        let listed = asked.body.as_deref().map(records::page).unwrap_or_default();
        RecordPage {
            answer: asked.answer,
            total: listed.total,
            page: listed.page,
            records: listed.records,
            unreadable: listed.unreadable,
            date_unix: asked.date_unix,
        }
    }

    /// Ends a call, whoever rings or talks. That it was over already is a success
    /// ([`judge`](super::judge()) knows).
    pub async fn end_call(&self, call_id: &str, random: u32, signed_at_unix: i64) -> Answer {
        let body = OfCall { call_id };
        let path = Command::EndCall.path();
        self.ask(path, &body, random, signed_at_unix).await.answer
    }
}
