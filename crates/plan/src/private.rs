//! Files that are their owner's alone, and whole or not there.

use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// How the name of a file begins that is not complete yet.
pub const DRAFT: &str = ".draft-";

/// A complete file in `directory`, on the disk and with mode 0600, that still has to get its name. It vanishes when it is
/// dropped without one.
///
/// # Errors
/// When it cannot be written completely.
pub fn write_draft(directory: &Path, content: &[u8]) -> std::io::Result<NamedTempFile> {
    let mut draft = tempfile::Builder::new().prefix(DRAFT).tempfile_in(directory)?;
    draft.write_all(content)?;
    // Under its name must never be half of it, whatever ends this machine.
    draft.as_file().sync_all()?;
    Ok(draft)
}
