//! What a user sees: the example `watch` on a pseudo-terminal, read back through a terminal's model, and through pipes.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{Command as PtyCommand, open};

/// How long a run may take that waits for nothing but a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The example, which cargo builds beside the tests.
fn watch() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.parent().and_then(std::path::Path::parent).expect("target/debug");
    let path = target.join("examples/watch");
    assert!(path.is_file(), "{} is not built: cargo build -p lab-plan --examples", path.display());
    path
}

/// A program on a terminal of its own.
struct Terminal {
    pty: pty_process::blocking::Pty,
    child: std::process::Child,
    screen: vt100::Parser,
    output: mpsc::Receiver<Vec<u8>>,
    raw: Vec<u8>,
    /// Whether no line may ever be wrapped by the terminal.
    is_drawn: bool,
}

impl Terminal {
    fn start(columns: u16, rows: u16, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(Size::new(rows, columns)).expect("a size");
        let mut command = PtyCommand::new(watch()).args(arguments).env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")].iter().chain(variables) {
            command = command.env(name, value);
        }
        let is_drawn = !arguments.contains(&"--plain") && !variables.contains(&("TERM", "dumb"));
        if arguments.contains(&"--json") {
            command = command.stdout(Stdio::null());
        }
        let child = command.spawn(pts).expect("the example runs");
        let mut reader: std::fs::File = pty.as_fd().try_clone_to_owned().map(OwnedFd::into).expect("its output");
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended answers with an error.
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pty, child, screen: vt100::Parser::new(rows, columns, 1000), output, raw: Vec::new(), is_drawn }
    }

    /// Reads until `found` holds of the screen.
    fn read_until(&mut self, found: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !found(&self.screen.screen().contents()) {
            let left = PATIENCE.checked_sub(start.elapsed()).expect("it is shown in time");
            let bytes = self.output.recv_timeout(left).unwrap_or_else(|_| panic!("never shown: {}", self.text()));
            self.process(&bytes);
        }
    }

    fn process(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.screen.process(bytes);
        let screen = self.screen.screen();
        // An id or an address that is longer than a line stays whole.
        let rows: Vec<_> = screen.rows(0, screen.size().1).collect();
        let is_prose = |row: u16| rows[usize::from(row)].trim().contains(' ');
        let wrapped = (0..screen.size().0).find(|row| screen.row_wrapped(*row) && is_prose(*row));
        assert!(!self.is_drawn || wrapped.is_none(), "a line was wrapped:\n{}", screen.contents());
    }

    /// Presses keys.
    fn press(&mut self, keys: &str) {
        (&self.pty).write_all(keys.as_bytes()).expect("a terminal that is there");
    }

    /// Reads to the end; answers with the exit code.
    fn finish(&mut self) -> i32 {
        let status = self.child.wait().expect("it ends");
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(500)) {
            self.process(&bytes);
        }
        assert!(!self.screen.screen().hide_cursor(), "the cursor is hidden");
        status.code().unwrap_or(-1)
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
}

const QUICK: &[&str] = &["up", "--json", "--scale", "0.3"];

#[test]
fn no_line_wraps_at_any_width_and_the_whole_tree_stays() {
    for columns in [40, 80, 200] {
        // stdout is the terminal too: without --json the table is wrapped by us, never by the terminal.
        let mut terminal = Terminal::start(columns, 60, &["up", "--scale", "0.3"], &[]);
        assert_eq!(terminal.finish(), 0);
        let text = terminal.text();
        assert!(text.contains("8 changes"), "{text}");
        let tree: Vec<_> = text.lines().filter(|line| line.starts_with("  ✓ + ")).collect();
        assert_eq!(tree.len(), 8, "at {columns} columns\n{text}");
        assert!(tree[1].contains("├"), "{text}");
        assert!(
            !text.contains("⠋") && !text.contains("not shown") && !text.contains("longest: client-vpn-route"),
            "{text}"
        );
        assert!(text.lines().any(|line| line.starts_with("done: 8 changes in ")), "{text}");
        let usd = if columns == 40 {
            "this part costs $0.1000 an hour"
        } else {
            "this part costs $0.1000 an hour (made-up prices)"
        };
        assert!(text.contains(usd), "{text}");
    }
}

