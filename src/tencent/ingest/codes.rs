//! What each of Tencent's words for a failure means for a stream that was to start: one table, one
//! row for each code or family of codes.
//!
//! A code that is in no row is in doubt: a robot may be in the room, and one that nobody stops
//! is billed. That is the safest reading, and the meaning says that it is a guess. For
//! `StopStreamIngest` and `DescribeStreamIngest`, which may be repeated whatever came of them,
//! every class but APP and CANNOT is a reason to ask again.

use crate::call::Class;

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IngestCode {
    /// What it means for the stream and the app.
    pub class: Class,
    /// What it says, in our words, for people.
    pub meaning: &'static str,
    /// The page it is from; empty for a code that no page lists.
    pub source: &'static str,
}

/// What `code` means: its own row, else that of its family (`InternalError.DBError` belongs to
/// `InternalError.*`), else [`Class::InDoubt`].
#[must_use]
pub fn ingest_code(code: &str) -> IngestCode {
    let row = |name: &str| {
        let mut rows = TABLE.iter();
        rows.find(|(listed, _)| *listed == name)
            .map(|(_, row)| *row)
    };
    let family = code.split('.').next().unwrap_or_default();
    row(code)
        .or_else(|| row(&format!("{family}.*")))
        .unwrap_or(IngestCode {
            class: Class::InDoubt,
            meaning: "a code that no page lists, so a stream may be playing",
            source: "",
        })
}

/// Every row, a family as `InternalError.*`.
pub fn ingest_codes() -> impl Iterator<Item = (&'static str, IngestCode)> {
    TABLE.iter().copied()
}

// In braces, so that the formatter leaves one line for each code.
macro_rules! table {
    ($($code:literal $class:ident $source:literal $meaning:literal;)*) => {
        &[$((
            $code,
            IngestCode {
                class: Class::$class,
                meaning: $meaning,
                source: $source,
            },
        )),*]
    };
}

