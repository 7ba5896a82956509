//! The command that rings, and two that ask whether one could: for a call, and for accounts.
//!
//! For each, `random` goes into the URL as it is, and `signed_at_unix` is the database's time in
//! seconds, by which a `UserSig` is signed if the kept one is too old.

use super::accounts::{self, CheckedAccount};
use super::judge::Command;
use super::private::Private;
use super::tls::TlsFault;
use super::wire::{AccountCheckBody, GetCallInfoBody, StartCallBody};
use super::{TencentClient, envelope, records};
use crate::call::{Answer, LiveCall, StartCall};

/// The path of `start_call_by_robot` (74505).
pub const START_CALL_PATH: &str = "/v4/call_engine_http_srv/start_call_by_robot";

/// The path of `account_check` (IM 34956).
const ACCOUNT_CHECK_PATH: &str = "/v4/im_open_login_svc/account_check";

/// The `CallId` of no call: Tencent's are random uuids, and this one is not. To be asked for where
/// only the app matters; the answer to an app in order is 101004.
pub const NO_CALL_ID: &str = "00000000-0000-0000-0000-000000000000";

/// The most accounts of one `account_check` (IM 34956).
pub const ACCOUNTS_MAX: usize = 100;

/// What `get_call_info` led to.
#[derive(Debug)]
pub struct CallInfo {
    /// The answer, as that of every command; [`judge`](super::judge()) says what it means for the
    /// question, [`classify`](super::classify) what it means for the app: its codes are about a
    /// question, so that 101004 is no doubt.
    pub answer: Answer,
    /// What was wrong with the host's certificate, if that is why there was no connection.
    pub tls_fault: Option<TlsFault>,
    /// The call, if it is not over.
    pub call: Option<LiveCall>,
}

/// What `account_check` led to.
#[derive(Debug)]
pub struct AccountCheck {
    /// The answer to the request as a whole.
    pub answer: Answer,
    /// What was said of each account; empty unless the answer is a success.
    pub accounts: Vec<CheckedAccount>,
}

impl TencentClient {
    /// Starts a call: at most one request, and always an answer.
    ///
    /// Dropping the future after the first poll leaves the request in doubt.
    pub async fn start_call_by_robot(
        &self,
        call: &StartCall,
        random: u32,
        signed_at_unix: i64,
    ) -> Answer {
        let body = StartCallBody::from(call);
        let exchange = self.exchange(START_CALL_PATH, &body, random, signed_at_unix);
        match exchange.await {
            Ok(received) => {
                let private = Private::of(call);
                envelope::read_without(&private, received.http_status, &received.body)
                    .map_or_else(|| received.unknown(), Answer::Reply)
            }
            Err(unanswered) => unanswered.answer,
        }
    }

    /// Asks for a call; rings nobody, whatever comes of it.
    pub async fn get_call_info(&self, call_id: &str, random: u32, signed_at_unix: i64) -> CallInfo {
        let body = GetCallInfoBody {
            call_id: call_id.to_owned(),
        };
        let asked = self
            .ask(Command::GetCallInfo.path(), &body, random, signed_at_unix)
            .await;
        CallInfo {
            call: asked.body.as_deref().and_then(records::live),
            answer: asked.answer,
            tls_fault: asked.tls_fault,
        }
    }

    /// Asks which of these accounts were imported, at most [`ACCOUNTS_MAX`] (more are refused by
    /// Tencent). Tencent takes 100 such requests a second.
    pub async fn account_check(
        &self,
        user_ids: &[String],
        random: u32,
        signed_at_unix: i64,
    ) -> AccountCheck {
        let body = AccountCheckBody::of(user_ids);
        let asked = self
            .ask(ACCOUNT_CHECK_PATH, &body, random, signed_at_unix)
            .await;
        AccountCheck {
            accounts: asked.body.as_deref().map_or_else(Vec::new, accounts::read),
            answer: asked.answer,
        }
    }
}
