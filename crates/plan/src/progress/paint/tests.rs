use proptest::prelude::*;

use super::*;
use crate::{Action, Usual};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn row(rails: &[bool], title: &str, state: State) -> Row {
    let mut row = Row::new(0, Some(Action::Create), title.to_owned(), String::new());
    row.rails = rails.to_vec();
    row.state = state;
    row
}

/// A VPN that is being associated since 0:05; it is 2:15 now.
fn board() -> Board {
    let mut endpoint = row(&[], "client-vpn-endpoint lab-client-vpn-endpoint", State::Done);
    (endpoint.more, endpoint.ended) = ("cvpn-endpoint-1".into(), seconds(4));
    let mut association = row(&[true], "association lab-実験-subnet", State::Running);
    (association.more, association.began) = ("is associating".into(), seconds(5));
    association.usual = Some(Usual::minutes(5, 10, "a guide"));
    association.needs = vec![0];
    let mut route = row(&[true, false], "route 0.0.0.0/0", State::Waiting);
    route.needs = vec![1];
    let mut rule = row(&[false], "authorization-rule 10.0.0.0/16", State::Failed);
    (rule.action, rule.began, rule.ended) = (Some(Action::Update), seconds(4), seconds(12));
    Board { rows: vec![endpoint, association, route, rule], is_plan: true }
}

fn paint(look: Look, columns: usize, height: usize) -> String {
    paint_live(&board(), look, (columns, height), seconds(135)).join("\n")
}

#[test]
fn at_80_columns_a_tree_shows_states_and_what_the_end_depends_on() {
    assert_eq!(
        paint(Look::LIVE, 80, 24),
        [
            "  ✓ + client-vpn-endpoint lab-client-vpn-endpoint  cvpn-endpoint-1        4.0 s",
            "  ⠴ + ├─ association lab-実験-subnet: is associating   2:10 of usually 5–10 min",
            "  · + │  └─ route 0.0.0.0/0",
            "  ✗ ~ └─ authorization-rule 10.0.0.0/16                           failed, 8.0 s",
            "  1 of 4 done, 2:15; longest: association lab-実験-subnet, 2:10 of 5–10 min",
        ]
        .join("\n")
    );
}

#[test]
fn at_40_columns_titles_give_way_to_times() {
    assert_eq!(
        paint(Look::LIVE, 40, 24),
        [
            "  ✓ + client-vpn-endpoint lab-cl… 4.0 s",
            "  ⠴ + ├ association lab-実験-subn… 2:10",
            "  · + │ └ route 0.0.0.0/0",
            "  ✗ ~ └ authorization-rule 10.0… failed",
            "  1/4, 2:15; associa…, 2:10 of 5–10 min",
        ]
        .join("\n")
    );
}

#[test]
fn without_unicode_levels_are_spaces_and_signs_are_ascii() {
    let text = paint(Look { unicode: false, ..Look::LIVE }, 80, 24);
    assert!(text.starts_with("  * + client-vpn-endpoint"), "{text}");
    assert!(text.contains(" +   association lab-実験-subnet"), "{text}");
    assert!(!text.contains(['✓', '├', '…', '–']), "{text}");
}

#[test]
fn what_has_no_room_is_counted() {
    let text = paint(Look::LIVE, 80, 4);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("association") && text.contains("(+2 not shown)"), "what runs is shown first: {text}");
}

#[test]
fn a_wait_past_its_usual_time_says_so() {
    let mut board = board();
    board.rows[1].began = Duration::ZERO;
    let text = paint_live(&board, Look::LIVE, (100, 24), seconds(700)).join("\n");
    assert!(text.contains("11:40, longer than usual (5–10 min)"), "{text}");
}

#[test]
fn what_was_done_stays_in_sight_and_half_an_id_is_none() {
    let mut row = row(&[], "subnet lab-public-subnet", State::Done);
    (row.detail, row.more) = ("public addresses".into(), "subnet-0123456789abcdef0".into());
    row.action = Some(Action::Update);
    let wide = paint_row(&row, Look::LIVE, 90, seconds(9));
    assert!(wide.contains("subnet lab-public-subnet (public addresses)  subnet-0123456789abcdef0"), "{wide}");
    let narrow = paint_row(&row, Look::LIVE, 70, seconds(9));
    assert!(narrow.contains("(public addresses)  ") && !narrow.contains("subnet-0"), "{narrow}");
}

#[test]
fn a_narrow_wait_says_what_it_waits_for_before_how_long_that_usually_is() {
    let mut row = Row::new(0, None, "check".into(), String::new());
    row.begin(seconds(0));
    (row.more, row.usual) = ("status checks of lab-public-ec2".into(), Some(Usual::minutes(2, 4, "")));
    let line = paint_row(&row, Look::LIVE, 39, seconds(1));
    assert!(line.contains("check: status checks of lab-pu") && line.ends_with(" 1 s"), "{line}");
    let line = paint_row(&row, Look::LIVE, 79, seconds(1));
    assert!(line.ends_with("1 s of usually 2–4 min"), "{line}");
}

#[test]
fn who_was_stopped_has_not_failed() {
    let mut row = row(&[], "vpc lab-vpc", State::Failed);
    row.more = "stopped".into();
    let line = paint_row(&row, Look::LIVE, 60, seconds(1));
    assert!(line.contains("stopped, 0.0 s") && !line.contains("failed"), "{line}");
}

#[test]
fn a_colour_never_says_something_alone() {
    let plain = paint(Look::LIVE, 80, 24);
    let colored = paint(Look { color: true, ..Look::LIVE }, 80, 24);
    let mut stripped = colored.clone();
    for code in ["\x1b[36m", "\x1b[33m", "\x1b[1;31m", "\x1b[2m", "\x1b[0m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
    assert_ne!(colored, plain);
}

fn any_row() -> impl Strategy<Value = Row> {
    let state = prop::sample::select(vec![State::Waiting, State::Running, State::Done, State::Failed, State::Blocked]);
    (prop::collection::vec(any::<bool>(), 0..9), "\\PC{0,60}", "\\PC{0,60}", state, 0u64..20_000, any::<bool>())
        .prop_map(|(rails, title, more, state, began, has_usual)| {
            let mut row = row(&rails, &crate::text::clean(&title), state);
            row.more = crate::text::clean(&more);
            row.detail = row.more.clone();
            row.began = seconds(began);
            row.ended = seconds(began + 9);
            row.usual = has_usual.then(|| Usual::minutes(5, 10, ""));
            row
        })
}

proptest! {
    #[test]
    fn no_line_ever_reaches_the_last_column(
        rows in prop::collection::vec(any_row(), 1..30), columns in 21usize..240, height in 1usize..60,
        is_plan in any::<bool>(), unicode in any::<bool>(),
    ) {
        let board = Board { rows, is_plan };
        let lines = paint_live(&board, Look { unicode, ..Look::LIVE }, (columns, height), seconds(20_100));
        for line in &lines {
            prop_assert!(width(line) < columns, "{} of {columns}: {line}", width(line));
        }
        prop_assert!(lines.len() < height.max(3));
    }
}
