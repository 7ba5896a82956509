//! The known name that somebody meant who wrote another.

/// Below this, names have little more in common than some letters.
const ALIKE: f64 = 0.8;

/// The name that is most like `name`, if any is.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase().replace([' ', '-'], "_");
    let alike = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&known.replace('-', "_"), &name), known));
    let best = alike.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(alike, _)| *alike >= ALIKE)
        .map(|(_, known)| known)
}

/// `did you mean NAME?`, or what there is.
pub(super) fn meant(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(known) => format!("did you mean {known}?"),
        None if known.len() == 1 => format!("must be {}", known[0]),
        None => format!("must be one of {}", known.join(", ")),
    }
}

/// The variable that somebody meant who wrote `name`: at most two letters are wrong, missing,
/// added or swapped, in a short name one; or the unit is missing.
pub(super) fn mistyped<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const PREFIX: &str = "CALLQ_";
    let rest = name.strip_prefix(PREFIX)?;
    known.into_iter().find(|known| {
        let Some(known) = known.strip_prefix(PREFIX) else {
            // Only the prefix is too much, as in CALLQ_DATABASE_URL.
            return *known == rest;
        };
        let unit_is_missing = known.strip_suffix("_MS") == Some(rest);
        unit_is_missing || strsim::osa_distance(known, rest) <= (known.len() / 3).min(2)
    })
}

/// Whether Kubernetes gives such a variable to every container, for a Service whose name begins
/// with `callq`: `CALLQ_SERVICE_HOST`, `CALLQ_SERVICE_PORT_HTTP`, `CALLQ_PORT`,
/// `CALLQ_PORT_5432_TCP_ADDR`.
pub(super) fn is_of_kubernetes(name: &str) -> bool {
    let numbered = |rest: &str| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        ["_TCP", "_UDP", "_SCTP"]
            .iter()
            .any(|p| rest.starts_with(p))
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| numbered(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;

    fn known() -> impl Iterator<Item = &'static str> {
        let outside = settings::OUTSIDE.iter().map(|(name, _)| *name);
        settings::ALL.iter().map(|s| s.environment).chain(outside)
    }

    #[test]
    fn a_slip_of_the_pen_is_seen_and_another_name_is_left_alone() {
        for (name, meant) in [
            ("CALLQ_CONCURENCY", "CALLQ_CONCURRENCY"),
            ("CALLQ_SECRETKEY_FILE", "CALLQ_SECRET_KEY_FILE"),
            ("CALLQ_SDK_APPID", "CALLQ_SDK_APP_ID"),
            ("CALLQ_HOTS", "CALLQ_HOST"),
            ("CALLQ_LOGS", "CALLQ_LOG"),
            ("CALLQ_LEASE", "CALLQ_LEASE_MS"),
            ("CALLQ_DATABASE_URL", "DATABASE_URL"),
        ] {
            assert_eq!(mistyped(name, known()), Some(meant), "{name}");
        }
        for name in [
            "CALLQ_TEST_SEED",
            "CALLQ_VERSION",
            "CALLQ_IMAGE",
            "CALLQ_PORTS",
            "CALLQ_",
            "CALLQ_HOME",
        ] {
            assert_eq!(mistyped(name, known()), None, "{name}");
        }
    }

    #[test]
    fn no_name_of_ours_is_taken_for_a_slip_of_another() {
        for name in known() {
            let others = known().filter(|other| *other != name);
            assert_eq!(mistyped(name, others), None, "{name}");
        }
    }

    #[test]
    fn what_kubernetes_gives_is_known() {
        for name in [
            "CALLQ_PORT",
            "CALLQ_PORT_5432_TCP",
            "CALLQ_PORT_5432_TCP_ADDR",
            "CALLQ_PORT_53_UDP_PROTO",
            "CALLQ_SERVICE_HOST",
            "CALLQ_SERVICE_PORT",
            "CALLQ_SERVICE_PORT_HTTP",
            "CALLQ_WORKER_SERVICE_HOST",
            "CALLQ_WORKER_PORT_9464_TCP_PORT",
        ] {
            assert!(is_of_kubernetes(name), "{name}");
        }
        for name in ["CALLQ_HOST", "CALLQ_PORTS", "CALLQ_PORT_NUMBER"] {
            assert!(!is_of_kubernetes(name), "{name}");
        }
    }
}
