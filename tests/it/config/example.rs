//! `callq.example.toml` and the README's table are those of the list of settings.

use std::fs;

use callq::config::Sources;
use callq::config::settings::{self, Absent, Section, Setting};
use callq::tencent::generate_user_sig;

use super::Folder;
use super::shown::Given;
use crate::readme::README;
use crate::readme::pages::{Page, table};

const EXAMPLE: Page = Page("callq.example.toml");

const HEAD: &str = "\
# The configuration of callq, with every setting there is. Copy it to callq.toml and change what you
# need: what stands here without a # is needed, the rest shows its default or an example.
#
# The file that is read is the one that --config names, else the one that CALLQ_CONFIG names, else
# callq.toml in the current folder. A flag wins over the environment, and that over the file; see
# `callq config show`. Names of files are relative to the folder of this one. No secret ever stands
# here: a secret has a file of its own, closed to other users, or is in the environment.
";

/// Settings of which one is enough, and the other one is shown.
fn partner(setting: &Setting) -> Option<&'static Setting> {
    match setting.key {
        "database_url_file" => Some(&settings::DATABASE_URL),
        "user_sig_file" => Some(&settings::SECRET_KEY_FILE),
        _ => None,
    }
}

fn is_needed(setting: &Setting) -> bool {
    let chosen = [&settings::DATABASE_URL, &settings::SECRET_KEY_FILE];
    setting.absent == Absent::Required || chosen.iter().any(|s| s.key == setting.key)
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}

/// Its comment and its line.
fn entry(setting: &Setting) -> String {
    let absent = match setting.absent {
        Absent::Required => "Required.".to_owned(),
        Absent::Means(meaning) => format!("Without it: {meaning}."),
        Absent::Is(default) => format!("Default: {default}."),
    };
    let (meaning, allowed) = (capital(setting.meaning), setting.kind.allowed());
    let mark = if is_needed(setting) { "" } else { "# " };
    format!(
        "\n# {meaning}.\n# Must be {allowed}. {absent}\n# Environment: {}\n{mark}{} = {}\n",
        setting.environment, setting.key, setting.example
    )
}

fn section(section: Section) -> String {
    settings::of(section)
        .filter(|s| !s.is_secret())
        .map(entry)
        .collect()
}

fn example() -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&section(Section::Top));
    text.push_str("\n# How `callq worker` runs. Each of these is also a flag of it, as in --lease-ms.\n[worker]\n");
    text.push_str(&section(Section::Worker));
    text.push_str("\n# How `callq web` runs, which takes Tencent's callbacks; --listen is a flag of it too.\n[web]\n");
    text.push_str(&section(Section::Web));
    text.push_str(
        "\n# An app: one SDKAppID, named as in the column callq.jobs.app. Write one such section for each\n\
         # app; a worker serves them all, or those that --app names. The environment describes the\n\
         # app `default`, and wins over [apps.default] key by key.\n[apps.default]\n",
    );
    text.push_str(&section(Section::App));
    text
}

#[test]
fn the_example_has_every_setting_with_meaning_unit_and_default() {
    EXAMPLE.keep_all(&example());
}

