//! `callq callbacks`

use clap::{Args, Subcommand};
use serde_json::json;
use url::{Position, Url};

use super::settings::{ConfigFile, WorkerFlags};
use super::{Failure, ask, print};
use crate::call::{Answer, CallbackCommand, readable};
use crate::config::{AppConfig, CallbackAddress};
use crate::tencent::{
    CallbackConfig, Command as Asked, Judgement, REQUEST_TIMEOUT_DEFAULT, Settings, TencentClient,
    judge, judged, remedy,
};

const EXAMPLES: &str = "Examples:\n  \
    callq callbacks show\n  \
    callq callbacks set --app clinic    # to where `callq web` is: callbacks_base_url\n  \
    callq callbacks set https://calls.example.com/hooks/9f86d081884c7d65 --app clinic\n  \
    callq callbacks delete --app clinic";

/// Look at where Tencent sends callbacks of calls, and change it.
///
/// Tencent keeps one URL for each app (SDKAppID), whoever set it, and setting one overwrites all
/// that was set before. These commands need no database.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Callbacks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Set(Set),
    Delete(Delete),
}

impl Callbacks {
    pub(super) async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        match self.command {
            Command::Show(show) => show.run(config).await,
            Command::Set(set) => set.run(config).await,
            Command::Delete(delete) => delete.run(config).await,
        }
    }
}

/// Where the callbacks of each configured app go.
///
/// The URL is printed whole, so that it can be set again; but for the callbacks_secret of the
/// configuration, which stands in ours.
#[derive(Debug, Args)]
struct Show {
    /// Only this app
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// One JSON object per app, for programs
    #[arg(long)]
    json: bool,
}

impl Show {
    async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        for office in offices(config, self.app.as_deref())? {
            let configured = office.look().await?;
            if self.json {
                print::json(&office.to_json(configured.as_ref()))?;
            } else {
                print::line(&office.to_line(configured.as_ref()))?;
            }
        }
        Ok(())
    }
}

/// Have Tencent send every callback of calls to `callq web`, or to another URL.
///
/// Without a URL it is made of callbacks_base_url and the app's callbacks_secret, which is not
/// printed. A URL that is already set and is neither this one nor one with an earlier secret
/// belongs to somebody: it is left alone without --force. Tencent signs no callback, so use https
/// and a path that nobody can guess.
#[derive(Debug, Args)]
struct Set {
    /// Where to, http or https; without it to `callq web`
    #[arg(value_name = "URL", value_parser = receiver)]
    url: Option<String>,

    /// Of this app; needed if several are configured
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// Overwrite another URL
    #[arg(long)]
    force: bool,
}

impl Set {
    async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let office = office(config, self.app.as_deref())?;
        let url = match self.url {
            Some(url) => url,
            None => office.own_url()?,
        };
        let configured = office.look().await?;
        let is_ours = |other: &str| {
            let ours = office.address.as_ref();
            other == url || ours.is_some_and(|ours| ours.is_in(&url) && ours.is_ours(other))
        };
        if let Some(other) = configured.filter(|configured| !is_ours(&configured.url))
            && !self.force
        {
            let (app, place) = (&office.app, place(&other.url));
            let fault = anyhow::anyhow!(
                "the callbacks of app {app} go to {place} already, and there is one URL per app"
            );
            return Err(Failure::Cannot(fault).hint(
                "--force overwrites it; `callq callbacks show` prints it whole, so that it can be \
                 set again",
            ));
        }
        office.set(&url).await?;
        let app = &office.app;
        print::line(&format!("{app}: callbacks go to {}", office.shown(&url)))
    }
}

