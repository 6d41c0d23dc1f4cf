//! The board as lines of text within a terminal's width and height. Pure.

use std::time::Duration;

use super::board::{Board, Row};
use crate::State;
use crate::look::{Ink, Look};
use crate::text::{clip, pad, show_time, width};

/// Fewer columns are taken for this many: nothing could be read any more.
const NARROWEST: usize = 20;
/// A tree deeper than this is drawn as if it were not.
const DEEPEST: usize = 6;
/// From this width on a level of the tree takes three columns instead of two.
const ROOMY: usize = 60;
/// A time stands behind its line at most this far from the left, so that the eye finds it on a wide terminal.
const WIDEST: usize = 110;

/// The lines of `board` at `now`, none of them wider than the terminal, and the last column always free: some terminals
/// go to the next line as soon as it is written to. What does not fit into the height is counted in the last line.
pub(crate) fn paint_live(board: &Board, look: Look, size: (usize, usize), now: Duration) -> Vec<String> {
    let (columns, height) = (usable(size.0), size.1.max(3));
    let has_footer = board.rows.len() > 1;
    let room = height - 1 - usize::from(has_footer);
    let shown = choose(board, room);
    let rows = board.rows.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(row, _)| row);
    let mut lines: Vec<_> = rows.map(|row| paint_row(row, look, columns, now)).collect();
    if has_footer {
        let hidden = shown.iter().filter(|shown| !**shown).count();
        lines.push(look.ink(Ink::Quiet, &paint_footer(board, hidden, look, columns, now)));
    }
    lines
}

/// One line as it stays: within the terminal's width, or whole where there is none.
pub(crate) fn paint_row(row: &Row, look: Look, columns: usize, now: Duration) -> String {
    let rails = paint_rails(&row.rails, look, columns);
    let action = row.action.map_or(String::new(), |action| format!("{} ", action.sign()));
    let head = 4 + width(&action) + width(&rails);
    let texts = say(row);
    let whole = head + texts.first().map_or(0, |text| width(text));
    let longest = paint_time(row, look, now).first().map_or(0, |time| width(time) + 1);
    let columns = columns.min(WIDEST.max(whole + longest));
    // What is said goes before a long form of the time, and a short form of the time before none.
    let least = texts.first().map_or(0, |text| width(text)).min(columns.saturating_sub(head) * 3 / 5);
    let time = paint_time(row, look, now).into_iter().find(|time| head + least + 1 + width(time) <= columns);
    let time = time.unwrap_or_default();
    let room = columns.saturating_sub(head + width(&time) + usize::from(!time.is_empty()));
    let text = texts.iter().find(|text| width(text) <= room).or(texts.last());
    let text = clip(text.map_or("", String::as_str), room, look.ellipsis());
    let tail = if time.is_empty() { text } else { format!("{} {}", pad(&text, room), look.ink(Ink::Quiet, &time)) };
    let action = row.action.map_or_else(String::new, |is| look.ink(is.ink(), &action));
    format!("  {} {action}{}{tail}", paint_state(row, look, now), look.ink(Ink::Quiet, &rails))
}

/// The title and what is said behind it, from its longest form to its shortest: half an id says nothing.
fn say(row: &Row) -> Vec<String> {
    let Row { title, detail, more, .. } = row;
    let why = if detail.is_empty() { title.clone() } else { format!("{title} ({detail})") };
    match row.state {
        State::Running if !more.is_empty() => vec![format!("{title}: {more}")],
        State::Done if !more.is_empty() => vec![format!("{why}  {more}"), why],
        _ => vec![why],
    }
}

/// Columns that may be written to.
pub(crate) fn usable(columns: usize) -> usize {
    columns.saturating_sub(1).max(NARROWEST)
}

fn paint_state(row: &Row, look: Look, now: Duration) -> String {
    const SPIN: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    const SPIN_ASCII: [&str; 4] = ["|", "/", "-", "\\"];
    let turn = usize::try_from(now.as_millis() / 120).unwrap_or(0);
    let (ink, sign, ascii) = match row.state {
        State::Waiting => (Ink::Quiet, "·", "."),
        State::Running => (Ink::Change, SPIN[turn % SPIN.len()], SPIN_ASCII[turn % SPIN_ASCII.len()]),
        State::Done => (Ink::Good, "✓", "*"),
        State::Failed => (Ink::Bad, "✗", "x"),
        State::Blocked => (Ink::Quiet, "»", ">"),
    };
    look.ink(ink, if look.unicode { sign } else { ascii })
}

