//! The rules of `OfflinePushInfo` (IM 77715, IM 33527): types and ranges of the documented keys.
//!
//! Unknown keys pass, because new ones keep appearing. That a breach is 101002 on the call API is
//! an assumption; the message APIs say 90043.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// What a value must be.
enum Rule {
    Text,
    Object,
    Integer(i64, i64),
    Level(&'static [i64]),
    OneOf(&'static [&'static str]),
    /// An array of objects whose values are all text.
    Texts,
}

use Rule::{Integer, Level, Object, OneOf, Text, Texts};

/// The documented keys at the top; the three vendor objects have tables of their own.
const TOP: &[(&str, Rule)] = &[
    ("PushFlag", Integer(0, 1)),
    ("Title", Text),
    ("Desc", Text),
    ("Ext", Text),
    ("MultiLanguageContent", Texts),
    ("BadgeAddNum", Integer(1, 99)),
    ("BadgeSetNum", Integer(0, 999)),
    ("PushTemplateId", Text),
    ("PushTemplateParam", Object),
    ("AndroidInfo", Object),
    ("ApnsInfo", Object),
    ("HarmonyInfo", Object),
];

const ANDROID: &[(&str, Rule)] = &[
    ("Sound", Text),
    ("PushStyle", Integer(0, 1)),
    ("XiaoMiChannelID", Text),
    ("OPPOChannelID", Text),
    ("OPPOCategory", Text),
    ("OPPONotifyLevel", Level(&[1, 2, 16])),
    ("OPPOPrivateMsgTemplateId", Text),
    ("OPPOPrivateTitleParameters", Object),
    ("OPPOPrivateContentParameters", Object),
    ("VIVOClassification", Integer(0, 1)),
    ("VIVOCategory", Text),
    ("VIVONotifyType", OneOf(&["1", "2", "3", "4"])),
    ("HuaWeiChannelID", Text),
    ("HuaWeiImportance", OneOf(&["LOW", "NORMAL"])),
    ("HuaWeiCategory", Text),
    ("HuaWeiImage", Text),
    ("HonorImage", Text),
    ("HonorImportance", OneOf(&["LOW", "NORMAL"])),
    ("GoogleChannelID", Text),
    ("GooglePriority", OneOf(&["normal", "high"])),
    ("GoogleImage", Text),
    ("MeiZuNoticeMsgType", Integer(0, 1)),
    ("ExtAsHuaweiIntentParam", Integer(0, 1)),
];

const APNS: &[(&str, Rule)] = &[
    ("BadgeMode", Integer(0, 1)),
    ("Title", Text),
    ("SubTitle", Text),
    ("Image", Text),
    ("MutableContent", Integer(0, 1)),
    ("Sound", Text),
    (
        "InterruptionLevel",
        OneOf(&["active", "critical", "passive", "time-sensitive"]),
    ),
    ("ContentAvailable", Integer(0, 1)),
    ("IsVoipPush", Integer(0, 1)),
    ("LiveActivity", Object),
];

const HARMONY: &[(&str, Rule)] = &[
    ("Title", Text),
    ("Category", Text),
    ("Image", Text),
    ("Sound", Text),
    ("SoundDuration", Integer(1, 60)),
];

/// Whether the documented keys of `OfflinePushInfo` have their documented types.
pub(super) fn check(push: &Value) -> Result<(), Refusal> {
    let push = push
        .as_object()
        .ok_or_else(|| Refusal::field("OfflinePushInfo", "must be an object"))?;
    check_keys("OfflinePushInfo", push, TOP)?;
    for (vendor, rules) in [
        ("AndroidInfo", ANDROID),
        ("ApnsInfo", APNS),
        ("HarmonyInfo", HARMONY),
    ] {
        if let Some(fields) = push.get(vendor).and_then(Value::as_object) {
            check_keys(&format!("OfflinePushInfo.{vendor}"), fields, rules)?;
        }
    }
    Ok(())
}

fn check_keys(
    within: &str,
    fields: &Map<String, Value>,
    rules: &[(&str, Rule)],
) -> Result<(), Refusal> {
    for (name, rule) in rules {
        if let Some(value) = fields.get(*name)
            && !rule.holds(value)
        {
            return Err(Refusal::field(
                &format!("{within}.{name}"),
                &rule.sentence(),
            ));
        }
    }
    Ok(())
}

impl Rule {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Text => value.is_string(),
            Object => value.is_object(),
            Integer(least, most) => value
                .as_i64()
                .is_some_and(|number| (*least..=*most).contains(&number)),
            Level(levels) => value.as_i64().is_some_and(|level| levels.contains(&level)),
            OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            Texts => value.as_array().is_some_and(|items| {
                items.iter().all(|item| {
                    item.as_object()
                        .is_some_and(|fields| fields.values().all(Value::is_string))
                })
            }),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Text => "must be a string".to_owned(),
            Object => "must be an object".to_owned(),
            Integer(least, most) => format!("must be an integer from {least} to {most}"),
            Level(levels) => format!("must be one of {levels:?}"),
            OneOf(words) => format!("must be one of {}", words.join(", ")),
            Texts => "must be an array of objects of strings".to_owned(),
        }
    }
}
