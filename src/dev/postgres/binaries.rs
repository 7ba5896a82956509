//! Finding PostgreSQL's server programs on this machine.

use std::{
    cmp::Reverse,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Account, DevError, Places};

/// What a folder must hold to be of use. A folder with the clients alone is common.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// Folders, below the root, that hold one sub-folder per version: (parent, prefix of the versions'
/// names, tail).
const VERSIONED: [(&str, &str, &str); 5] = [
    ("usr/lib/postgresql", "", "bin"),
    ("opt/homebrew/opt", "postgresql", "bin"),
    ("usr/local/opt", "postgresql", "bin"),
    ("Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("usr", "pgsql-", "bin"),
];

/// A folder with the server's programs, tried out as the user who will run them.
#[derive(Debug)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: String,
}

impl Binaries {
    /// The first usable folder of: `CALLQ_PG_BIN` (then no other), what `pg_config` says, `PATH`,
    /// and the places where the packages of Debian, Homebrew, Postgres.app and Red Hat put them,
    /// highest version first.
    pub(super) fn find(places: &Places, account: &Account) -> Result<Self, DevError> {
        if let Some(dir) = &places.pg_bin {
            return match missing_program(dir) {
                Some(program) => Err(DevError::WrongBinDir {
                    dir: dir.clone(),
                    program,
                }),
                None => Self::try_out(&dir.canonicalize().unwrap_or_else(|_| dir.clone()), account),
            };
        }
        let mut failure = DevError::NoBinaries;
        for dir in candidates(places) {
            match Self::try_out(&dir, account) {
                Ok(binaries) => return Ok(binaries),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The major version, as in the file `PG_VERSION` of a data directory.
    pub(super) fn major(&self) -> &str {
        &self.major
    }

    /// A command for one of the programs, as the server's user and without any of the `PG...`
    /// settings of our own environment, which the server would obey.
    pub(super) fn command(&self, program: &str, account: &Account) -> Command {
        command(&self.dir.join(program), account)
    }

    fn try_out(dir: &Path, account: &Account) -> Result<Self, DevError> {
        let program = dir.join("postgres");
        let unusable = |detail: String| DevError::UnusableBinaries {
            program: program.clone(),
            user: account.name().to_owned(),
            detail,
        };
        let output = command(&program, account)
            .arg("--version")
            .output()
            .map_err(|error| unusable(error.to_string()))?;
        if !output.status.success() {
            return Err(unusable(
                String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let major =
            major_version(&text).ok_or_else(|| unusable(format!("it says {:?}", text.trim())))?;
        Ok(Self {
            dir: dir.to_owned(),
            major,
        })
    }
}

fn command(program: &Path, account: &Account) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    // English messages: readiness is read from them. And a folder that every user may enter.
    command
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null());
    account.apply(&mut command);
    command
}

fn candidates(places: &Places) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let on_path = env::split_paths(&places.path).filter(|dir| dir.is_absolute());
    let versioned = VERSIONED
        .iter()
        .flat_map(|(parent, prefix, tail)| versions(&places.root.join(parent), prefix, tail));
    for dir in told_by_pg_config(places)
        .into_iter()
        .chain(on_path.flat_map(behind_symlinks))
        .chain(versioned)
    {
        if missing_program(&dir).is_none() && !found.contains(&dir) {
            found.push(dir);
        }
    }
    found
}

/// `pg_config` comes with the client library too and then may name a folder without a server.
fn told_by_pg_config(places: &Places) -> Option<PathBuf> {
    let pg_config = env::split_paths(&places.path)
        .map(|dir| dir.join("pg_config"))
        .find(|path| is_program(path))?;
    let output = Command::new(pg_config)
        .arg("--bindir")
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let dir = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && dir.is_absolute()).then_some(dir)
}

/// A folder of `PATH` often holds a link to one program only; its neighbours are where the link
/// leads.
fn behind_symlinks(dir: PathBuf) -> [PathBuf; 2] {
    let real = dir
        .join("postgres")
        .canonicalize()
        .ok()
        .and_then(|program| program.parent().map(Path::to_owned))
        .unwrap_or_else(|| dir.clone());
    [dir, real]
}

fn versions(parent: &Path, prefix: &str, tail: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches('@');
            // "latest" and a plain "postgresql" sort behind the numbered ones.
            let numbers = version
                .split('.')
                .map_while(|part| part.parse().ok())
                .collect();
            Some((numbers, entry.path().join(tail)))
        })
        .collect();
    found.sort_by_key(|(numbers, _)| Reverse(numbers.clone()));
    found.into_iter().map(|(_, dir)| dir).collect()
}

fn missing_program(dir: &Path) -> Option<&'static str> {
    PROGRAMS
        .into_iter()
        .find(|program| !is_program(&dir.join(program)))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The leading number in `postgres (PostgreSQL) 15.13 (Debian ...)` or `... 19beta1`.
fn major_version(text: &str) -> Option<String> {
    let version = text.split(") ").nth(1)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn machine(root: &Path) -> Places {
        Places {
            pg_bin: None,
            path: OsString::new(),
            root: root.to_owned(),
            ..Places::from_env()
        }
    }

    fn install(dir: &Path, programs: &[&str]) {
        fs::create_dir_all(dir).expect("a test may make folders");
        for program in programs {
            let path = dir.join(program);
            fs::write(&path, "#!/bin/sh\n").expect("a test may write files");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .expect("a test may set modes");
        }
    }

    #[test]
    fn the_highest_version_with_a_server_comes_first() {
        let root = tempfile::tempdir().expect("a test may make folders");
        let of = |version: &str| {
            root.path()
                .join("usr/lib/postgresql")
                .join(version)
                .join("bin")
        };
        install(&of("9.6"), &["initdb", "postgres"]);
        install(&of("15"), &["initdb", "postgres"]);
        install(&of("18"), &["psql"]);
        assert_eq!(candidates(&machine(root.path())), [of("15"), of("9.6")]);
    }

    #[test]
    fn a_link_on_the_path_leads_to_its_neighbours() {
        let root = tempfile::tempdir().expect("a test may make folders");
        let (real, linked) = (root.path().join("pg/bin"), root.path().join("links"));
        install(&real, &["initdb", "postgres"]);
        fs::create_dir(&linked).expect("a test may make folders");
        std::os::unix::fs::symlink(real.join("postgres"), linked.join("postgres"))
            .expect("a test may link");
        let places = Places {
            path: linked.into(),
            ..machine(root.path())
        };
        assert_eq!(
            candidates(&places),
            [real.canonicalize().expect("it exists")]
        );
    }

    #[test]
    fn pg_config_of_the_client_library_alone_is_passed_over() {
        let root = tempfile::tempdir().expect("a test may make folders");
        let dir = root.path().join("bin");
        install(&dir, &["initdb"]);
        let pg_config = dir.join("pg_config");
        fs::write(&pg_config, format!("#!/bin/sh\necho {}\n", dir.display()))
            .expect("a test may write files");
        fs::set_permissions(&pg_config, fs::Permissions::from_mode(0o755))
            .expect("a test may set modes");
        let places = Places {
            path: dir.into(),
            ..machine(root.path())
        };
        assert_eq!(candidates(&places), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_major_version_is_read_from_release_and_beta() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)").as_deref(),
            Some("15")
        );
        assert_eq!(
            major_version("postgres (PostgreSQL) 19beta1").as_deref(),
            Some("19")
        );
        assert_eq!(major_version("postgres"), None);
    }
}
