//! One app, in the order in which Tencent's own questions and answers go: the way to its host, then
//! whether its credentials are accepted.

use super::configured::Way;
use super::database::Known;
use super::finding::Finding;
use super::report::Report;
use super::{Failure, network};
use crate::call::{Answer, Class, Family, Reply, readable};
use crate::config::AppConfig;
use crate::store::AppRow;
use crate::tencent::{
    CallInfo, HostKind, NO_CALL_ID, Settings, TencentClient, TlsFault, classify, remedy, verdict,
};

/// Everything that is looked at, in this order; the first that fails stops it.
const CHECKS: [&str; 7] = [
    "kind",
    "host name",
    "TCP",
    "TLS",
    "HTTP",
    "UserSig life",
    "UserSig",
];

/// A fixed `UserSig` that expires sooner is told.
const LIFE_MIN_S: i64 = 7 * 86_400;

/// What `get_call_info` says of a call that is not there (68932).
const NO_SUCH_CALL: i64 = 101_004;

impl Known {
    /// The database's time in seconds, by which a `UserSig` is signed; this machine's if that is
    /// not known.
    #[allow(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    pub(super) fn now_unix(&self) -> i64 {
        let ahead_s = self.clock_ahead_s.unwrap_or(0.0).round() as i64;
        chrono::Utc::now().timestamp() + ahead_s
    }
}

/// Tells how everything stands with one app; returns its client if all is well.
pub(super) async fn look(
    app: AppConfig,
    way: &Way,
    known: &Known,
    report: &mut Report,
) -> Result<Option<TencentClient>, Failure> {
    let name = app.name.clone();
    let (lines, client) = steps(app, way, known).await;
    let stopped = lines.iter().any(Finding::is_failure);
    let told = lines.len();
    for line in lines {
        report.tell(line.of_app(&name))?;
    }
    for check in &CHECKS[told..] {
        report.tell(Finding::skip(check, "something before it fails").of_app(&name))?;
    }
    Ok(client.filter(|_| !stopped))
}

async fn steps(app: AppConfig, way: &Way, known: &Known) -> (Vec<Finding>, Option<TencentClient>) {
    let kind = kind(
        app.host.kind(),
        known.apps.iter().find(|row| row.app == app.name),
    );
    let mut lines = vec![kind];
    if lines.iter().any(Finding::is_failure) {
        return (lines, None);
    }
    let is_live = app.host.kind() == HostKind::Live;
    if is_live && way.https_proxy.is_some() {
        lines.extend(
            ["host name", "TCP"].map(|check| Finding::skip(check, "a proxy is in between")),
        );
    } else {
        let (host, port) = app.host.address();
        lines.extend(network::reach(&host, port).await);
        if lines.iter().any(Finding::is_failure) {
            return (lines, None);
        }
    }
    let client = match TencentClient::new(Settings {
        host: app.host,
        user_sigs: app.user_sigs,
        request_timeout: way.request_timeout,
        https_proxy: way.https_proxy.clone(),
    }) {
        Ok(client) => client,
        Err(error) => {
            let fix = "then check again";
            lines.push(Finding::cannot("TLS", error.to_string(), fix));
            return (lines, None);
        }
    };
    let now = known.now_unix();
    let info = client
        .get_call_info(NO_CALL_ID, fastrand::u32(..), now)
        .await;
    lines.push(tls(&info, is_live));
    if !lines.iter().any(Finding::is_failure) {
        lines.push(http(&info.answer));
    }
    if let Answer::Reply(reply) = &info.answer {
        let life = life(client.user_sigs().expires_at_unix(), now);
        let is_over = life.is_failure();
        lines.push(life);
        if !is_over {
            lines.push(user_sig(reply, classify(&info.answer)));
        }
    }
    (lines, Some(client))
}

/// Whether the host rings real phones, against what the database has the app as.
fn kind(kind: HostKind, row: Option<&AppRow>) -> Finding {
    const CHECK: &str = "kind";
    let ours = kind.as_str();
    match row.and_then(|row| row.kind.as_deref()) {
        Some(theirs) if theirs != ours => Finding::cannot(
            CHECK,
            format!("the configured host is {ours}, and the database has this app as {theirs}"),
            "use another app name or another database: a worker would mark real jobs wrongly",
        ),
        Some(_) => Finding::ok(CHECK, format!("{ours}, as the database has it")),
        None => Finding::ok(CHECK, format!("{ours}; no worker has served the app yet")),
    }
}

fn tls(info: &CallInfo, is_live: bool) -> Finding {
    const CHECK: &str = "TLS";
    let Answer::NotSent { detail, .. } = &info.answer else {
        return Finding::ok(
            CHECK,
            if is_live {
                "certificate and name are trusted"
            } else {
                "not used: a sandbox on this machine"
            },
        );
    };
    match &info.tls_fault {
        Some(fault) => certificate(CHECK, fault),
        None => Finding::could_not(
            CHECK,
            format!("no connection came about: {detail}"),
            "check the app's host, and firewalls and proxies on the way",
        ),
    }
}

/// What is wrong with the certificate of a host.
pub(super) fn certificate(check: &'static str, fault: &TlsFault) -> Finding {
    const CLOCK: &str =
        "check this machine's clock; if it is right, the host's owner must renew it";
    match fault {
        TlsFault::NotTrusted => Finding::cannot(
            check,
            "no authority that this machine trusts has signed the host's certificate: it is \
             self-signed, or a proxy's",
            "check the app's host, update ca-certificates, or add the proxy's authority to them",
        ),
        TlsFault::WrongName => Finding::cannot(
            check,
            "the host's certificate is for another name",
            "write the app's host as its certificate has it; a wrong DNS entry looks the same",
        ),
        TlsFault::Expired => Finding::cannot(check, "the host's certificate has expired", CLOCK),
        TlsFault::NotYetValid => {
            Finding::cannot(check, "the host's certificate is not valid yet", CLOCK)
        }
        TlsFault::Other(why) => Finding::cannot(
            check,
            format!("the handshake failed: {why}"),
            "check the app's host and port, and proxies on the way",
        ),
    }
}

