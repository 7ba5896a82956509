//! What a person does about a code that refuses an app, in one clause each.

/// What to do about a code; for one that has no better advice, to ask Tencent's support.
#[must_use]
pub const fn remedy(code: i64) -> &'static str {
    match code {
        60_006 | 60_012 => "compare sdk_app_id with the number in Tencent's console",
        60_009 => "check the app's host: it answers, but does not know this command",
        60_010 | 70_403 | 90_009 => {
            "admin_account must be an administrator of the app, as Tencent's console lists them"
        }
        60_016 | 60_017 | -10_110 => "the app is disabled at Tencent: ask its support",
        60_020 => {
            "buy or renew the Call package in Tencent's console; a new one is active after about \
             5 minutes, and arrears look the same"
        }
        -10_108 => "pay what is due at Tencent",
        60_021 => "add this machine's public address to the app's allow list in the console",
        60_025 => "this is a fault of callq or of a proxy on the way: report it with the RequestId",
        60_026 | 70_020 | 70_016 => {
            "set the app's host to the region where the app was created, and compare sdk_app_id \
             with the console: an app exists at one site alone"
        }
        60_027 | 71_000 | 72_001 | 72_011 | 72_012 => {
            "enable the Call feature for the app in Tencent's console"
        }
        60_028 => "wait until the trial's quota of 24 hours resets, or buy a package",
        60_004 | 60_005 | 20_002 => {
            "compare admin_account and the secret key with Tencent's console"
        }
        70_001 | 70_052 => {
            "a fixed UserSig must be made anew; one that callq makes is signed with the database's \
             time, so check that clock"
        }
        70_002 | 70_003 | 70_005 => "the fixed UserSig is cut or garbled: make a new one",
        70_009 => "the secret key is not this app's: copy it from Tencent's console",
        70_013 => "the fixed UserSig must be made for admin_account",
        70_014 => "the fixed UserSig must be made for sdk_app_id",
        70_050 => "mend the credentials and wait for at least a minute before asking again",
        70_398 => "the app holds as many accounts as it may: upgrade it, or delete accounts",
        72_000 | 72_002 => "the quota of active users is used up: upgrade the package",
        _ => "ask Tencent's support, with the RequestId",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Family;
    use crate::tencent::verdicts;

    #[test]
    fn most_codes_of_an_app_have_advice_of_their_own() {
        let of_apps = verdicts().filter(|(_, verdict)| verdict.class.family() == Family::App);
        let at_a_loss: Vec<i64> = of_apps
            .map(|(code, _)| code)
            .filter(|code| remedy(*code) == remedy(0))
            .collect();
        assert_eq!(at_a_loss, [22_001, 70_114, 80_005]);
    }
}
