//! Every value that holds, and where it comes from. No secret is shown.

use super::given::{Given, Origin};
use super::kind::{Kind, looks_like_a_secret};
use super::settings::{self, Absent, Section, Setting};
use super::sources::Sources;
use super::url::without_password;
use crate::call::readable;

/// A value as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As it is; a URL without its password.
    Value(String),
    /// A secret, set but not shown.
    Secret,
    /// A file that holds a secret, by its path.
    SecretFile(String),
    /// Not set, and what that means.
    Unset(&'static str),
    /// Not set, and it must be.
    Missing,
}

/// A setting as it holds.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Which.
    pub setting: &'static Setting,
    /// The app it describes.
    pub app: Option<String>,
    /// Its value.
    pub value: Shown,
    /// Where that comes from.
    pub origin: Origin,
}

impl Effective {
    /// Its name in the file, with its section, as in `apps.clinic.host`.
    #[must_use]
    pub fn name(&self) -> String {
        super::given::name(self.setting, self.app.as_deref())
    }
}

/// Settings of which one is given; the others do not hold, wherever they are given.
static ALTERNATIVES: [&[&Setting]; 5] = [
    &settings::DATABASE,
    &settings::CREDENTIALS,
    &settings::CALLBACKS_SECRETS,
    &settings::CALLBACKS_TOKENS,
    &settings::CAM_SECRET_KEYS,
];

/// Of which one must be.
static NEEDED: [&[&Setting]; 2] = [&settings::DATABASE, &settings::CREDENTIALS];

impl Sources {
    /// Every setting that holds, in the order of the list and then of the apps. It is not judged
    /// whether it is any good.
    #[must_use]
    pub fn effective(&self) -> Vec<Effective> {
        let above = settings::ALL
            .into_iter()
            .filter(|s| s.section != Section::App);
        let above = above.filter_map(|setting| self.holds(setting, None));
        let apps = self.apps();
        let of_apps = apps.iter().flat_map(|app| {
            settings::of(Section::App).filter_map(|setting| self.holds(setting, Some(app)))
        });
        above.chain(of_apps).collect()
    }

    fn holds(&self, setting: &'static Setting, app: Option<&str>) -> Option<Effective> {
        let given = self.given(setting, app);
        if let Some(group) = ALTERNATIVES.iter().find(|g| has(g, setting)) {
            let one = match self.one_of(group, app) {
                Ok(one) => one,
                // Two are given where one may be: show both.
                Err(_) => given,
            };
            let shown = match one {
                Some(one) => std::ptr::eq(one.setting, setting),
                None => std::ptr::eq(group[0], setting),
            };
            if !shown {
                return None;
            }
        }
        let (value, origin) = match (given, setting.absent) {
            (Some(given), _) => (shown(given), given.origin.clone()),
            (None, Absent::Is(default)) => (Shown::Value(default.to_owned()), Origin::Default),
            (None, Absent::Means(meaning)) => {
                let missing = NEEDED.iter().any(|g| has(g, setting));
                let value = if missing {
                    Shown::Missing
                } else {
                    Shown::Unset(meaning)
                };
                (value, Origin::Default)
            }
            (None, Absent::Required) => (Shown::Missing, Origin::Default),
        };
        Some(Effective {
            setting,
            app: app.map(str::to_owned),
            value,
            origin,
        })
    }
}

fn has(group: &[&Setting], setting: &Setting) -> bool {
    group.iter().any(|s| std::ptr::eq(*s, setting))
}

fn shown(given: &Given) -> Shown {
    let text = given.text();
    match given.setting.kind {
        Kind::Secret => Shown::Secret,
        Kind::SecretFile if looks_like_a_secret(text) => Shown::Secret,
        Kind::SecretFile => Shown::SecretFile(readable(&given.path().to_string_lossy())),
        Kind::DatabaseUrl | Kind::ProxyUrl => match without_password(text) {
            Some(url) => Shown::Value(readable(&url)),
            None => Shown::Secret,
        },
        _ if looks_like_a_secret(text) => Shown::Secret,
        _ => Shown::Value(readable(text)),
    }
}
