//! The codes the sandbox refuses with, and their texts.

/// A refusal: the `ErrorCode` and `ErrorInfo` of a `FAIL` envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) info: String,
}

/// Invalid parameter of the call API; `ErrorInfo` names the field.
const INVALID_PARAMETER: i64 = 101_002;

impl Refusal {
    /// A code with the meaning that Tencent's tables give it.
    pub(super) fn documented(code: i64) -> Self {
        Self {
            code,
            info: meaning(code).map_or_else(|| format!("error {code}"), str::to_owned),
        }
    }

    /// A code with its meaning and what exactly was wrong.
    pub(super) fn because(code: i64, detail: &str) -> Self {
        let Self { code, info } = Self::documented(code);
        Self {
            code,
            info: format!("{info}: {detail}"),
        }
    }

    /// A field of the body that breaks its rule.
    pub(super) fn field(name: &str, rule: &str) -> Self {
        Self::because(INVALID_PARAMETER, &format!("{name} {rule}"))
    }
}

/// What Tencent's tables (68926, 74505, IM 34348) say of the codes that the sandbox itself answers.
fn meaning(code: i64) -> Option<&'static str> {
    Some(match code {
        60_002 => "HTTP parsing error",
        60_003 => "HTTP request JSON parsing error",
        60_006 => "SDKAppID is invalid",
        60_007 => "REST API call frequency exceeds the limit",
        60_008 => "service request timed out or the HTTP request format is incorrect",
        60_009 => "request resource error, check the URL",
        60_010 => "the request requires App admin permissions",
        60_012 => "the request is missing the SDKAppID",
        60_025 => "a URL parameter is missing or wrong",
        70_001 => "UserSig has expired",
        70_002 => "UserSig is empty",
        70_003 => "UserSig is illegal",
        70_009 => "UserSig verification failed",
        70_013 => "the UserID in the UserSig does not match the identifier",
        70_014 => "the SDKAppID in the UserSig does not match the sdkappid",
        70_020 => "SDKAppID not found",
        70_206 => "the number of accounts in the request is invalid",
        70_402 => "a parameter is illegal or a required field is missing",
        70_107 => "the UserID does not exist, it was not imported",
        80_002 => "the body exceeds 12 KB",
        100_301 => "no callback is configured",
        101_050 => "the call record does not exist",
        101_004 => "the call does not exist or has ended",
        101_001 => "internal server error, please retry",
        100_002 | INVALID_PARAMETER => "invalid parameter",
        _ => return None,
    })
}
