//! The keys of `OfflinePushInfo` that Tencent documents, and the rule of each (IM 77715, IM 33527).
//!
//! One row per key. What a row cannot say (one key needing another, two keys sharing a limit)
//! stands in `offline_push.rs`.

/// One documented key.
pub(super) struct Key {
    /// The key, in Tencent's spelling.
    pub(super) name: &'static str,
    /// What its value must be.
    pub(super) rule: Rule,
    /// Whether the object is refused without it, or this key without another.
    pub(super) need: Need,
}

/// What a value must be.
pub(super) enum Rule {
    /// A string.
    Text,
    /// A string of 1 to so many bytes.
    TextBytes(usize),
    /// One of these strings.
    Word(&'static [&'static str]),
    /// A string with an https address.
    HttpsUrl,
    /// An integer of this range, bounds included.
    Integer(i64, i64),
    /// One of these integers.
    Number(&'static [i64]),
    /// A string or an integer, where the pages do not say which.
    TextOrInteger,
    /// Any object.
    AnyObject,
    /// An object with these keys.
    Object(&'static [Key]),
    /// An array of objects with these keys.
    ListOf(&'static [Key]),
}

/// When a key is needed, or what it needs.
pub(super) enum Need {
    /// It may be left out.
    Optional,
    /// Its object is refused without it.
    Required,
    /// It may be left out; if it is given, this key of the same object must be given too.
    With(&'static str),
}

const fn key(name: &'static str, rule: Rule) -> Key {
    Key {
        name,
        rule,
        need: Need::Optional,
    }
}

const fn required(name: &'static str, rule: Rule) -> Key {
    Key {
        name,
        rule,
        need: Need::Required,
    }
}

const fn with(other: &'static str, name: &'static str, rule: Rule) -> Key {
    Key {
        name,
        rule,
        need: Need::With(other),
    }
}

/// A switch: 0 is off, 1 is on.
const SWITCH: Rule = Rule::Number(&[0, 1]);

/// The keys of `OfflinePushInfo` itself.
///
/// `Ext` should be JSON text, since some vendors fail otherwise; that is advice, not a rule.
/// `BadgeSetNum` goes to 999 on APNs and to 99 on Huawei, Honor and Harmony: the wider range.
pub(super) const TOP: &[Key] = &[
    key("PushFlag", SWITCH),
    key("Title", Rule::Text),
    key("Desc", Rule::Text),
    key("Ext", Rule::Text),
    key("MultiLanguageContent", Rule::ListOf(LANGUAGE)),
    key("BadgeAddNum", Rule::Integer(1, 99)),
    key("BadgeSetNum", Rule::Integer(0, 999)),
    key("PushTemplateId", Rule::TextOrInteger),
    key("PushTemplateParam", Rule::AnyObject),
    key("AndroidInfo", Rule::Object(ANDROID)),
    key("ApnsInfo", Rule::Object(APNS)),
    key("HarmonyInfo", Rule::Object(HARMONY)),
];

/// The keys of one element of `MultiLanguageContent`.
const LANGUAGE: &[Key] = &[
    key("Language", Rule::Text),
    key("Title", Rule::Text),
    key("Desc", Rule::Text),
];

/// The keys of `AndroidInfo`. `ExtAsHuaweiIntentParam` stands on the older page alone.
const ANDROID: &[Key] = &[
    key("Sound", Rule::Text),
    key("PushStyle", SWITCH),
    key("XiaoMiChannelID", Rule::Text),
    key("OPPOChannelID", Rule::Text),
    key("OPPOCategory", Rule::Text),
    with("OPPOCategory", "OPPONotifyLevel", Rule::Number(&[1, 2, 16])),
    key("OPPOPrivateMsgTemplateId", Rule::Text),
    key("OPPOPrivateTitleParameters", Rule::AnyObject),
    key("OPPOPrivateContentParameters", Rule::AnyObject),
    key("VIVOClassification", SWITCH),
    key("VIVOCategory", Rule::Text),
    key("VIVONotifyType", Rule::Word(&["1", "2", "3", "4"])),
    key("HuaWeiChannelID", Rule::Text),
    key("HuaWeiImportance", Rule::Word(&["LOW", "NORMAL"])),
    key("HuaWeiCategory", Rule::Text),
    key("HuaWeiImage", Rule::HttpsUrl),
    key("HonorImage", Rule::Text),
    key("HonorImportance", Rule::Word(&["LOW", "NORMAL"])),
    key("GoogleChannelID", Rule::Text),
    key("GooglePriority", Rule::Word(&["normal", "high"])),
    key("GoogleImage", Rule::Text),
    key("MeiZuNoticeMsgType", SWITCH),
    key("ExtAsHuaweiIntentParam", SWITCH),
];

/// The keys of `ApnsInfo`. Of `ContentAvailable` and `IsVoipPush` only 1 is documented; 0 is what a
/// template that turns them off would write.
const APNS: &[Key] = &[
    key("BadgeMode", SWITCH),
    key("Title", Rule::Text),
    key("SubTitle", Rule::Text),
    key("Image", Rule::Text),
    key("MutableContent", SWITCH),
    key("Sound", Rule::Text),
    key(
        "InterruptionLevel",
        Rule::Word(&["active", "critical", "passive", "time-sensitive"]),
    ),
    key("ContentAvailable", SWITCH),
    key("IsVoipPush", SWITCH),
    key("LiveActivity", Rule::Object(LIVE_ACTIVITY)),
];

/// The keys of `ApnsInfo.LiveActivity`.
const LIVE_ACTIVITY: &[Key] = &[
    required("LaId", Rule::TextBytes(64)),
    required("Event", Rule::Word(&["update", "end"])),
    required("ContentState", Rule::AnyObject),
    key("DismissalDate", Rule::TextOrInteger),
];

/// The keys of `HarmonyInfo`; `SoundDuration` is in seconds.
const HARMONY: &[Key] = &[
    key("Title", Rule::Text),
    key("Category", Rule::Text),
    key("Image", Rule::Text),
    key("Sound", Rule::Text),
    with("Sound", "SoundDuration", Rule::Integer(1, 60)),
];
