//! What a request leads to when nothing is scripted, and its answer.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::code::IngestCode;
use super::tasks::Tasks;
use super::wanted::{Action, Wanted};
use crate::sandbox::config::SandboxApp;
use crate::sandbox::record::Seen;
use crate::sandbox::switchboard::Switchboard;
use crate::sandbox::user_sig;
use crate::sandbox::window::Window;
use crate::sandbox::work::Now;

/// So many requests of an action an app may send in a second (57834 to 57836).
const REQUESTS_PER_SECOND: u32 = 20;

/// A request that was read and verified, up to where the state of the sandbox matters.
pub(in crate::sandbox) struct Received {
    pub(in crate::sandbox) seen: Seen,
    /// The apps of the account that signed it.
    pub(super) account: Result<Vec<u64>, IngestCode>,
    /// What it is about.
    pub(super) action: Result<Action, IngestCode>,
    /// What the body asks for.
    pub(super) wanted: Result<Wanted, IngestCode>,
}

/// An answer: its `Response`, and the code if it refuses.
#[derive(Serialize)]
pub(in crate::sandbox) struct Replied {
    #[serde(rename = "Response")]
    response: Value,
    #[serde(skip)]
    pub(in crate::sandbox) code: Option<IngestCode>,
}

impl Replied {
    pub(in crate::sandbox) fn refused(code: IngestCode) -> Self {
        let message = format!("the sandbox refuses with {}", code.as_str());
        Self::new(
            json!({ "Error": { "Code": code.as_str(), "Message": message } }),
            Some(code),
        )
    }

    /// What a request that was not worked on would have been answered.
    pub(in crate::sandbox) fn unworked() -> Self {
        Self::refused(IngestCode::INTERNAL)
    }

    /// What is one too many in a second.
    pub(in crate::sandbox) fn throttled() -> Self {
        Self::refused(IngestCode::REQUEST_LIMIT)
    }

    fn new(mut response: Value, code: Option<IngestCode>) -> Self {
        response["RequestId"] = Uuid::new_v4().to_string().into();
        Self { response, code }
    }
}

/// The last second's requests, by app and action.
pub(super) type Requests = HashMap<(u64, Action), Window>;

impl Tasks {
    /// Works on one request.
    pub(in crate::sandbox) fn work(
        &mut self,
        received: &Received,
        apps: &HashMap<u64, SandboxApp>,
        switchboard: &Switchboard,
        now: Now,
        now_unix_s: i64,
    ) -> Replied {
        let done = self.done(received, apps, switchboard, now, now_unix_s);
        match done {
            Ok(response) => Replied::new(response, None),
            Err(code) => Replied::refused(code),
        }
    }

    fn done(
        &mut self,
        received: &Received,
        apps: &HashMap<u64, SandboxApp>,
        switchboard: &Switchboard,
        now: Now,
        now_unix_s: i64,
    ) -> Result<Value, IngestCode> {
        let account = received.account.as_ref().map_err(|code| *code)?;
        let action = received.action?;
        // By account at Tencent; here each account is known by its first app.
        let payer = account.iter().min().copied().unwrap_or_default();
        let requests = self.requests.entry((payer, action)).or_default();
        if !requests.admit(now.monotonic_us, REQUESTS_PER_SECOND) {
            return Err(IngestCode::REQUEST_LIMIT);
        }
        let wanted = received.wanted.as_ref().map_err(|code| *code)?;
        let (Wanted::Start(app, _) | Wanted::Stop(app, _) | Wanted::Describe(app, _)) = wanted;
        let known = apps.get(app).ok_or(IngestCode::APP_NOT_EXIST)?;
        if !account.contains(app) {
            return Err(IngestCode::APP_NOT_UNDER);
        }
        match wanted {
            Wanted::Start(app, stream) => {
                user_sig::verify(&stream.user_sig, &stream.user_id, known, now_unix_s)
                    .map_err(|_| IngestCode::USER_SIG)?;
                let task_id = self.start(*app, stream, switchboard, now.ms)?;
                Ok(json!({ "TaskId": task_id }))
            }
            Wanted::Stop(app, task_id) => {
                self.stop(*app, task_id, now.ms)?;
                Ok(json!({}))
            }
            Wanted::Describe(app, task_id) => {
                let status = if self.plays(*app, task_id, now.ms) {
                    "InProgress"
                } else {
                    "NotExist"
                };
                Ok(json!({ "Status": status }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_requests_of_an_action_pass_in_a_second_whatever_the_app_of_the_account() {
        let apps: HashMap<u64, SandboxApp> = [7, 8]
            .map(|sdk_app_id| SandboxApp {
                sdk_app_id,
                ..SandboxApp::default()
            })
            .map(|app| (app.sdk_app_id, app))
            .into();
        let mut tasks = Tasks::default();
        let mut code = |app: u64, action, monotonic_us| {
            let received = Received {
                seen: Seen::default(),
                account: Ok(vec![8, 7]),
                action: Ok(action),
                wanted: Ok(Wanted::Describe(app, "none".to_owned())),
            };
            let now = Now {
                monotonic_us,
                ms: 0,
            };
            let replied = tasks.work(&received, &apps, &Switchboard::default(), now, 0);
            replied.code
        };
        for n in 0..20 {
            assert_eq!(code(7 + n % 2, Action::Describe, n), None, "{n}");
        }
        let throttled = Some(IngestCode::REQUEST_LIMIT);
        assert_eq!(code(7, Action::Describe, 999_999), throttled);
        assert_eq!(code(8, Action::Describe, 999_999), throttled);
        assert_eq!(code(7, Action::Stop, 999_999), None);
        assert_eq!(code(7, Action::Describe, 1_000_000), None);
    }
}
