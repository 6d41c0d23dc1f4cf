//! Text within a terminal's width: rows as a table, prose in lines, commands whole.

use crate::Look;
use crate::problem::PROGRAMS;
use crate::text::{pad, width, wrap};

/// How far text is indented that goes on below its line.
pub(crate) const INDENT: &str = "      ";
/// Programs beside those of one lab that our notes and remedies tell to run.
const OTHERS: [&str; 13] = [
    "aws", "cargo", "chmod", "class-up", "curl", "docker", "export", "kill", "lab-sim", "openssl", "openvpn", "ssh",
    "sudo",
];
/// What a line of an error or a note begins with.
const LABELS: [&str; 3] = ["why:", "fix:", "note:"];
/// Prose has at least so many columns, however far it is indented.
const LEAST: usize = 10;

/// What one row of a table says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableRow {
    /// What has columns, which all rows have in common.
    pub cells: Vec<String>,
    /// What stands behind them, in no column.
    pub rest: String,
}

impl Look {
    /// `rows` behind an indent of two columns, without it in the text: in columns where that fits, else the first `head`
    /// cells of each and the rest below them; with commas for a screen reader. Each row ends without a newline.
    pub fn lay_out(self, rows: &[TableRow], head: usize) -> Vec<String> {
        if self.plain {
            return rows.iter().map(TableRow::join).collect();
        }
        let count = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let widest = |cell: usize| rows.iter().filter_map(|row| row.cells.get(cell)).map(|cell| width(cell)).max();
        let widths: Vec<_> = (0..count).map(|cell| widest(cell).unwrap_or(0)).collect();
        let lines = rows.iter().map(|row| {
            let cells: String = row.cells.iter().zip(&widths).map(|(cell, width)| pad(cell, *width) + "  ").collect();
            format!("{cells}{}", row.rest).trim_end().to_owned()
        });
        let lines: Vec<_> = lines.collect();
        let widest = lines.iter().map(|line| width(line)).max().unwrap_or(0);
        match self.columns() {
            Some(columns) if widest + 2 > columns => rows.iter().map(|row| row.stack(head, columns)).collect(),
            _ => lines,
        }
    }

    /// `text` within the terminal's width. What goes on is indented below its line; commands and long words stay whole, so
    /// that they can be copied.
    pub fn fold(self, text: &str) -> String {
        match self.columns() {
            Some(columns) => text.split('\n').map(|line| fold_line(line, columns)).collect::<Vec<_>>().join("\n"),
            None => text.to_owned(),
        }
    }
}

impl TableRow {
    /// For a screen reader.
    fn join(&self) -> String {
        let cells = self.cells.iter().chain([&self.rest]).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
        cells.collect::<Vec<_>>().join(", ")
    }

    fn stack(&self, head: usize, columns: usize) -> String {
        let room = columns.saturating_sub(INDENT.len());
        let (head, rest) = self.cells.split_at(head.min(self.cells.len()));
        let mut lines = wrap(&head.join(" "), room);
        lines.extend(wrap(&format!("{} {}", rest.join(" "), self.rest), room));
        lines.join(&format!("\n{INDENT}"))
    }
}

fn fold_line(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let hang = find_hang(line, columns);
    let mut lines = Vec::new();
    let mut current = String::new();
    for Unit { gap, text } in split_units(line) {
        let is_first = current.trim().is_empty();
        let fits = width(&current) + width(gap) + width(&text) <= columns;
        // What fits nowhere gains nothing by a line of its own, when only a label stands before it.
        let fits_below = hang + width(&text) <= columns;
        let is_label = lines.is_empty() && LABELS.contains(&current.trim());
        if is_first || fits || (is_label && !fits_below) {
            let gap = if is_first && !lines.is_empty() { "" } else { gap };
            current.push_str(gap);
        } else {
            lines.push(std::mem::replace(&mut current, " ".repeat(hang)));
        }
        current.push_str(&text);
    }
    lines.push(current);
    lines.join("\n")
}

/// How far what goes on of a line is indented: behind its label, or below its last column, where it has columns.
fn find_hang(line: &str, columns: usize) -> usize {
    let text = line.trim_start();
    let indent = line.len() - text.len();
    let label = text.split(' ').next().filter(|word| LABELS.contains(word));
    let column = text.rmatch_indices("  ").map(|(place, gap)| indent + width(&text[..place]) + gap.len());
    let column = column.filter(|column| *column <= columns / 2).max();
    let hang = column.or(label.map(|label| indent + label.len() + 1)).unwrap_or(indent + 2);
    hang.min(columns.saturating_sub(LEAST))
}

/// What a line is never broken within, and the spaces before it.
struct Unit<'a> {
    gap: &'a str,
    text: String,
}