#[test]
fn a_slow_wait_shows_its_usual_time_and_is_the_longest_pole() {
    let mut terminal = Terminal::start(100, 30, &["up", "--json", "--scale", "4"], &[]);
    terminal
        .read_until(|text| text.contains("of usually 5–10 min") && text.contains("; longest: client-vpn-association"));
    let text = terminal.text();
    assert!(text.contains("· + "), "what waits is there too:\n{text}");
    assert!(text.contains(" of 8 done, "), "{text}");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn a_low_terminal_shows_what_runs_and_counts_the_rest() {
    let mut terminal = Terminal::start(60, 6, &["up", "--json", "--scale", "2"], &[]);
    terminal.read_until(|text| text.contains("not shown"));
    assert_eq!(terminal.finish(), 0);
    assert!(terminal.raw().contains("\x1b[J"), "it was redrawn");
}

#[test]
fn ctrl_c_finishes_what_runs_and_leaves_the_last_state() {
    let mut terminal = Terminal::start(80, 40, &["up", "--json", "--scale", "2"], &[]);
    terminal.read_until(|text| text.contains("of usually 5–10 min"));
    terminal.press("\x03");
    assert_eq!(terminal.finish(), 130);
    let text = terminal.text();
    assert!(text.contains("stopping: the calls under way finish"), "{text}");
    assert!(text.contains("✓ + ") && text.contains("client-vpn-route") && text.contains("skipped"), "{text}");
    assert!(text.contains("watch: stopped by Ctrl-C"), "{text}");
    assert!(text.contains("go on: watch up"), "{text}");
    assert!(!text.contains("⠋"), "nothing turns any more:\n{text}");
}

#[test]
fn a_second_ctrl_c_ends_at_once_with_the_cursor_below_the_last_state() {
    let mut terminal = Terminal::start(80, 40, &["up", "--json", "--scale", "30"], &[]);
    terminal.read_until(|text| text.contains("of usually 5–10 min"));
    terminal.press("\x03");
    terminal.read_until(|text| text.contains("stopping:"));
    let start = Instant::now();
    terminal.press("\x03");
    assert_eq!(terminal.finish(), 130);
    assert!(start.elapsed() < Duration::from_secs(20), "it did not wait for what runs");
    let screen = terminal.screen.screen();
    let row = usize::from(screen.cursor_position().0);
    let (text, keys) = (terminal.text(), "^C");
    let drawn = text.lines().filter(|line| line.trim() != keys).count();
    assert!(row >= drawn, "the prompt comes below: row {row} of {drawn}\n{text}");
    assert!(text.matches(keys).count() <= 1, "what the keys echoed was drawn over but for the last time:\n{text}");
    assert!(text.contains("stopped at once: what was under way may have been made"), "{text}");
    assert!(terminal.text().contains("client-vpn-association"), "{}", terminal.text());
}

#[test]
fn a_failure_is_in_the_tree_and_explained_below() {
    let mut terminal = Terminal::start(100, 50, &["up", "--json", "--fail", "--scale", "0.3"], &[]);
    assert_eq!(terminal.finish(), 1);
    let text = terminal.text();
    assert!(text.contains("✗ + ") && text.contains("failed, 0."), "{text}");
    assert!(text.contains("why: You are not authorized") && text.contains("fix: attach"), "{text}");
}

#[test]
fn no_color_draws_without_colours_and_a_dumb_terminal_nothing_at_all() {
    let mut terminal = Terminal::start(80, 40, QUICK, &[]);
    assert_eq!(terminal.finish(), 0);
    assert!(terminal.raw().contains("\x1b[36m✓"), "there are colours at all");

    let mut terminal = Terminal::start(80, 40, QUICK, &[("NO_COLOR", "1")]);
    assert_eq!(terminal.finish(), 0);
    let is_colour = |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m');
    assert!(!terminal.raw().split("\x1b[").skip(1).any(is_colour), "{:?}", terminal.raw());

    for (variables, arguments) in
        [(&[("TERM", "dumb")][..], QUICK), (&[][..], &["up", "--json", "--plain", "--scale", "0.3"][..])]
    {
        let mut terminal = Terminal::start(80, 40, arguments, variables);
        assert_eq!(terminal.finish(), 0);
        assert!(!terminal.raw().contains('\x1b'), "{:?}", terminal.raw());
        assert!(terminal.raw().contains("  done    create vpc lab-vpc (10.0.0.0/16)  vpc-"), "{}", terminal.raw());
    }
}

#[test]
fn plain_lines_are_events_in_words() {
    let mut terminal = Terminal::start(80, 60, &["up", "--plain", "--scale", "0.3"], &[]);
    assert_eq!(terminal.finish(), 0);
    let text = terminal.raw().replace("\r\n", "\n");
    assert!(text.contains("\n  create vpc lab-vpc, 10.0.0.0/16\n"), "the plan has verbs:\n{text}");
    let begins = "  begins  create client-vpn-association to lab-public-subnet, usually 5 to 10 min\n";
    assert!(text.contains(begins), "{text}");
    assert!(
        text.is_ascii() || text.replace("lab-実験室の雲-ec2", "").is_ascii(),
        "no signs but those of names:\n{text}"
    );
    let events = text.lines().filter(|line| line.starts_with("  done    create ")).count();
    assert_eq!(events, 8, "one line an event:\n{text}");
}

fn pipe(arguments: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let mut command = Command::new(watch());
    command.args(arguments).stdin(Stdio::null()).env_clear().env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    let output = command.envs(variables.iter().copied()).output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(output.stdout), text(output.stderr))
}

