//! URLs that may hold a password.

use std::fmt;
use std::fs::File;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::given::Origin;
use super::kind::Kind;

/// The query's name for a password, in libpq and in the driver.
const PASSWORD: &str = "password";

/// Whether `text` holds a password, be it a good URL or not.
pub(super) fn has_password(text: &str) -> bool {
    if let Some(url) = understood(text) {
        return url.password().is_some() || url.query_pairs().any(|(n, _)| n == PASSWORD);
    }
    // A typing mistake must not let one through.
    let user = text.split_once("://").map_or(text, |(_, rest)| rest);
    let user = user.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || text.contains("password=")
}

/// The parameters of a URL that say how safely it connects, and to what.
const PARAMETERS: [&str; 6] = [
    PASSWORD,
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];

/// What the driver takes as `sslmode`, in any case.
const SSL_MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// The parameters that name a file, as libpq and as the driver spell them.
const FILES: [&str; 7] = [
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];

/// What is wrong with a parameter's value. The driver would find it out when it connects, and what
/// it says of a file that is not there reads as if no server were.
fn wrong_value(url: &Url) -> Option<String> {
    url.query_pairs().find_map(|(name, value)| {
        let is_mode = matches!(&*name, "sslmode" | "ssl-mode");
        if is_mode && !SSL_MODES.contains(&value.to_ascii_lowercase().as_str()) {
            let modes = SSL_MODES.join(", ");
            return Some(format!(
                "has an {name} that there is not: must be one of {modes}"
            ));
        }
        // The certificate itself may stand there, too.
        let is_file = FILES.contains(&&*name) && !value.trim_start().starts_with("-----BEGIN");
        if is_file && File::open(&*value).is_err() {
            return Some(format!(
                "names a file in {name} that cannot be read: must be the name of one that can"
            ));
        }
        None
    })
}

/// The parameter that somebody meant who wrote another, one letter away. The driver passes over
/// what it does not know, and a server's name would go unverified for a mistyped sslmode.
fn mistyped_parameter(url: &Url) -> Option<&'static str> {
    let meant = |name: &str| {
        let mut known = PARAMETERS.into_iter();
        known.find(|known| strsim::osa_distance(known, name) == 1)
    };
    // The driver reads ssl-mode as well.
    let is_read = |name: &str| name.contains('-');
    let mut names = url.query_pairs().map(|(name, _)| name);
    names.find_map(|name| (!is_read(&name)).then(|| meant(&name)).flatten())
}

/// Where the database is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub struct DatabaseUrl {
    url: SecretString,
    parsed: Url,
    origin: Origin,
}

impl DatabaseUrl {
    /// Takes a URL of PostgreSQL.
    ///
    /// # Errors
    /// What is wrong with it, as a phrase that follows its name and repeats no part of it.
    pub(super) fn new(url: &str, origin: Origin) -> Result<Self, String> {
        let allowed = Kind::DatabaseUrl.allowed();
        let fault = match Url::parse(url) {
            Ok(parsed) if matches!(parsed.scheme(), "postgres" | "postgresql") => {
                if let Some(known) = mistyped_parameter(&parsed) {
                    return Err(format!(
                        "has a parameter that is almost {known}, and nothing would read it: must \
                         be {known}"
                    ));
                }
                if let Some(fault) = wrong_value(&parsed) {
                    return Err(fault);
                }
                let url = SecretString::from(url);
                return Ok(Self {
                    url,
                    parsed,
                    origin,
                });
            }
            Ok(_) => "is a URL, but not of PostgreSQL".to_owned(),
            Err(error) if has_password(url) => {
                return Err(format!(
                    "is not a URL ({error}): must be {allowed}; in a password, / ? # @ : and % are \
                     written %2F %3F %23 %40 %3A and %25"
                ));
            }
            Err(error) => format!("is not a URL ({error})"),
        };
        Err(format!("{fault}: must be {allowed}"))
    }

    /// The whole URL, for the driver alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose_secret()
    }

    /// Who gave it.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Host and port, for a message: without user, password and name.
    #[must_use]
    pub fn place(&self) -> String {
        let url = &self.parsed;
        let mut given = url.query_pairs();
        let given = given.find(|(name, _)| name == "host");
        match (url.host_str(), given) {
            (Some(host), _) if !host.is_empty() => {
                format!("{host}:{}", url.port().unwrap_or(5432))
            }
            (_, Some((_, host))) => host.into_owned(),
            _ => format!("the place that {} names", self.origin),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    /// The URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = without_password(self.expose());
        f.write_str(&shown.unwrap_or_else(|| format!("postgres://{}", self.place())))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The URL, if it is clear where a password would stand in it. It is not in `me:secret@host`, which
/// reads as a URL of the scheme `me`, nor in `postgres://me:12/3@host`, whose password reads as a
/// port and a path.
fn understood(text: &str) -> Option<Url> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| !url.cannot_be_a_base())?;
    let beyond = url.fragment().unwrap_or_default();
    let query = url.query().filter(|_| url.username().is_empty());
    let stray = [url.path(), beyond, query.unwrap_or_default()];
    (!stray.iter().any(|part| part.contains('@'))).then_some(url)
}

/// The URL without a password, wherever it stands; `None` if that is not clear.
pub(super) fn without_password(text: &str) -> Option<String> {
    let mut url = understood(text)?;
    // It fails for a URL that cannot have one.
    let _ = url.set_password(None);
    if url.query_pairs().any(|(name, _)| name == PASSWORD) {
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| name != PASSWORD)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_and_taken_out_wherever_it_stands() {
        for (url, shown) in [
            ("postgres://me:hunter2@db/x", "postgres://me@db/x"),
            (
                "postgres:///x?user=me&password=hunter2",
                "postgres:///x?user=me",
            ),
            ("postgres://db/x?password=hunter2", "postgres://db/x"),
            ("postgres://me:a%40b@db/x", "postgres://me@db/x"),
        ] {
            assert!(has_password(url), "{url}");
            let read = DatabaseUrl::new(url, Origin::Default).expect("it is a URL");
            assert_eq!(read.to_string(), shown);
            assert!(!format!("{read:?}").contains("hunter2"));
            assert_eq!(read.expose(), url);
        }
        for url in [
            "postgres://me@db/x",
            "postgres:///x?host=/run",
            "http://proxy:3128",
        ] {
            assert!(!has_password(url), "{url}");
        }
        for broken in [
            "postgres://me:hunter2@:x/",
            "postgres://me:12/hunter2@db/x",
            "postgres://me:12#hunter2@db/x",
            "postgres://me:12?hunter2@db/x",
            "me:hunter2@db",
            "password=hunter2",
        ] {
            assert!(has_password(broken), "{broken}");
            assert_eq!(without_password(broken), None, "{broken}");
        }
    }
}
