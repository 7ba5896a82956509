//! What came back from one request, before anybody judges it.

use serde_json::value::RawValue;

/// What one request to Tencent led to, as far as this process can prove it.
#[derive(Debug)]
pub enum Answer {
    /// A well-formed envelope was read, whatever the HTTP status.
    Reply(Reply),
    /// Proof that no request was written: the name was not resolved, the connection or TLS failed,
    /// or the request could not be built. `unreachable` tells the first two from the last.
    NotSent {
        /// What failed, in words; never contains the URL.
        detail: String,
        /// Whether the host was at fault (it then counts towards the circuit of this app).
        unreachable: bool,
    },
    /// The request may have been read by Tencent and no well-formed envelope came back.
    Unknown {
        /// What happened, in words; never contains the URL.
        detail: String,
        /// The HTTP status, if a status line was read.
        http_status: Option<u16>,
    },
}

/// The envelope of Tencent's REST API and, for `start_call_by_robot`, what it carries.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status it came with; 200 except for faults on the way.
    pub http_status: u16,
    /// `ErrorCode`: 0 is success. Read from a number or from a string of digits.
    pub error_code: i64,
    /// `ErrorInfo`, cut to 500 characters and with control characters escaped.
    pub error_info: String,
    /// Whether `ActionStatus` said `FAIL` (with `ErrorCode` 0 that is a contradiction: in doubt).
    pub says_fail: bool,
    /// `RequestId`, which Tencent's support asks for.
    pub request_id: Option<String>,
    /// `Response.CallId`.
    pub call_id: Option<String>,
    /// `Response.CallResult` exactly as it was answered, for the row.
    pub callee_results: Option<Box<RawValue>>,
    /// The same, read leniently; empty if none was given.
    pub callees: Vec<CalleeResult>,
}

/// One callee's `ResultCode`. Tencent documents no meaning but that 0 is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalleeResult {
    /// `Callee_Account`, as it was answered.
    pub callee: String,
    /// `ResultCode`; `None` if it was missing or not a number.
    pub result_code: Option<i64>,
}
