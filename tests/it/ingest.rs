//! Streams in rooms: the client against the sandbox over real HTTP, and against servers that misbehave.

mod actions;
mod credentials;
mod events;
mod faults;
mod wire;

use std::time::Duration;

use callq::call::{Answer, Room, RoomIdType, StartCall, StartCallFields};
use callq::sandbox::{
    Clock, IngestTally, SANDBOX_ADMIN_ACCOUNT, SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY,
    SANDBOX_SECRET_KEY, Sandbox, SandboxConfig,
};
use callq::tencent::{
    CamCredential, Credential, Host, INGEST_REGION_DEFAULT, IngestClient, IngestError,
    IngestRoomTypes, IngestSettings, Settings, StartIngest, TencentClient, UserSigs,
};
use secrecy::ExposeSecret as _;

const NOW: i64 = 1_700_000_000;
const APP: u32 = 1_400_000_000;
const ROBOT: &str = "reminder-bot";
/// What is played; its token must be in no text.
const URL: &str = "https://media.example/hello.mp4?token=s3cret-token";

/// A sandbox whose time stands still until it is moved.
struct Bench {
    sandbox: Sandbox,
    calls: TencentClient,
    streams: IngestClient,
}

fn config() -> SandboxConfig {
    SandboxConfig {
        clock: Clock::Fixed(NOW),
        calls_per_second_limit: 0,
        ..SandboxConfig::default()
    }
}

fn cam(secret_id: &str, secret_key: &str) -> CamCredential {
    CamCredential::new(secret_id, &secret_key.into()).unwrap()
}

fn settings(host: &str) -> IngestSettings {
    IngestSettings {
        host: Host::of_ingest(host).unwrap(),
        credential: cam(SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY),
        region: INGEST_REGION_DEFAULT.to_owned(),
        sdk_app_id: APP,
        room_types: IngestRoomTypes::Reference,
        request_timeout: Duration::from_secs(20),
        https_proxy: None,
    }
}

fn user_sigs() -> UserSigs {
    UserSigs::new(
        APP,
        SANDBOX_ADMIN_ACCOUNT,
        Credential::SecretKey(SANDBOX_SECRET_KEY.into()),
    )
    .unwrap()
}

impl Bench {
    async fn new() -> Self {
        Self::with(config()).await
    }

    async fn with(config: SandboxConfig) -> Self {
        let sandbox = Sandbox::start(config).await.unwrap();
        let calls = TencentClient::new(Settings {
            host: Host::new(&sandbox.url()).unwrap(),
            user_sigs: user_sigs(),
            request_timeout: Duration::from_secs(20),
            https_proxy: None,
        });
        Self {
            calls: calls.unwrap(),
            streams: IngestClient::new(settings(&sandbox.url())).unwrap(),
            sandbox,
        }
    }

    /// A client of the same sandbox with other settings.
    fn client(&self, change: impl FnOnce(&mut IngestSettings)) -> IngestClient {
        let mut settings = settings(&self.sandbox.url());
        change(&mut settings);
        IngestClient::new(settings).unwrap()
    }

    /// Rings a callee in a room of this name.
    async fn ring(&self, callee: &str, room: &Room) -> String {
        let call = StartCall::new(StartCallFields {
            robot_account: ROBOT,
            callees: &[callee.to_owned()],
            media_type: "Audio",
            room_id: room.id(),
            room_id_type: room.id_type().number().into(),
            ring_timeout_ms: 45_000,
            user_data: None,
            offline_push: None,
        });
        match self.calls.start_call_by_robot(&call.unwrap(), 1, NOW).await {
            Answer::Reply(reply) if reply.error_code == 0 => reply.call_id.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// A room in which somebody has answered.
    async fn answered(&self, room: &str) -> Room {
        let room = text_room(room);
        self.ring("talk-60-jack", &room).await;
        self.pass(3);
        room
    }

    fn pass(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds));
    }

    async fn start(&self, room: &Room) -> Result<String, IngestError> {
        start(&self.streams, room).await
    }

    fn tally(&self) -> IngestTally {
        self.sandbox.ingest_tally()
    }
}

fn text_room(id: &str) -> Room {
    Room::new(id, RoomIdType::Text).unwrap()
}

/// Starts the usual stream; no text may hold what is secret.
async fn start(client: &IngestClient, room: &Room) -> Result<String, IngestError> {
    start_of(client, room, URL).await
}

async fn start_of(
    client: &IngestClient,
    room: &Room,
    stream_url: &str,
) -> Result<String, IngestError> {
    let user_sig = user_sigs().of_account(ROBOT, NOW).unwrap();
    let start = StartIngest {
        room,
        robot_account: ROBOT,
        user_sig: &user_sig,
        stream_url,
        repeat: None,
        max_minutes: None,
        volume: None,
    };
    let started = client.start(&start, NOW).await;
    let said = format!(
        "{started:?} {start:?} {client:?} {}",
        started
            .as_ref()
            .err()
            .map(ToString::to_string)
            .unwrap_or_default()
    );
    for secret in [
        "s3cret-token",
        user_sig.expose_secret(),
        SANDBOX_CAM_SECRET_KEY,
        "usersig=",
    ] {
        assert!(!said.contains(secret), "{said}");
    }
    started
}
