//! Whether a report is as it was made: its evidence has the digest that it says, and the page is the one that this
//! evidence makes. Whoever changes a word of the page without changing the evidence is found out; whoever writes evidence and
//! page anew is not. That takes somebody who has kept the digest, or looks at the live lab again.

use lab_plan::Problem;

use super::evidence::Evidence;
use super::render::{self, EVIDENCE_END, EVIDENCE_START};

/// Says that it is, in a few words.
///
/// # Errors
/// When it is not, or is no report at all.
pub(super) fn verify(page: &str) -> Result<String, Problem> {
    let evidence = read_evidence(page)?;
    let digest = evidence.digest()?;
    if !page.contains(&render::show_digest(&digest)) {
        return Err(Problem::failed(
            "this report has been changed: its evidence does not have the digest that it shows",
        )
        .because(format!("the evidence has sha256:{digest}"))
        .fix("ask for the report as it was made, or make it again from the live lab"));
    }
    if evidence.version != env!("CARGO_PKG_VERSION") {
        return Ok(format!(
            "its evidence has the digest that it shows (sha256:{digest}); it was made by lab-status {}, so that its page cannot be \
             compared by this one",
            evidence.version
        ));
    }
    let wanted = render::to_html(&evidence)?;
    if wanted != page {
        let line = wanted.lines().zip(page.lines()).position(|(one, other)| one != other);
        let line = line.unwrap_or_else(|| wanted.lines().count().min(page.lines().count())) + 1;
        return Err(Problem::failed(format!(
            "this report has been changed: line {line} is not what its evidence says"
        ))
        .fix("ask for the report as it was made, or make it again from the live lab"));
    }
    Ok(format!("as it was made (sha256:{digest})"))
}

/// The evidence in a page.
///
/// # Errors
/// When there is none.
pub(super) fn read_evidence(page: &str) -> Result<Evidence, Problem> {
    let found = page.split_once(EVIDENCE_START).and_then(|(_, rest)| rest.split_once(EVIDENCE_END));
    let Some((json, _)) = found else {
        return Err(
            Problem::usage("this is no report of lab-status").fix("name a file that lab-status report has written")
        );
    };
    serde_json::from_str(json).map_err(|error| {
        Problem::failed("this report has been changed: its evidence cannot be read").because(error.to_string())
    })
}
