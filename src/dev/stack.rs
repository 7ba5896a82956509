//! The private server, the sandbox, a worker and a receiver of callbacks, started and stopped
//! together.

use std::net::SocketAddr;

use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::postgres::{DevError, PostgresServer, StartOptions};
use crate::call::{CallbackCommand, JobDefaults};
use crate::sandbox::{
    SANDBOX_ADMIN_ACCOUNT, SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY, SANDBOX_SDK_APP_ID,
    SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use crate::store::{SchemaFault, Store, StoreError};
use crate::tencent::{
    CamCredential, CamCredentialError, ClientError, Command, Credential, Host, HostError,
    INGEST_REGION_DEFAULT, IngestClient, IngestRoomTypes, IngestSettings, Judgement,
    REQUEST_TIMEOUT_DEFAULT, Settings, TencentClient, UserSigError, UserSigs, judge,
};
use crate::web::{CallbackApp, Receiver, ReceiverConfig, ReceiverError};
use crate::worker::{self, Worker, WorkerApp, WorkerConfig, WorkerError};

/// The database on the private server: the one that every server has.
pub const DATABASE: &str = "postgres";

/// The one app.
const APP: &str = "default";

/// A running stack.
#[derive(Debug)]
pub struct Stack {
    server: PostgresServer,
    sandbox: Sandbox,
    store: Store,
    stop: CancellationToken,
    working: JoinHandle<Result<(), WorkerError>>,
    receiving: Receiving,
}

/// Why the stack did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The private server.
    #[error(transparent)]
    Postgres(#[from] DevError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox.
    #[error("could not start the sandbox: {0}")]
    Sandbox(std::io::Error),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The receiver of callbacks.
    #[error(transparent)]
    Receiver(#[from] ReceiverError),
    /// The sandbox's own credentials were refused.
    #[error("cannot make a client of the sandbox: {0}")]
    Client(String),
    /// A part ended by a panic or was aborted.
    #[error("a part of the stack ended by itself: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<ClientError> for StackError {
    fn from(error: ClientError) -> Self {
        Self::Client(error.to_string())
    }
}

impl From<HostError> for StackError {
    fn from(error: HostError) -> Self {
        Self::Client(error.to_string())
    }
}

impl From<UserSigError> for StackError {
    fn from(error: UserSigError) -> Self {
        Self::Client(error.to_string())
    }
}

impl Stack {
    /// Starts everything and returns when the worker claims.
    ///
    /// # Errors
    /// If a part does not start; what was started before it is stopped.
    pub async fn start(options: StartOptions) -> Result<Self, StackError> {
        let server = tokio::task::spawn_blocking(|| PostgresServer::start(options)).await??;
        let url = server.url(DATABASE);
        match worker::migrate(&url).await {
            // A later callq has been here: the worker finds out whether its schema lets this one.
            Err(StoreError::Schema(SchemaFault::Ahead { .. })) => {}
            migrated => drop(migrated?),
        }
        let store = Store::connect(&url, 2).await?;
        let sandbox = Sandbox::start(SandboxConfig::default())
            .await
            .map_err(StackError::Sandbox)?;
        let receiving = Receiving::start(&url, &sandbox).await?;
        let worker = Worker::start(WorkerConfig {
            database_url: url,
            database_url_again: None,
            apps: vec![WorkerApp {
                name: APP.to_owned(),
                client: sandbox_client(&sandbox.url())?,
                ingest: Some(sandbox_ingest(&sandbox.url())?),
                cam_again: None,
                user_sigs_again: None,
                calls_per_second: None,
                defaults: JobDefaults::default(),
            }],
            concurrency: WorkerConfig::CONCURRENCY,
            poll_interval: WorkerConfig::POLL_INTERVAL,
            lease: WorkerConfig::LEASE,
        })
        .await?;
        let health = worker.health();
        let stop = CancellationToken::new();
        let working = tokio::spawn(worker.run(stop.clone()));
        let mut stack = Self {
            server,
            sandbox,
            store,
            stop,
            working,
            receiving,
        };
        tokio::select! {
            () = health.ready() => Ok(stack),
            // It can only have failed: nobody told it to stop.
            ended = &mut stack.working => {
                ended??;
                Err(StackError::Client("the worker stopped by itself".to_owned()))
            }
        }
    }

    /// The URL of the database.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(DATABASE)
    }

    /// A line for a shell that opens `psql` on it.
    #[must_use]
    pub fn psql_line(&self) -> String {
        self.server.psql_line(DATABASE)
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The sandbox.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns when the worker stops, if that is by itself: [`Stack::stop`] then says why.
    pub async fn worker_stops(&self) {
        self.stop.cancelled().await;
    }

    /// Stops the worker, which finishes and records what is under way, then the rest.
    ///
    /// # Errors
    /// If a part did not stop well; the others are stopped all the same.
    pub async fn stop(self) -> Result<(), StackError> {
        self.stop.cancel();
        let worked = self.working.await;
        self.store.close().await;
        let served = self.sandbox.shutdown().await.map_err(StackError::Sandbox);
        // After who sends.
        let received = self.receiving.stop().await;
        let stopped = tokio::task::spawn_blocking(|| self.server.stop()).await;
        worked??;
        served?;
        received?;
        stopped??;
        Ok(())
    }
}

/// A receiver that runs, to which the sandbox sends every callback.
#[derive(Debug)]
struct Receiving {
    stop: DropGuard,
    working: JoinHandle<Result<(), ReceiverError>>,
}

impl Receiving {
    /// Starts it on a free port, with a secret of its own.
    async fn start(database_url: &str, sandbox: &Sandbox) -> Result<Self, StackError> {
        let secret = Uuid::new_v4().simple().to_string();
        let receiver = Receiver::start(ReceiverConfig {
            database_url: database_url.to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            apps: vec![CallbackApp {
                name: APP.to_owned(),
                sdk_app_id: sdk_app_id(),
                secret: secret.as_str().into(),
                token: None,
            }],
        })
        .await?;
        let url = format!("http://{}/callbacks/{APP}/{secret}", receiver.address());
        let stop = CancellationToken::new();
        let working = tokio::spawn(receiver.run(stop.clone()));
        let client = sandbox_client(&sandbox.url())?;
        let now = chrono::Utc::now().timestamp();
        let set = client
            .set_callback(&url, &CallbackCommand::ALL, fastrand::u32(..), now)
            .await;
        if judge(Command::SetCallback, &set) != Judgement::Done {
            let fault = "the sandbox does not take the receiver of callbacks";
            return Err(StackError::Client(fault.to_owned()));
        }
        let stop = stop.drop_guard();
        Ok(Self { stop, working })
    }

    async fn stop(self) -> Result<(), StackError> {
        drop(self.stop);
        Ok(self.working.await??)
    }
}

/// What plays media in the sandbox.
fn sandbox_ingest(url: &str) -> Result<IngestClient, StackError> {
    let key = SecretString::from(SANDBOX_CAM_SECRET_KEY);
    let fault = |fault: CamCredentialError| StackError::Client(fault.to_string());
    Ok(IngestClient::new(IngestSettings {
        host: Host::of_ingest(url)?,
        credential: CamCredential::new(SANDBOX_CAM_SECRET_ID, &key).map_err(fault)?,
        region: INGEST_REGION_DEFAULT.to_owned(),
        sdk_app_id: sdk_app_id(),
        room_types: IngestRoomTypes::Reference,
        request_timeout: REQUEST_TIMEOUT_DEFAULT,
        https_proxy: None,
    })?)
}

fn sdk_app_id() -> u32 {
    u32::try_from(SANDBOX_SDK_APP_ID).unwrap_or(u32::MAX)
}

/// A client of the sandbox's own app.
fn sandbox_client(url: &str) -> Result<TencentClient, StackError> {
    let key = Credential::SecretKey(SecretString::from(SANDBOX_SECRET_KEY));
    Ok(TencentClient::new(Settings {
        host: Host::new(url)?,
        user_sigs: UserSigs::new(sdk_app_id(), SANDBOX_ADMIN_ACCOUNT, key)?,
        request_timeout: REQUEST_TIMEOUT_DEFAULT,
        https_proxy: None,
    })?)
}
