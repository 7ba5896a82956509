//! What the body of a request asks for, if it keeps the rules of its page.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use url::Url;

use super::code::IngestCode;

/// The three actions (57834 to 57836).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Start,
    Stop,
    Describe,
}

/// A stream that is to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) room_id: String,
    /// 0 names a room by a text, 1 by digits (57835).
    pub(super) room_id_type: i64,
    pub(super) user_id: String,
    pub(super) user_sig: String,
    pub(super) url: String,
    pub(super) repeat: i64,
    pub(super) max_minutes: Option<i64>,
    pub(super) volume: i64,
}

/// What is asked for, and of which app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Start(u64, Box<Stream>),
    Stop(u64, String),
    Describe(u64, String),
}

impl Action {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "StartStreamIngest" => Self::Start,
            "StopStreamIngest" => Self::Stop,
            "DescribeStreamIngest" => Self::Describe,
            _ => return None,
        })
    }

    /// Where it is offered, at the international or at the Chinese site.
    pub(super) fn is_offered_in(self, region: &str) -> bool {
        const CHINA: [&str; 5] = [
            "ap-beijing",
            "ap-chongqing",
            "ap-guangzhou",
            "ap-shanghai",
            "ap-singapore",
        ];
        let international: &[&str] = match self {
            Self::Start => &["ap-bangkok", "ap-jakarta", "ap-mumbai", "ap-tokyo"],
            Self::Stop | Self::Describe => &["ap-bangkok", "ap-jakarta", "ap-mumbai"],
        };
        CHINA.contains(&region) || international.contains(&region)
    }

    pub(super) fn read(self, body: &[u8]) -> Result<Wanted, IngestCode> {
        let body: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| IngestCode::BODY)?;
        let known: &[&str] = match self {
            Self::Start => &START_FIELDS,
            Self::Stop | Self::Describe => &["SdkAppId", "TaskId"],
        };
        if body.keys().any(|key| !known.contains(&key.as_str())) {
            return Err(IngestCode::UNKNOWN_PARAMETER);
        }
        let fields = Fields(&body);
        let app = fields.number("SdkAppId", 1..=i64::from(u32::MAX))?;
        let app = u64::try_from(app).map_err(|_| IngestCode::BODY)?;
        Ok(match self {
            Self::Start => Wanted::Start(app, Box::new(stream(fields)?)),
            Self::Stop => Wanted::Stop(app, fields.text("TaskId")?),
            Self::Describe => Wanted::Describe(app, fields.text("TaskId")?),
        })
    }
}

const START_FIELDS: [&str; 12] = [
    "SdkAppId",
    "RoomId",
    "RoomIdType",
    "UserId",
    "UserSig",
    "StreamUrl",
    "PrivateMapKey",
    "SeekSecond",
    "AutoPush",
    "RepeatNum",
    "MaxDuration",
    "Volume",
];

