//! Text as a terminal shows it: how wide it is, cut, wrapped, and without what would move the cursor.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns that `text` takes. Terminals disagree about signs that are joined from several; the larger count is answered,
/// so that a line never becomes longer than it was counted.
pub(crate) fn width(text: &str) -> usize {
    text.width().max(text.chars().map(char_width).sum())
}

/// Never less than what the sign adds to a text: VS16 makes the sign before it a picture of two columns (UTS 51), and is the
/// only one that does.
fn char_width(sign: char) -> usize {
    if sign == '\u{fe0f}' { 1 } else { sign.width().unwrap_or(0) }
}

/// `text` within `columns`; what is cut off is told by `ellipsis`.
pub(crate) fn clip(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let mut clipped = take(text, room).0.trim_end().to_owned();
    if width(ellipsis) <= columns {
        clipped.push_str(ellipsis);
    }
    clipped
}

/// The first signs of `text` that fit into `columns`, and the rest.
fn take(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    let end = text.char_indices().find(|(_, sign)| {
        used += char_width(*sign);
        used > columns
    });
    text.split_at(end.map_or(text.len(), |(place, _)| place))
}

/// `text` in lines of at most `columns`, broken between words. A word that is longer than a line stays whole, so that an
/// address or an id can be copied (terminals break it by themselves), but for scripts that have no spaces between words.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        while line.is_empty() && width(word) > columns && !word.is_ascii() {
            let (head, rest) = take(word, columns);
            lines.push(head.to_owned());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `text` filled up with spaces to `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` as one line that can do nothing to a terminal: names and messages come from AWS, and anybody may have given
/// them. Control characters and those that turn the direction of writing become `�`, line ends become spaces.
pub fn clean(text: &str) -> String {
    clean_lines(text).replace('\n', " ")
}

/// [`clean`] text that keeps its lines.
pub(crate) fn clean_lines(text: &str) -> String {
    let is_turn = |sign| matches!(sign, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let clean = |sign: char| match sign {
        '\n' => '\n',
        '\r' | '\t' => ' ',
        sign if sign.is_control() || is_turn(sign) => '\u{fffd}',
        sign => sign,
    };
    text.chars().map(clean).collect()
}

/// `0.4 s`, `42 s`, `2:10`, `1:02:10`
pub(crate) fn show_time(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_where_the_column_is() {
        assert_eq!(clip("lab-vpc", 7, "…"), "lab-vpc");
        assert_eq!(clip("lab-vpc", 6, "…"), "lab-v…");
        assert_eq!(clip("実験室の雲", 10, "…"), "実験室の雲");
        assert_eq!(clip("実験室の雲", 6, "…"), "実験…", "half a sign is none");
        assert_eq!(clip("lab vpc", 5, "…"), "lab…");
        assert_eq!(clip("0\u{fe0f}0\u{fe0f}0", 5, "…"), "0\u{fe0f}0\u{fe0f}0");
        assert_eq!(clip("0\u{fe0f}0\u{fe0f}0", 4, "…"), "0\u{fe0f}0…", "a sign of two columns, by its selector");
        assert_eq!(clip("lab-vpc", 2, "..."), "", "there is no room to say that something was cut off");
    }

    #[test]
    fn words_are_wrapped_and_long_ones_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("an arn:aws:acm:us-east-1 of us", 8), ["an", "arn:aws:acm:us-east-1", "of us"]);
        assert_eq!(wrap("実験室の雲", 4), ["実験", "室の", "雲"]);
        assert_eq!(wrap("  ", 4), Vec::<String>::new());
    }

    #[test]
    fn what_would_move_the_cursor_is_told_from_text() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb c\u{fffd}d");
        assert_eq!(clean_lines("a\x1b[2J\r\n\tb"), "a\u{fffd}[2J \n b");
    }

    #[test]
    fn a_time_is_as_exact_as_it_is_short() {
        let shown = [0.04, 9.96, 42.9, 130.0, 3730.0].map(|seconds| show_time(Duration::from_secs_f64(seconds)));
        assert_eq!(shown, ["0.0 s", "10.0 s", "42 s", "2:10", "1:02:10"]);
    }

    proptest! {
        #[test]
        fn nothing_is_ever_wider_than_asked(text in "\\PC{0,40}", columns in 2usize..30) {
            prop_assert!(width(&clip(&text, columns, "…")) <= columns);
            let lines = wrap(&text, columns);
            let is_word = |line: &String| line.is_ascii() && !line.contains(' ');
            prop_assert!(lines.iter().all(|line| width(line) <= columns || is_word(line)), "{lines:?}");
            let all: String = lines.concat().split_whitespace().collect();
            prop_assert_eq!(all, text.split_whitespace().collect::<String>(), "and nothing is lost");
        }
    }
}
