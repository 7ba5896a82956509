//! Reading the call records of a span, page by page, at a pace of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::app::App;
use crate::call::{Answer, Record};
use crate::tencent::{
    Command, FoundRecord, Judgement, RECORD_PAGE_SIZE, RecordPage, RecordWindow, judge,
};

/// How many requests for records leave in a second at most. Tencent takes 200 of each command.
const REQUESTS_PER_SECOND: u32 = 100;

/// How many are under way at once.
const AT_ONCE: usize = 8;

/// How long until a page is asked for again; doubled each time.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How long one page is asked for: less than the right to read lasts ([`super::sweep`]), with a
/// request's timeout.
const ASK_FOR: Duration = Duration::from_secs(5);

/// Why a span could not be read, in words.
#[derive(Debug)]
pub(super) struct Unread(pub String);

/// Reads records of one app.
pub(super) struct Pages {
    app: Arc<App>,
    pace: Interval,
    /// What Tencent's clock said last, when that was asked, and when it came.
    pub date: Option<(i64, Instant, Instant)>,
    /// The database's time, by which requests are signed, and when that was read.
    pub signed_at: (i64, Instant),
}

/// A span that is being read.
pub(super) struct Span {
    from_unix: i64,
    to_unix: i64,
    total: Option<u64>,
    pages: u32,
    next: u32,
    complete: bool,
    ids: HashSet<String>,
    under_way: JoinSet<(Instant, RecordPage)>,
}

impl Pages {
    pub(super) fn new(app: Arc<App>) -> Self {
        let mut pace = interval(Duration::from_secs(1) / REQUESTS_PER_SECOND);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            app,
            pace,
            date: None,
            signed_at: (0, Instant::now()),
        }
    }

    /// Tencent's time now, or a little earlier.
    pub(super) fn tencent_now(&self) -> Option<i64> {
        let (unix, _, came) = self.date?;
        Some(unix + i64::try_from(came.elapsed().as_secs()).unwrap_or(0))
    }

    /// The database's time now, or a little earlier, by which requests are signed.
    pub(super) fn database_now(&self) -> i64 {
        let (unix, read) = self.signed_at;
        unix + i64::try_from(read.elapsed().as_secs()).unwrap_or(0)
    }

    fn note_date(&mut self, asked: Instant, date: Option<i64>) {
        if let Some(unix) = date
            && self.date.is_none_or(|(last, _, _)| unix >= last)
        {
            self.date = Some((unix, asked, Instant::now()));
        }
    }

    /// Begins to read a span: its first page, which says how many there are.
    pub(super) async fn begin(
        &mut self,
        from_unix: i64,
        to_unix: i64,
    ) -> Result<(Span, Vec<Record>), Unread> {
        let mut span = Span {
            from_unix,
            to_unix,
            total: None,
            pages: 1,
            next: 2,
            complete: true,
            ids: HashSet::new(),
            under_way: JoinSet::new(),
        };
        let first = self.page(span.window(1)).await?;
        span.total = first.total;
        let size = u64::from(RECORD_PAGE_SIZE);
        let pages = first.total.map_or(1, |total| total.div_ceil(size)).max(1);
        span.pages = u32::try_from(pages).unwrap_or(u32::MAX);
        // Without a total nothing says that there is no second page, but a page that is not full.
        span.complete = first.total.is_some() || first.records.len() < RECORD_PAGE_SIZE as usize;
        let records = span.take(first);
        Ok((span, records))
    }

    /// The next records of a span; none when it is read.
    pub(super) async fn next(&mut self, span: &mut Span) -> Result<Option<Vec<Record>>, Unread> {
        while span.next <= span.pages && span.under_way.len() < AT_ONCE {
            self.pace.tick().await;
            let (app, window) = (Arc::clone(&self.app), span.window(span.next));
            let signed_at = self.database_now();
            span.under_way
                .spawn(async move { ask(&app, window, signed_at).await });
            span.next += 1;
        }
        let Some(done) = span.under_way.join_next().await else {
            return Ok(None);
        };
        let (asked, page) = done.map_err(|_| Unread("a request was given up".to_owned()))?;
        self.note_date(asked, page.date_unix);
        let page = answered(page)?;
        if page.total != span.total {
            span.complete = false;
        }
        Ok(Some(span.take(page)))
    }

    /// Whether all of a span was read: it had as many records afterwards as before, every one of
    /// them was seen, and each could be read.
    pub(super) async fn is_complete(&mut self, span: &Span) -> Result<bool, Unread> {
        if !span.complete || span.pages == 1 {
            return Ok(span.complete && span.has_all());
        }
        let again = self.page(span.window(1)).await?;
        Ok(again.total == span.total && span.has_all())
    }

    async fn page(&mut self, window: RecordWindow) -> Result<RecordPage, Unread> {
        self.pace.tick().await;
        let (asked, page) = ask(&self.app, window, self.database_now()).await;
        self.note_date(asked, page.date_unix);
        answered(page)
    }

    /// One call's record, if it is there.
    pub(super) async fn of_call(&mut self, call_id: &str) -> Result<Option<Record>, Unread> {
        self.pace.tick().await;
        let asked = Instant::now();
        let random = fastrand::u32(..);
        let signed_at = self.database_now();
        let asking = self
            .app
            .client
            .get_record_by_callid(call_id, random, signed_at);
        let FoundRecord {
            answer,
            record,
            date_unix,
        } = asking.await;
        self.note_date(asked, date_unix);
        match judge(Command::GetRecordByCallId, &answer) {
            Judgement::TryAgain | Judgement::AppFault => Err(unread(&answer)),
            _ => Ok(record.filter(|record| record.call_id == call_id)),
        }
    }
}

impl Span {
    const fn window(&self, page: u32) -> RecordWindow {
        RecordWindow {
            from_unix: self.from_unix,
            to_unix: self.to_unix,
            page,
        }
    }

    /// Its first and its last second.
    pub(super) const fn bounds(&self) -> (i64, i64) {
        (self.from_unix, self.to_unix)
    }

    /// How many pages it has.
    pub(super) const fn pages(&self) -> u32 {
        self.pages
    }

    fn take(&mut self, page: RecordPage) -> Vec<Record> {
        if page.unreadable > 0 {
            self.complete = false;
        }
        let mut records = page.records;
        records.retain(|record| self.ids.insert(record.call_id.clone()));
        records
    }

    fn has_all(&self) -> bool {
        self.total
            .is_none_or(|total| total == self.ids.len() as u64)
    }
}

/// Asks for a page, and again where Tencent could not give it: a span may have thousands, and for
/// one that fails all of them would be read anew. Returns when it was asked for, and the answer.
async fn ask(app: &App, window: RecordWindow, signed_at: i64) -> (Instant, RecordPage) {
    let began = Instant::now();
    let mut pause = ASK_AGAIN;
    loop {
        let asked = Instant::now();
        let client = &app.client;
        let page = client
            .get_record_by_filter(window, fastrand::u32(..), signed_at)
            .await;
        let judged = judge(Command::GetRecordByFilter, &page.answer);
        if judged != Judgement::TryAgain || began.elapsed() + pause > ASK_FOR {
            return (asked, page);
        }
        sleep(pause).await;
        pause *= 2;
    }
}

fn answered(page: RecordPage) -> Result<RecordPage, Unread> {
    match judge(Command::GetRecordByFilter, &page.answer) {
        Judgement::Done => Ok(page),
        _ => Err(unread(&page.answer)),
    }
}

/// What Tencent said instead.
fn unread(answer: &Answer) -> Unread {
    Unread(super::tell::detail(answer))
}
