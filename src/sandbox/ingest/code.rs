//! The words with which API 3.0 refuses, of those that a page lists for streams (34270).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// One of the codes of 34270. In JSON, and in tests, its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct IngestCode(&'static str);

/// A text that is no such code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ingest_error must be a code of Tencent's error list, as in FailedOperation.RoomNotExist")]
pub struct UnknownIngestCode;

impl IngestCode {
    /// The code of this text.
    ///
    /// # Errors
    /// [`UnknownIngestCode`] for what 34270 does not list.
    pub fn new(text: &str) -> Result<Self, UnknownIngestCode> {
        let known = LISTED.iter().find(|listed| **listed == text);
        known.map(|listed| Self(listed)).ok_or(UnknownIngestCode)
    }

    /// Its text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        LISTED.iter().map(|text| Self(text))
    }

    pub(super) const SIGNATURE_FAILURE: Self = Self("AuthFailure.SignatureFailure");
    pub(super) const SIGNATURE_EXPIRE: Self = Self("AuthFailure.SignatureExpire");
    pub(super) const SECRET_ID_NOT_FOUND: Self = Self("AuthFailure.SecretIdNotFound");
    pub(super) const INVALID_AUTHORIZATION: Self = Self("AuthFailure.InvalidAuthorization");
    pub(super) const NO_SUCH_VERSION: Self = Self("NoSuchVersion");
    pub(super) const INVALID_ACTION: Self = Self("InvalidAction");
    pub(super) const UNSUPPORTED_REGION: Self = Self("UnsupportedRegion");
    pub(super) const MISSING_REGION: Self = Self("MissingParameter.Region");
    pub(super) const REQUEST_LIMIT: Self = Self("RequestLimitExceeded");
    pub(super) const BODY: Self = Self("InvalidParameter.BodyParamsError");
    pub(super) const MISSING: Self = Self("MissingParameter");
    pub(super) const OUT_OF_RANGE: Self = Self("InvalidParameter.OutOfRange");
    pub(super) const UNKNOWN_PARAMETER: Self = Self("UnknownParameter");
    pub(super) const STREAM_URL: Self = Self("InvalidParameter.StreamUrl");
    pub(super) const USER_SIG: Self = Self("InvalidParameter.UserSig");
    pub(super) const USER_ID: Self = Self("InvalidParameter.UserId");
    pub(super) const ROOM_ID: Self = Self("InvalidParameter.RoomId");
    pub(super) const APP_NOT_EXIST: Self = Self("FailedOperation.SdkAppIdNotExist");
    pub(super) const APP_NOT_UNDER: Self = Self("FailedOperation.SdkAppIdNotUnderAppId");
    pub(super) const ROOM_NOT_EXIST: Self = Self("FailedOperation.RoomNotExist");
    pub(super) const TASK_EXIST: Self = Self("FailedOperation.TaskExist");
    pub(super) const TASK_NOT_EXIST: Self = Self("FailedOperation.TaskNotExist");
    pub(super) const TASK_FINISHED: Self = Self("FailedOperation.TaskFinished");
    pub(super) const NO_ROOM_LEFT: Self = Self("ResourceInsufficient.RequestRejection");
    pub(super) const INTERNAL: Self = Self("InternalError.InternalError");
}

// By hand: a derived one would borrow the text for ever.
impl<'de> Deserialize<'de> for IngestCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

/// Those of 34270 that these actions can meet, with the two of the Chinese site.
const LISTED: &[&str] = &[
    "ActionOffline",
    "AuthFailure.InvalidAuthorization",
    "AuthFailure.InvalidSecretId",
    "AuthFailure.MFAFailure",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "AuthFailure.TokenFailure",
    "AuthFailure.UnauthorizedOperation",
    "FailedOperation",
    "FailedOperation.NotAbility",
    "FailedOperation.NotAllowed",
    "FailedOperation.NotRtmpFunction",
    "FailedOperation.QueryTaskInfoFailed",
    "FailedOperation.RestrictedConcurrency",
    "FailedOperation.RoomNotExist",
    "FailedOperation.SdkAppIdNotExist",
    "FailedOperation.SdkAppIdNotUnderAppId",
    "FailedOperation.TaskExist",
    "FailedOperation.TaskFinished",
    "FailedOperation.TaskNotExist",
    "FailedOperation.UserNotExist",
    "InternalError",
    "InternalError.DBError",
    "InternalError.HttpParseFailed",
    "InternalError.InternalError",
    "InvalidAction",
    "InvalidParameter",
    "InvalidParameter.BodyParamsError",
    "InvalidParameter.OutOfRange",
    "InvalidParameter.RoomId",
    "InvalidParameter.SdkAppId",
    "InvalidParameter.StrRoomId",
    "InvalidParameter.StreamUrl",
    "InvalidParameter.TaskId",
    "InvalidParameter.UserId",
    "InvalidParameter.UserSig",
    "InvalidParameterValue",
    "IpInBlacklist",
    "IpNotInWhitelist",
    "LimitExceeded",
    "LimitExceeded.ConcurrencyLimit",
    "MissingParameter",
    "MissingParameter.Region",
    "MissingParameter.RoomId",
    "MissingParameter.SdkAppId",
    "MissingParameter.TaskId",
    "NoSuchProduct",
    "NoSuchVersion",
    "RequestLimitExceeded",
    "RequestLimitExceeded.IPLimitExceeded",
    "RequestLimitExceeded.UinLimitExceeded",
    "RequestSizeLimitExceeded",
    "ResourceInsufficient.RequestRejection",
    "ResourceUnavailable",
    "ServiceUnavailable",
    "UnauthorizedOperation",
    "UnauthorizedOperation.SdkAppId",
    "UnknownParameter",
    "UnsupportedOperation.TaskLimit",
    "UnsupportedRegion",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_of_the_list_and_nothing_else() {
        assert!(LISTED.is_sorted());
        for code in IngestCode::all() {
            assert_eq!(IngestCode::new(code.as_str()), Ok(code));
        }
        assert_eq!(IngestCode::new("internalerror"), Err(UnknownIngestCode));
    }

    #[test]
    fn what_the_sandbox_answers_by_itself_is_listed() {
        for code in [
            IngestCode::SIGNATURE_FAILURE,
            IngestCode::SIGNATURE_EXPIRE,
            IngestCode::SECRET_ID_NOT_FOUND,
            IngestCode::INVALID_AUTHORIZATION,
            IngestCode::NO_SUCH_VERSION,
            IngestCode::INVALID_ACTION,
            IngestCode::UNSUPPORTED_REGION,
            IngestCode::MISSING_REGION,
            IngestCode::REQUEST_LIMIT,
            IngestCode::BODY,
            IngestCode::MISSING,
            IngestCode::OUT_OF_RANGE,
            IngestCode::UNKNOWN_PARAMETER,
            IngestCode::STREAM_URL,
            IngestCode::USER_SIG,
            IngestCode::USER_ID,
            IngestCode::ROOM_ID,
            IngestCode::APP_NOT_EXIST,
            IngestCode::APP_NOT_UNDER,
            IngestCode::ROOM_NOT_EXIST,
            IngestCode::TASK_EXIST,
            IngestCode::TASK_NOT_EXIST,
            IngestCode::TASK_FINISHED,
            IngestCode::NO_ROOM_LEFT,
            IngestCode::INTERNAL,
        ] {
            assert_eq!(IngestCode::new(code.as_str()), Ok(code));
        }
    }
}
