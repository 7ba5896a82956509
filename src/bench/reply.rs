//! What the answering server says, in the shape of Tencent's replies.

/// A call was accepted: the `number`-th, for this callee.
pub(super) fn accepted(number: usize, callee: &str) -> String {
    let call = format!("5d0c1f2e-7b3a-4c9d-8e6f-{number:012x}");
    let results = format!(r#"[{{"Callee_Account":"{callee}","ResultCode":0}}]"#);
    let response = format!(r#"{{"CallId":"{call}","CallResult":{results}}}"#);
    done(number, &response)
}

/// There are no records of calls.
pub(super) fn no_records() -> String {
    done(0, r#"{"TotalNum":0,"Page":1,"CallRecordList":[]}"#)
}

/// Requests come too often.
pub(super) const TOO_OFTEN: &str =
    r#"{"ErrorCode":60018,"ErrorInfo":"too often","ActionStatus":"FAIL","RequestId":"r"}"#;

fn done(number: usize, response: &str) -> String {
    let envelope = r#""ErrorCode":0,"ErrorInfo":"","ActionStatus":"OK""#;
    format!(r#"{{{envelope},"RequestId":"0a1b2c3d-{number:012}","Response":{response}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Answer, Class};
    use crate::tencent::{classify, read_reply};

    #[test]
    fn the_client_reads_what_is_meant() {
        let of = |text: &str| Answer::Reply(read_reply(200, text.as_bytes()).expect("a reply"));
        let Answer::Reply(reply) = of(&accepted(7, "jack")) else {
            unreachable!("it was made as one");
        };
        assert_eq!(reply.callees.len(), 1);
        assert_eq!(reply.call_id.map(|id| id.len()), Some(36));
        assert_eq!(classify(&of(&accepted(7, "jack"))), Class::Accepted);
        assert_eq!(classify(&of(TOO_OFTEN)), Class::Throttled);
        assert!(read_reply(200, no_records().as_bytes()).is_some());
    }
}
