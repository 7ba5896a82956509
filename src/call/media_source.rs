//! What the robot plays into the room: `media_url` and `media_options`, by the rules of
//! `callq.media_refusal`.

use std::fmt;

use serde_json::{Map, Value};

use super::InvalidField;

/// The longest `media_url`. Tencent names no limit; push services and logs cut longer ones.
pub const MEDIA_URL_BYTES_MAX: usize = 1024;

/// The longest `MaxDuration`, in minutes (57835).
const MINUTES_MAX: i64 = 10_080;

/// The most `RepeatNum` (57835).
const REPEAT_MAX: i64 = 1000;

/// A stream or file that Tencent can pull, and how it is played.
///
/// The URL may hold a token: neither `Debug` nor an error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaSource {
    url: String,
    repeat: i64,
    volume: Option<i64>,
    max_minutes: Option<i64>,
}

impl fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaSource")
            .field("repeat", &self.repeat)
            .field("volume", &self.volume)
            .field("max_minutes", &self.max_minutes)
            .finish_non_exhaustive()
    }
}

impl MediaSource {
    /// Takes a URL, and the options if there are any.
    ///
    /// # Errors
    /// An [`InvalidField`] named `media_url`, or `media_options` with the key.
    pub fn new(url: &str, options: Option<&Map<String, Value>>) -> Result<Self, InvalidField> {
        check(url)?;
        let mut source = Self {
            url: url.to_owned(),
            // A live stream has no end that bounds it.
            repeat: if url.starts_with("rtmp://") { -1 } else { 1 },
            volume: None,
            max_minutes: None,
        };
        for (key, value) in options.into_iter().flatten() {
            match key.as_str() {
                "repeat" => source.repeat = repeat(value)?,
                "volume" => source.volume = Some(whole(key, value, 0, 100)?),
                "max_minutes" => source.max_minutes = Some(whole(key, value, 1, MINUTES_MAX)?),
                _ => {
                    let key: String = key.chars().take(60).collect();
                    return Err(InvalidField::new(
                        "media_options",
                        format!("has the unknown key {key:?}"),
                        "repeat, volume and max_minutes alone",
                    ));
                }
            }
        }
        let for_ever = options.is_some_and(|o| o.get("repeat") == Some(&Value::from(-1)));
        if source.max_minutes.is_some() && !for_ever {
            return Err(InvalidField::new(
                "media_options.max_minutes",
                "is given without repeat -1",
                "given together with \"repeat\": -1",
            ));
        }
        Ok(source)
    }

    /// `StreamUrl`, for the request alone.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `RepeatNum`: -1 is for ever.
    #[must_use]
    pub const fn repeat(&self) -> i64 {
        self.repeat
    }

    /// `Volume`, if it is given.
    #[must_use]
    pub const fn volume(&self) -> Option<i64> {
        self.volume
    }

    /// `MaxDuration` in minutes, for what is played for ever: as it is given, else the longest that
    /// the call may last. Whatever becomes of callq, Tencent ends it then.
    #[must_use]
    pub fn max_minutes(&self, longest_call_s: i64) -> Option<i64> {
        let of_call = (longest_call_s.max(0) + 59) / 60 + 1;
        let minutes = self.max_minutes.unwrap_or(of_call);
        (self.repeat == -1).then(|| minutes.clamp(1, MINUTES_MAX))
    }
}

