//! What a person does about a code that refuses an app's streams, in one clause each.

/// What to do about a code; for one that has no better advice, to ask Tencent's support.
#[must_use]
pub fn ingest_remedy(code: &str) -> &'static str {
    match code {
        "AuthFailure.SecretIdNotFound" | "AuthFailure.InvalidSecretId" => {
            "compare cam_secret_id with Tencent's CAM console; a key of the Chinese site is \
             unknown to the international one, and the other way round (ingest_host)"
        }
        "AuthFailure.SignatureFailure" => {
            "copy the SecretKey that belongs to cam_secret_id, or make a new one: Tencent shows it \
             once"
        }
        "AuthFailure.SignatureExpire" => {
            "set the database's clock by NTP: requests are signed with its time"
        }
        "AuthFailure.TokenFailure" => "use a lasting key of a CAM user, not a temporary one",
        "AuthFailure.UnauthorizedOperation"
        | "UnauthorizedOperation"
        | "UnauthorizedOperation.SdkAppId" => {
            "let the CAM user do StartStreamIngest, StopStreamIngest and DescribeStreamIngest of \
             this app, in Tencent's CAM console"
        }
        "FailedOperation.NotAbility" | "FailedOperation.NotRtmpFunction" => {
            "buy an RTC Engine package for the app that has stream ingest: it is not part of the \
             Call package"
        }
        "FailedOperation.SdkAppIdNotExist"
        | "InvalidParameter.SdkAppId"
        | "InvalidParameter.SdkAppid" => {
            "compare sdk_app_id with Tencent's console, and ingest_host with the site it is at"
        }
        "FailedOperation.SdkAppIdNotUnderAppId" => {
            "use a CAM key of the Tencent account that the app belongs to"
        }
        "IpInBlacklist" | "IpNotInWhitelist" => {
            "let this machine's public address use the CAM key, in Tencent's CAM console"
        }
        "UnsupportedRegion" | "MissingParameter.Region" => {
            "set ingest_region to one that takes all three actions, such as ap-singapore"
        }
        "ActionOffline" | "InvalidAction" | "NoSuchProduct" | "NoSuchVersion" => {
            "check ingest_host: it answers, but does not know this API"
        }
        "UnsupportedOperation.TaskLimit" => "ask Tencent for more streams at once",
        code if code.starts_with("AuthFailure") => {
            "compare cam_secret_id and its SecretKey with Tencent's CAM console"
        }
        _ => "ask Tencent's support, with the RequestId",
    }
}

#[cfg(test)]
mod tests {
    use super::super::ingest_codes;
    use super::*;
    use crate::call::Class;

    #[test]
    fn most_codes_of_an_app_have_advice_of_their_own() {
        let of_apps = ingest_codes().filter(|(_, row)| row.class == Class::App);
        let names = of_apps.map(|(code, _)| code.trim_end_matches(".*"));
        let at_a_loss: Vec<&str> = names
            .filter(|code| ingest_remedy(code) == ingest_remedy(""))
            .collect();
        assert_eq!(at_a_loss, ["FailedOperation.NotAllowed"]);
    }
}
