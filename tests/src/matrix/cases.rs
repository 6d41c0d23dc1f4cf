//! Each command of the chain against each fault at each of its calls.

use serde_json::{Value, json};

use super::bench::{Bench, Ended, Running};
use super::census::Census;
use super::chain::{Act, DOWN, Do, UP, Way, start};
use super::rows::Tally;

/// So many cases after each other go back by the command's own undoing; then one goes all the way down and up again.
const WAY_DOWN_EVERY: u64 = 12;
/// Calls that a program may still make once its credentials have expired: those under way, and one of each step that
/// was ready (`lab-status` asks for everything at once), but no loop.
const CALLS_AFTER_EXPIRY: u64 = 40;
/// Seconds within which it must give up then.
const GIVES_UP_WITHIN: f64 = 10.0;

/// Faults of which each call is a run of its own: how they are called, and their effect.
const POINTS: [(&str, &str); 4] = [
    ("kill -9 after the call", r#"{"kill": "caller"}"#),
    ("kill -9 before the call", r#"{"kill-before": "caller"}"#),
    ("answer lost", r#""reset-after""#),
    ("credentials expired", r#""expired-credentials""#),
];

/// Faults that every call meets once within one run.
const PASSING: [(&str, &str); 4] = [
    ("throttled", r#""throttle""#),
    ("HTTP 500", r#""internal-error""#),
    ("HTTP 503", r#""unavailable""#),
    ("connection reset before the server acted", r#""reset-before""#),
];

/// How late new things become visible, in milliseconds.
const LATE_MS: u64 = 1500;

/// Calls that make something with an id or a name.
const CREATING: [&str; 21] = [
    "CreateVpc",
    "CreateSubnet",
    "CreateInternetGateway",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "AllocateAddress",
    "CreateNatGateway",
    "RunInstances",
    "ImportKeyPair",
    "CreateRole",
    "CreateInstanceProfile",
    "CreateBucket",
    "CreateLogGroup",
    "CreateFunction*",
    "AddPermission*",
    "PutObject",
    "ImportCertificate",
    "CreateClientVpnEndpoint",
    "AssociateClientVpnTargetNetwork",
    "AuthorizeClientVpnIngress",
    "CreateClientVpnRoute",
];

/// Every so-manieth point is run.
#[must_use]
pub fn every() -> u64 {
    const SHARE: u64 = 10;
    let every = std::env::var("LAB_MATRIX_EVERY").ok().map(|text| text.parse().expect("LAB_MATRIX_EVERY is a number"));
    every.unwrap_or(SHARE).max(1)
}

/// A command of the chain on a bench that stands before it.
struct Stand<'a> {
    bench: &'a Bench,
    act: &'a Act,
    index: usize,
    before: Census,
    after: Census,
    cases: u64,
}

/// Runs all faults against one command of the chain.
///
/// # Panics
/// When a case fails; when the lab cannot be built without any fault.
pub fn run_act(way: Way, index: usize) {
    let act = if way == Way::Up { &UP[index] } else { &DOWN[index] };
    let bench = Bench::start();
    let mut tally = Tally::default();
    let mut stand = Stand::reach(&bench, act, index).unwrap_or_else(|problem| panic!("{}: {problem}", act.name));
    for (number, (fault, effect)) in POINTS.into_iter().enumerate() {
        let effect: Value = serde_json::from_str(effect).expect("JSON");
        stand.meet_at_points(fault, &effect, number, &mut tally);
    }
    for (fault, effect) in PASSING {
        let effect: Value = serde_json::from_str(effect).expect("JSON");
        // Every command makes calls.
        if stand.meet_once_each(fault, &json!([{ "distinct": true, "effect": effect }]), &mut tally) == 0 {
            tally.count(fault, act.way, 1, Err(format!("{}: {fault}: no call has met it", act.name)));
        }
    }
    let late = json!({ "late-visibility-ms": LATE_MS });
    let rules: Vec<_> = CREATING.iter().map(|action| json!({ "action": action, "effect": late })).collect();
    // Not every command makes something.
    let _ = stand.meet_once_each("visible late", &json!(rules), &mut tally);
    let name: String = act.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    tally.finish(&name);
}

impl<'a> Stand<'a> {
    /// Builds the lab up to the state before the command, and looks at both sides of it.
    fn reach(bench: &'a Bench, act: &'a Act, index: usize) -> Result<Self, String> {
        climb_before(bench, act, index)?;
        let before = Census::take(&bench.aws);
        bench.must(act.command)?;
        let after = Census::take(&bench.aws);
        bench.go_back(act)?;
        Census::take(&bench.aws).expect(&before, "back again")?;
        Ok(Self { bench, act, index, before, after, cases: 0 })
    }

    /// One run for each of the command's calls (or each so-manieth), until the fault finds no call any more.
    fn meet_at_points(&mut self, fault: &str, effect: &Value, number: usize, tally: &mut Tally) {
        let every = every();
        // Not always the first: which points are run differs from command to command and from fault to fault.
        let first = 1 + (self.index as u64 * 3 + number as u64 * 7) % every;
        for nth in (first..).step_by(usize::try_from(every).unwrap_or(1)) {
            let position = if fault == "credentials expired" { "from" } else { "nth" };
            let rules = json!([{ position: nth, "effect": effect }]);
            let outcome = self.meet(fault, &rules);
            match outcome {
                Ok(None) => return,
                Ok(Some((secs, _))) => tally.count(fault, self.act.way, 1, Ok(secs)),
                Err(failure) => {
                    let failure = format!("{}: {fault}, call {nth}: {failure}", self.act.name);
                    eprintln!("FAILED {failure}");
                    tally.count(fault, self.act.way, 1, Err(failure));
                    self.start_over();
                }
            }
        }
    }

    /// One run in which every call meets the fault once. Answers with how many cases that was.
    fn meet_once_each(&mut self, fault: &str, rules: &Value, tally: &mut Tally) -> u64 {
        match self.meet(fault, rules) {
            Ok(None) => 0,
            Ok(Some((secs, fired))) => {
                tally.count(fault, self.act.way, fired, Ok(secs));
                fired
            }
            Err(failure) => {
                let failure = format!("{}: {fault}: {failure}", self.act.name);
                eprintln!("FAILED {failure}");
                tally.count(fault, self.act.way, 1, Err(failure));
                self.start_over();
                1
            }
        }
    }

    /// Runs the command with these rules, again where the fault ended it, and looks at what there is then. Answers with
    /// the seconds of the run that made it whole, and how often the rules fired; `None` when they did not.
    fn meet(&mut self, fault: &str, rules: &Value) -> Result<Option<(f64, u64)>, String> {
        let Self { bench, act, .. } = self;
        bench.spoil(rules);
        let mut spoiled = Running::start(&mut start(&bench.aws, act.command));
        let ended = spoiled.wait();
        let fired = bench.fired();
        let log = bench.aws.call_log();
        bench.aws.clear_faults();
        let (status, _) = ended?;
        // What a killed program has started goes on while the command is run again.
        let again = if status.success() { None } else { Some(bench.run(act.command)?) };
        let spoiled = spoiled.end()?;
        if fired == 0 {
            spoiled.done("without a fault")?;
            self.go_back()?;
            return Ok(None);
        }
        judge_spoiled(fault, act, &spoiled, fired).map_err(|problem| format!("{problem}{}", show_fault(&log)))?;
        let recovered = again.map_or(Ok(spoiled), |again| again.done("the same command again"));
        let recovered = recovered.map_err(|problem| format!("{problem}{}", show_fault(&log)))?;
        self.check().map_err(|problem| format!("{problem}{}\n    {}", show_fault(&log), recovered.tell()))?;
        self.go_back()?;
        Ok(Some((recovered.secs, fired)))
    }

    /// Exactly what is wanted is there.
    fn check(&self) -> Result<(), String> {
        let Self { bench, act, after, .. } = self;
        Census::take(&bench.aws).expect(after, "afterwards")?;
        if let Some((program, arguments)) = act.check {
            bench.must(Do::Run(program, arguments))?;
        }
        Ok(())
    }

    /// Leads back to the state before the command: mostly by undoing it, sometimes all the way down.
    fn go_back(&mut self) -> Result<(), String> {
        let Self { bench, act, index, before, .. } = self;
        self.cases += 1;
        if self.cases.is_multiple_of(WAY_DOWN_EVERY) {
            bench.descend()?;
            climb_before(bench, act, *index)?;
            bench.forget(act);
        } else {
            bench.go_back(act)?;
        }
        Census::take(&bench.aws).expect(before, "taken back")
    }

    /// After a failure: an empty account, and the way to the state before the command again.
    fn start_over(&mut self) {
        self.bench.reset();
        let back = climb_before(self.bench, self.act, self.index);
        back.unwrap_or_else(|problem| panic!("{}: cannot go on: {problem}", self.act.name));
        self.bench.forget(self.act);
    }
}

/// From an empty account to the state before a command.
fn climb_before(bench: &Bench, act: &Act, index: usize) -> Result<(), String> {
    if act.way == Way::Up {
        return bench.climb(index);
    }
    bench.climb(UP.len())?;
    DOWN.iter().take(index).try_for_each(|act| bench.must(act.command).map(|_| ()))?;
    // The network's window, which stands closed at the end of `up`, is to be there when it is closed.
    if act.name == "net-up nat close" { bench.go_back(act) } else { Ok(()) }
}

/// What the run that met the fault must have done.
fn judge_spoiled(fault: &str, act: &Act, spoiled: &Ended, fired: u64) -> Result<(), String> {
    let code = spoiled.answer.code;
    if fault.starts_with("kill") {
        // The parent of a killed program says so with an exit code of its own. A killed function is started again by
        // Lambda, and who waits for the picture gets it.
        return if code == Some(0) && act.name != "upload-sample-image" {
            Err("the kill was not noticed".to_owned())
        } else {
            Ok(())
        };
    }
    if fault == "credentials expired" {
        let renew = "the AWS credentials have expired";
        let said = spoiled.answer.stderr.contains(renew);
        return if code != Some(1) {
            Err(format!("expired credentials: {}", spoiled.tell()))
        } else if !said {
            Err(format!("it does not say \"{renew}\": {}", spoiled.tell()))
        } else if fired > CALLS_AFTER_EXPIRY {
            Err(format!("{fired} calls with expired credentials: {}", spoiled.tell()))
        } else if spoiled.secs > GIVES_UP_WITHIN {
            Err(format!("it gave up late: {}", spoiled.tell()))
        } else {
            Ok(())
        };
    }
    // The deployment is cargo-lambda's, whose calls we do not make: it may fail, and the next run must mend it.
    if code == Some(0) || act.command == Do::Deploy {
        Ok(())
    } else {
        Err(format!("not weathered: {}", spoiled.tell()))
    }
}

/// The call that met the fault and what came after it, for a failure's message.
fn show_fault(log: &[Value]) -> String {
    let first = log.iter().position(|call| !call["fault"].is_null());
    let calls: Vec<_> = log[first.unwrap_or(0)..]
        .iter()
        .take(12)
        .map(|call| format!("{} {} {}{}", call["action"], call["status"], call["code"], call["fault"]))
        .collect();
    format!("\n    calls from the fault on: {}", calls.join("; "))
}