fn http(answer: &Answer) -> Finding {
    const CHECK: &str = "HTTP";
    match answer {
        Answer::Reply(reply) => Finding::ok(CHECK, format!("status {}", reply.http_status)),
        Answer::Unknown {
            detail,
            http_status: Some(status),
        } if *status < 500 => Finding::cannot(
            CHECK,
            detail.clone(),
            "this is not Tencent's service: check the app's host, and proxies on the way",
        ),
        Answer::Unknown { detail, .. } | Answer::NotSent { detail, .. } => Finding::could_not(
            CHECK,
            detail.clone(),
            "Tencent or a proxy on the way is in trouble: try again later",
        ),
    }
}

/// How long the credentials hold.
fn life(expires_at_unix: Option<i64>, now_unix: i64) -> Finding {
    const CHECK: &str = "UserSig life";
    const RENEW: &str = "make a new one, or configure the app's secret key instead";
    let Some(expires_at) = expires_at_unix else {
        return Finding::ok(CHECK, "made from the secret key when needed");
    };
    let left_s = expires_at.saturating_sub(now_unix);
    let days = match left_s.unsigned_abs() / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    };
    if left_s <= 0 {
        let says = format!("the fixed UserSig expired {days} ago");
        Finding::cannot(CHECK, says, RENEW)
    } else if left_s < LIFE_MIN_S {
        Finding::warn(
            CHECK,
            format!("the fixed UserSig holds for {days} more"),
            RENEW,
        )
    } else {
        Finding::ok(CHECK, format!("the fixed UserSig holds for {days}"))
    }
}

/// What a reply says of the credentials and of the app.
fn user_sig(reply: &Reply, class: Class) -> Finding {
    const CHECK: &str = "UserSig";
    let code = reply.error_code;
    let request = match &reply.request_id {
        Some(id) => format!(", RequestId {}", readable(id)),
        None => String::new(),
    };
    let meaning = verdict(code).meaning;
    let says = format!("{code}, {meaning} ({}{request})", reply.error_info);
    match class {
        _ if code == NO_SUCH_CALL => Finding::ok(CHECK, "accepted"),
        Class::Accepted | Class::Cannot => Finding::ok(CHECK, format!("accepted ({says})")),
        Class::AppBackOff | Class::QuotaUsed => Finding::could_not(CHECK, says, remedy(code)),
        _ if class.family() == Family::App => Finding::cannot(CHECK, says, remedy(code)),
        Class::Throttled => Finding::warn(
            CHECK,
            format!("not known: {says}"),
            "too much is asked of Tencent at this moment: try again later",
        ),
        _ => Finding::warn(
            CHECK,
            format!("not known: {says}"),
            "Tencent is in trouble, or changed: try again later, then ask its support",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use crate::tencent::verdicts;

    fn reply(error_code: i64) -> Answer {
        Answer::Reply(Reply {
            http_status: 200,
            error_code,
            error_info: "words".to_owned(),
            says_fail: error_code != 0,
            request_id: Some("r-1".to_owned()),
            call_id: None,
            callee_results: None,
            callees: Vec::new(),
        })
    }

    fn judged(error_code: i64) -> Finding {
        let answer = reply(error_code);
        let class = classify(&answer);
        let Answer::Reply(reply) = answer else {
            panic!("it is one")
        };
        user_sig(&reply, class)
    }

    #[test]
    fn every_code_that_refuses_an_app_fails_with_its_meaning_and_what_to_do() {
        for (code, verdict) in verdicts() {
            if verdict.class.family() == Family::App {
                let line = judged(code);
                assert!(line.is_failure(), "{code}: {line:?}");
                assert!(line.says.contains(verdict.meaning), "{code}: {line:?}");
                assert_eq!(line.fix.as_deref(), Some(remedy(code)));
            }
        }
    }

    #[test]
    fn an_answer_about_the_call_accepts_the_credentials() {
        for (code, level) in [
            (101_004, Level::Ok),
            (0, Level::Ok),
            (101_002, Level::Ok),
            (60_007, Level::Warn),
            (101_001, Level::Warn),
            (999_999, Level::Warn),
            (70_050, Level::CouldNot),
            (60_028, Level::CouldNot),
            (70_009, Level::Cannot),
            (60_004, Level::Cannot),
        ] {
            assert_eq!(judged(code).level, level, "{code}");
        }
    }

    #[test]
    fn a_fixed_user_sig_is_told_a_week_ahead() {
        let now = 1_700_000_000;
        for (left_s, level) in [
            (LIFE_MIN_S, Level::Ok),
            (LIFE_MIN_S - 1, Level::Warn),
            (1, Level::Warn),
            (0, Level::Cannot),
            (-86_400, Level::Cannot),
        ] {
            assert_eq!(life(Some(now + left_s), now).level, level, "{left_s}");
        }
        assert_eq!(life(None, now).level, Level::Ok);
    }

    #[test]
    fn a_status_without_a_reply_tells_who_is_in_trouble() {
        let unknown = |http_status| Answer::Unknown {
            detail: String::new(),
            http_status,
        };
        for (status, level) in [
            (Some(404), Level::Cannot),
            (Some(307), Level::Cannot),
            (Some(502), Level::CouldNot),
            (None, Level::CouldNot),
        ] {
            assert_eq!(http(&unknown(status)).level, level, "{status:?}");
        }
    }
}
