//! Object keys: what an event writes, what S3 means by it, and the names of results and reports.
//!
//! S3's events and manifests carry keys form-encoded (`+` is a space, `%XX` a byte of UTF-8); S3's calls take them
//! plain; headers (`x-amz-copy-source`, user metadata) take them percent-encoded.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::job::Refusal;

/// The entry of a result's user metadata that holds the entity tag of what it was made from.
pub const SOURCE_ETAG: &str = "source-etag";

/// The longest key S3 accepts, in bytes of UTF-8 (S3 user guide, "Naming Amazon S3 objects").
pub const MAX_KEY_BYTES: usize = 1024;

/// How much of an encoded key goes into the metadata. S3 allows 2 KB for all user metadata of an object; the other
/// entries and the names take less than 600 bytes.
const MAX_METADATA_BYTES: usize = 1350;

/// RFC 3986's unreserved characters and `/` stay as they are: everything else would be changed by some header parser,
/// or by the signature's folding of spaces.
const IN_A_HEADER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A name that S3 would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the result's key would have {bytes} bytes, S3 allows {MAX_KEY_BYTES}")]
pub struct KeyTooLong {
    /// Its length in bytes.
    pub bytes: usize,
}

/// Decodes a key as it stands in an event.
///
/// # Errors
/// [`Refusal::KeyNotUtf8`] where the bytes are no UTF-8: S3 has no such key, so no retry would find it.
pub fn decode_event_key(encoded: &str) -> Result<String, Refusal> {
    let spaced = encoded.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().map(Cow::into_owned).map_err(|_| Refusal::KeyNotUtf8)
}

/// A result's key, in the same folders: `<key without extension>-processed.<extension>`, and for a picture of a
/// thumbnail set `<key without extension>-<size>-processed.<extension>`. It may be longer than S3 takes.
pub fn result_key(key: &str, size: Option<u32>, extension: &str) -> String {
    let stem = strip_extension(key);
    match size {
        Some(size) => format!("{stem}-{size}-processed.{extension}"),
        None => format!("{stem}-processed.{extension}"),
    }
}

/// [`result_key`], for writing.
///
/// # Errors
/// [`KeyTooLong`] where it would pass S3's 1,024 bytes.
pub fn name_result(key: &str, size: Option<u32>, extension: &str) -> Result<String, KeyTooLong> {
    check_length(result_key(key, size, extension))
}

/// The key of the report about an object of which no picture can be made: `<key>-failed.json`. It may be longer than S3
/// takes.
pub fn report_key(key: &str) -> String {
    format!("{key}-failed.json")
}

/// [`report_key`], for writing.
///
/// # Errors
/// [`KeyTooLong`] where it would pass S3's 1,024 bytes.
pub fn name_report(key: &str) -> Result<String, KeyTooLong> {
    check_length(report_key(key))
}

fn check_length(key: String) -> Result<String, KeyTooLong> {
    if key.len() > MAX_KEY_BYTES { Err(KeyTooLong { bytes: key.len() }) } else { Ok(key) }
}

/// A key without its extension. What counts as one is what Python's `os.path.splitext` takes for one, since the lab began
/// as Python: the part after the last dot of the last folder's entry, unless only dots stand before it (`.hidden` has
/// none).
pub fn strip_extension(key: &str) -> &str {
    let name_at = key.rfind('/').map_or(0, |slash| slash + 1);
    let name = &key[name_at..];
    match name.rfind('.') {
        Some(dot) if name[..dot].bytes().any(|byte| byte != b'.') => &key[..name_at + dot],
        _ => key,
    }
}

/// Encodes a key (or `bucket/key`) so that any header carries it unchanged; percent-decoding gives it back.
pub fn encode_for_header(text: &str) -> String {
    utf8_percent_encode(text, IN_A_HEADER).to_string()
}

/// The key as the result's metadata names it: encoded, and cut where S3's 2 KB for metadata would be passed.
pub fn encode_for_metadata(key: &str) -> String {
    let mut encoded = encode_for_header(key);
    encoded.truncate(MAX_METADATA_BYTES);
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Encodes as S3 does in its events.
    fn encode_as_s3(key: &str) -> String {
        encode_for_header(key).replace("%20", "+")
    }

    #[test]
    fn keys_are_decoded_as_forms_are() {
        for (encoded, key) in [
            ("lab-image.png", "lab-image.png"),
            ("my+holiday%2B1.jpg", "my holiday+1.jpg"),
            ("a%252Fb.png", "a%2Fb.png"),
            ("caf%C3%A9/%E5%9B%BE.png", "café/图.png"),
            ("100%.png", "100%.png"),
        ] {
            assert_eq!(decode_event_key(encoded).unwrap(), key);
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        assert_eq!(decode_event_key("a%FFb.png"), Err(Refusal::KeyNotUtf8));
    }

    #[test]
    fn results_are_named_after_the_stem_and_keep_their_folders() {
        for (key, output) in [
            ("lab-image.png", "lab-image-processed.png"),
            ("scan.v2/slide.01.tiff", "scan.v2/slide.01-processed.png"),
            ("no-extension", "no-extension-processed.png"),
            ("folder.d/plain", "folder.d/plain-processed.png"),
            (".hidden", ".hidden-processed.png"),
            ("a/..png", "a/..png-processed.png"),
            ("a/.x.jpg", "a/.x-processed.png"),
            ("trailing.", "trailing-processed.png"),
        ] {
            assert_eq!(name_result(key, None, "png").unwrap(), output);
        }
        assert_eq!(name_result("a/b.jpg", Some(200), "webp").unwrap(), "a/b-200-processed.webp");
        assert_eq!(name_report("a/b.jpg").unwrap(), "a/b.jpg-failed.json");
    }

    #[test]
    fn a_name_that_would_be_too_long_is_refused() {
        let fits = "k".repeat(MAX_KEY_BYTES - "-processed.png".len());
        assert!(name_result(&fits, None, "png").is_ok());
        assert_eq!(name_result(&format!("{fits}k"), None, "png"), Err(KeyTooLong { bytes: 1025 }));
        assert_eq!(name_report(&"k".repeat(1024)), Err(KeyTooLong { bytes: 1036 }));
    }

    proptest! {
        #[test]
        fn decoding_undoes_s3s_encoding(key in "\\PC{1,80}") {
            prop_assert_eq!(decode_event_key(&encode_as_s3(&key)).unwrap(), key);
        }

        #[test]
        fn any_key_becomes_a_header_value(key in any::<String>()) {
            let encoded = encode_for_header(&key);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
            let decoded = percent_decode(encoded.as_bytes()).decode_utf8().unwrap();
            prop_assert_eq!(decoded, key.as_str());
        }

        #[test]
        fn metadata_stays_within_s3s_limit(key in "\\PC{0,1024}") {
            prop_assert!(encode_for_metadata(&key).len() <= MAX_METADATA_BYTES);
        }

        #[test]
        fn a_result_stays_in_its_folder(folder in "[a-z./]{0,20}", name in "[a-zA-Z0-9.é ]{1,20}") {
            let output = name_result(&format!("{folder}/{name}"), None, "png").unwrap();
            let prefix = format!("{folder}/");
            prop_assert!(output.starts_with(&prefix));
            prop_assert!(!output[prefix.len()..].contains('/'));
            prop_assert!(output.ends_with("-processed.png"));
        }
    }
}