fn stream(fields: Fields<'_>) -> Result<Stream, IngestCode> {
    let stream = Stream {
        room_id: fields.text("RoomId")?,
        room_id_type: fields.number("RoomIdType", 0..=1)?,
        user_id: fields.text("UserId")?,
        user_sig: fields.text("UserSig")?,
        url: fields.text("StreamUrl")?,
        repeat: fields.optional("RepeatNum", -1..=1000)?.unwrap_or(1),
        max_minutes: fields.optional("MaxDuration", 1..=10_080)?,
        volume: fields.optional("Volume", 0..=100)?.unwrap_or(100),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if stream.room_id_type == 1 && !digits(&stream.room_id) || stream.room_id.len() > 64 {
        return Err(IngestCode::ROOM_ID);
    }
    if stream.user_id.len() > 32 {
        return Err(IngestCode::USER_ID);
    }
    if stream.repeat == 0 {
        return Err(IngestCode::OUT_OF_RANGE);
    }
    let scheme = Url::parse(&stream.url).map(|url| url.scheme().to_owned());
    match scheme.as_deref() {
        Ok("http" | "https" | "rtmp") => Ok(stream),
        _ => Err(IngestCode::STREAM_URL),
    }
}

impl Stream {
    /// Whether its URL says that it cannot be played.
    pub(super) fn fails(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| url.query_pairs().any(|(key, _)| key == "fails"))
    }

    /// When it ends by itself if it starts at `started_ms`; `None`: never.
    pub(super) fn ends_ms(&self, started_ms: i64) -> Option<i64> {
        let seconds = Url::parse(&self.url).ok().and_then(|url| {
            let mut pairs = url.query_pairs();
            pairs.find_map(|(key, value)| (key == "seconds").then(|| value.parse::<i64>().ok())?)
        });
        let lasts_ms = match (self.repeat, seconds) {
            (-1, _) => self.max_minutes.map(|minutes| minutes * 60_000),
            (times, seconds) => seconds.map(|s| s.saturating_mul(1000).saturating_mul(times)),
        };
        lasts_ms.map(|lasts_ms| started_ms.saturating_add(lasts_ms))
    }
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn text(self, name: &str) -> Result<String, IngestCode> {
        match self.0.get(name) {
            None => Err(IngestCode::MISSING),
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(IngestCode::BODY),
        }
    }

    fn number(self, name: &str, allowed: RangeInclusive<i64>) -> Result<i64, IngestCode> {
        self.optional(name, allowed)?.ok_or(IngestCode::MISSING)
    }

    fn optional(self, name: &str, allowed: RangeInclusive<i64>) -> Result<Option<i64>, IngestCode> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let number = value.as_i64().ok_or(IngestCode::BODY)?;
        if allowed.contains(&number) {
            Ok(Some(number))
        } else {
            Err(IngestCode::OUT_OF_RANGE)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(change: impl FnOnce(&mut Value)) -> Result<Wanted, IngestCode> {
        let mut body = json!({"SdkAppId": 7, "RoomId": "r", "RoomIdType": 0, "UserId": "robot",
            "UserSig": "eJx", "StreamUrl": "https://a.example/x.mp4?seconds=20"});
        change(&mut body);
        Action::Start.read(body.to_string().as_bytes())
    }

    fn stream_of(change: impl FnOnce(&mut Value)) -> Stream {
        match start(change) {
            Ok(Wanted::Start(7, stream)) => *stream,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_field_has_its_rule() {
        for (field, value, code) in [
            ("SdkAppId", json!("7"), IngestCode::BODY),
            ("RoomId", json!(7), IngestCode::BODY),
            ("RoomId", json!("x".repeat(65)), IngestCode::ROOM_ID),
            ("RoomIdType", json!(2), IngestCode::OUT_OF_RANGE),
            ("RoomIdType", json!(1), IngestCode::ROOM_ID),
            ("UserId", json!("x".repeat(33)), IngestCode::USER_ID),
            (
                "StreamUrl",
                json!("ftp://a.example/"),
                IngestCode::STREAM_URL,
            ),
            ("StreamUrl", json!("nonsense"), IngestCode::STREAM_URL),
            ("RepeatNum", json!(0), IngestCode::OUT_OF_RANGE),
            ("RepeatNum", json!(1001), IngestCode::OUT_OF_RANGE),
            ("MaxDuration", json!(0), IngestCode::OUT_OF_RANGE),
            ("Volume", json!(101), IngestCode::OUT_OF_RANGE),
            ("Surprise", json!(1), IngestCode::UNKNOWN_PARAMETER),
        ] {
            let refused = start(|body| body[field] = value.clone());
            assert_eq!(refused, Err(code), "{field} {value}");
        }
        for field in [
            "SdkAppId",
            "RoomId",
            "RoomIdType",
            "UserId",
            "UserSig",
            "StreamUrl",
        ] {
            let refused = start(|body| {
                body.as_object_mut().map(|body| body.remove(field));
            });
            assert_eq!(refused, Err(IngestCode::MISSING), "{field}");
        }
        assert_eq!(Action::Stop.read(b"[]"), Err(IngestCode::BODY));
        let stop = Action::Stop.read(br#"{"SdkAppId": 7, "TaskId": "t"}"#);
        assert_eq!(stop, Ok(Wanted::Stop(7, "t".to_owned())));
    }

    #[test]
    fn a_stream_ends_where_its_url_or_its_bound_says() {
        let ends = |change: &dyn Fn(&mut Value)| stream_of(change).ends_ms(1000);
        assert_eq!(ends(&|_| {}), Some(21_000));
        assert_eq!(ends(&|body| body["RepeatNum"] = json!(3)), Some(61_000));
        assert_eq!(ends(&|body| body["RepeatNum"] = json!(-1)), None);
        let bounded = ends(&|body| {
            body["RepeatNum"] = json!(-1);
            body["MaxDuration"] = json!(2);
        });
        assert_eq!(bounded, Some(121_000));
        assert_eq!(
            ends(&|body| body["StreamUrl"] = json!("rtmp://a.example/x")),
            None
        );
    }

    #[test]
    fn a_region_takes_the_actions_that_its_page_lists() {
        for action in [Action::Start, Action::Stop, Action::Describe] {
            assert!(action.is_offered_in("ap-singapore"));
            assert!(!action.is_offered_in("eu-frankfurt"));
        }
        assert!(Action::Start.is_offered_in("ap-tokyo"));
        assert!(!Action::Stop.is_offered_in("ap-tokyo"));
    }
}
