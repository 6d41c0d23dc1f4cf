//! What went wrong, why, and how to go on: the one error a user ever sees.

use std::fmt;
use std::process::ExitCode;

use crate::text::clean_lines;

/// How a program of the lab ends. The numbers are part of the command-line contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for is done.
    Done,
    /// Something failed; what was done stays done.
    Failed,
    /// The command line or lab.toml is wrong; nothing was changed.
    Usage,
    /// `plan --check` found something to change, or a check of `status` something that is not complete.
    Changes,
    /// Ctrl-C (SIGINT).
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// As the command ended that the program was asked to run.
    Command(u8),
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Changes => 3,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What kind of refusal a problem is, where programs go on differently for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// These credentials may not make the call; others of the program's calls may still succeed.
    Denied,
    /// There are no credentials, or none that AWS takes: trying again cannot help.
    Credentials,
}

/// An error as the user reads it: what is wrong, why, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    what: String,
    why: Option<String>,
    fix: Option<String>,
    exit: Exit,
    cause: Option<Cause>,
    ends_all: bool,
    made_nothing: bool,
}

impl Problem {
    /// Something failed while working. Ends with [`Exit::Failed`].
    pub fn failed(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: None,
            fix: None,
            exit: Exit::Failed,
            cause: None,
            ends_all: false,
            made_nothing: false,
        }
    }

    /// The command line or a file is wrong; nothing was changed. Ends with [`Exit::Usage`].
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(what) }
    }

    /// The reason behind it, often in the words of AWS.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The same, with its place in front (`roster.csv:3: `).
    #[must_use]
    pub fn naming(mut self, place: &str) -> Self {
        self.what.insert_str(0, place);
        self
    }

    /// What to do next.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds the options that say which lab was meant (` --lab hol02 --owner ada`), where the remedy names programs of ours
    /// without them. Copied as it stands, it would mean another lab, or none.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        let options = options.trim();
        // Several problems in one have their remedies in its text.
        let remedy = self.fix.as_deref().unwrap_or(if self.what.contains("\n  fix: ") { &self.what } else { "" });
        if options.is_empty() || !names_program(remedy) || remedy.contains(options) {
            return self;
        }
        let with = format!("each of these programs with: {options}");
        self.fix = Some(self.fix.map_or(with.clone(), |fix| format!("{fix}\n{with}")));
        self
    }

    /// Ends the program with `exit` instead.
    #[must_use]
    pub fn exit_with(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// The kind of refusal that it is.
    #[must_use]
    pub fn caused_by(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Every further call would meet it too, as when the credentials have expired: nothing new is to be started.
    #[must_use]
    pub fn ending_all(mut self) -> Self {
        self.ends_all = true;
        self
    }

    /// The call that should have made something was refused: nothing of it exists.
    #[must_use]
    pub fn having_made_nothing(mut self) -> Self {
        self.made_nothing = true;
        self
    }

    /// Whether it is certain that nothing was made.
    pub fn has_made_nothing(&self) -> bool {
        self.made_nothing
    }

    /// Whether every further call would meet it too.
    pub fn ends_all(&self) -> bool {
        self.ends_all
    }

    /// What is wrong, in one sentence.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The reason, where one is known.
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// The remedy, where one is known.
    pub fn remedy(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// Whether these credentials may not make the call ([`Cause::Denied`]).
    pub fn is_denial(&self) -> bool {
        self.cause == Some(Cause::Denied)
    }

    /// Whether there are no credentials that AWS takes ([`Cause::Credentials`]).
    pub fn is_about_credentials(&self) -> bool {
        self.cause == Some(Cause::Credentials)
    }

    /// How a program that stops here ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Folds several problems into one, each in its own paragraph. `None` when there are none.
    /// The first problem decides how the program ends; a cause is kept that all of them share.
    pub fn all(problems: &[Self]) -> Option<Self> {
        let Self { exit, cause, .. } = *problems.first()?;
        if let [one] = problems {
            return Some(one.clone());
        }
        let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let ends_all = problems.iter().any(Self::ends_all);
        let cause = cause.filter(|_| problems.iter().all(|problem| problem.cause == cause));
        Some(Self { cause, ends_all, ..Self::failed(text).exit_with(exit) })
    }
}

/// The programs that work on one lab.
pub const PROGRAMS: [&str; 6] = ["net-up", "host-up", "pipeline-up", "vpn-setup", "upload-sample-image", "lab-status"];

/// Whether a text names one of [`PROGRAMS`].
pub(crate) fn names_program(text: &str) -> bool {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '-' || sign == '/' || sign == '_';
    text.split(|sign| !is_part(sign)).any(|word| PROGRAMS.contains(&word))
}

/// As the user reads it. What AWS or a file says stands in it, so that nothing in it can move a terminal's cursor.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean_lines(&self.what))?;
        if let Some(why) = &self.why {
            write!(f, "\n  why: {}", clean_lines(why).replace('\n', "\n       "))?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix: {}", clean_lines(fix).replace('\n', "\n       "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_what_why_fix_in_that_order() {
        let problem = Problem::usage("no lab").because("no file").fix("make one\nor name one");
        assert_eq!(problem.to_string(), "no lab\n  why: no file\n  fix: make one\n       or name one");
        assert_eq!(problem.exit().code(), 2);
    }

    #[test]
    fn a_remedy_says_which_lab_was_meant() {
        let fixed = |fix: &str, options: &str| {
            Problem::failed("there is no VPC yet").fix(fix).with_options(options).remedy().unwrap().to_owned()
        };
        let make = "make the network first: net-up";
        assert_eq!(fixed(make, " --owner ada"), format!("{make}\neach of these programs with: --owner ada"));
        for (fix, options) in
            [(make, ""), ("net-up --owner ada", " --owner ada"), ("see docs/net-up.md", " --owner ada")]
        {
            assert_eq!(fixed(fix, options), fix);
        }
        let both = Problem::all(&[Problem::failed("a").fix(make), Problem::failed("b")]).unwrap();
        assert!(
            both.with_options("--owner ada").to_string().ends_with("fix: each of these programs with: --owner ada")
        );
        assert_eq!(Problem::failed("net-up has ended").with_options("--owner ada").remedy(), None);
    }

    #[test]
    fn what_aws_says_cannot_move_the_cursor() {
        let problem = Problem::failed("a dead letter: \u{1b}[2J").because("\u{9b}2J\nits second line").fix("\u{7}look");
        let text = problem.to_string();
        assert!(!text.chars().any(|sign| sign.is_control() && sign != '\n'), "{text:?}");
        assert!(text.contains("\n       its second line"), "lines stay: {text}");
    }

    #[test]
    fn several_problems_become_one_and_none_become_nothing() {
        assert_eq!(Problem::all(&[]), None);
        let both = Problem::all(&[Problem::usage("a"), Problem::failed("b")]).unwrap();
        assert_eq!(both.to_string(), "a\nb");
        assert_eq!(both.exit(), Exit::Usage);
    }
}
