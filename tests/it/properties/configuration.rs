//! What holds of the configuration whatever a file says: asked by the property test and by the fuzz
//! target.

use std::path::Path;

use callq::config::{ConfigError, Kind, Sources};

/// Secrets as people put them where they do not belong.
pub(crate) const SECRETS: [&str; 3] = [
    "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e",
    "eJwtzDEOgkAQheG7bG3IzrKwYGIhhkpsxAMgO8AkuKwzi4nGu4vS-33J-6hrfUmeGNRRmUSrwx",
    "postgres://me:hunter2@",
];

/// Far more than a sentence with two values in it.
const FAULT_CHARS_MAX: usize = 2500;

/// Every fault is one line that names its place, or what is missing, and no secret.
pub(crate) fn configuration(content: &[u8]) {
    let sources = Sources::of_file(Path::new("callq.toml"), content);
    faults_are_good(sources.shape());
    faults_are_good(sources.worker());
    faults_are_good(sources.log());
    faults_are_good(sources.https_proxy());
    let settings = sources.effective();
    // Whose secret is in a file would have that file read.
    let in_a_file = |app: Option<&str>| {
        settings.iter().any(|found| {
            found.setting.kind == Kind::SecretFile
                && found.app.as_deref() == app
                && found.origin != callq::config::Origin::Default
        })
    };
    if !in_a_file(None) {
        faults_are_good(sources.database_url());
    }
    for app in sources.apps() {
        if !in_a_file(Some(app)) {
            faults_are_good(sources.app(app));
        }
    }
    for found in &settings {
        let shown = format!("{:?} {}", found.value, found.origin);
        assert!(
            !SECRETS.iter().any(|secret| shown.contains(secret)),
            "{shown}"
        );
    }
}

fn faults_are_good<T>(read: Result<T, ConfigError>) {
    let Err(error) = read else { return };
    assert!(!error.faults().is_empty());
    for fault in error.faults() {
        let fault = fault.to_string();
        let missing = ["DATABASE_URL is not set", "there is no app"];
        assert!(
            has_place(&fault) || missing.iter().any(|words| fault.starts_with(words)),
            "it names no place: {fault}"
        );
        assert!(!fault.contains(char::is_control), "{fault:?}");
        assert!(fault.chars().count() <= FAULT_CHARS_MAX, "{fault}");
        assert!(
            !SECRETS.iter().any(|secret| fault.contains(secret)),
            "{fault}"
        );
    }
}

/// Whether it begins like `callq.toml:3:9:`.
fn has_place(fault: &str) -> bool {
    let number = |part: Option<&str>| part.is_some_and(|n| n.parse::<usize>().is_ok_and(|n| n > 0));
    let mut parts = fault.splitn(4, ':');
    parts.next() == Some("callq.toml")
        && number(parts.next())
        && number(parts.next())
        && parts.next().is_some()
}
