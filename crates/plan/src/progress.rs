//! What the user sees on stderr while steps run: a line a step, redrawn on a terminal, plain lines otherwise.

use std::time::{Duration, Instant};

use console::{Term, style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{Problem, print_err};

/// Draws the steps of a run on stderr. Colours and redrawing only on a terminal; `NO_COLOR` and `TERM=dumb` respected.
#[derive(Debug)]
pub struct Progress(Mode);

#[derive(Debug)]
enum Mode {
    Silent,
    Lines,
    Redrawn(MultiProgress),
}

impl Progress {
    /// For stderr as it is: redrawn on a terminal, plain lines otherwise.
    pub fn stderr() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if Term::stderr().is_term() && !dumb {
            Self(Mode::Redrawn(MultiProgress::with_draw_target(ProgressDrawTarget::stderr())))
        } else {
            Self(Mode::Lines)
        }
    }

    /// Shows nothing.
    pub fn silent() -> Self {
        Self(Mode::Silent)
    }

    /// Shows a line of text above whatever is being redrawn.
    pub fn say(&self, text: &str) {
        match &self.0 {
            Mode::Silent => {}
            Mode::Lines => print_err(text),
            Mode::Redrawn(bars) => bars.suspend(|| print_err(text)),
        }
    }

    /// Begins a line that [`Line::end`] ends.
    pub fn begin(&self, title: &str, detail: &str) -> Line<'_> {
        let title = if detail.is_empty() { title.to_owned() } else { format!("{title} ({detail})") };
        let bar = match &self.0 {
            Mode::Redrawn(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                bar.set_style(spinner());
                bar.set_message(title.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                Some(bar)
            }
            Mode::Silent | Mode::Lines => None,
        };
        let now = Instant::now();
        Line { progress: self, bar, title, start: now, said: std::cell::Cell::new(now) }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A step or a wait under way.
#[derive(Debug)]
pub struct Line<'a> {
    progress: &'a Progress,
    bar: Option<ProgressBar>,
    title: String,
    start: Instant,
    said: std::cell::Cell<Instant>,
}

/// Without a terminal a long wait speaks up this often.
const SPEAK_UP: Duration = Duration::from_secs(20);

impl Line<'_> {
    /// Says what it waits for now.
    pub fn waits_for(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {what}", self.title));
        } else if self.said.get().elapsed() >= SPEAK_UP {
            self.said.set(Instant::now());
            self.progress.say(&format!(
                "  ...     {}: {what} ({:.0} s)",
                self.title,
                self.start.elapsed().as_secs_f64()
            ));
        }
    }

    /// Ends the line: done, with the id of what was made, or failed.
    pub fn end(self, answer: Result<Option<&str>, &Problem>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let (word, tail) = match answer {
            Ok(id) => (style("done  ").green(), id.map(|id| format!("  {id}")).unwrap_or_default()),
            Err(_) => (style("failed").red(), String::new()),
        };
        self.progress.say(&format!("  {}  {}{tail}  {seconds:.1} s", word.for_stderr(), self.title));
    }

    /// Ends the line without a word.
    pub fn clear(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
