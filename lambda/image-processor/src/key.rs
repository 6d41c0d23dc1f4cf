//! Object keys: what an S3 event writes, what S3 means by it, and the name of the result.
//!
//! An event carries its keys form-encoded (`+` is a space, `%XX` a byte of UTF-8); S3's calls take them plain; headers
//! (`x-amz-copy-source`, user metadata) take them percent-encoded.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::reason::Reason;

/// The longest key S3 accepts, in bytes of UTF-8 (S3 user guide, "Naming Amazon S3 objects").
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// How much of an encoded key goes into the metadata. S3 allows 2 KB for all user metadata of an object; the other
/// entries and the names take less than 300 bytes.
const MAX_METADATA_BYTES: usize = 1700;

/// What stands after the source's stem in the result's key.
const SUFFIX: &str = "-processed.png";

/// RFC 3986's unreserved characters and `/` stay as they are: everything else would be changed by some header parser,
/// or by the signature's folding of spaces.
const IN_A_HEADER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Decodes a key as it stands in an event.
///
/// # Errors
/// [`Reason::KeyNotUtf8`] where the bytes are no UTF-8: S3 has no such key, so no retry would find it.
pub(crate) fn decode_event_key(encoded: &str) -> Result<String, Reason> {
    let spaced = encoded.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8().map(Cow::into_owned).map_err(|_| Reason::KeyNotUtf8)
}

/// The result's key: `<key without extension>-processed.png`, in the same folders.
///
/// What counts as an extension is what Python's `os.path.splitext` takes for one, since the lab began as Python: the part
/// after the last dot of the last folder's entry, unless only dots stand before it (`.hidden` has none).
///
/// # Errors
/// [`Reason::KeyTooLong`] where the result's key would pass S3's 1,024 bytes.
pub(crate) fn derive_output_key(key: &str) -> Result<String, Reason> {
    let output = format!("{}{SUFFIX}", strip_extension(key));
    if output.len() > MAX_KEY_BYTES {
        return Err(Reason::KeyTooLong { bytes: output.len() });
    }
    Ok(output)
}

fn strip_extension(key: &str) -> &str {
    let name_at = key.rfind('/').map_or(0, |slash| slash + 1);
    let name = &key[name_at..];
    match name.rfind('.') {
        Some(dot) if name[..dot].bytes().any(|byte| byte != b'.') => &key[..name_at + dot],
        _ => key,
    }
}

/// Encodes a key (or `bucket/key`) so that any header carries it unchanged; percent-decoding gives it back.
pub(crate) fn encode_for_header(text: &str) -> String {
    utf8_percent_encode(text, IN_A_HEADER).to_string()
}

/// The key as the result's metadata names it: encoded, and cut where S3's 2 KB for metadata would be passed.
pub(crate) fn encode_for_metadata(key: &str) -> String {
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
        assert_eq!(decode_event_key("a%FFb.png"), Err(Reason::KeyNotUtf8));
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
            assert_eq!(derive_output_key(key).unwrap(), output);
        }
    }

    #[test]
    fn a_result_whose_key_would_be_too_long_is_refused() {
        let fits = "k".repeat(MAX_KEY_BYTES - SUFFIX.len());
        assert!(derive_output_key(&fits).is_ok());
        assert_eq!(derive_output_key(&format!("{fits}k")), Err(Reason::KeyTooLong { bytes: 1025 }));
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
            let output = derive_output_key(&format!("{folder}/{name}")).unwrap();
            let prefix = format!("{folder}/");
            prop_assert!(output.starts_with(&prefix));
            prop_assert!(!output[prefix.len()..].contains('/'));
            prop_assert!(output.ends_with(SUFFIX));
        }
    }
}
