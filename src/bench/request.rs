//! As much of an HTTP request as an answer needs.

/// The command that is measured.
const START_CALL: &[u8] = b"/start_call_by_robot";

/// A whole request at the beginning of what was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Bytes that it has, body included.
    pub(super) length: usize,
    /// Where its body begins.
    body_at: usize,
    /// Whether it is one that rings.
    pub(super) starts_a_call: bool,
    /// The job, as the room that callq made says; 0 if it says none.
    pub(super) job: i64,
}

impl Request {
    /// `None` while it is not all there.
    pub(super) fn of(read: &[u8]) -> Option<Self> {
        let body_at = find(read, b"\r\n\r\n")? + 4;
        let head = &read[..body_at];
        let length = body_at + content_length(head)?;
        let body = read.get(body_at..length)?;
        let line = &head[..find(head, b"\r\n")?];
        Some(Self {
            length,
            body_at,
            starts_a_call: find(line, START_CALL).is_some(),
            job: job(body),
        })
    }

    /// The first callee, as it stands in the body.
    pub(super) fn callee<'a>(&self, read: &'a [u8]) -> &'a str {
        let body = &read[self.body_at..self.length];
        let callee = behind(body, b"\"CalleeList_Account\":[\"").and_then(|rest| {
            let end = find(rest, b"\"")?;
            str::from_utf8(&rest[..end]).ok()
        });
        callee.unwrap_or("nobody")
    }
}

/// Without the header there is no body.
fn content_length(head: &[u8]) -> Option<usize> {
    let lines = head.split(|byte| *byte == b'\n');
    let named =
        |line: &&[u8]| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:");
    let Some(line) = lines.into_iter().find(named) else {
        return Some(0);
    };
    str::from_utf8(&line[15..]).ok()?.trim().parse().ok()
}

fn job(body: &[u8]) -> i64 {
    let digits = behind(body, b"\"RoomId\":\"callq_").unwrap_or_default();
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |job, digit| {
        i64::wrapping_add(i64::wrapping_mul(job, 10), i64::from(digit - b'0'))
    })
}

fn behind<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    find(text, word).map(|at| &text[at + word.len()..])
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &[u8] = b"POST /v4/call_engine_http_srv/start_call_by_robot?random=7 HTTP/1.1\r\n\
        host: x\r\nContent-Length: 81\r\n\r\n\
        {\"CalleeList_Account\":[\"jack\",\"ed\"],\
        \"CallInfo\":{\"RoomId\":\"callq_1234_1_0123abcd\"}}";

    #[test]
    fn a_request_is_read_when_it_is_all_there() {
        let length = CALL.len() - 1;
        for cut in 0..length {
            assert_eq!(Request::of(&CALL[..cut]), None, "{cut}");
        }
        let request = Request::of(CALL).expect("it is all there");
        assert_eq!((request.length, request.job), (length, 1234));
        assert!(request.starts_a_call);
        assert_eq!(request.callee(CALL), "jack");
    }

    #[test]
    fn other_commands_start_no_call() {
        let request = Request::of(b"POST /v4/x/get_record_by_filter HTTP/1.1\r\n\r\nnext");
        let request = request.expect("it has no body");
        assert!(!request.starts_a_call);
        assert_eq!((request.length, request.job), (44, 0));
    }
}