/// By class: what was refused before any work, what may have worked, what is wrong with the app,
/// what is wrong with the request. A `.*` also stands for the family's name alone.
///
/// 34270 is the list of errors, 57834 to 57836 the pages of the three actions, CN the Chinese site.
#[rustfmt::skip]
const TABLE: &[(&str, IngestCode)] = table! {
    "FailedOperation.RestrictedConcurrency" Safe "57835" "the app has as many streams as it may";
    "LimitExceeded.ConcurrencyLimit" Safe "CN" "the app has as many streams as it may";
    "ResourceInsufficient.RequestRejection" Safe "57835" "there is no room for another stream now";
    "RequestLimitExceeded.*" Throttled "34270" "more than 20 requests of an action in a second";

    // There is a stream of this robot in this room, and its TaskId is not known.
    "FailedOperation.TaskExist" InDoubt "57835" "the robot has a stream in this room already";
    "FailedOperation.TaskFinished" InDoubt "57834" "the stream has ended (an answer to others)";
    "FailedOperation.TaskNotExist" InDoubt "34270" "there is no such stream (an answer to others)";
    "FailedOperation.QueryTaskInfoFailed" InDoubt "57836" "the stream could not be looked up";
    "InternalError.*" InDoubt "34270" "an internal error of Tencent";
    "ServiceUnavailable.*" InDoubt "34270" "the service is not available now";

    "ActionOffline" App "34270" "the host no longer has this action";
    "AuthFailure.*" App "34270" "the CAM credentials were refused";
    "AuthFailure.InvalidSecretId" App "34270" "cam_secret_id is not the name of a CAM key";
    "AuthFailure.SecretIdNotFound" App "34270" "no CAM key has this cam_secret_id";
    "AuthFailure.SignatureExpire" App "34270" "the clock that signs is more than 5 minutes off";
    "AuthFailure.SignatureFailure" App "34270" "the CAM key does not belong to cam_secret_id";
    "AuthFailure.TokenFailure" App "34270" "the token of the CAM credentials was refused";
    "AuthFailure.UnauthorizedOperation" App "34270" "the CAM user may not play streams";
    "FailedOperation.NotAbility" App "34270" "the app has no package with stream ingest";
    "FailedOperation.NotAllowed" App "57835" "the app may not play streams";
    "FailedOperation.NotRtmpFunction" App "57835" "the app may not play RTMP streams";
    "FailedOperation.SdkAppIdNotExist" App "34270" "there is no app with this sdk_app_id";
    "FailedOperation.SdkAppIdNotUnderAppId" App "34270" "the app is not of the CAM key's account";
    "InvalidAction" App "34270" "the host does not know this action";
    "InvalidParameter.SdkAppId" App "57835" "sdk_app_id is not the number of an app";
    "InvalidParameter.SdkAppid" App "34270" "the app cannot be worked with";
    "IpInBlacklist" App "34270" "this machine's address is refused";
    "IpNotInWhitelist" App "34270" "this machine's address is not on the CAM key's list";
    "MissingParameter.Region" App "34270" "no region reached Tencent";
    "NoSuchProduct" App "34270" "the host does not know this product";
    "NoSuchVersion" App "34270" "the host does not know this version of the API";
    "UnauthorizedOperation.*" App "34270" "the CAM user may not work with this app";
    "UnsupportedOperation.TaskLimit" App "CN" "the app has as many streams as it may";
    "UnsupportedRegion" App "34270" "the action is not offered in ingest_region";

    // The room may come to be when somebody answers; asked later, it is another request.
    "FailedOperation.RoomNotExist" Cannot "34270" "nobody is in the room";
    "FailedOperation.UserNotExist" Cannot "34270" "the user is not in the room";
    "InvalidParameter.*" Cannot "34270" "a parameter is wrong";
    "InvalidParameter.BodyParamsError" Cannot "57835" "the body could not be read";
    "InvalidParameter.OutOfRange" Cannot "34270" "a parameter is out of range";
    "InvalidParameter.RoomId" Cannot "57835" "the room is not one of Tencent's";
    "InvalidParameter.StrRoomId" Cannot "57835" "the room is not one of Tencent's";
    "InvalidParameter.StreamUrl" Cannot "57835" "the stream's URL is not one that Tencent plays";
    "InvalidParameter.TaskId" Cannot "57834" "there was never such a stream";
    "InvalidParameter.UserId" Cannot "34270" "the robot's account is not one of Tencent's";
    "InvalidParameter.UserSig" Cannot "57835" "the robot's UserSig has expired or is wrong";
    "InvalidParameterValue.*" Cannot "34270" "a parameter's value is wrong";
    "MissingParameter.*" Cannot "34270" "a parameter is missing";
    "RequestSizeLimitExceeded" Cannot "34270" "the request is too long";
    "UnknownParameter" Cannot "34270" "a parameter is unknown to Tencent";
};

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{App, Cannot, InDoubt, Safe, Throttled};

    /// Written down from the pages once more, by class.
    #[rustfmt::skip]
    const LISTED: &[(Class, &[&str])] = &[
        (Safe, &["LimitExceeded.ConcurrencyLimit", "FailedOperation.RestrictedConcurrency",
            "ResourceInsufficient.RequestRejection"]),
        (Throttled, &["RequestLimitExceeded", "RequestLimitExceeded.GlobalRegionUinLimitExceeded",
            "RequestLimitExceeded.IPLimitExceeded", "RequestLimitExceeded.UinLimitExceeded"]),
        (InDoubt, &["InternalError", "InternalError.InternalError", "InternalError.DBError",
            "InternalError.HttpParseFailed", "InternalError.UserNotExist", "ServiceUnavailable",
            "FailedOperation.TaskExist", "FailedOperation.TaskFinished",
            "FailedOperation.TaskNotExist", "FailedOperation.QueryTaskInfoFailed"]),
        (App, &["AuthFailure", "AuthFailure.SignatureExpire", "AuthFailure.SecretIdNotFound",
            "AuthFailure.SignatureFailure", "AuthFailure.TokenFailure", "AuthFailure.MFAFailure",
            "AuthFailure.InvalidSecretId", "AuthFailure.UnauthorizedOperation",
            "AuthFailure.InvalidAuthorization", "FailedOperation.NotAbility",
            "FailedOperation.NotAllowed", "FailedOperation.NotRtmpFunction",
            "FailedOperation.SdkAppIdNotExist", "FailedOperation.SdkAppIdNotUnderAppId",
            "UnauthorizedOperation", "UnauthorizedOperation.SdkAppId",
            "InvalidParameter.SdkAppId", "InvalidParameter.SdkAppid", "MissingParameter.Region",
            "IpNotInWhitelist", "IpInBlacklist", "UnsupportedRegion",
            "UnsupportedOperation.TaskLimit", "InvalidAction", "NoSuchProduct", "NoSuchVersion",
            "ActionOffline"]),
        (Cannot, &["InvalidParameter", "InvalidParameter.RoomId", "InvalidParameter.StrRoomId",
            "InvalidParameter.StreamUrl", "InvalidParameter.TaskId", "InvalidParameter.UserId",
            "InvalidParameter.UserSig", "InvalidParameter.OutOfRange",
            "InvalidParameter.BodyParamsError", "InvalidParameter.UserIds",
            "InvalidParameterValue", "InvalidParameterValue.RoomId", "MissingParameter",
            "MissingParameter.RoomId", "MissingParameter.SdkAppId", "MissingParameter.TaskId",
            "FailedOperation.RoomNotExist", "FailedOperation.UserNotExist",
            "RequestSizeLimitExceeded", "UnknownParameter"]),
    ];

    #[test]
    fn every_listed_code_has_its_class() {
        for (class, codes) in LISTED {
            for code in *codes {
                let row = ingest_code(code);
                assert_eq!(row.class, *class, "{code}");
                assert!(!row.source.is_empty(), "{code} is in no row");
            }
        }
    }

    #[test]
    fn every_row_is_listed_and_says_something() {
        let listed: Vec<&str> = LISTED
            .iter()
            .flat_map(|(_, codes)| *codes)
            .copied()
            .collect();
        for (at, (code, row)) in TABLE.iter().enumerate() {
            let name = code.trim_end_matches(".*");
            assert!(listed.contains(&name), "{code}");
            assert!(!row.meaning.is_empty() && !row.source.is_empty(), "{code}");
            let earlier = &TABLE[..at];
            assert!(earlier.iter().all(|(other, _)| other != code), "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_in_doubt_and_says_that_this_is_a_guess() {
        for code in [
            "",
            ".",
            "FailedOperation",
            "FailedOperation.Later",
            "failedoperation.notability",
            "LimitExceeded",
            "ResourceInUse",
            "DryRunOperation",
            "InternalErrors",
            "*",
            "Something.*.New",
        ] {
            let row = ingest_code(code);
            assert_eq!(row.class, InDoubt, "{code}");
            assert!(
                row.source.is_empty() && row.meaning.contains("no page"),
                "{code}"
            );
        }
    }
}
