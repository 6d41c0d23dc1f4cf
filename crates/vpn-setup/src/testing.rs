//! A lab and its parts, for tests.

use lab_common::{HOL02, Lab, Overrides, read_lab};

/// HOL 02 of the owner `ada`, with these lines more in `[vpn]`.
pub(crate) fn lab(more: &str) -> Lab {
    let text = HOL02.replace("clients = [\"laptop\"]", &format!("clients = [\"laptop\"]\n{more}"));
    read_lab("hol02", &text, &Overrides { owner: Some("ada".into()), region: None }).unwrap()
}