#[test]
fn pipes_get_plain_lines_and_one_document() {
    let (stdout, stderr) = pipe(QUICK, &[]);
    assert!(stdout.starts_with("{\n") && stdout.ends_with("}\n"), "{stdout}");
    assert!(!stderr.contains('\x1b') && !stderr.contains('\r'), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("  done    create ")).count(), 8, "{stderr}");
    assert!(stderr.contains("; this part costs $0.1000 an hour; longest: "), "{stderr}");

    let (_, stderr) = pipe(QUICK, &[("CLICOLOR_FORCE", "1")]);
    assert!(
        stderr.contains("\x1b[36m+\x1b[0m") && !stderr.contains("\x1b[J"),
        "colours, and nothing redrawn: {stderr}"
    );
    let (_, stderr) = pipe(QUICK, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]);
    assert!(!stderr.contains('\x1b'), "{stderr}");
}

#[test]
fn a_plan_is_a_diff_on_stdout() {
    let (stdout, _) = pipe(&["plan"], &[]);
    assert!(stdout.contains("\n  + vpc  "), "{stdout}");
    assert!(stdout.contains("\nusually takes 5–10 min (made up)\n"), "{stdout}");
    for columns in [40, 80] {
        let mut terminal = Terminal::start(columns, 80, &["plan"], &[]);
        assert_eq!(terminal.finish(), 0);
        assert!(terminal.text().contains("+ "), "{}", terminal.text());
    }
}

#[test]
fn the_last_up_is_on_record() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().to_str().expect("a path");
    pipe(QUICK, &[("LAB_HOME", path)]);
    let heading = lab_plan::Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() };
    let records = lab_plan::RunRecord::read_all(home.path(), &heading);
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.program.as_str(), record.end, record.steps.len()), ("watch", lab_plan::RunEnd::Done, 9));
    let chain: Vec<_> = record.longest_chain().iter().map(|step| record.steps[*step].kind.as_str()).collect();
    assert_eq!(chain, ["vpc", "client-vpn-endpoint", "client-vpn-association", "client-vpn-route", ""]);
    let association = &record.steps[6].time.expect("it ran");
    assert!(association.1 - association.0 >= 300, "{association:?}");
    pipe(&["up", "--json", "--fail", "--scale", "0.1"], &[("LAB_HOME", path)]);
    let ends: Vec<_> = lab_plan::RunRecord::read_all(home.path(), &heading).iter().map(|record| record.end).collect();
    assert_eq!(ends, [lab_plan::RunEnd::Done, lab_plan::RunEnd::Failed], "what the first one made is not forgotten");
}

#[test]
fn a_slow_look_is_told_on_a_terminal_and_nowhere_else() {
    let mut terminal = Terminal::start(80, 40, &["plan", "--slow"], &[]);
    terminal.read_until(|text| text.contains("reading what exists"));
    assert_eq!(terminal.finish(), 0);
    let text = terminal.text();
    assert!(text.contains("8 changes") && !text.contains("reading"), "it is taken away:\n{text}");
    let (_, stderr) = pipe(&["plan", "--slow"], &[]);
    assert!(!stderr.contains("reading"), "{stderr}");
}

#[test]
fn ctrl_c_at_a_question_says_that_nothing_was_changed_and_nothing_else() {
    let mut terminal = Terminal::start(80, 40, &["down"], &[]);
    terminal.read_until(|text| text.contains("go on? [y/N]"));
    terminal.press("\x03");
    assert_eq!(terminal.finish(), 130);
    let text = terminal.text();
    assert!(text.lines().any(|line| line == "watch: stopped by Ctrl-C: nothing was changed"), "{text}");
    assert!(!text.contains("under way"), "{text}");
}

#[test]
fn an_error_keeps_to_the_terminals_width_and_to_one_line_in_a_pipe() {
    let mut terminal = Terminal::start(40, 60, &["up", "--json", "--fail", "--scale", "0.3"], &[]);
    assert_eq!(terminal.finish(), 1);
    let text = terminal.text();
    assert!(text.contains("      why: You are not authorized to\n           perform this operation."), "{text}");
    let (_, stderr) = pipe(&["up", "--json", "--fail", "--scale", "0.3"], &[]);
    assert!(stderr.contains("why: You are not authorized to perform this operation.\n"), "{stderr}");
}
