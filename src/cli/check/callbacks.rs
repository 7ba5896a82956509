//! Where Tencent sends an app's callbacks, against where `callq web` takes them.

use super::database::Known;
use super::finding::Finding;
use super::report::said_and_fix;
use crate::cli::callbacks::place;
use crate::config::{CallbackAddress, ConfigError};
use crate::tencent::{Command, Judgement, TencentClient, judge};

const CHECK: &str = "callbacks";

/// What the configuration says of where they are taken.
pub(super) type Address = Result<Option<CallbackAddress>, ConfigError>;

/// Asks Tencent where they go. None of what it says is a failure: outcomes come from call records
/// too, only later.
pub(super) async fn look(client: &TencentClient, address: &Address, known: &Known) -> Finding {
    let ours = match address {
        Ok(ours) => ours.as_ref(),
        Err(error) => {
            let (says, fix) = said_and_fix(&error.to_string());
            return Finding::cannot(CHECK, says, &fix);
        }
    };
    let now = known.now_unix();
    let asked = client.get_callback(fastrand::u32(..), now).await;
    if judge(Command::GetCallback, &asked.answer) != Judgement::Done {
        let says = "where they go is not known: Tencent did not say";
        return Finding::warn(CHECK, says, "try again; see `callq callbacks show`");
    }
    told(
        asked.config.as_ref().map(|config| config.url.as_str()),
        ours,
    )
}

fn told(url: Option<&str>, ours: Option<&CallbackAddress>) -> Finding {
    let set = "`callq callbacks set` has them sent to `callq web`";
    match (url, ours) {
        (Some(url), Some(ours)) if ours.is_in(url) => {
            Finding::ok(CHECK, format!("they go to {}, which is ours", place(url)))
        }
        (Some(url), Some(ours)) if ours.is_ours(url) => {
            Finding::warn(CHECK, "they go to us with another secret", set)
        }
        (Some(url), Some(_)) => {
            let says = format!("they go to {}, and not to us", place(url));
            let fix = "if nobody needs them there, `callq callbacks set --force`";
            Finding::warn(CHECK, says, fix)
        }
        (None, Some(_)) => Finding::warn(CHECK, "none are sent", set),
        (Some(url), None) => {
            let says = format!("they go to {}; none are taken here", place(url));
            Finding::ok(CHECK, says)
        }
        (None, None) => Finding::ok(CHECK, "none are sent, and none are taken here"),
    }
}