/// Have Tencent send no callbacks of calls any more.
///
/// Asks first. That none are sent already is no failure.
#[derive(Debug, Args)]
struct Delete {
    /// Of this app; needed if several are configured
    #[arg(long, value_name = "APP")]
    app: Option<String>,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Delete {
    async fn run(self, config: &ConfigFile) -> Result<(), Failure> {
        let office = office(config, self.app.as_deref())?;
        let app = &office.app;
        if !self.yes && !ask::is_possible() {
            let text = "there is no terminal to ask on before callbacks end";
            return Err(Failure::Cannot(anyhow::anyhow!(text)).hint("add --yes"));
        }
        let Some(configured) = office.look().await? else {
            return print::line(&format!("{app}: no callbacks were sent"));
        };
        let place = place(&configured.url);
        let question = format!("send no callbacks of app {app} to {place} any more?");
        if !self.yes && !ask::agreed(&question)? {
            print::note("nothing was changed");
            return Ok(());
        }
        office.delete().await?;
        print::line(&format!("{app}: no callbacks are sent any more"))
    }
}

/// One app's place to ask.
struct Office {
    app: String,
    /// Where `callq web` takes its callbacks, as far as that is configured.
    address: Option<CallbackAddress>,
    client: TencentClient,
}

/// The only app, or the one that is named.
fn office(config: &ConfigFile, app: Option<&str>) -> Result<Office, Failure> {
    let mut offices = offices(config, app)?;
    if offices.len() == 1 {
        return Ok(offices.remove(0));
    }
    let names: Vec<String> = offices.into_iter().map(|office| office.app).collect();
    let fault = anyhow::anyhow!("which app? Configured are {}", names.join(", "));
    Err(Failure::Cannot(fault).hint("name one with --app"))
}

/// Every configured app, or the one that is named.
fn offices(config: &ConfigFile, app: Option<&str>) -> Result<Vec<Office>, Failure> {
    let sources = config.sources(&WorkerFlags::default());
    sources.shape()?;
    let only: Vec<String> = app.map(str::to_owned).into_iter().collect();
    let apps = sources.app_configs(&only)?;
    let https_proxy = sources.https_proxy()?;
    let timeout = sources.worker().map(|worker| worker.request_timeout);
    let office = |app: AppConfig| {
        let client = TencentClient::new(Settings {
            host: app.host,
            user_sigs: app.user_sigs,
            request_timeout: timeout.as_ref().map_or(REQUEST_TIMEOUT_DEFAULT, |t| *t),
            https_proxy: https_proxy.clone(),
        });
        let client = client.map_err(|error| Failure::Cannot(error.into()))?;
        Ok(Office {
            address: sources.callback_address(&app.name)?,
            app: app.name,
            client,
        })
    };
    apps.into_iter().map(office).collect()
}

impl Office {
    /// The URL of `callq web`.
    fn own_url(&self) -> Result<String, Failure> {
        let app = &self.app;
        let url = self.address.as_ref().map(CallbackAddress::url);
        let missing = match url {
            Some(Some(url)) => {
                return receiver(&url).map_err(|why| {
                    let place = place(&url);
                    Failure::Cannot(anyhow::anyhow!("the URL of app {app}, at {place}, {why}"))
                });
            }
            Some(None) => "web.callbacks_base_url",
            None => "callbacks_secret_file",
        };
        let fault = anyhow::anyhow!(
            "where the callbacks of app {app} are to go is not configured: {missing} is not set"
        );
        Err(Failure::Cannot(fault).hint("set it, or give a whole URL"))
    }

    /// A URL as it may be printed.
    fn shown(&self, url: &str) -> String {
        let address = self.address.as_ref();
        readable(&address.map_or_else(|| url.to_owned(), |ours| ours.without_secret(url)))
    }

    /// What is configured; `None` if nothing is.
    async fn look(&self) -> Result<Option<CallbackConfig>, Failure> {
        let asked = self.client.get_callback(fastrand::u32(..), now()).await;
        self.done(Asked::GetCallback, &asked.answer, "ask where callbacks go")?;
        Ok(asked.config)
    }

    async fn set(&self, url: &str) -> Result<(), Failure> {
        let setting =
            self.client
                .set_callback(url, &CallbackCommand::ALL, fastrand::u32(..), now());
        self.done(Asked::SetCallback, &setting.await, "set where callbacks go")
    }

    async fn delete(&self) -> Result<(), Failure> {
        let answer = self.client.delete_callback(fastrand::u32(..), now()).await;
        self.done(Asked::DeleteCallback, &answer, "end callbacks")
    }

