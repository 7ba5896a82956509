//! The content of `callq.toml` taken apart, with the place of each value. What a value may be is
//! judged later; here it must be known and of the right type.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeInteger, DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::file::ConfigFile;
use super::given::{Given, Origin, Place, app_name, name};
use super::kind::{Kind, looks_like_a_secret, shown};
use super::near::{meant, nearest};
use super::schedules::json;
use super::settings::{self, DEFAULT_APP, Section, Setting};
use super::text::{self, Key, Lines, Text, Value, article, in_order, key_shown};
use super::url::has_password;
use crate::call::readable;

/// The longest name of an app, as in `callq.jobs.app`.
const APP_NAME_BYTES_MAX: usize = 64;

/// Takes the content of a file apart.
pub(super) fn parse(path: &Path, bytes: &[u8], faults: &mut Faults) -> ConfigFile {
    let mut file = ConfigFile {
        path: Arc::from(path),
        values: Vec::new(),
        apps: Vec::new(),
    };
    let Some(Text { lines, table }) = text::read(&file.path, bytes, faults) else {
        return file;
    };
    let mut reader = Reader {
        lines,
        file: &mut file,
        faults,
    };
    reader.top(table.get_ref());
    file.values.sort_by_key(|given| match &given.origin {
        Origin::File(place) => (place.line, place.column),
        _ => (0, 0),
    });
    file.apps
        .sort_by_key(|(_, place)| (place.line, place.column));
    file
}

/// Goes through the sections of one file.
struct Reader<'a> {
    lines: Lines<'a>,
    file: &'a mut ConfigFile,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        self.lines.place(span.start)
    }

    fn fault(&mut self, span: &Range<usize>, what: impl fmt::Display) {
        let place = self.place(span);
        self.faults.add(Fault::new(format_args!("{place}:"), what));
    }

    fn top(&mut self, table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("worker", DeValue::Table(table)) => self.section(table, Section::Worker, None),
                ("web", DeValue::Table(table)) => self.section(table, Section::Web, None),
                ("apps", DeValue::Table(table)) => self.apps(table),
                (section @ ("worker" | "web" | "apps"), other) => {
                    let name = if section == "apps" {
                        "apps.NAME"
                    } else {
                        section
                    };
                    let found = article(other.type_str());
                    let what = format!("{section} is {found}: must be a section, [{name}]");
                    self.fault(&value.span(), what);
                }
                (name, DeValue::Table(inner)) => self.unknown_section(key, name, inner),
                _ => self.setting(key, value, Section::Top, None),
            }
        }
    }

    fn unknown_section(&mut self, key: &Key<'_>, name: &str, inner: &DeTable<'_>) {
        let is_app = inner
            .iter()
            .any(|(key, _)| settings::of(Section::App).any(|setting| setting.key == key.get_ref()));
        let meant = if is_app {
            format!("did you mean [apps.{}]?", app_name(name))
        } else {
            match nearest(name, ["worker", "web", "apps"]) {
                Some(meant @ ("worker" | "web")) => format!("did you mean [{meant}]?"),
                _ => "must be [worker], [web] or [apps.NAME]".to_owned(),
            }
        };
        let name = key_shown(name);
        self.fault(&key.span(), format!("[{name}] is no section: {meant}"));
    }

    fn apps(&mut self, table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            let app = key.get_ref().as_ref();
            let DeValue::Table(inner) = value.get_ref() else {
                let name = key_shown(app);
                let what = format!("apps.{name} must be a section, [apps.{name}]");
                self.fault(&key.span(), what);
                continue;
            };
            let length = app.len();
            if app == "*" || length == 0 || length > APP_NAME_BYTES_MAX {
                let what = format!(
                    "[apps.{}] has {}: must be 1 to {APP_NAME_BYTES_MAX} bytes, and not *",
                    app_name(app),
                    if app == "*" {
                        "a name that stands for all apps".to_owned()
                    } else {
                        format!("a name of {length} bytes")
                    }
                );
                self.fault(&key.span(), what);
                continue;
            }
            let place = self.place(&key.span());
            self.file.apps.push((app.to_owned(), place));
            self.section(inner, Section::App, Some(app));
        }
    }

    fn section(&mut self, table: &DeTable<'_>, section: Section, app: Option<&str>) {
        for (key, value) in in_order(table) {
            self.setting(key, value, section, app);
        }
    }

    fn setting(&mut self, key: &Key<'_>, value: &Value<'_>, section: Section, app: Option<&str>) {
        let Some(setting) = settings::of(section).find(|s| s.key == key.get_ref()) else {
            self.unknown_key(key, section, app);
            return;
        };
        let name = name(setting, app);
        if setting.is_secret() {
            let way_out = secret_way_out(setting, app);
            self.fault(
                &key.span(),
                format!("{name} is a secret, and the file is no place for one: {way_out}"),
            );
            return;
        }
        match scalar(setting, value.get_ref()) {
            Ok(text) => {
                let origin = Origin::File(self.place(&value.span()));
                let given = Given::new(setting, app, origin, &text);
                if let Some(what) = holds_password(setting, &text) {
                    self.faults.add(given.fault(what));
                }
                self.file.values.push(given);
            }
            Err(found) => {
                let allowed = setting.kind.allowed();
                let must = match setting.kind {
                    Kind::Whole { .. } | Kind::Pace | Kind::RingPolicy => allowed,
                    _ => format!("a string: {allowed}"),
                };
                self.fault(&value.span(), format!("{name} is {found}: must be {must}"));
            }
        }
    }

    fn unknown_key(&mut self, key: &Key<'_>, section: Section, app: Option<&str>) {
        let name = key.get_ref().as_ref();
        let shown = match (section, app) {
            (Section::Worker, _) => format!("worker.{}", key_shown(name)),
            (Section::Web, _) => format!("web.{}", key_shown(name)),
            (Section::App, Some(app)) => format!("apps.{}.{}", app_name(app), key_shown(name)),
            _ => key_shown(name),
        };
        let elsewhere = settings::ALL
            .iter()
            .find(|s| s.key == name && !s.is_secret());
        let way_out = match elsewhere.map(|setting| setting.section) {
            Some(Section::Top) => "it belongs above all sections".to_owned(),
            Some(Section::Worker) => "it belongs in [worker]".to_owned(),
            Some(Section::Web) => "it belongs in [web]".to_owned(),
            Some(Section::App) => "it belongs in [apps.NAME]".to_owned(),
            None => {
                let known = settings::of(section).filter(|s| !s.is_secret());
                let mut known: Vec<&str> = known.map(|setting| setting.key).collect();
                if section == Section::Top {
                    known.extend(["worker", "web", "apps"]);
                }
                meant(name, &known)
            }
        };
        self.fault(&key.span(), format!("{shown} is no setting: {way_out}"));
    }
}

