//! Whether a report is as it was made: SHA-256 over the page's own bytes, but for the place in the page where it stands. So
//! any version notices any edit of any version's page, and nothing has to be made again for it. Whoever edits a page and
//! writes the digest anew is not found out by this: that takes somebody who has kept the digest, or looks at the live lab.

use std::fmt::Write as _;

use lab_plan::Problem;
use sha2::{Digest as _, Sha256};

use super::evidence::Evidence;
use super::render::{EVIDENCE_END, EVIDENCE_START};

/// What stands before the digest in a page. Nothing that was read can stand there: its `<` is escaped.
const START: &str = "<code id=\"page-digest\">sha256:";
/// What stands behind it.
const END: &str = "</code>";
/// What stands in its place while the digest is taken: as many zeros as it has digits.
const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Where the digest of earlier pages stands; it is over their evidence alone.
const FORMER: &str = "<code id=\"digest\">sha256:";

/// A page with its digest in it.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) html: String,
    /// In 64 hexadecimal digits.
    pub(super) digest: String,
}

/// The place for the digest, as a page is written with.
pub(super) fn place_for_digest() -> String {
    format!("{START}{BLANK}{END}")
}

/// Puts the digest of a page into its place.
pub(super) fn seal(blank: &str) -> Page {
    let digest = take_digest(blank);
    let place = format!("{START}{digest}{END}");
    Page { html: blank.replacen(&place_for_digest(), &place, 1), digest }
}

/// The page as it was made, with its digest.
///
/// # Errors
/// When it is not as it was made, or is no report at all.
pub(super) fn verify(bytes: &[u8]) -> Result<Page, Problem> {
    let html = undo_transport(bytes)?;
    if !html.contains(EVIDENCE_START) {
        return Err(Problem::usage("this is no report of lab-status")
            .fix("name the HTML file that lab-status report has written"));
    }
    if is_former(&html) {
        return Err(Problem::failed("this report is of an older kind, whose digest is not over the page")
            .fix("make it again from the live lab"));
    }
    let Some(told) = read_digest(&html) else {
        return Err(changed("there is not one digest in it, in its place"));
    };
    let digest = take_digest(&html.replacen(told, BLANK, 1));
    if told != digest {
        return Err(changed(&format!("it says sha256:{told}, and has sha256:{digest}")));
    }
    Ok(Page { html, digest })
}

/// A page from whose evidence another one may be made: as it was made, or an earlier one whose evidence is. Its lab may be
/// gone by now, so that it cannot be made again.
///
/// # Errors
/// As [`verify`]'s.
pub(super) fn accept(bytes: &[u8]) -> Result<Page, Problem> {
    let html = undo_transport(bytes)?;
    if !is_former(&html) {
        return verify(bytes);
    }
    let told = html.split_once(FORMER).and_then(|(_, rest)| rest.split_once(END)).map(|(digest, _)| digest.to_owned());
    let evidence = find_evidence(&html).unwrap_or_default().replace("\\u003c", "<");
    let digest = take_digest(&evidence);
    if told.as_deref() == Some(&digest) {
        Ok(Page { html, digest })
    } else {
        Err(changed(&format!("its evidence has sha256:{digest}")))
    }
}

fn is_former(html: &str) -> bool {
    html.contains(FORMER) && !html.contains(START)
}

fn changed(why: &str) -> Problem {
    Problem::failed("this report has been changed since it was made")
        .because(why)
        .fix("ask for the file as it was made, or make the report again from the live lab")
}

/// What mail, git and editors do to a text on its way: a byte order mark in front, line ends as Windows has them. No page is
/// made with either, and none of it is seen.
fn undo_transport(bytes: &[u8]) -> Result<String, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| changed(&format!("it is no UTF-8: {error}")))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n"))
}

/// The one digest in a page.
fn read_digest(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once(START)?;
    let (digest, rest) = rest.split_once(END)?;
    let is_digest = digest.len() == BLANK.len() && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    // The digits stand nowhere else before it, so that blanking the first of them blanks this place.
    let is_one = !rest.contains(START) && html.find(digest) == html.find(START).map(|at| at + START.len());
    Some(digest).filter(|_| is_digest && is_one)
}

/// SHA-256 in hexadecimal digits.
pub(super) fn take_digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The evidence in a page.
///
/// # Errors
/// When there is none that this version understands.
pub(super) fn read_evidence(html: &str) -> Result<Evidence, Problem> {
    let json = find_evidence(html).ok_or_else(|| Problem::usage("there is no evidence in this report"))?;
    serde_json::from_str(json).map_err(|error| {
        Problem::failed("the evidence in this report cannot be read")
            .because(error.to_string())
            .fix("read it with the version of lab-status that made it")
    })
}

fn find_evidence(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once(EVIDENCE_START)?;
    Some(rest.split_once(EVIDENCE_END)?.0)
}