/// Words, and commands between backticks, or from behind a colon to the next comma.
fn split_units(line: &str) -> Vec<Unit<'_>> {
    enum Open {
        Nothing,
        Quote,
        Command,
    }
    let ends = |word: &str| word.ends_with([',', ';']);
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut open = Open::Nothing;
    // A remedy's second line may be nothing but a command.
    let mut may_begin = line.starts_with("       ");
    let mut rest = line;
    while let Some((gap, word, behind)) = next_word(rest) {
        rest = behind;
        let is_quote = word.matches('`').count() % 2 == 1;
        match (&open, units.last_mut()) {
            (Open::Nothing, _) | (_, None) => {
                units.push(Unit { gap, text: word.to_owned() });
                let is_command = may_begin && (PROGRAMS.contains(&word) || OTHERS.contains(&word)) && !ends(word);
                open = match (is_quote, is_command) {
                    (true, _) => Open::Quote,
                    (false, true) => Open::Command,
                    (false, false) => Open::Nothing,
                };
            }
            (Open::Quote | Open::Command, Some(unit)) => {
                unit.text.push_str(gap);
                unit.text.push_str(word);
                let closes = if matches!(open, Open::Quote) { is_quote } else { ends(word) };
                if closes {
                    open = Open::Nothing;
                }
            }
        }
        may_begin = word.ends_with(':') && !["why:", "note:"].contains(&word);
    }
    units
}

/// The spaces before the first word, the word, and what stands behind it.
fn next_word(text: &str) -> Option<(&str, &str, &str)> {
    let word = text.trim_start();
    let gap = &text[..text.len() - word.len()];
    let end = word.find(char::is_whitespace).unwrap_or(word.len());
    (end > 0).then(|| (gap, &word[..end], &word[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fold(text: &str, columns: usize) -> String {
        Look::page(Some(columns)).fold(text)
    }

    #[test]
    fn prose_is_wrapped_between_words_and_what_goes_on_is_indented() {
        assert_eq!(
            fold("net-up: not everything could be done\n  why: things of others stand in the VPC\n  fix: ask them", 30),
            "net-up: not everything could\n  be done\n  why: things of others stand\n       in the VPC\n  fix: ask them"
        );
        assert_eq!(fold("note: the hosts run all the time", 20), "note: the hosts run\n      all the time");
        assert_eq!(fold("budget:   it lasts for ten hours", 24), "budget:   it lasts for\n          ten hours");
        assert_eq!(Look::page(None).fold("a long line stays in a pipe"), "a long line stays in a pipe");
    }

    #[test]
    fn commands_stay_whole() {
        let command = "net-up down --lab hol02 --owner ada";
        assert_eq!(fold(&format!("go on: {command}"), 20), format!("go on:\n  {command}"));
        assert_eq!(fold(&format!("  fix: {command}"), 20), format!("  fix: {command}"), "nothing is gained by a break");
        let both = fold(&format!("  fix: pause it: {command}, or run `{command}` at once"), 40);
        assert_eq!(both.matches(command).count(), 2, "{both}");
        assert_eq!(fold("see https://docs.aws.amazon.com/vpc/", 12), "see\n  https://docs.aws.amazon.com/vpc/");
    }

    fn rows() -> Vec<TableRow> {
        let row =
            |cells: [&str; 3], rest: &str| TableRow { cells: cells.map(str::to_owned).to_vec(), rest: rest.into() };
        vec![row(["vpc", "lab-実験", "vpc-1"], ""), row(["instance", "lab-ec2", "i-1"], "0.0104 $/h")]
    }

    #[test]
    fn rows_are_columns_where_they_fit_and_lines_below_each_other_elsewhere() {
        let wide = ["vpc       lab-実験  vpc-1", "instance  lab-ec2   i-1    0.0104 $/h"];
        assert_eq!(Look::page(None).lay_out(&rows(), 2), wide);
        assert_eq!(Look::page(Some(39)).lay_out(&rows(), 2), wide, "with the two columns before it");
        let stacked = ["vpc lab-実験\n      vpc-1", "instance lab-ec2\n      i-1 0.0104 $/h"];
        assert_eq!(Look::page(Some(38)).lay_out(&rows(), 2), stacked);
        let plain = Look { plain: true, ..Look::page(None) };
        assert_eq!(plain.lay_out(&rows(), 2), ["vpc, lab-実験, vpc-1", "instance, lab-ec2, i-1, 0.0104 $/h"]);
    }

    proptest! {
        #[test]
        fn a_row_never_reaches_beyond_the_terminal(name in "[a-z実験 -]{0,60}", columns in 20usize..90) {
            let row = TableRow { cells: vec!["vpc".into(), name, "vpc-1".into()], rest: "available".into() };
            for line in Look::page(Some(columns)).lay_out(&[row], 2).iter().flat_map(|row| row.lines()).enumerate() {
                let indent = if line.0 == 0 { 2 } else { 0 };
                prop_assert!(width(line.1) + indent <= columns, "{line:?}");
            }
        }

        #[test]
        fn folding_loses_no_word(text in "[a-z`:,実 ]{0,120}", columns in 20usize..60) {
            let all = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(all(&fold(&text, columns)), all(&text));
        }
    }
}
