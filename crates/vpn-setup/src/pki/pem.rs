//! PEM blocks in texts that may hold more than them: easy-rsa writes a dump for readers in front of each certificate.

/// The first block of that label, lines as they were but for white space at their ends, with a newline at its end.
pub(super) fn find_block(text: &str, label: &str) -> Option<String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut block = String::new();
    for line in text.lines().map(str::trim_end).skip_while(|line| *line != begin) {
        block.push_str(line);
        block.push('\n');
        if line == end {
            return Some(block);
        }
    }
    None
}

/// The bytes of the first block of that label.
pub(super) fn decode_block(text: &str, label: &str) -> Option<Vec<u8>> {
    let block = find_block(text, label)?;
    let (_, decoded) = x509_parser::pem::parse_x509_pem(block.as_bytes()).ok()?;
    Some(decoded.contents)
}