/// What a worker would make of this file, beside the files that the example names.
fn read(text: &str) -> Result<(), String> {
    let folder = Folder::new();
    let key = callq::sandbox::SANDBOX_SECRET_KEY;
    folder.write("secret-key", key, 0o600);
    folder.write("database-url", "postgres://me:hunter2@db/x", 0o600);
    folder.write("callbacks-secret", "0123456789-abcdef_G", 0o600);
    folder.write("callbacks-token", "xxxxyyyy", 0o600);
    folder.write("cam-secret-key", "AKIDexample:a-cam-key", 0o600);
    if text.contains("\ncam_secret_id") {
        folder.write("cam-secret-key", "a-cam-key", 0o600);
    }
    let sig = generate_user_sig(
        &key.into(),
        1_400_000_000,
        "administrator",
        1_700_000_000,
        86_400,
        None,
    );
    folder.write(
        "user-sig",
        secrecy::ExposeSecret::expose_secret(&sig),
        0o600,
    );
    let file = folder.path().join("callq.toml");
    fs::write(&file, text).expect("a test may write");
    let sources = Sources::read(&Given(&[]), Some(&file), &[]);
    let worker = sources.config(&[]).map(drop);
    let takes_callbacks = text.contains("\ncallbacks_secret_file");
    let web = if takes_callbacks {
        sources.web(&[]).map(drop)
    } else {
        Ok(())
    };
    worker.and(web).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_a_configuration_and_so_is_each_of_its_lines() {
    let text = EXAMPLE.text();
    assert_eq!(read(&text), Ok(()));
    let mut everything = text.clone();
    let mut tried = 0;
    for setting in settings::ALL
        .into_iter()
        .filter(|s| !s.is_secret() && !is_needed(s))
    {
        let name = format!("\n# Environment: {}\n", setting.environment);
        let line = format!("{name}# {} = ", setting.key);
        assert_eq!(text.matches(&line).count(), 1, "{line}");
        let without_mark = format!("{name}{} = ", setting.key);
        let mut changed = text.replace(&line, &without_mark);
        if setting.key == "cam_secret_id" {
            // A name alone is half a key.
            let key = "cam_secret_key_file = ";
            changed = changed.replace(&format!("# {key}"), key);
        }
        if let Some(partner) = partner(setting) {
            let other = format!("\n{} = ", partner.key);
            assert!(text.contains(&other), "{other}");
            changed = changed.replace(&other, &other.replace('\n', "\n# "));
        } else {
            everything = everything.replace(&line, &without_mark);
        }
        assert_eq!(read(&changed), Ok(()), "{}", setting.key);
        tried += 1;
    }
    assert_eq!(tried, 23, "every setting that is not needed");
    assert_eq!(read(&everything), Ok(()));
}

#[test]
fn the_readmes_table_is_that_of_the_list() {
    let code = |text: &str| format!("`{text}`");
    let of_list = settings::ALL.into_iter().map(|setting| {
        let key = match setting.section {
            _ if setting.is_secret() => String::new(),
            Section::Top => code(setting.key),
            Section::Worker => code(&format!("worker.{}", setting.key)),
            Section::Web => code(&format!("web.{}", setting.key)),
            Section::App => code(&format!("apps.NAME.{}", setting.key)),
        };
        let absent = match setting.absent {
            Absent::Required => "required".to_owned(),
            Absent::Means(meaning) => meaning.to_owned(),
            Absent::Is(default) => code(default),
        };
        let allowed = if setting.is_secret() {
            String::new()
        } else {
            setting.kind.allowed()
        };
        [
            code(setting.environment),
            key,
            setting.meaning.to_owned(),
            allowed,
            absent,
        ]
    });
    let outside = settings::OUTSIDE.iter().map(|(name, meaning)| {
        [
            code(name),
            String::new(),
            (*meaning).to_owned(),
            String::new(),
            String::new(),
        ]
    });
    let head = [
        "environment",
        "`callq.toml`",
        "meaning",
        "must be",
        "without it",
    ];
    README.keep(
        "environment",
        &table(head, of_list.chain(outside)),
        str::to_owned,
    );
}

#[test]
fn the_help_of_the_worker_has_a_flag_for_each_of_its_settings() {
    let callq = callq::cli::definition();
    let worker = callq.find_subcommand("worker").expect("there is one");
    for setting in settings::of(Section::Worker) {
        let flag = setting.flag.expect("each has a flag");
        assert_eq!(flag.replace('-', "_"), setting.key);
        let found = worker.get_arguments().find(|a| a.get_long() == Some(flag));
        let help = found.and_then(|a| a.get_help()).map(ToString::to_string);
        let help = help.unwrap_or_else(|| panic!("no --{flag}"));
        let expected = format!("environment: {}", setting.environment);
        assert!(help.contains(&expected), "{help}");
        assert!(help.contains(&setting.kind.allowed()), "{help}");
    }
}
