//! What a stream can show: colours, lines that are redrawn, more than ASCII; and how wide it is.

use std::io::IsTerminal as _;

use terminal_size::{Height, Width, terminal_size_of};

/// How text is shown on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four answers that do not depend on each other")]
pub struct Look {
    /// One line an event, words instead of signs, nothing drawn: for a screen reader.
    pub plain: bool,
    /// Lines may be redrawn.
    pub live: bool,
    /// Text may be coloured.
    pub color: bool,
    /// There is more than ASCII.
    pub unicode: bool,
    pub(crate) measure: Measure,
}

/// What is as wide as the text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Stdout,
    Stderr,
    Columns(Option<usize>),
}

/// A meaning that a colour adds to; a sign or a word always says it too. The three differ in brightness and in blue, so that
/// who confuses red and green still tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Done, or added.
    Good,
    /// Under way, or changed.
    Change,
    /// Failed, or removed.
    Bad,
    /// What need not be looked at.
    Quiet,
}

impl Look {
    /// How stderr is, in this environment. `plain` is what the user said of it.
    pub fn of_stderr(plain: bool) -> Self {
        Self::judge(Measure::Stderr, std::io::stderr().is_terminal(), plain, |name| std::env::var(name).ok())
    }

    /// How stdout is, in this environment. `plain` is what the user said of it.
    pub fn of_stdout(plain: bool) -> Self {
        Self::judge(Measure::Stdout, std::io::stdout().is_terminal(), plain, |name| std::env::var(name).ok())
    }

    /// Text and nothing else, within so many columns; `None` bounds nothing.
    pub const fn page(columns: Option<usize>) -> Self {
        Self { plain: false, live: false, color: false, unicode: true, measure: Measure::Columns(columns) }
    }

    /// By the conventions of <https://no-color.org> and <https://bixense.com/clicolors>.
    fn judge(measure: Measure, is_terminal: bool, plain: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").filter(|term| term != "dumb");
        let draws = is_terminal && term.is_some() && !plain;
        let is_forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let wants_color = is_forced || (draws && set("CLICOLOR").is_none_or(|value| value != "0"));
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name)).unwrap_or_default();
        let is_utf8 = ["utf-8", "utf8"].iter().any(|name| locale.to_ascii_lowercase().contains(name));
        Self {
            plain,
            live: draws,
            color: wants_color && !plain && set("NO_COLOR").is_none(),
            // The console of Linux itself has few signs.
            unicode: is_utf8 && !plain && term.as_deref() != Some("linux"),
            measure,
        }
    }

    /// Columns and rows of the terminal; where there is none, no width bounds the text.
    pub fn size(self) -> Option<(usize, usize)> {
        let size = match self.measure {
            Measure::Stdout => terminal_size_of(std::io::stdout()),
            Measure::Stderr => terminal_size_of(std::io::stderr()),
            Measure::Columns(columns) => {
                columns.map(|columns| (Width(u16::try_from(columns).unwrap_or(u16::MAX)), Height(24)))
            }
        };
        size.filter(|(Width(columns), _)| *columns > 0)
            .map(|(Width(columns), Height(rows))| (usize::from(columns), usize::from(rows)))
    }

    /// Columns within which text is laid out: the terminal's. What is no terminal has no bound, and neither has a
    /// screen reader.
    pub fn columns(self) -> Option<usize> {
        self.size().map(|(columns, _)| columns).filter(|_| !self.plain)
    }

    /// `text` in a colour, where there are colours.
    pub(crate) fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Good => "36",
            Ink::Change => "33",
            Ink::Bad => "1;31",
            Ink::Quiet => "2",
        };
        if self.color && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What stands for text that was cut off.
    pub(crate) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}

#[cfg(test)]
impl Look {
    /// Nothing but text.
    pub(crate) const PIPE: Self = Self::page(None);
    /// A terminal without colours.
    pub(crate) const LIVE: Self = Self { live: true, ..Self::PIPE };

    /// So wide.
    pub(crate) fn within(self, columns: Option<usize>) -> Self {
        Self { measure: Measure::Columns(columns), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(is_terminal: bool, plain: bool, variables: &[(&str, &str)]) -> (bool, bool, bool) {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let look = Look::judge(Measure::Stderr, is_terminal, plain, find);
        (look.live, look.color, look.unicode)
    }

    const XTERM: (&str, &str) = ("TERM", "xterm-256color");
    const UTF8: (&str, &str) = ("LANG", "de_CH.UTF-8");

    #[test]
    fn a_terminal_draws_in_colour_unless_it_or_its_user_cannot() {
        assert_eq!(look(true, false, &[XTERM, UTF8]), (true, true, true));
        assert_eq!(look(true, false, &[XTERM, UTF8, ("NO_COLOR", "1")]), (true, false, true));
        assert_eq!(look(true, false, &[XTERM, UTF8, ("NO_COLOR", "")]), (true, true, true), "empty means unset");
        assert_eq!(look(true, false, &[XTERM, UTF8, ("CLICOLOR", "0")]), (true, false, true));
        assert_eq!(look(true, false, &[("TERM", "dumb"), UTF8]), (false, false, true));
        assert_eq!(look(true, false, &[UTF8]), (false, false, true), "an unknown terminal is a dumb one");
        assert_eq!(look(true, false, &[XTERM, ("LC_ALL", "C"), UTF8]), (true, true, false), "LC_ALL goes first");
        assert_eq!(look(true, false, &[("TERM", "linux"), UTF8]), (true, true, false));
        assert_eq!(look(true, true, &[XTERM, UTF8]), (false, false, false), "--plain");
    }

    #[test]
    fn what_is_no_terminal_gets_colours_only_by_force() {
        assert_eq!(look(false, false, &[XTERM, UTF8]), (false, false, true));
        assert_eq!(look(false, false, &[UTF8, ("CLICOLOR_FORCE", "1")]), (false, true, true));
        assert_eq!(look(false, false, &[UTF8, ("CLICOLOR_FORCE", "0")]), (false, false, true));
        assert_eq!(look(false, false, &[UTF8, ("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), (false, false, true));
        assert_eq!(look(false, true, &[UTF8, ("CLICOLOR_FORCE", "1")]), (false, false, false));
    }
}
