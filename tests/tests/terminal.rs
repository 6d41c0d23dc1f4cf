//! The programs on a pseudo-terminal, against local AWS: what a user sees while they work.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lab_tests::LocalAws;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

const ROWS: u16 = 100;

/// A program on a terminal of its own, whose screen is high enough for all that it says.
struct Terminal {
    pty: Pty,
    child: Child,
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
}

impl Terminal {
    fn start(aws: &LocalAws, columns: u16, program: &str, arguments: &[&str]) -> Self {
        let wanted = aws.command(program, arguments);
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(Size::new(ROWS, columns)).expect("a size");
        let mut command = Command::new(wanted.get_program()).args(wanted.get_args());
        for (name, value) in wanted.get_envs() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let command = command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        let child = command.spawn(pts).expect("the program runs");
        let mut reader: std::fs::File = pty.as_fd().try_clone_to_owned().map(OwnedFd::into).expect("its output");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended answers with an error.
            while let Ok(count) = reader.read(&mut buffer) {
                if count == 0 || sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pty, child, screen: vt100::Parser::new(ROWS, columns, 0), output }
    }

    fn read(&mut self, patience: Duration) -> bool {
        let Ok(bytes) = self.output.recv_timeout(patience) else { return false };
        self.screen.process(&bytes);
        let screen = self.screen.screen();
        let wrapped = (0..ROWS).find(|row| screen.row_wrapped(*row));
        assert_eq!(wrapped, None, "a line was wrapped:\n{}", screen.contents());
        true
    }

    fn read_until(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(self.read(Duration::from_mins(1)), "never shown: {text}\n{}", self.text());
        }
    }

    fn finish(&mut self) -> Option<i32> {
        let code = self.child.wait().expect("it ends").code();
        while self.read(Duration::from_millis(500)) {}
        assert!(!self.screen.screen().hide_cursor(), "the cursor is hidden");
        code
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }
}

#[test]
fn net_up_is_a_tree_at_every_width_and_ends_with_what_it_costs() {
    for columns in [80, 200] {
        let aws = LocalAws::start(&["--latency", "30"]);
        let mut terminal = Terminal::start(&aws, columns, "net-up", &["up"]);
        assert_eq!(terminal.finish(), Some(0), "{}", terminal.text());
        let text = terminal.text();
        let steps: Vec<_> = text.lines().filter(|line| line.starts_with("  ✓ ")).collect();
        assert!(steps.len() > 9, "{text}");
        assert!(steps[0].contains("+ vpc lab-vpc") && steps[0].contains("  vpc-"), "{text}");
        assert!(steps.iter().any(|line| line.contains("└─ ")), "{text}");
        assert!(text.contains("\ndone: ") && text.contains("this part costs nothing by the hour"), "{text}");
    }
}

#[test]
fn at_40_columns_nothing_is_wrapped_and_ctrl_c_leaves_the_last_state() {
    let aws = LocalAws::start(&["--latency", "300"]);
    let mut terminal = Terminal::start(&aws, 40, "net-up", &["up"]);
    terminal.read_until("✓ + vpc");
    (&terminal.pty).write_all(b"\x03").expect("Ctrl-C");
    // What it says in the end are sentences: the terminal may wrap those.
    let code = terminal.child.wait().expect("it ends").code();
    assert_eq!(code, Some(130), "{}", terminal.text());
    let mut screen = vt100::Parser::new(ROWS, 400, 0);
    screen.process(terminal.screen.screen().contents_formatted().as_slice());
    while let Ok(bytes) = terminal.output.recv_timeout(Duration::from_millis(500)) {
        screen.process(&bytes);
    }
    let text = screen.screen().contents();
    assert!(text.contains("stopping:") && text.contains("skipped"), "{text}");
    assert!(text.contains("net-up: stopped by Ctrl-C") && text.contains("go on: net-up up"), "{text}");
    assert!(!screen.screen().hide_cursor());
}
