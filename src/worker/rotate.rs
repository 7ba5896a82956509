//! Duty: takes over a secret that was changed while the worker runs: what an app signs with, or how
//! to log in at the database.
//!
//! Every two seconds, and at once when the old one is refused, the secret is read again from where
//! it stands. A new one is taken when it was read twice alike, so that none is taken that is still
//! being written; that of the database only once the database lets it in. What cannot be taken
//! leaves the old one in force, with one warning.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::ReadAgain;
use super::app::App;
use super::context::Context;
use crate::store::MediaPause;
use crate::tencent::{CamCredential, UserSigs};

/// How often each secret is read again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a changed secret must stay as it is to be taken, and the shortest time between looks.
const SETTLES_IN: Duration = Duration::from_millis(300);

/// A secret that may change.
pub(super) enum Rotating {
    /// What an app signs with.
    App {
        app: Arc<App>,
        again: ReadAgain<UserSigs>,
    },
    /// What an app's media is signed with.
    Media {
        app: Arc<App>,
        again: ReadAgain<CamCredential>,
    },
    /// How to log in at the database.
    Database {
        in_force: String,
        again: ReadAgain<String>,
    },
}

impl Rotating {
    pub(super) fn of_app(app: &Arc<App>, again: ReadAgain<UserSigs>) -> Self {
        let app = Arc::clone(app);
        Self::App { app, again }
    }

    pub(super) fn of_media(app: &Arc<App>, again: ReadAgain<CamCredential>) -> Self {
        let app = Arc::clone(app);
        Self::Media { app, again }
    }

    pub(super) fn of_database(in_force: String, again: ReadAgain<String>) -> Self {
        Self::Database { in_force, again }
    }

    /// Whose secret it is, for the log.
    fn whose(&self) -> String {
        match self {
            Self::App { app, .. } => format!("the credential of the app {}", app.name),
            Self::Media { app, .. } => format!("the CAM key of the app {}", app.name),
            Self::Database { .. } => "the database's login".to_owned(),
        }
    }

    /// Told when the one in force is refused.
    fn refused<'a>(&'a self, ctx: &'a Context) -> &'a Notify {
        match self {
            Self::App { app, .. } => &app.refused,
            Self::Media { app, .. } => &app.media_refused,
            Self::Database { .. } => &ctx.health.login_refused,
        }
    }

    /// Takes a new one over, if there is one; says whether it did, or why it could not.
    async fn look(&mut self, ctx: &Context) -> Result<bool, String> {
        match self {
            Self::App { app, again } => {
                let in_force = app.fingerprint();
                let Some(found) = settled(again, UserSigs::fingerprint, &in_force).await? else {
                    return Ok(false);
                };
                app.sign_with(found);
                // Jobs that a pause of the old one held may go.
                ctx.wake.news();
            }
            Self::Media { app, again } => {
                let Some(ingest) = &app.ingest else {
                    return Ok(false);
                };
                let in_force = ingest.credential().fingerprint();
                let found = settled(again, CamCredential::fingerprint, &in_force).await?;
                let Some(found) = found else {
                    return Ok(false);
                };
                ingest.set_credential(found);
                // A pause of the old one does not hold the new one.
                let lifted = ctx.store.pause_media(&app.name, MediaPause::Lift).await;
                lifted.map_err(|error| error.to_string())?;
                app.media.notify_one();
            }
            Self::Database { in_force, again } => {
                let Some(found) = settled(again, String::clone, in_force).await? else {
                    return Ok(false);
                };
                let logged_in = ctx.store.log_in_with(&found).await;
                logged_in.map_err(|error| error.to_string())?;
                *in_force = found;
            }
        }
        Ok(true)
    }
}

/// Looks until the worker has ended.
pub(super) async fn run(ctx: Arc<Context>, mut secret: Rotating, ended: CancellationToken) {
    let whose = secret.whose();
    let looking = async {
        let mut said = Said::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = secret.refused(&ctx).notified() => {}
            }
            match secret.look(&ctx).await {
                Ok(taken) => {
                    said = Said::default();
                    if taken {
                        tracing::info!("{whose} was changed: the new one is in force");
                    }
                }
                Err(fault) if said.is_news(&fault) => {
                    tracing::warn!(fault, "{whose} could not be read again: the old one stays");
                }
                Err(_) => {}
            }
            tokio::time::sleep(SETTLES_IN).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = ended.cancelled() => {}
    }
}

/// What was last said to be wrong.
#[derive(Default)]
struct Said(Option<String>);

impl Said {
    /// Whether this is to be said, which it is once until something else happens.
    fn is_news(&mut self, fault: &str) -> bool {
        let news = self.0.as_deref() != Some(fault);
        self.0 = Some(fault.to_owned());
        news
    }
}

/// What stands there now, if it is another than the one in force and stays the same for a while.
/// `mark` tells two apart.
async fn settled<T: Send + 'static>(
    again: &ReadAgain<T>,
    mark: impl Fn(&T) -> String,
    in_force: &str,
) -> Result<Option<T>, String> {
    let found = mark(&read(again).await?);
    if found == in_force {
        return Ok(None);
    }
    tokio::time::sleep(SETTLES_IN).await;
    let found_again = read(again).await?;
    Ok((mark(&found_again) == found).then_some(found_again))
}

/// Reads on a thread of its own: a disk that does not answer must hold neither the worker nor its
/// end. There is one such thread for each secret at most.
async fn read<T: Send + 'static>(again: &ReadAgain<T>) -> Result<T, String> {
    let (tell, told) = oneshot::channel();
    let again = Arc::clone(again);
    let reader = thread::Builder::new().name("secrets".to_owned());
    let started = reader.spawn(move || {
        // Nobody listens any more when the worker has ended.
        let _ = tell.send(again());
    });
    started.map_err(|error| format!("could not start a thread to read it: {error}"))?;
    let could_not = |_| Err("it could not be read".to_owned());
    told.await.unwrap_or_else(could_not)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    /// What is read, one after the other.
    fn reads(texts: &[&str]) -> ReadAgain<String> {
        let left: VecDeque<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let left = Mutex::new(left);
        Arc::new(move || {
            let next = left.lock().ok().and_then(|mut left| left.pop_front());
            next.ok_or_else(|| "is empty".to_owned())
        })
    }

    #[tokio::test]
    async fn a_secret_is_taken_only_when_it_is_another_and_has_settled() {
        for (texts, found) in [
            (&["old"][..], Ok(None)),
            (&["new", "new"], Ok(Some("new".to_owned()))),
            (&["ne", "new"], Ok(None)),
            (&["new"], Err("is empty".to_owned())),
            (&[], Err("is empty".to_owned())),
        ] {
            let settled = settled(&reads(texts), String::clone, "old").await;
            assert_eq!(settled, found, "{texts:?}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_fails_to_end_well_is_a_fault() {
        let panics: ReadAgain<String> = Arc::new(|| panic!("as a test may"));
        assert!(settled(&panics, String::clone, "old").await.is_err());
    }

    #[test]
    fn a_fault_is_news_once() {
        let mut said = Said::default();
        assert!(said.is_news("is empty"));
        assert!(!said.is_news("is empty"));
        assert!(said.is_news("is a folder"));
        assert!(said.is_news("is empty"));
    }
}