    /// Fails unless `answer` says that the command is done.
    fn done(&self, command: Asked, answer: &Answer, what: &str) -> Result<(), Failure> {
        let app = &self.app;
        let said = match answer {
            Answer::Reply(reply) => {
                let code = reply.error_code;
                let meaning = judged(command, code).meaning;
                let request = reply.request_id.as_deref().unwrap_or("none");
                format!(
                    "{code}, {meaning} ({}, RequestId {request})",
                    reply.error_info
                )
            }
            Answer::NotSent { detail, .. } | Answer::Unknown { detail, .. } => detail.clone(),
        };
        let text = |verb: &str| anyhow::anyhow!("{verb} {what} of app {app}: {said}");
        match (judge(command, answer), answer) {
            (Judgement::Done, _) => Ok(()),
            (Judgement::Refused, _) => Err(Failure::Cannot(text("cannot"))),
            (Judgement::AppFault, Answer::Reply(reply)) => {
                Err(Failure::Cannot(text("cannot")).hint(remedy(reply.error_code)))
            }
            _ => {
                let hint = "try again; `callq check` tells more";
                Err(Failure::CouldNot(text("could not")).hint(hint))
            }
        }
    }

    fn to_line(&self, configured: Option<&CallbackConfig>) -> String {
        let app = &self.app;
        let Some(configured) = configured else {
            return format!("{app}: no callbacks are sent");
        };
        format!(
            "{app}: {} go to {}",
            names(configured).join(", "),
            self.shown(&configured.url)
        )
    }

    fn to_json(&self, configured: Option<&CallbackConfig>) -> serde_json::Value {
        json!({
            "app": self.app,
            "url": configured.map(|configured| self.shown(&configured.url)),
            "ours": configured.zip(self.address.as_ref()).map(|(c, ours)| ours.is_in(&c.url)),
            "callbacks": configured.map(names).unwrap_or_default(),
        })
    }
}

/// Which callbacks are sent, by Tencent's names.
fn names(configured: &CallbackConfig) -> Vec<&str> {
    let known = configured.commands.iter().map(|command| command.as_str());
    let others = configured.others.iter().map(String::as_str);
    known.chain(others).collect()
}

/// This machine's time, by which a `UserSig` is signed where no database is asked.
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A URL without what may be secret of it: its path.
pub(super) fn place(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let shown = parsed.as_ref().filter(|url| url.has_host()).map(|url| {
        let scheme = url.scheme();
        format!(
            "{scheme}://{}/...",
            &url[Position::BeforeHost..Position::AfterPort]
        )
    });
    shown.map_or_else(|| "another URL".to_owned(), |shown| readable(&shown))
}

/// The most characters of a URL: as many as are read back.
const URL_CHARS_MAX: usize = 500;

/// A URL that Tencent takes.
fn receiver(text: &str) -> Result<String, String> {
    let is_url = Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.has_host()
    });
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    if is_url && is_plain && text.len() < URL_CHARS_MAX {
        Ok(text.to_owned())
    } else {
        Err(
            "must be an http or https URL, as in https://calls.example.com/callbacks/9f86d081"
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_an_http_url() {
        for url in [
            "http://127.0.0.1:7090/x",
            "https://calls.example.com/s3cret",
        ] {
            assert_eq!(receiver(url), Ok(url.to_owned()));
        }
        let long = format!("https://example.com/{}", "x".repeat(500));
        for no_url in [
            "",
            "example.com",
            "ftp://example.com/",
            "https://me:x@h/",
            "https://h/\u{1b}",
            &long,
        ] {
            assert!(receiver(no_url).is_err(), "{no_url}");
        }
    }

    #[test]
    fn a_place_is_a_url_without_its_path() {
        assert_eq!(
            place("https://example.com:8443/s3cret?x=1"),
            "https://example.com:8443/..."
        );
        for odd in ["nonsense", "", "mailto:x"] {
            assert_eq!(place(odd), "another URL");
        }
    }
}
