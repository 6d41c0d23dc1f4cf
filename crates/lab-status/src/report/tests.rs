//! A report and what may be done to it.

use lab_picture::{Part, Scene};
use lab_plan::Exit;

use super::evidence::{After, Cost, Evidence, Step, Task, Verdict};
use super::redact::{Own, redact};
use super::render::{EVIDENCE_END, EVIDENCE_START, to_html};
use super::verify::{Page, accept, read_evidence, take_digest, verify};
use crate::show::name_asked;

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
        metric_lines: 1,
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
    redact(&evidence, Own { account: "123456789012", home: "" }).unwrap()
}

fn page() -> Page {
    to_html(&evidence()).unwrap()
}

#[test]
fn a_report_is_as_it_was_made_and_holds_its_evidence() {
    let page = page();
    let verified = verify(page.html.as_bytes()).unwrap();
    assert_eq!((&verified.html, &verified.digest), (&page.html, &page.digest));
    assert!(page.html.contains(&page.digest), "the page tells its digest");
    assert_eq!(read_evidence(&page.html).unwrap(), evidence());
    assert!(page.html.contains("Task 1: 1 of 2 steps passed"), "{}", page.html);
    assert_eq!(page.html.matches("<script").count(), 1, "nothing that was read became an element");
    assert!(page.html.contains("<title>Lab report: “lab” of ada</title>"), "{}", page.html);
}

#[test]
fn every_edit_is_noticed_whatever_version_the_page_says_it_is_of() {
    for version in [env!("CARGO_PKG_VERSION"), "0.0.9", "99.0.0"] {
        let Page { html, digest } = to_html(&Evidence { version: version.into(), ..evidence() }).unwrap();
        assert!(verify(html.as_bytes()).is_ok(), "{version}");
        let other_digest = if digest.starts_with('0') { "sha256:1" } else { "sha256:0" };
        let edits = [
            ("✗ not passed", "✓ passed"),
            ("1 of 2 steps passed", "2 of 2 steps passed"),
            ("\"verdict\":\"Open\"", "\"verdict\":\"Passed\""),
            ("ada", "bob"),
            (&html[html.find("sha256:").unwrap()..][..8], other_digest),
            ("</main>", "<p>added</p></main>"),
            ("us-east-1", "us-west-2"),
            (".open{", ".open{display:none}.open{"),
            (version, "1.2.3"),
        ];
        for (from, to) in edits {
            let edited = html.replacen(from, to, 1);
            assert_ne!(edited, html, "{from}");
            let problem = verify(edited.as_bytes()).unwrap_err();
            assert_eq!(problem.exit(), Exit::Failed, "{from}");
            assert!(problem.what().contains("has been changed"), "{from}: {problem}");
        }
    }
}

#[test]
fn a_page_with_no_digest_or_two_is_not_as_it_was_made() {
    let Page { html, digest } = page();
    let place = format!("<code id=\"page-digest\">sha256:{digest}</code>");
    for with in [String::new(), format!("{place}{place}"), place.replace(&digest, "none")] {
        let problem = verify(html.replacen(&place, &with, 1).as_bytes()).unwrap_err();
        assert_eq!(problem.exit(), Exit::Failed, "{with}");
    }
    assert_eq!(verify(b"<html></html>").unwrap_err().exit(), Exit::Usage, "this is no report");
}

