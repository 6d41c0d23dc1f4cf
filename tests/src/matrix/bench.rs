//! One local AWS that is used for many cases, and the programs on it with a limit on their time.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::census::Census;
use super::chain::{Act, DOWN, Do, UP, meddle, start};
use crate::{Answer, LocalAws};

/// What one program may take, whatever happens to it: far more than any needs, far less than a hanging one.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);

/// A local AWS and a user's machine.
#[derive(Debug)]
pub struct Bench {
    /// The local AWS, which is the same account for all cases.
    pub aws: LocalAws,
    /// What the account holds before there is a lab.
    pub empty: Census,
}

/// A program that has been started.
#[derive(Debug)]
pub struct Running {
    child: Child,
    start: Instant,
    said: [JoinHandle<Vec<u8>>; 2],
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// What it answered.
    pub answer: Answer,
    /// Seconds from its start to its end.
    pub secs: f64,
}

impl Ended {
    /// The same, where it ended with 0.
    ///
    /// # Errors
    /// What it said.
    pub fn done(self, what: &str) -> Result<Self, String> {
        if self.answer.code == Some(0) { Ok(self) } else { Err(format!("{what}: {}", self.tell())) }
    }

    /// Exit code and the last it said.
    #[must_use]
    pub fn tell(&self) -> String {
        let Self { answer, secs } = self;
        let lines: Vec<_> = answer.stderr.lines().collect();
        let last = lines[lines.len().saturating_sub(30)..].join("\n    ");
        format!("exit code {:?} after {secs:.1} s\n    {last}", answer.code)
    }
}

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdout = read_all(child.stdout.take().expect("its output"));
        let stderr = read_all(child.stderr.take().expect("its output"));
        Self { child, start, said: [stdout, stderr] }
    }

    /// Waits for the program's own end. What it started may still run, as after a kill.
    ///
    /// # Errors
    /// When it does not end within [`LIMIT`]; it is killed then.
    pub fn wait(&mut self) -> Result<(ExitStatus, f64), String> {
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return Ok((status, self.start.elapsed().as_secs_f64()));
            }
            if self.start.elapsed() > LIMIT {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(format!("it had not ended after {LIMIT:?}"));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Waits for the end of the program and of everything that it started.
    ///
    /// # Errors
    /// When it does not end within [`LIMIT`].
    pub fn end(mut self) -> Result<Ended, String> {
        let (status, secs) = self.wait()?;
        let [stdout, stderr] = self.said.map(|reader| {
            let bytes = reader.join().unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Ended { answer: Answer { code: status.code(), stdout, stderr }, secs })
    }
}

/// Reads until everybody who holds the other end is gone.
fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

impl Bench {
    /// Starts a local AWS in which states change at once.
    #[must_use]
    pub fn start() -> Self {
        let aws = LocalAws::start(&["--state-times", "0"]);
        let empty = Census::take(&aws);
        Self { aws, empty }
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn run(&self, command: Do) -> Result<Ended, String> {
        Running::start(&mut start(&self.aws, command)).end()
    }

    /// Does it, whatever it is; it must succeed.
    ///
    /// # Errors
    /// When it fails.
    pub fn must(&self, command: Do) -> Result<f64, String> {
        if matches!(command, Do::Run(..) | Do::Deploy) {
            return Ok(self.run(command)?.done(&format!("{command:?}"))?.secs);
        }
        meddle(&self.aws, command);
        Ok(0.0)
    }

    /// Runs the first `acts` commands of the way up.
    ///
    /// # Errors
    /// When one fails.
    pub fn climb(&self, acts: usize) -> Result<(), String> {
        UP.iter().take(acts).try_for_each(|act| self.must(act.command).map(|_| ()))
    }

    /// Runs the commands of the way down, which must leave an empty account, whatever of the lab is there.
    ///
    /// # Errors
    /// When one fails, or something is left.
    pub fn descend(&self) -> Result<(), String> {
        DOWN.iter().try_for_each(|act| self.must(act.command).map(|_| ()))?;
        Census::take(&self.aws).expect(&self.empty, "after down.sh's commands")
    }

    /// Does what leads back to the state before `act`.
    ///
    /// # Errors
    /// When one of the commands fails.
    pub fn go_back(&self, act: &Act) -> Result<(), String> {
        act.back.iter().try_for_each(|one| self.must(*one).map(|_| ()))?;
        self.forget(act);
        Ok(())
    }

    /// Deletes the files that `act` makes on this machine.
    pub fn forget(&self, act: &Act) {
        let home = self.aws.folder.path().join("home");
        for made in act.makes {
            let path = if *made == "." { home.clone() } else { home.join(made) };
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    /// How often the rules in force have fired.
    #[must_use]
    pub fn fired(&self) -> u64 {
        let faults = self.aws.faults();
        faults["rules"].as_array().into_iter().flatten().filter_map(|rule| rule["fired"].as_u64()).sum()
    }

    /// Sets rules, and forgets the calls so far.
    pub fn spoil(&self, rules: &Value) {
        self.aws.clear_calls();
        self.aws.set_faults(rules);
    }

    /// An empty account and an empty machine again, after a case that failed.
    pub fn reset(&self) {
        self.aws.reset();
        let _ = std::fs::remove_dir_all(self.aws.folder.path().join("home"));
    }
}
