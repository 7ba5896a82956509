//! Who rings and who talks now, as Tencent says it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::call::{Answer, Presence, readable};
use crate::cli::Failure;
use crate::cli::settings::{ConfigFile, WorkerFlags};
use crate::store::JobRow;
use crate::tencent::{Command, Judgement, REQUEST_TIMEOUT_DEFAULT, Settings, TencentClient, judge};

/// What `get_call_info` says of a job's call. It rings nobody.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    /// `no_call` (no CallId is known), `over`, or `live`.
    state: &'static str,
    /// Who is in the call, the robot too if it is.
    users: Vec<User>,
}

#[derive(Debug, Serialize)]
struct User {
    account: String,
    /// `rings`, `talks`, or Tencent's word as it came.
    does: String,
}

impl Live {
    /// Asks, with the configuration of the job's app.
    pub(super) async fn ask(config: &ConfigFile, job: &JobRow) -> Result<Self, Failure> {
        let Some(call_id) = &job.call_id else {
            return Ok(Self::without("no_call"));
        };
        let sources = config.sources(&WorkerFlags::default());
        sources.shape()?;
        let app = sources.app(&job.app)?;
        let client = TencentClient::new(Settings {
            host: app.host,
            user_sigs: app.user_sigs,
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
            https_proxy: sources.https_proxy()?,
        });
        let client = client.map_err(|error| Failure::Cannot(error.into()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
        let info = client.get_call_info(call_id, fastrand::u32(..), now).await;
        if judge(Command::GetCallInfo, &info.answer) != Judgement::Done {
            let why = match &info.answer {
                Answer::Reply(reply) => format!("{} {}", reply.error_code, reply.error_info),
                Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. } => detail.clone(),
            };
            let fault = anyhow::anyhow!("could not ask Tencent for the call: {}", readable(&why));
            return Err(Failure::CouldNot(fault));
        }
        let Some(call) = info.call else {
            return Ok(Self::without("over"));
        };
        let users = call.users.into_iter().map(|user| User {
            account: user.account,
            does: match user.presence {
                Presence::Calling => "talks".to_owned(),
                Presence::Waiting => "rings".to_owned(),
                Presence::Other(word) => word,
            },
        });
        Ok(Self {
            state: "live",
            users: users.collect(),
        })
    }

    const fn without(state: &'static str) -> Self {
        Self {
            state,
            users: Vec::new(),
        }
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.users.iter();
        let users = users.map(|u| format!("{} {}", readable(&u.account), readable(&u.does)));
        let users: Vec<String> = users.collect();
        match self.state {
            "no_call" => f.write_str("Now: no CallId is known of it, so Tencent cannot be asked."),
            "live" if users.is_empty() => f.write_str("Now: the call is there, with nobody in it."),
            "live" => write!(f, "Now: {}.", users.join(", ")),
            _ => f.write_str("Now: the call is over, or Tencent knows of none."),
        }
    }
}
