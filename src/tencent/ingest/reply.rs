//! Reading replies of API 3.0: strict about whether there is one, lenient about everything in it.

use serde_json::Value;

use super::error::IngestError;
use crate::call::{Class, READABLE_CHARS_MAX, readable};
use crate::tencent::envelope::text;
use crate::tencent::exchange::Received;
use crate::tencent::lenient::{Fields, plain, word};
use crate::tencent::private::Private;

/// What became of a stream that was to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stopped {
    /// This request stopped it.
    Now,
    /// There was none any more.
    Already,
}

/// What a stream does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// It plays, and is billed.
    InProgress,
    /// There is none, or none any more.
    NotExist,
    /// A word that no page lists. Whoever pays must take it for a stream that plays.
    Other(String),
}

/// `Response` of a success.
#[derive(Debug)]
pub(super) struct Success(Value);

impl Success {
    /// `TaskId`: a stream plays, and this is what stops it. Kept to the last character, so what
    /// could not be is no id.
    pub(super) fn task_id(&self) -> Option<String> {
        let id = match Fields::of(&self.0).get("TaskId") {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return None,
        };
        let fits = !id.is_empty() && id.chars().count() <= READABLE_CHARS_MAX;
        (fits && readable(&id) == id).then_some(id)
    }

    pub(super) fn request_id(&self) -> Option<String> {
        Fields::of(&self.0).text("RequestId")
    }

    pub(super) fn status(&self) -> TaskStatus {
        let status = word(Fields::of(&self.0).get("Status")).unwrap_or_default();
        match plain(&status).as_str() {
            "inprogress" => TaskStatus::InProgress,
            "notexist" => TaskStatus::NotExist,
            _ => TaskStatus::Other(status),
        }
    }
}

/// The reply that was received, without a word of what is private to the request.
///
/// # Errors
/// What Tencent refused; in doubt, if that is no reply of Tencent's.
pub(super) fn read(received: &Received, private: &Private) -> Result<Success, IngestError> {
    let found = parse(&received.body, private).unwrap_or_else(|| {
        let (status, bytes) = (received.http_status, received.body.len());
        let message = format!("HTTP {status} with {bytes} bytes that are no reply of Tencent's");
        Err(IngestError::plain(Class::InDoubt, message))
    });
    found.map_err(|error| IngestError {
        date_unix: received.date_unix,
        ..error
    })
}

