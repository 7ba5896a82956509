//! An application that takes callbacks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, Uri};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

/// Far more than a callback takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// One callback as it came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: String,
}

/// Listens on this machine and keeps what comes, until it is dropped.
pub(crate) struct Receiver {
    url: String,
    came: Arc<Mutex<Vec<Came>>>,
    news: watch::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that acknowledges everything.
    pub(crate) async fn start() -> Self {
        Self::that_answers(|_| 200).await
    }

    /// One that answers the n-th callback, from 0, with this status.
    pub(crate) async fn that_answers(
        status: impl Fn(usize) -> u16 + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let kept = Arc::clone(&came);
        let news = watch::Sender::new(());
        let tell = news.clone();
        let take = move |uri: Uri, RawQuery(query): RawQuery, body: String| async move {
            let mut kept = kept.lock().expect("no test panics with it");
            let n = kept.len();
            kept.push(Came {
                path: uri.path().to_owned(),
                query: query.unwrap_or_default(),
                body,
            });
            tell.send_replace(());
            StatusCode::from_u16(status(n)).expect("it is one")
        };
        let serving = tokio::spawn(async move {
            let routes = Router::new().fallback(take);
            axum::serve(listener, routes).await.expect("it serves");
        });
        Self {
            url: format!("http://{address}/calls/s3cret"),
            came,
            news,
            serving,
        }
    }

    /// Where callbacks are to go.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The first callback whose body has this word, as soon as it came.
    pub(crate) async fn arrived(&self, word: &str) -> Came {
        let mut news = self.news.subscribe();
        let has = |came: &Came| came.body.contains(word);
        let arriving = news.wait_for(|()| self.came().iter().any(has));
        let arrived = timeout(PATIENCE, arriving).await;
        arrived
            .unwrap_or_else(|_| panic!("no {word}: {:?}", self.came()))
            .expect("it is ours");
        self.came().into_iter().find(has).expect("it came")
    }

    /// What came, in its order.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().expect("no test panics with it").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
