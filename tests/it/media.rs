//! What the robot plays: taken, started when somebody answers, stopped when the call is over.

mod crowd;
mod live;
mod row;
mod rules;

use std::time::Duration;

use callq::sandbox::{
    CallbackFaults, SANDBOX_CAM_SECRET_ID, SANDBOX_CAM_SECRET_KEY, SANDBOX_SDK_APP_ID,
    SandboxConfig,
};
use callq::tencent::{
    CamCredential, Host, INGEST_REGION_DEFAULT, IngestClient, IngestRoomTypes, IngestSettings,
};
use callq::worker::WorkerConfig;

use crate::callbacks::{self, SECRET, Web};
use crate::support::Database;
use crate::support::rig::Rig;

/// What is played, with a token that must be in no text.
const URL: &str = "https://media.example/hello.mp3?token=s3cret-token";

/// A sandbox of this speed.
fn sandbox(speed: f64) -> SandboxConfig {
    SandboxConfig {
        calls_per_second_limit: 0,
        speed,
        ..SandboxConfig::default()
    }
}

/// A rig whose callbacks come, but for those that get lost and the like.
async fn with_callbacks(speed: f64, faults: CallbackFaults) -> (Rig, Web) {
    let database = Database::new().await;
    let apps = vec![callbacks::app("default", SECRET, None)];
    let web = Web::on(database.url(), apps).await;
    let config = SandboxConfig {
        callback_url: Some(format!("http://{}/callbacks/default/{SECRET}", web.address)),
        callback_faults: faults,
        ..sandbox(speed)
    };
    (Rig::between(database, config).await, web)
}

fn ingest(host: &str, secret_key: &str) -> IngestClient {
    let client = IngestClient::new(IngestSettings {
        host: Host::of_ingest(host).unwrap(),
        credential: CamCredential::new(SANDBOX_CAM_SECRET_ID, &secret_key.into()).unwrap(),
        region: INGEST_REGION_DEFAULT.to_owned(),
        sdk_app_id: u32::try_from(SANDBOX_SDK_APP_ID).unwrap(),
        room_types: IngestRoomTypes::Reference,
        request_timeout: Duration::from_secs(8),
        https_proxy: None,
    });
    client.unwrap()
}

/// A worker that can play media.
pub(crate) fn player(rig: &Rig) -> WorkerConfig {
    let mut config = rig.config();
    for app in &mut config.apps {
        app.ingest = Some(ingest(&rig.sandbox.url(), SANDBOX_CAM_SECRET_KEY));
    }
    config
}

/// Inserts a job to one callee with media.
async fn insert(rig: &Rig, callee: &str, columns: &[(&str, &str)]) -> i64 {
    let url = format!("'{URL}'");
    let mut all = vec![("media_url", url.as_str())];
    all.extend(columns);
    rig.insert(callee, &all).await
}

/// Waits until the media of so many calls has ended, for whatever reason.
async fn until_ended(rig: &Rig, calls: i64) {
    let ended = "SELECT count(*) FROM callq.streams WHERE state = 'ended'";
    rig.until_value(ended, |ended: &i64| *ended == calls).await;
}

/// Callee and reason of each call's media.
async fn reasons(rig: &Rig) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT j.callees[1] || ' ' || s.reason FROM callq.streams AS s JOIN callq.jobs AS j ON j.id = s.job_id ORDER BY 1",
    )
    .fetch_all(rig.db.pool())
    .await
    .unwrap()
}
