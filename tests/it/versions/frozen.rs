//! A migration that was merged is never changed: databases have it as it was.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use callq::store::{Program, SCHEMA_VERSION, Schema};
use sha2::{Digest as _, Sha256};

use crate::support::Database;

/// Every migration, with the SHA-256 of its bytes. A line is added with its file and stays as it is.
const FROZEN: &[(&str, &str)] = &[
    (
        "0001_tables.sql",
        "732222764d3a14837fad3b7256a28ceb731ceff129b6e2aa45489a999f717183",
    ),
    (
        "0002_rules.sql",
        "81baf95da6da1dcb8fefebbcde2ec0b187bb064e08228d6541d284b3d07b8c3c",
    ),
    (
        "0003_verbs.sql",
        "45453d150764a8cf757ca93ebd23c565e68482344e4e6b643b5ec9a120e30cbf",
    ),
    (
        "0004_views.sql",
        "839e45f5736caf7a04fb25d72625a767f7ee262f17018831f4edc9134f8dc47a",
    ),
    (
        "0005_roles.sql",
        "8a2367c01929b9b50f0708f888e5bc1aaf50698f67b80d2012fe063165fd29c1",
    ),
    (
        "0006_workers.sql",
        "f470b15255fea65870551b11483a436eb116b01b00a78f1d65432a73dab58b76",
    ),
    (
        "0007_numbers.sql",
        "5b84b8acbf9ae790c94ab35ff41d2d974fa92f39dfb94684f5e1243d89d6ee8c",
    ),
    (
        "0008_history.sql",
        "34fe087b2bce3d89d7e8bba2f6fc88a13329bf07a61a740c2af2a06a8f913c2e",
    ),
    (
        "0009_schedules.sql",
        "d9f893ecdd89b02d8facb6296d58625f9c384d8b36f5348937d6ecb0ba5385c2",
    ),
    (
        "0010_firings.sql",
        "6b419cebaccf0cf34f2700a42e1f45c6ef41afdd71b0f9bc1c895f6aa9fb5df9",
    ),
    (
        "0011_callbacks.sql",
        "72925651d09ec24b1d55e370c392cde3e830d19198b7be1944cde72fd35fa8dc",
    ),
    (
        "0012_outcomes.sql",
        "63b591096e013d6b483d4be028e5dfd29b7dabd27138f50fbcd0ec154aeada37",
    ),
    (
        "0013_rings.sql",
        "ffe687be7a74f860d30fb5b337c1bd5b59908862dd416c9559f4edb0b0db4e4a",
    ),
    (
        "0014_reports.sql",
        "c64001059c0f819c607c36cb7467a60dbdc24891247beee82294cd1843d599d2",
    ),
    (
        "0015_media.sql",
        "1200da415049b94b079e16ba73eacc242fa40c155689dae09a75768cd4a906c7",
    ),
    (
        "0016_costs.sql",
        "e8b8f51b9a3790e1cf4506915f402f7c920b66833067739c69afd92c2dbe1683",
    ),
    (
        "0017_pace.sql",
        "28e422331dc1be5ffd71218ff303f30486cd37e1e6bd8c266ff93c3ce2363548",
    ),
    (
        "0018_changes.sql",
        "08c10b8c2359a655770823e859d26476f43729226885fbd8e753f143734e13b4",
    ),
];

/// The files of `migrations/`, in order, with the SHA-256 of their bytes.
fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let entries = fs::read_dir(folder).expect("there is a folder of migrations");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let bytes = fs::read(&path).expect("it can be read");
            let mut sum = String::new();
            for byte in Sha256::digest(&bytes) {
                write!(sum, "{byte:02x}").expect("a text can be written to");
            }
            (name.into_owned(), sum)
        })
        .collect();
    files.sort();
    files
}

/// What is wrong with a folder of migrations, in words that say what to do.
fn faults(files: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, sum) in files {
        match FROZEN.iter().find(|(frozen, _)| frozen == name) {
            Some((_, frozen)) if frozen == sum => {}
            Some(_) => faults.push(format!(
                "migrations/{name} is not what it was: a merged migration is never changed, because databases have it as \
                 it was and `callq migrate` would refuse them. Take the change back, and put it into a new file"
            )),
            None => faults.push(format!(
                "migrations/{name} is not in the list of frozen migrations. Once it is final, add this line to the end of FROZEN \
                 in tests/it/versions/frozen.rs; from then on it is never changed:\n    (\"{name}\", \"{sum}\"),"
            )),
        }
    }
    for (name, _) in FROZEN {
        if !files.iter().any(|(file, _)| file == name) {
            faults.push(format!(
                "migrations/{name} is missing: a merged migration is never removed or renamed, because databases have it"
            ));
        }
    }
    faults
}

#[test]
fn a_merged_migration_is_never_changed() {
    let faults = faults(&files());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_migration_that_is_changed_new_or_gone_is_told_with_what_to_do() {
    let mut files = files();
    files[0].1 = "0".repeat(64);
    let gone = files.remove(1).0;
    files.push(("9999_new.sql".to_owned(), "f".repeat(64)));
    let faults = faults(&files);
    let told: Vec<bool> = [
        ("0001_tables.sql is not what it was", "into a new file"),
        (
            "9999_new.sql is not in the list",
            "(\"9999_new.sql\", \"fff",
        ),
        (gone.as_str(), "is missing"),
    ]
    .iter()
    .map(|(what, to_do)| {
        faults
            .iter()
            .any(|fault| fault.contains(what) && fault.contains(to_do))
    })
    .collect();
    assert_eq!(told, [true; 3], "{faults:?}");
    assert_eq!(faults.len(), 3);
}

#[test]
fn the_migrations_are_numbered_without_a_gap() {
    let numbers: Vec<String> = files()
        .iter()
        .map(|(name, _)| name.split('_').next().expect("a number").to_owned())
        .collect();
    let expected: Vec<String> = (1..=numbers.len()).map(|n| format!("{n:04}")).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn the_newest_schema_is_this_programs_own_and_lets_it_work() {
    let database = Database::new().await;
    let (version, oldest): (i32, String) =
        sqlx::query_as("SELECT schema_version, min_binary_version FROM callq.meta")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(version, SCHEMA_VERSION);
    let fits = Program::this().fits(version, &oldest);
    assert_eq!(fits.unwrap(), Schema::Own, "from {oldest} on");
}
