//! The commands about where Tencent sends callbacks. There is one URL per `SDKAppID`, and setting
//! it overwrites all that was set before (68938): look first.
//!
//! `random` and `signed_at_unix` are as in [`commands`](super::commands).

use serde::Serialize;
use serde_json::{Map, Value};

use super::TencentClient;
use super::judge::Command;
use super::lenient::{Fields, plain, word};
use crate::call::{Answer, CallbackCommand};

/// Where Tencent sends which callbacks.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackConfig {
    /// `Url`. Its path may be a secret, so `Debug` does not show it.
    pub url: String,
    /// The callbacks of calls among `CallbackCommandList`.
    pub commands: Vec<CallbackCommand>,
    /// What else is in that list.
    pub others: Vec<String>,
}

impl std::fmt::Debug for CallbackConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackConfig")
            .field("commands", &self.commands)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

/// What `get_callback` led to.
#[derive(Debug)]
pub struct ConfiguredCallback {
    /// The answer, to be judged as one to [`Command::GetCallback`]; 100301, which says that none is
    /// configured, is a success.
    pub answer: Answer,
    /// What is configured; `None` if nothing is.
    pub config: Option<CallbackConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SetCallback<'a> {
    url: &'a str,
    callback_command_list: Vec<&'static str>,
}

impl TencentClient {
    /// Asks where callbacks go.
    pub async fn get_callback(&self, random: u32, signed_at_unix: i64) -> ConfiguredCallback {
        let path = Command::GetCallback.path();
        // A body must never be empty (68926).
        let body = Map::<String, Value>::new();
        let asked = self.ask(path, &body, random, signed_at_unix).await;
        ConfiguredCallback {
            config: asked.body.as_deref().and_then(read),
            answer: asked.answer,
        }
    }

    /// Has these callbacks sent to `url` from now on, and nothing else that was set before.
    pub async fn set_callback(
        &self,
        url: &str,
        commands: &[CallbackCommand],
        random: u32,
        signed_at_unix: i64,
    ) -> Answer {
        let path = Command::SetCallback.path();
        let body = SetCallback {
            url,
            callback_command_list: commands.iter().map(|c| c.as_str()).collect(),
        };
        self.ask(path, &body, random, signed_at_unix).await.answer
    }

    /// Has no callbacks sent any more.
    pub async fn delete_callback(&self, random: u32, signed_at_unix: i64) -> Answer {
        let path = Command::DeleteCallback.path();
        let body = Map::<String, Value>::new();
        self.ask(path, &body, random, signed_at_unix).await.answer
    }
}

fn read(body: &[u8]) -> Option<CallbackConfig> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let response = Fields::of(&body).object("Response");
    let known = |name: &str| {
        let mut all = CallbackCommand::ALL.into_iter();
        all.find(|command| plain(command.as_str()) == plain(name))
    };
    let listed = response.list("CallbackCommandList").iter();
    let listed: Vec<String> = listed.filter_map(word).collect();
    Some(CallbackConfig {
        url: response.text("Url")?,
        commands: listed.iter().filter_map(|name| known(name)).collect(),
        others: listed
            .into_iter()
            .filter(|name| known(name).is_none())
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_read_and_its_url_is_not_shown() {
        let body = br#"{"ErrorCode":0,"Response":{"Url":"https://example.com/s3cret",
            "CallbackCommandList":["Call.CallbackAfterEndCall","Call.CallbackLater"]}}"#;
        let config = read(body).expect("there is a URL");
        assert_eq!(config.url, "https://example.com/s3cret");
        assert_eq!(config.commands, [CallbackCommand::AfterEndCall]);
        assert_eq!(config.others, ["Call.CallbackLater"]);
        assert!(!format!("{config:?}").contains("s3cret"));
        for none in ["{}", r#"{"Response":{"Url":""}}"#, "[]", ""] {
            assert_eq!(read(none.as_bytes()), None, "{none}");
        }
    }
}
