//! A report and what may be done to it.

use lab_picture::{Part, Scene};

use super::evidence::{After, Cost, Evidence, Step, Task, Verdict, redact};
use super::render::to_html;
use super::verify::{read_evidence, verify};

fn evidence() -> Evidence {
    let step = |verdict, fact: &str| Step { text: "Create the VPC.".into(), verdict, facts: vec![fact.into()] };
    let steps = vec![step(Verdict::Passed, "lab-vpc (vpc-1) <b>"), step(Verdict::Open, "✗ it is stopped")];
    let evidence = Evidence {
        version: env!("CARGO_PKG_VERSION").into(),
        at: "2026-11-26 05:10 UTC".into(),
        lab: "lab".into(),
        owner: "ada".into(),
        region: "us-east-1".into(),
        account: "9012".into(),
        caller: "</script><script>alert(1)</script>".into(),
        scene: Scene { lab: "lab".into(), laptop: Part::new("Your laptop"), ..Scene::default() },
        tasks: vec![Task { title: "Task 1".into(), steps }],
        pictures: Vec::new(),
        log: vec!["REPORT 12 ms".into()],
        check: None,
        runs: Vec::new(),
        cost: Cost {
            usd_per_hour: 0.1 + 0.2,
            usd_so_far: 1.0 / 3.0,
            is_at_least: false,
            expected_usd: 1.0,
            budget_usd: 50.0,
            prices: "list prices".into(),
            items: Vec::new(),
        },
        there: vec!["vpc lab-vpc (vpc-1)".into()],
        after: None,
        notes: Vec::new(),
    };
    redact(&evidence, "123456789012").unwrap()
}

#[test]
fn a_report_is_what_its_evidence_makes_and_says_so() {
    let page = to_html(&evidence()).unwrap();
    assert!(verify(&page).unwrap().starts_with("as it was made (sha256:"));
    assert_eq!(read_evidence(&page).unwrap(), evidence());
    assert!(page.contains("Task 1: 1 of 2 steps passed"), "{page}");
    assert_eq!(page.matches("<script").count(), 1, "nothing that was read became an element");
}

#[test]
fn every_edit_is_noticed() {
    let page = to_html(&evidence()).unwrap();
    let edits = [
        ("✗ not passed", "✓ passed"),
        ("1 of 2 steps passed", "2 of 2 steps passed"),
        ("\"verdict\":\"Open\"", "\"verdict\":\"Passed\""),
        ("ada", "bob"),
        ("sha256:", "sha256:0"),
        ("</main>", "<p>added</p></main>"),
        ("us-east-1", "us-west-2"),
    ];
    for (from, to) in edits {
        let edited = page.replacen(from, to, 1);
        assert_ne!(edited, page, "{from}");
        let problem = verify(&edited).unwrap_err();
        assert!(problem.what().contains("has been changed"), "{from}: {problem}");
    }
    assert!(verify(&page.replace(super::render::EVIDENCE_START, "")).is_err());
}

#[test]
fn an_edit_of_page_and_evidence_alike_still_has_another_digest() {
    let forged = Evidence { owner: "bob".into(), ..evidence() };
    assert!(verify(&to_html(&forged).unwrap()).is_ok(), "only who kept the digest can tell");
    assert_ne!(forged.digest().unwrap(), evidence().digest().unwrap());
}

#[test]
fn a_report_of_another_version_is_told_as_such() {
    let page = to_html(&Evidence { version: "0.0.9".into(), ..evidence() }).unwrap();
    assert!(verify(&page).unwrap().contains("made by lab-status 0.0.9"));
}

#[test]
fn after_down_it_says_that_nothing_is_left() {
    let after = After { at: "2026-11-26 07:00 UTC".into(), left: vec![], leaving: vec![], unread: vec![] };
    let page = to_html(&Evidence { after: Some(after), ..evidence() }).unwrap();
    assert!(page.contains("2026-11-26 07:00 UTC: nothing is left"), "{page}");
}
