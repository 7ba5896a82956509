//! Of an app: how streams are played into its calls.

use super::{Absent, Section, Setting};
use crate::config::kind::Kind;

/// The name of the key.
pub static CAM_SECRET_ID: Setting = Setting {
    section: Section::App,
    key: "cam_secret_id",
    environment: "CALLQ_CAM_SECRET_ID",
    flag: None,
    kind: Kind::CamSecretId,
    absent: Absent::Means("the app plays no media"),
    meaning: "the SecretId of the CAM key that signs requests for media",
    example: "\"AKIDexample\"",
};

/// The key itself.
pub static CAM_SECRET_KEY: Setting = Setting {
    section: Section::App,
    key: "cam_secret_key",
    environment: "CALLQ_CAM_SECRET_KEY",
    flag: None,
    kind: Kind::Secret,
    absent: Absent::Means("the app plays no media"),
    meaning: "the SecretKey of that CAM key, or both as SecretId:SecretKey",
    example: "",
};

/// The key in a file.
pub static CAM_SECRET_KEY_FILE: Setting = Setting {
    section: Section::App,
    key: "cam_secret_key_file",
    environment: "CALLQ_CAM_SECRET_KEY_FILE",
    flag: None,
    kind: Kind::SecretFile,
    absent: Absent::Means("the app plays no media"),
    meaning: "a file that holds the SecretKey of that CAM key, or both as SecretId:SecretKey, so \
              that they can be replaced together",
    example: "\"cam-secret-key\"",
};

/// Where requests for media go.
pub static INGEST_HOST: Setting = Setting {
    section: Section::App,
    key: "ingest_host",
    environment: "CALLQ_INGEST_HOST",
    flag: None,
    kind: Kind::IngestHost,
    absent: Absent::Means("international, or the app's own sandbox"),
    meaning: "the site of Tencent's API 3.0 where the CAM key was made, or an https URL",
    example: "\"international\"",
};

/// Which of its regions does the work.
pub static INGEST_REGION: Setting = Setting {
    section: Section::App,
    key: "ingest_region",
    environment: "CALLQ_INGEST_REGION",
    flag: None,
    kind: Kind::Region,
    absent: Absent::Is("ap-singapore"),
    meaning: "the region of that site that plays media",
    example: "\"ap-singapore\"",
};

/// Which number names a room's type.
pub static INGEST_ROOM_ID_TYPE: Setting = Setting {
    section: Section::App,
    key: "ingest_room_id_type",
    environment: "CALLQ_INGEST_ROOM_ID_TYPE",
    flag: None,
    kind: Kind::Word(&["reference", "source_page"]),
    absent: Absent::Is("reference"),
    meaning: "which of Tencent's pages is believed on RoomIdType for media, the API reference (0 \
              text, 1 digits) or the walkthrough (0 digits, 1 text)",
    example: "\"reference\"",
};

/// Where the CAM key of an app may stand.
pub static CAM_SECRET_KEYS: [&Setting; 2] = [&CAM_SECRET_KEY, &CAM_SECRET_KEY_FILE];
