//! Why `up` would stop, as far as it says something: what is only not there yet because an earlier program has not made it
//! is drawn as missing, and needs no words. Pure.

use crate::inventory::Part;

/// What forbids a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal<'a> {
    /// Which program says so.
    pub(super) program: &'static str,
    /// In its words.
    pub(super) why: &'a str,
}

/// All that counts, each once.
pub(super) fn list_refusals(parts: &[Part]) -> Vec<Refusal<'_>> {
    let mut refusals: Vec<Refusal<'_>> = Vec::new();
    for part in parts {
        for why in part.refused.iter().filter(|why| !is_not_yet(why)) {
            if refusals.iter().all(|known| known.why != why) {
                refusals.push(Refusal { program: part.program, why });
            }
        }
    }
    refusals
}

/// Whether all that a program waits for is what another makes.
pub(super) fn waits_for_others(part: &Part) -> bool {
    !part.refused.is_empty() && part.refused.iter().all(|why| is_not_yet(why))
}

/// `there is no subnet lab-public-subnet yet`: told of what net-up makes, by those that need it.
fn is_not_yet(why: &str) -> bool {
    let first = why.lines().next().unwrap_or_default();
    first.starts_with("there is no ") && first.ends_with(" yet")
}

/// The program that makes things of this kind.
pub(super) fn name_program(kind: &str) -> &'static str {
    match kind {
        "instance" | "volume" | "public-ipv4-address" | "key-pair" | "instance-profile" | "role-policy" => "host-up",
        "bucket" | "bucket-notification" | "queue" | "event-source-mapping" => "pipeline-up",
        kind if kind.starts_with("function") => "pipeline-up",
        kind if kind.starts_with("client-vpn") || kind.starts_with("certificate") => "vpn-setup",
        _ => "net-up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_program_makes_is_no_reason_to_stop() {
        let part = |program, refused: &[&str]| {
            let refused = refused.iter().map(ToString::to_string).collect();
            Part { program, refused, ..Part::default() }
        };
        let taken = "function lab-lambda-function exists, but it is not this lab's";
        let parts = [
            part("host-up", &["there is no subnet lab-public-subnet yet", "there is no security-group lab-a-ec2 yet"]),
            part("pipeline-up", &[taken, taken]),
        ];
        assert_eq!(list_refusals(&parts), [Refusal { program: "pipeline-up", why: taken }]);
        assert!(waits_for_others(&parts[0]) && !waits_for_others(&parts[1]));
        assert!(!waits_for_others(&Part::default()));
    }
}
