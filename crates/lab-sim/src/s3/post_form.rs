//! The key in a browser's upload: a field of a `multipart/form-data` body.

use crate::call::Call;

/// The object's key from the form's `key` field, with `${filename}` replaced by the name of the uploaded file.
pub(crate) fn read_key(call: &Call) -> Option<String> {
    let boundary = call.header("content-type")?.split("boundary=").nth(1)?.trim_matches('"').to_owned();
    find_key(&call.body, &boundary)
}

fn find_key(body: &[u8], boundary: &str) -> Option<String> {
    // The file's own bytes may be anything; the fields in front of it are text.
    let text = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    let parts: Vec<(&str, &str)> =
        text.split(delimiter.as_str()).filter_map(|part| part.split_once("\r\n\r\n")).collect();
    let (_, key) = parts.iter().find(|(head, _)| parameter(head, "name").as_deref() == Some("key"))?;
    let key = key.trim_end_matches("\r\n");
    let file = parts.iter().find_map(|(head, _)| parameter(head, "filename")).unwrap_or_default();
    Some(key.replace("${filename}", &file))
}

/// `name="value"` in a part's Content-Disposition.
fn parameter(head: &str, name: &str) -> Option<String> {
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition"))?;
    disposition.split(';').map(str::trim).find_map(|part| {
        let value = part.strip_prefix(name)?.strip_prefix('=')?;
        Some(value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_read_with_the_files_name() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nup/${filename}\r\n--B\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"a b.png\"\r\nContent-Type: image/png\r\n\r\n\u{0}\r\n--B--";
        assert_eq!(find_key(body.as_bytes(), "B").as_deref(), Some("up/a b.png"));
        assert_eq!(find_key(b"--B--", "B"), None);
    }
}
