//! In what something differs: what `up` would do, told as what is so now. Pure.

use lab_plan::Action;

use crate::inventory::Change;

/// What a plan will do.
pub(super) fn tell_step(change: &Change) -> String {
    let Change { action, detail, .. } = change;
    match (action, detail.as_str()) {
        (Action::Create, "") => "add what is not there".to_owned(),
        (Action::Create, detail) => format!("add {detail}"),
        (Action::Delete, detail) => format!("remove {detail}"),
        (Action::Update, detail) if change.usd_per_hour > 0.0 => format!("{detail} (+${:.4}/h)", change.usd_per_hour),
        (Action::Update, detail) => detail.to_owned(),
    }
}

/// The same of what has no card of its own, with what it is: `missing: authorization rule 10.0.0.0/16`.
pub(super) fn tell_attached(change: &Change, plans: bool) -> String {
    let Change { action, kind, name, detail, usd_per_hour, .. } = change;
    let what = match *kind {
        "client-vpn-authorization-rule" => format!("authorization rule {name}"),
        "client-vpn-route" => format!("route {name}"),
        "client-vpn-target-network" => format!("association with {name}"),
        "function-permission" => "permission to invoke the function".to_owned(),
        "function-event-invoke-config" => "what becomes of failures".to_owned(),
        "function-concurrency" => "bound on how many work at once".to_owned(),
        "role-policy" => format!("policy of role {name}"),
        kind => format!("{} {name}", kind.replace('-', " ")),
    };
    let rate = if *usd_per_hour > 0.0 { format!(" (+${usd_per_hour:.4}/h)") } else { String::new() };
    match (plans, action) {
        (true, Action::Create) => format!("add {what}{rate}"),
        (true, Action::Delete) => format!("remove {what}"),
        (true, Action::Update) => format!("change {what}: {detail}"),
        (false, Action::Create) => format!("missing: {what}"),
        (false, Action::Delete) => format!("too much: {what}"),
        (false, Action::Update) if detail.is_empty() => format!("not as wanted: {what}"),
        (false, Action::Update) => format!("not as wanted: {what} ({detail})"),
    }
}

/// What is different now. `now` tells what is so instead of what is wanted, where that is known.
///
/// A plan says what it will do; read as what is so, that would be a lie (`0.0.0.0/0 to lab-igw`).
pub(super) fn tell_difference(change: &Change, now: Option<&str>) -> String {
    let Change { action, detail, .. } = change;
    match (action, detail.as_str()) {
        (Action::Create, "") => "something is missing".to_owned(),
        (Action::Create, detail) => format!("missing: {detail}"),
        (Action::Delete, detail) => format!("too much: {detail}"),
        // What differs is named, not how it should be.
        (Action::Update, detail) if ["bucket", "queue", "log-group", "role"].contains(&change.kind) => {
            format!("not as wanted: {detail}")
        }
        (Action::Update, detail) => tell_update(detail, now),
    }
}

fn tell_update(detail: &str, now: Option<&str>) -> String {
    if let Some(now) = now {
        let wanted = ["use ", "0.0.0.0/0 to "].iter().find_map(|verb| detail.strip_prefix(verb)).unwrap_or(detail);
        return format!("{now}, wanted: {wanted}");
    }
    if let Some(what) = detail.strip_suffix(" on") {
        return format!("{what} are off, wanted on");
    }
    if let Some(what) = detail.strip_suffix(" off") {
        return format!("{what} are on, wanted off");
    }
    if detail.contains(" -> ") {
        let parts = detail.split(", ").map(|part| match part.split_once(" -> ") {
            // `memory 128 -> 512 MB`, but `LAB_BUCKET -> lab-output`.
            Some((is, wanted)) if is.contains(' ') => format!("{is}, wanted {wanted}"),
            Some((key, wanted)) => format!("{key}: wanted {wanted}"),
            None => format!("wanted: {part}"),
        });
        return parts.collect::<Vec<_>>().join("; ");
    }
    let missing = detail.starts_with("0.0.0.0/0 to ") || detail.starts_with("profile ");
    if missing { format!("missing: {detail}") } else { format!("wanted: {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_wanted_is_told_as_if_it_were_so() {
        let update = |detail: &str, now| {
            let change = Change {
                action: Action::Update,
                kind: "vpc",
                role: String::new(),
                name: "x".into(),
                detail: detail.into(),
                usd_per_hour: 0.0,
            };
            tell_difference(&change, now)
        };
        for (detail, now, wanted) in [
            ("0.0.0.0/0 to lab-igw", None, "missing: 0.0.0.0/0 to lab-igw"),
            ("0.0.0.0/0 to lab-igw", Some("0.0.0.0/0 goes to nat-1"), "0.0.0.0/0 goes to nat-1, wanted: lab-igw"),
            (
                "use the VPC's own table",
                Some("its route table is rtb-1"),
                "its route table is rtb-1, wanted: the VPC's own table",
            ),
            ("DNS hostnames on", None, "DNS hostnames are off, wanted on"),
            ("public addresses off", None, "public addresses are on, wanted off"),
            ("memory 128 -> 512 MB, WIDTH -> 40", None, "memory 128, wanted 512 MB; WIDTH: wanted 40"),
            ("profile lab-host-profile-ada", None, "missing: profile lab-host-profile-ada"),
            ("attach it to the VPC", None, "wanted: attach it to the VPC"),
        ] {
            assert_eq!(update(detail, now), wanted);
        }
    }
}
