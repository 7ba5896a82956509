//! Of an app: whose callbacks are taken.

use super::{Absent, Section, Setting};
use crate::config::kind::Kind;

/// What stands in the path of the app's callbacks.
pub static CALLBACKS_SECRET: Setting = Setting {
    section: Section::App,
    key: "callbacks_secret",
    environment: "CALLQ_CALLBACKS_SECRET",
    flag: None,
    kind: Kind::Secret,
    absent: Absent::Means("no callbacks of the app are taken"),
    meaning: "the secret in the path of the app's callbacks, 16 to 128 of A-Z a-z 0-9 _ -",
    example: "",
};

/// The same in a file.
pub static CALLBACKS_SECRET_FILE: Setting = Setting {
    section: Section::App,
    key: "callbacks_secret_file",
    environment: "CALLQ_CALLBACKS_SECRET_FILE",
    flag: None,
    kind: Kind::SecretFile,
    absent: Absent::Means("no callbacks of the app are taken"),
    meaning: "a file that holds the secret in the path of the app's callbacks, 16 to 128 of A-Z \
              a-z 0-9 _ -",
    example: "\"callbacks-secret\"",
};

/// With which callbacks may be signed.
pub static CALLBACKS_TOKEN: Setting = Setting {
    section: Section::App,
    key: "callbacks_token",
    environment: "CALLQ_CALLBACKS_TOKEN",
    flag: None,
    kind: Kind::Secret,
    absent: Absent::Means("no signature is looked at"),
    meaning: "the token of callbacks that Tencent's console has, if one is set there",
    example: "",
};

/// The same in a file.
pub static CALLBACKS_TOKEN_FILE: Setting = Setting {
    section: Section::App,
    key: "callbacks_token_file",
    environment: "CALLQ_CALLBACKS_TOKEN_FILE",
    flag: None,
    kind: Kind::SecretFile,
    absent: Absent::Means("no signature is looked at"),
    meaning: "a file that holds the token of callbacks that Tencent's console has, if one is set \
              there",
    example: "\"callbacks-token\"",
};

/// Where the secret of an app's callbacks may stand.
pub static CALLBACKS_SECRETS: [&Setting; 2] = [&CALLBACKS_SECRET, &CALLBACKS_SECRET_FILE];

/// Where the token of an app's callbacks may stand.
pub static CALLBACKS_TOKENS: [&Setting; 2] = [&CALLBACKS_TOKEN, &CALLBACKS_TOKEN_FILE];
