//! Words for what failed on the way, without the URL: it carries the `UserSig`.

use std::borrow::Cow;
use std::error::Error;

use secrecy::{ExposeSecret, SecretString};

use crate::call::readable;

/// An error of reqwest's and its causes in one line.
///
/// `without_url` takes the URL from the outermost error; the `UserSig` is looked for in what is
/// left all the same, since a cause is foreign text.
pub(super) fn detail_of(error: reqwest::Error, user_sig: &SecretString) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some layers repeat the cause below them.
        if !said.ends_with(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    readable(&String::from_utf8_lossy(&blinded(
        said.as_bytes(),
        user_sig,
    )))
}

/// `text` with every occurrence of `user_sig` replaced, be it an error or a reply that repeats the
/// request. A `UserSig` is written alike in JSON, in a URL and in plain text.
pub(super) fn blinded<'a>(text: &'a [u8], user_sig: &SecretString) -> Cow<'a, [u8]> {
    const BLIND: &[u8] = b"[UserSig]";
    let user_sig = user_sig.expose_secret().as_bytes();
    // Nothing to hide; an empty pattern would be found everywhere.
    if user_sig.is_empty() {
        return Cow::Borrowed(text);
    }
    let find = |from: usize| {
        text[from..]
            .windows(user_sig.len())
            .position(|w| w == user_sig)
    };
    let (mut seen, mut done) = (Vec::new(), 0);
    while let Some(offset) = find(done) {
        seen.extend_from_slice(&text[done..done + offset]);
        seen.extend_from_slice(BLIND);
        done += offset + user_sig.len();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    seen.extend_from_slice(&text[done..]);
    Cow::Owned(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_sig_is_replaced_wherever_it_stands() {
        let user_sig = SecretString::from("eJx*-_");
        for (text, expected) in [
            ("", ""),
            ("nothing to hide", "nothing to hide"),
            ("eJx*-_", "[UserSig]"),
            (
                "?usersig=eJx*-_&a=1 eJx*-_.",
                "?usersig=[UserSig]&a=1 [UserSig].",
            ),
        ] {
            assert_eq!(*blinded(text.as_bytes(), &user_sig), *expected.as_bytes());
        }
        assert_eq!(*blinded(b"text", &SecretString::default()), *b"text");
    }
}