fn check(url: &str) -> Result<(), InvalidField> {
    let refused =
        |fault: String, allowed: &str| Err(InvalidField::new("media_url", fault, allowed));
    let schemes = ["https://", "http://", "rtmp://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
    if !(1..=MEDIA_URL_BYTES_MAX).contains(&url.len()) {
        let fault = format!("is {} bytes long", url.len());
        return refused(fault, "1 to 1024 bytes");
    }
    let is_host = |first: char| first.is_ascii_alphanumeric() || first == '[';
    if !rest.is_some_and(|rest| rest.starts_with(is_host)) {
        let allowed = "a URL that begins with https://, http:// or rtmp:// and a host";
        return refused("begins otherwise".to_owned(), allowed);
    }
    if !url.chars().all(|c| c.is_ascii_graphic()) {
        let fault = "has a space or a character that is not ASCII".to_owned();
        return refused(fault, "percent-encoded there");
    }
    Ok(())
}

fn repeat(value: &Value) -> Result<i64, InvalidField> {
    let given = value
        .as_i64()
        .filter(|n| *n != 0 && (-1..=REPEAT_MAX).contains(n));
    given.ok_or_else(|| {
        refusal(
            "repeat",
            value,
            "a whole number from 1 to 1000, or -1 for ever",
        )
    })
}

fn whole(key: &str, value: &Value, least: i64, most: i64) -> Result<i64, InvalidField> {
    let given = value.as_i64().filter(|n| (least..=most).contains(n));
    given.ok_or_else(|| {
        refusal(
            key,
            value,
            &format!("a whole number from {least} to {most}"),
        )
    })
}

fn refusal(key: &str, value: &Value, allowed: &str) -> InvalidField {
    let shown: String = value.to_string().chars().take(60).collect();
    InvalidField::new(
        format!("media_options.{key}"),
        format!("is {shown}"),
        allowed,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal_of(url: &str, options: &Value) -> String {
        let refused = MediaSource::new(url, options.as_object());
        refused.expect_err("it breaks a rule").to_string()
    }

    #[test]
    fn what_tencent_can_pull_is_taken() {
        for url in [
            "https://a.example/b.mp3?token=c",
            "http://a/b.m3u8",
            "rtmp://a:1935/b",
            "https://[::1]/a",
        ] {
            assert!(MediaSource::new(url, None).is_ok(), "{url}");
        }
        for url in [
            "",
            "ftp://a/b",
            "https://",
            "https:///b",
            "HTTPS://a/b",
            "/tmp/a.mp3",
        ] {
            assert!(
                refusal_of(url, &json!({})).starts_with("media_url "),
                "{url}"
            );
        }
        for url in ["https://a/b c", "https://a/é", "https://a/\n"] {
            assert!(
                refusal_of(url, &json!({})).contains("percent-encoded"),
                "{url}"
            );
        }
        let long = format!("https://a/{}", "b".repeat(1014));
        assert!(MediaSource::new(&long, None).is_ok());
        assert_eq!(
            refusal_of(&(long + "b"), &json!({})),
            "media_url is 1025 bytes long: must be 1 to 1024 bytes"
        );
    }

    #[test]
    fn each_option_has_its_range_and_the_message_names_both() {
        let url = "https://a/b.mp3";
        for options in [
            json!({"repeat": -1, "volume": 0, "max_minutes": 10080}),
            json!({"repeat": 1000, "volume": 100}),
            json!({"repeat": -1, "max_minutes": 1}),
        ] {
            assert!(
                MediaSource::new(url, options.as_object()).is_ok(),
                "{options}"
            );
        }
        for (options, said) in [
            (
                json!({"repeat": 0}),
                "media_options.repeat is 0: must be a whole number from 1 to 1000, or -1 for ever",
            ),
            (
                json!({"repeat": 1001}),
                "media_options.repeat is 1001: must be a whole number from 1 to 1000, or -1 \
                 for ever",
            ),
            (
                json!({"repeat": 1.5}),
                "media_options.repeat is 1.5: must be a whole number from 1 to 1000, or -1 \
                 for ever",
            ),
            (
                json!({"volume": 101}),
                "media_options.volume is 101: must be a whole number from 0 to 100",
            ),
            (
                json!({"volume": "9"}),
                "media_options.volume is \"9\": must be a whole number from 0 to 100",
            ),
            (
                json!({"repeat": -1, "max_minutes": 10081}),
                "media_options.max_minutes is 10081: must be a whole number from 1 to 10080",
            ),
            (
                json!({"max_minutes": 5}),
                "media_options.max_minutes is given without repeat -1: must be given together \
                 with \"repeat\": -1",
            ),
            (
                json!({"loop": 1}),
                "media_options has the unknown key \"loop\": must be repeat, volume and \
                 max_minutes alone",
            ),
        ] {
            assert_eq!(refusal_of(url, &options), said);
        }
    }

    #[test]
    fn what_is_played_for_ever_always_has_an_end() {
        let source = |options: Value| {
            let source = MediaSource::new("https://a/b.mp3", options.as_object());
            source.expect("it keeps the rules")
        };
        assert_eq!(source(json!({"repeat": -1})).max_minutes(1800), Some(31));
        assert_eq!(
            source(json!({"repeat": -1})).max_minutes(i64::from(i32::MAX)),
            Some(10_080)
        );
        assert_eq!(
            source(json!({"repeat": -1, "max_minutes": 5})).max_minutes(1800),
            Some(5)
        );
        assert_eq!(source(json!({})).max_minutes(1800), None);
        let live = MediaSource::new("rtmp://a/live", None).expect("it keeps the rules");
        assert_eq!((live.repeat(), live.max_minutes(1800)), (-1, Some(31)));
    }

    #[test]
    fn the_url_is_not_shown() {
        let source =
            MediaSource::new("https://a/b.mp3?token=swordfish", None).expect("it is sound");
        assert!(!format!("{source:?}").contains("swordfish"));
        assert!(!refusal_of("gopher://swordfish", &json!({})).contains("swordfish"));
    }
}