/// The value as text, or what it is instead of the type that it must be.
fn scalar(setting: &Setting, value: &DeValue<'_>) -> Result<String, String> {
    match (setting.kind, value) {
        (Kind::Whole { .. } | Kind::Pace, DeValue::Integer(number)) => Ok(digits(number)),
        (Kind::Pace, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
        (Kind::Whole { .. } | Kind::Pace, DeValue::String(text)) => {
            Err(if looks_like_a_secret(text) {
                shown(text)
            } else {
                format!("the string \"{}\"", readable(text))
            })
        }
        (Kind::Whole { .. } | Kind::Pace, other) => Err(article(other.type_str())),
        (Kind::RingPolicy, DeValue::Table(table)) => match json::object(table) {
            Ok(object) => Ok(serde_json::Value::Object(object).to_string()),
            Err((_, what)) => Err(what.to_owned()),
        },
        (_, DeValue::String(text)) => Ok(text.to_string()),
        (_, other) => Err(article(other.type_str())),
    }
}

/// The number in decimal digits; as it is written if it is no number of 64 bits.
fn digits(number: &DeInteger<'_>) -> String {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => number.to_string(),
        Err(_) => number.to_string(),
    }
}

/// Where a secret goes instead.
fn secret_way_out(setting: &Setting, app: Option<&str>) -> String {
    let file = format!("name a file that holds it in {}_file", setting.key);
    if app == Some(DEFAULT_APP) {
        format!("{file}, or set {}", setting.environment)
    } else {
        file
    }
}

/// Why a URL with a password must not stand in the file.
fn holds_password(setting: &Setting, text: &str) -> Option<String> {
    let way_out = match setting.kind {
        Kind::DatabaseUrl => "set DATABASE_URL, or name a file that holds it in database_url_file",
        Kind::ProxyUrl => "set CALLQ_HTTPS_PROXY",
        _ => return None,
    };
    has_password(text)
        .then(|| format!("holds a password, and the file is no place for one: {way_out}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Environment, Sources};

    /// An environment without any name.
    struct Nothing;

    impl Environment for Nothing {
        fn get(&self, _: &str) -> Result<Option<String>, Fault> {
            Ok(None)
        }

        fn names(&self) -> Vec<String> {
            Vec::new()
        }
    }

    /// Everything that could be made of such a file.
    fn read(bytes: &[u8]) {
        let folder = tempfile::tempdir().expect("a test may make folders");
        let path = folder.path().join("callq.toml");
        std::fs::write(&path, bytes).expect("a test may write");
        let sources = Sources::read(&Nothing, Some(&path), &[]);
        let config = sources.config(&[]);
        let told = config.map_or_else(|error| error.to_string(), |config| format!("{config:?}"));
        assert!(
            !told.chars().any(|c| c.is_control() && c != '\n'),
            "{told:?}"
        );
        drop(sources.effective());
    }

    /// Pieces of which some files are good.
    fn piece() -> impl Strategy<Value = String> {
        let names = settings::ALL.map(|setting| setting.key).to_vec();
        let value = prop_oneof![
            Just("\"x\"".to_owned()),
            Just("5".to_owned()),
            Just("0xFFFFFFFFFFFFFFFFFFFF".to_owned()),
            Just("[1, {a = 1}]".to_owned()),
            Just("\"\\u0007\"".to_owned()),
            Just("\"\"\"".to_owned()),
            "\\PC{0,8}",
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| n.to_string()),
        ];
        prop_oneof![
            (proptest::sample::select(names), value).prop_map(|(k, v)| format!("{k} = {v}\n")),
            Just("[worker]\n".to_owned()),
            Just("[apps]\n".to_owned()),
            Just("[apps.default]\n".to_owned()),
            Just("[[apps.\"\\u0007\"]]\n".to_owned()),
            "\\PC{0,12}\n",
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn no_broken_file_makes_it_panic(pieces in proptest::collection::vec(piece(), 0..12)) {
            read(pieces.concat().as_bytes());
        }
    }

    #[test]
    fn a_file_of_the_greatest_length_is_read_in_no_time() {
        for line in ["x\n", "[\n", "=", "a.", "[[a]]\n", "a = [", "\u{7}"] {
            let began = std::time::Instant::now();
            read(line.repeat(250_000 / line.len()).as_bytes());
            assert!(
                began.elapsed().as_secs() < 20,
                "{line:?} took {:?}",
                began.elapsed()
            );
        }
    }
}