/// The branches that lead to a row.
fn paint_rails(rails: &[bool], look: Look, columns: usize) -> String {
    let wide = columns >= ROOMY;
    let rails = &rails[rails.len().saturating_sub(DEEPEST)..];
    let Some((last, above)) = rails.split_last() else { return String::new() };
    if !look.unicode {
        return "  ".repeat(rails.len());
    }
    let above = above.iter().map(|more| match (more, wide) {
        (true, true) => "│  ",
        (true, false) => "│ ",
        (false, true) => "   ",
        (false, false) => "  ",
    });
    let last = match (last, wide) {
        (true, true) => "├─ ",
        (true, false) => "├ ",
        (false, true) => "└─ ",
        (false, false) => "└ ",
    };
    above.chain([last]).collect()
}

/// The right-hand side, from its longest form to its shortest.
fn paint_time(row: &Row, look: Look, now: Duration) -> Vec<String> {
    match row.state {
        State::Waiting => Vec::new(),
        State::Blocked => vec!["skipped".to_owned()],
        State::Done => vec![show_time(row.took(now))],
        State::Failed => {
            let word = if row.more.is_empty() { "failed" } else { &row.more };
            vec![format!("{word}, {}", show_time(row.took(now))), word.to_owned()]
        }
        State::Running => {
            let time = show_coarse(row.took(now));
            let Some(usual) = row.usual else { return vec![time] };
            let (usual, is_late) = (usual.show(if look.unicode { "–" } else { "-" }), row.took(now) > usual.longest());
            let long = if is_late {
                format!("{time}, longer than usual ({usual})")
            } else {
                format!("{time} of usually {usual}")
            };
            vec![long, format!("{time} of {usual}"), time]
        }
    }
}

/// Tenths would flicker.
fn show_coarse(time: Duration) -> String {
    if time < Duration::from_secs(10) { format!("{} s", time.as_secs()) } else { show_time(time) }
}

/// How far the run is, and what its end depends on.
fn paint_footer(board: &Board, hidden: usize, look: Look, columns: usize, now: Duration) -> String {
    let (all, done, running) = (board.rows.len(), board.count(State::Done), board.count(State::Running));
    let time = show_coarse(now);
    let (count, short) = if board.is_plan {
        (format!("{done} of {all} done, {time}"), format!("{done}/{all}, {time}"))
    } else {
        (format!("{running} under way, {time}"), format!("{running}, {time}"))
    };
    let hidden = if hidden == 0 { String::new() } else { format!(" (+{hidden} not shown)") };
    let pole = board.find_pole(now).filter(|_| board.is_plan);
    let mut forms = Vec::new();
    if let Some(pole) = pole {
        let what =
            if pole.more.is_empty() { pole.full_title() } else { format!("{}: {}", pole.full_title(), pole.more) };
        let times = paint_time(pole, look, now);
        let long = times.first().cloned().unwrap_or_default();
        let middle = times.get(1).unwrap_or(&long).clone();
        forms = vec![
            format!("  {count}{hidden}; longest: {what}, {long}"),
            format!("  {count}{hidden}; longest: {}, {long}", pole.full_title()),
            format!("  {count}{hidden}; longest: {}, {middle}", pole.title),
            format!("  {short}{hidden}; longest: {}, {middle}", pole.title),
        ];
        // Where nothing of this fits, the title gives way to the time.
        for (word, least) in [("longest: ", 16), ("", 6)] {
            let room = columns.saturating_sub(width(&format!("  {short}{hidden}; {word}, {middle}")));
            let title = clip(&pole.title, room.max(least), look.ellipsis());
            forms.push(format!("  {short}{hidden}; {word}{title}, {middle}"));
        }
    }
    forms.push(format!("  {count}{hidden}"));
    forms.push(format!("  {short}{hidden}"));
    let last = forms.last().cloned().unwrap_or_default();
    let fits = forms.into_iter().find(|form| width(form) <= columns);
    fits.unwrap_or_else(|| clip(&last, columns, look.ellipsis()))
}

/// Which rows are shown where not all have room: first what runs, then what failed, what comes next, what was done last.
fn choose(board: &Board, room: usize) -> Vec<bool> {
    let mut shown = vec![board.rows.len() <= room; board.rows.len()];
    if shown.first() != Some(&false) {
        return shown;
    }
    let rank = |row: &Row| match row.state {
        State::Running => (0, Duration::ZERO),
        State::Failed => (1, Duration::ZERO),
        State::Waiting => (2, Duration::ZERO),
        State::Done => (3, Duration::MAX.saturating_sub(row.ended)),
        State::Blocked => (4, Duration::ZERO),
    };
    let mut order: Vec<usize> = (0..board.rows.len()).collect();
    order.sort_by_key(|index| rank(&board.rows[*index]));
    for index in order.into_iter().take(room) {
        shown[index] = true;
    }
    shown
}

#[cfg(test)]
mod tests;