/// `None` if the body is not a JSON object, all of it UTF-8, that has an object `Response`.
fn parse(body: &[u8], private: &Private) -> Option<Result<Success, IngestError>> {
    let body: Value = serde_json::from_str(str::from_utf8(body).ok()?).ok()?;
    let response = body.as_object()?.get("Response")?;
    response.is_object().then(|| {
        let fields = Fields::of(response);
        if !fields.has("Error") {
            return Ok(Success(response.clone()));
        }
        let error = fields.object("Error");
        let message = text(private, error.get("Message")).unwrap_or_default();
        let error = if let Some(code) = text(private, error.get("Code")) {
            IngestError::of_code(code, message)
        } else {
            let message = format!("an error without a code {message}");
            IngestError::plain(Class::InDoubt, message.trim_end().to_owned())
        };
        Err(IngestError {
            request_id: fields.text("RequestId"),
            ..error
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::IngestFault;
    use super::*;

    fn of(body: &str) -> Result<Success, IngestError> {
        let received = Received {
            http_status: 200,
            body: body.as_bytes().to_vec(),
            date_unix: Some(7),
        };
        read(
            &received,
            &Private::of_texts(["rtmp://live.example/s3cret"]),
        )
    }

    #[test]
    fn a_task_id_is_text_or_a_number_and_kept_whole() {
        for (body, id) in [
            (
                r#"{"Response":{"TaskId":"-gC..","RequestId":"r","New":[1]}}"#,
                Some("-gC.."),
            ),
            (
                r#"{"Response":{"TaskId":144115212830834855}}"#,
                Some("144115212830834855"),
            ),
            (r#"{"Response":{"task_id":"x"}}"#, Some("x")),
            (r#"{"Response":{"TaskId":""}}"#, None),
            (r#"{"Response":{"TaskId":"a\u0000b"}}"#, None),
            (r#"{"Response":{"TaskId":{}}}"#, None),
            (r#"{"Response":{}}"#, None),
        ] {
            let found = of(body).expect(body).task_id();
            assert_eq!(found.as_deref(), id, "{body}");
        }
        let long = format!(r#"{{"Response":{{"TaskId":"{}"}}}}"#, "x".repeat(501));
        assert_eq!(of(&long).expect("a success").task_id(), None);
    }

    #[test]
    fn a_status_is_one_of_two_words_or_kept_as_it_is() {
        for (status, expected) in [
            ("\"InProgress\"", TaskStatus::InProgress),
            ("\"in_progress\"", TaskStatus::InProgress),
            ("\"NotExist\"", TaskStatus::NotExist),
            ("\"Paused\"", TaskStatus::Other("Paused".to_owned())),
            ("3", TaskStatus::Other("3".to_owned())),
            ("null", TaskStatus::Other(String::new())),
        ] {
            let body = format!(r#"{{"Response":{{"Status":{status}}}}}"#);
            assert_eq!(of(&body).expect(&body).status(), expected);
        }
    }

    #[test]
    fn an_error_has_code_class_words_and_request_id_and_quotes_nothing_private() {
        let body = r#"{"Response":{"Error":{"Code":"InvalidParameter.StreamUrl",
            "Message":"bad rtmp://live.example/s3cret"},"RequestId":"r-1"}}"#;
        let error = of(body).expect_err("it is one");
        assert_eq!(error.class, Class::Cannot);
        assert_eq!(error.code.as_deref(), Some("InvalidParameter.StreamUrl"));
        assert_eq!(error.message, "bad [private]");
        assert_eq!(error.request_id.as_deref(), Some("r-1"));
        assert_eq!(error.date_unix, Some(7));
    }

    #[test]
    fn a_room_that_is_not_there_names_the_key_that_may_be_wrong() {
        let body = r#"{"Response":{"Error":{"Code":"FailedOperation.RoomNotExist",
            "Message":"The room does not exist."}}}"#;
        let error = of(body).expect_err("it is one");
        assert_eq!(
            (error.fault, error.class),
            (IngestFault::RoomNotExist, Class::Cannot)
        );
        assert!(error.to_string().contains("ingest_room_id_type"), "{error}");
    }

    #[test]
    fn a_task_that_is_there_already_is_told_apart() {
        let body = r#"{"Response":{"Error":{"Code":"FailedOperation.TaskExist","Message":7}}}"#;
        let error = of(body).expect_err("it is one");
        assert_eq!(
            (error.fault, error.class),
            (IngestFault::TaskExist, Class::InDoubt)
        );
    }

    #[test]
    fn what_is_no_reply_is_in_doubt() {
        for body in [
            "",
            "[]",
            "null",
            "{}",
            "<html>",
            r#"{"Response":[]}"#,
            r#"{"Response":null}"#,
            r#"[{"Response":{}}]"#,
            r#"{"Response":{"Error":{}}}"#,
            r#"{"Response":{"Error":"no"}}"#,
            r#"{"Response":{"TaskId":"x"}"#,
        ] {
            let error = of(body).expect_err(body);
            assert_eq!(
                (error.class, &error.code),
                (Class::InDoubt, &None),
                "{body}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_stops_the_reader(
            bytes in vec(any::<u8>(), 0..200),
            response in r#"[{}\[\]":,a-z0-9\\]{0,60}"#,
        ) {
            let json = format!("{{\"Response\":{response}}}");
            for body in [bytes, json.into_bytes()] {
                let received = Received { http_status: 200, body, date_unix: None };
                if let Ok(success) = read(&received, &Private::default()) {
                    let _ = (success.task_id(), success.status(), success.request_id());
                }
            }
        }
    }
}
