//! How an app is configured to play media.

use callq::config::{AppConfig, Sources};
use callq::tencent::{HostKind, IngestRoomTypes};

use super::broken::{added, are_refused, changed};
use super::shown::Given;
use super::{COMPLETE, Folder};

/// The app of a complete file with more at its end.
fn app(folder: &Folder, more: &str) -> Result<AppConfig, String> {
    let sources = Sources::of_file(
        &folder.path().join("callq.toml"),
        format!("{COMPLETE}{more}").as_bytes(),
    );
    sources.app("clinic").map_err(|error| error.to_string())
}

const KEY: &str = "cam_secret_id = \"AKIDexample\"\ncam_secret_key_file = \"cam\"\n";

#[tokio::test]
async fn what_is_half_configured_is_told() {
    let with_key = |more: &str| format!("{KEY}{more}");
    are_refused([
        added("cam_secret_id = \"AKIDexample\"\n",
            "callq.toml:2:7: [apps.clinic] has no cam_secret_key_file: must be a file that holds the SecretKey of that CAM key, or \
             both as SecretId:SecretKey, so that they can be replaced together"),
        added("cam_secret_key_file = \"cam\"\n",
            "callq.toml:2:7: [apps.clinic] has no cam_secret_id: must be the SecretId of the CAM key that signs requests for media"),
        added("cam_secret_id = \"AKIDexample\"\ncam_secret_key_file = \"cam-both\"\n",
            "callq.toml:7:17: apps.clinic.cam_secret_id is set, and cam_secret_key_file names a SecretId too: must be one of them"),
        added("cam_secret_id = \"AKID/x\"\ncam_secret_key_file = \"cam\"\n",
            "callq.toml:7:17: apps.clinic.cam_secret_id is not a SecretId: must be the one that Tencent's CAM console shows"),
        added("cam_secret_key = \"hunter2\"\n",
            "callq.toml:7:1: apps.clinic.cam_secret_key is a secret, and the file is no place for one: name a file that holds it in \
             cam_secret_key_file"),
        added(&with_key("ingest_host = \"singapore\"\n"),
            "callq.toml:9:15: apps.clinic.ingest_host is neither a preset nor a URL: must be international, china or an https URL such \
             as https://trtc.example.com"),
        added(&with_key("ingest_host = \"http://127.0.0.1:1\"\n"),
            "callq.toml:9:15: apps.clinic.ingest_host is sandbox, and the app's host is live: must be live too"),
        added(&with_key("ingest_region = \"Singapore\"\n"),
            "callq.toml:9:17: apps.clinic.ingest_region is \"Singapore\": must be a name such as ap-singapore"),
        added(&with_key("ingest_room_id_type = \"0\"\n"),
            "callq.toml:9:23: apps.clinic.ingest_room_id_type is 0: must be reference or source_page"),
        changed("secret_key_file = \"key\"\n", &format!("user_sig_file = \"sig\"\n{KEY}"),
            "callq.toml:5:17: apps.clinic.user_sig_file serves calls alone: must be secret_key_file where there is a CAM key, because a \
             robot that plays media needs a UserSig of its own\n\
             callq.toml:5:17: apps.clinic.user_sig_file names sig, whose content is not a UserSig (its base64 is broken): must be what \
             Tencent's console or tools made, whole"),
    ])
    .await;
}

#[test]
fn an_app_without_a_cam_key_plays_no_media_and_one_with_it_has_the_defaults() {
    let folder = Folder::new();
    assert!(app(&folder, "").expect("it is complete").ingest.is_none());
    let unused = app(&folder, "ingest_region = \"ap-tokyo\"\n");
    assert!(unused.expect("it is complete").ingest.is_none());
    let ingest = app(&folder, KEY)
        .expect("it is complete")
        .ingest
        .expect("there is a key");
    assert_eq!(
        ingest.host.to_string(),
        "https://trtc.intl.tencentcloudapi.com"
    );
    assert_eq!(ingest.region, "ap-singapore");
    assert_eq!(ingest.room_types, IngestRoomTypes::Reference);
    let all = "ingest_host = \"china\"\ningest_region = \"ap-guangzhou\"\ningest_room_id_type = \"source_page\"\n";
    let ingest = app(&folder, &format!("{KEY}{all}"))
        .expect("it is complete")
        .ingest
        .expect("there is a key");
    assert_eq!(ingest.host.to_string(), "https://trtc.tencentcloudapi.com");
    assert_eq!(ingest.region, "ap-guangzhou");
    assert_eq!(ingest.room_types, IngestRoomTypes::SourcePage);
}

#[test]
fn the_media_of_a_sandboxs_app_go_to_that_sandbox() {
    let given = Given(&[
        ("CALLQ_SDK_APP_ID", "1400000000"),
        ("CALLQ_ADMIN_ACCOUNT", "administrator"),
        ("CALLQ_SECRET_KEY", "hunter2"),
        ("CALLQ_HOST", "http://127.0.0.1:9"),
        ("CALLQ_CAM_SECRET_ID", "AKIDexample"),
        ("CALLQ_CAM_SECRET_KEY", "hunter2"),
    ]);
    let app = Sources::read(&given, None, &[]).app("default");
    let ingest = app.expect("it is complete").ingest.expect("there is a key");
    assert_eq!(ingest.host.to_string(), "http://127.0.0.1:9");
    assert_eq!(ingest.host.kind(), HostKind::Sandbox);
    assert!(ingest.credential_file.is_none(), "it is in no file");
    assert!(!format!("{ingest:?}").contains("hunter2"));
}

#[test]
fn a_cam_key_file_can_be_read_again_with_its_name_or_without() {
    let folder = Folder::new();
    let one = app(&folder, KEY)
        .expect("it is complete")
        .ingest
        .expect("there is a key");
    let both = app(&folder, "cam_secret_key_file = \"cam-both\"\n")
        .expect("it is complete")
        .ingest
        .expect("there is a key");
    assert_eq!(one.credential.fingerprint(), both.credential.fingerprint());
    let (one_file, both_file) = (
        one.credential_file.expect("a file"),
        both.credential_file.expect("a file"),
    );
    let again = |file: &callq::config::CamKeyFile| {
        file.credential()
            .map(|key| key.fingerprint())
            .map_err(|error| error.to_string())
    };
    assert_eq!(again(&one_file), Ok(one.credential.fingerprint()));
    folder.write("cam", "another-key", 0o600);
    folder.write("cam-both", "AKIDother:another-key", 0o600);
    let (fresh, fresh_both) = (
        again(&one_file).expect("it is there"),
        again(&both_file).expect("it is there"),
    );
    assert!(fresh != one.credential.fingerprint() && fresh_both != fresh);
    folder.write("cam-both", "hunter2", 0o600);
    let refused = again(&both_file).expect_err("it has no name");
    assert!(
        refused.contains("no longer names a SecretId") && !refused.contains("hunter2"),
        "{refused}"
    );
    folder.write("cam", "hunter2", 0o644);
    let refused = again(&one_file).expect_err("others can read it");
    assert!(
        refused.contains("apps.clinic.cam_secret_key_file names "),
        "{refused}"
    );
    assert!(!format!("{one_file:?}{both_file:?}").contains("hunter2"));
}
