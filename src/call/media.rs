//! What a call carries: sound alone, or sound and picture.

use super::{InvalidField, readable};

/// `CallInfo.MediaType`, case-sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum MediaType {
    /// A voice call.
    Audio,
    /// A video call. One source page writes `video` in a table; its own sample, the reference page
    /// and the Chinese page write `Video`, which is what is sent.
    Video,
}

impl MediaType {
    /// The type of that name.
    ///
    /// # Errors
    /// An [`InvalidField`] named `media_type` if `name` is not `Audio` or `Video`.
    pub fn new(name: &str) -> Result<Self, InvalidField> {
        match name {
            "Audio" => Ok(Self::Audio),
            "Video" => Ok(Self::Video),
            other => Err(InvalidField::new(
                "media_type",
                format!("is \"{}\"", readable(other)),
                "Audio or Video",
            )),
        }
    }

    /// Tencent's word for it, which is also the column's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "Audio",
            Self::Video => "Video",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_case_sensitive() {
        assert_eq!(MediaType::new("Audio"), Ok(MediaType::Audio));
        assert_eq!(MediaType::new("Video"), Ok(MediaType::Video));
        assert_eq!(
            MediaType::new("video").map_err(|e| e.to_string()),
            Err("media_type is \"video\": must be Audio or Video".to_owned())
        );
    }
}