#[test]
fn line_ends_and_a_mark_of_byte_order_are_no_edits_and_another_encoding_is_one() {
    let html = page().html;
    let windows = format!("\u{feff}{}", html.replace('\n', "\r\n"));
    assert_eq!(verify(windows.as_bytes()).unwrap().digest, page().digest);
    assert!(verify(html.replacen('\n', "\r", 1).as_bytes()).is_err());
    let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(html.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert!(verify(&wide).unwrap_err().why().is_some_and(|why| why.contains("UTF-8")));
}

#[test]
fn an_edit_with_a_digest_of_its_own_is_told_only_by_another_digest() {
    let forged = to_html(&Evidence { owner: "bob".into(), ..evidence() }).unwrap();
    assert!(verify(forged.html.as_bytes()).is_ok(), "only who kept the digest can tell");
    assert_ne!(forged.digest, page().digest);
}

#[test]
fn evidence_of_before_a_field_was_added_is_read() {
    let mut old = serde_json::to_value(Evidence { after: Some(nothing_left()), ..evidence() }).unwrap();
    assert!(old.as_object_mut().unwrap().remove("metric_lines").is_some());
    for field in ["asked", "notes", "before"] {
        assert!(old["after"].as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    let json = old.to_string().replace('<', "\\u003c");
    let page = format!("{EVIDENCE_START}{json}{EVIDENCE_END}");
    let read = read_evidence(&page).unwrap();
    assert_eq!(read.after.unwrap().tell(), "2026-11-26 07:00 UTC: nothing is left");
}

#[test]
fn an_earlier_page_with_a_digest_of_its_evidence_can_be_added_to() {
    let json = evidence().to_json().unwrap();
    let digest = take_digest(&json);
    let escaped = json.replace('<', "\\u003c");
    let page = format!("<code id=\"digest\">sha256:{digest}</code>\n{EVIDENCE_START}{escaped}{EVIDENCE_END}\n</html>");
    let accepted = accept(page.as_bytes()).unwrap();
    assert_eq!((read_evidence(&accepted.html).unwrap(), accepted.digest), (evidence(), digest));
    assert!(verify(page.as_bytes()).unwrap_err().what().contains("older kind"), "nobody signed what it shows");
    assert!(accept(page.replace("\"Open\"", "\"Passed\"").as_bytes()).unwrap_err().what().contains("has been changed"));
    assert!(accept(self::page().html.as_bytes()).is_ok());
}

fn nothing_left() -> After {
    After {
        at: "2026-11-26 07:00 UTC".into(),
        left: vec![],
        leaving: vec![],
        unread: vec![],
        asked: name_asked(true).into(),
        notes: vec![],
        before: "ab12".into(),
    }
}

#[test]
fn after_down_it_says_what_is_left_and_who_was_asked() {
    let told = |after| to_html(&Evidence { after: Some(after), ..evidence() }).unwrap().html;
    let page = told(nothing_left());
    assert!(page.contains("2026-11-26 07:00 UTC: nothing is left (asked: EC2, S3, Lambda, Logs, SQS,"), "{page}");
    assert!(page.contains("the report of before, whose digest is <code>sha256:ab12</code>"), "{page}");
    let note = "the tags of all services cannot be listed at once";
    let page = told(After { asked: name_asked(false).into(), notes: vec![note.into()], ..nothing_left() });
    assert!(page.contains("what else bears the lab&#39;s tags is not known)") && page.contains(note), "{page}");
    let page = told(After { unread: vec!["perhaps left: arn:1".into()], ..nothing_left() });
    assert!(page.contains("1 could not be looked at") && !page.contains("nothing is left"), "{page}");
}

#[test]
fn a_timeline_tells_when_a_run_began_and_marks_its_longest_chain() {
    let step = |role: &str, needs: &[&str], time| lab_plan::RecordedStep {
        action: "create".into(),
        kind: "subnet".into(),
        name: role.into(),
        role: role.into(),
        needs: needs.iter().map(ToString::to_string).collect(),
        state: lab_plan::State::Done,
        time: Some(time),
    };
    let run = lab_plan::RunRecord {
        program: "net-up".into(),
        heading: lab_plan::Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() },
        started_at: 1_795_669_800_000,
        took: 50,
        end: lab_plan::RunEnd::Done,
        steps: vec![step("a", &[], (0, 10)), step("b", &[], (0, 30)), step("c", &["b"], (30, 50))],
    };
    let page = to_html(&Evidence { runs: vec![run], ..evidence() }).unwrap().html;
    assert!(page.contains("net-up, from 2026-11-26 05:10:00 UTC"), "{page}");
    let marks = ["create subnet a</td>", "create subnet b\u{a0}◆</td>", "create subnet c\u{a0}◆</td>"];
    assert!(marks.iter().all(|mark| page.contains(mark)), "{page}");
}
