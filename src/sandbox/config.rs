//! What a sandbox is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use super::ingest::IngestEvents;
use super::mailbox::CallbackFaults;
use super::record_rules::RecordSpan;

/// The `SDKAppID` of the app that a sandbox serves unless it is told otherwise.
pub const SANDBOX_SDK_APP_ID: u64 = 1_400_000_000;

/// The administrator account of that app.
pub const SANDBOX_ADMIN_ACCOUNT: &str = "administrator";

/// The secret key of that app. Everyone may know it: it signs for the sandbox and for nothing else.
pub const SANDBOX_SECRET_KEY: &str =
    "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

/// The name of the CAM key of that app's account.
pub const SANDBOX_CAM_SECRET_ID: &str = "AKIDsandbox";

/// That key, which everyone may know too.
pub const SANDBOX_CAM_SECRET_KEY: &str = "a-CAM-key-for-the-sandbox-alone";

/// Tencent's documented limit of `start_call_by_robot`, in calls per second and `SDKAppID` (74505).
pub const DOCUMENTED_CALLS_PER_SECOND: u32 = 200;

/// How a sandbox is to be run. [`SandboxConfig::default`] is right for most tests.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Where to listen; loopback only. Default `127.0.0.1:0`, a free port.
    pub listen: SocketAddr,
    /// The apps whose requests are accepted. Default: [`SandboxApp::default`] alone.
    pub apps: Vec<SandboxApp>,
    /// Calls per second and app above which 60007 is answered, in any sliding second; 0 is off.
    /// Default [`DOCUMENTED_CALLS_PER_SECOND`].
    pub calls_per_second_limit: u32,
    /// The clock that a `UserSig`'s expiry is judged by, and at which the sandbox's own time
    /// begins. Default [`Clock::System`].
    pub clock: Clock,
    /// How many times as fast the sandbox's time runs, by which calls ring, talk and end, records
    /// come and go, and callbacks are sent: more than 0, at most [`SPEED_MAX`]. Default 1. A
    /// [`Clock::Fixed`] does not run at all: [`Sandbox::advance`](super::Sandbox::advance) moves
    /// it.
    pub speed: f64,
    /// Where every callback of every app goes, until a command says otherwise. Only a plain http
    /// URL of this machine is delivered to. Default: nowhere.
    pub callback_url: Option<String>,
    /// What goes wrong with callbacks. Default: nothing.
    pub callback_faults: CallbackFaults,
    /// What `get_record_by_filter` compares with its span. Default [`RecordSpan::OfEnd`].
    pub record_span: RecordSpan,
    /// Where events of streams go, of every app. Default: nowhere.
    pub ingest_events: Option<IngestEvents>,
}

/// The most that [`SandboxConfig::speed`] can be.
pub const SPEED_MAX: f64 = 100_000.0;

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            apps: vec![SandboxApp::default()],
            calls_per_second_limit: DOCUMENTED_CALLS_PER_SECOND,
            clock: Clock::System,
            speed: 1.0,
            callback_url: None,
            callback_faults: CallbackFaults::default(),
            record_span: RecordSpan::default(),
            ingest_events: None,
        }
    }
}

/// One `SDKAppID` with what is needed to check its requests.
#[derive(Clone)]
pub struct SandboxApp {
    /// The `SDKAppID`.
    pub sdk_app_id: u64,
    /// The one account that may call the REST API; others are refused with 60010.
    pub admin_account: String,
    /// The key that every `UserSig` of this app must be signed with.
    pub secret_key: String,
    /// The name of the CAM key of the Tencent account that the app belongs to. Apps with the same
    /// one belong to the same account, and have the same key.
    pub cam_secret_id: String,
    /// That key, with which requests about streams must be signed.
    pub cam_secret_key: String,
}

impl Default for SandboxApp {
    fn default() -> Self {
        Self {
            sdk_app_id: SANDBOX_SDK_APP_ID,
            admin_account: SANDBOX_ADMIN_ACCOUNT.to_owned(),
            secret_key: SANDBOX_SECRET_KEY.to_owned(),
            cam_secret_id: SANDBOX_CAM_SECRET_ID.to_owned(),
            cam_secret_key: SANDBOX_CAM_SECRET_KEY.to_owned(),
        }
    }
}

// By hand: somebody may test with a real key, and it must not reach a log.
impl fmt::Debug for SandboxApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxApp")
            .field("sdk_app_id", &self.sdk_app_id)
            .field("admin_account", &self.admin_account)
            .finish_non_exhaustive()
    }
}

/// The wall clock of a sandbox.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The host's clock.
    System,
    /// A clock that stands still at this many seconds since the Unix epoch. The sandbox's own time
    /// stands still with it until it is moved.
    Fixed(i64),
}
