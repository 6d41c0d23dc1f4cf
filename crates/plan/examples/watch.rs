//! A run of made-up steps, to look at and to test what the terminal shows.
//!
//! ```text
//! cargo run -p lab-plan --example watch -- [up|plan|status|down] [--plain] [--json] [--yes] [--fail] [--slow]
//!     [--scale S]
//! ```
//!
//! `--slow` reads for two seconds. `--scale` is how many seconds the longest step takes (2 unless told).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use lab_plan::{
    Action, Budget, Concern, Context, Goal, Heading, Ids, Plan, Problem, Request, Resource, Settling, Step, Usual,
    Verb, run_program, run_verb,
};

const SOURCE: &str = "made up";

/// Kind, name, what it needs, its share of the longest step, dollars an hour, why.
type Part = (&'static str, &'static str, &'static [&'static str], f64, f64, &'static str);

const PARTS: [Part; 8] = [
    ("vpc", "lab-vpc", &[], 0.1, 0.0, "10.0.0.0/16"),
    ("internet-gateway", "lab-igw", &["lab-vpc"], 0.05, 0.0, "attached to the VPC"),
    ("subnet", "lab-public-subnet", &["lab-vpc"], 0.1, 0.0, "10.0.1.0/24 in zone a"),
    ("route-table", "lab-public-to-internet", &["lab-igw", "lab-public-subnet"], 0.1, 0.0, "0.0.0.0/0 to the gateway"),
    ("security-group", "lab-実験室の雲-ec2", &["lab-vpc"], 0.2, 0.0, "tcp 22 and tcp 8888 from 203.0.113.7/32"),
    ("client-vpn-endpoint", "lab-client-vpn-endpoint", &["lab-vpc"], 0.2, 0.0, "10.83.0.0/16, split tunnel"),
    (
        "client-vpn-association",
        "to lab-public-subnet",
        &["lab-client-vpn-endpoint", "lab-public-subnet"],
        1.0,
        0.1,
        "one network interface in the subnet",
    ),
    ("client-vpn-route", "0.0.0.0/0 by lab-public-subnet", &["to lab-public-subnet"], 0.1, 0.0, ""),
];

struct MadeUp {
    there: RefCell<BTreeSet<&'static str>>,
    fails: bool,
    scale: f64,
    reads_for: Duration,
}

impl Concern for MadeUp {
    type Live = BTreeSet<&'static str>;
    type Op = &'static Part;

    async fn observe(&self) -> Result<Self::Live, Problem> {
        tokio::time::sleep(self.reads_for).await;
        Ok(self.there.borrow().clone())
    }

    fn plan(&self, live: &Self::Live) -> Result<Plan<Self::Op>, Vec<Problem>> {
        let missing = PARTS.iter().filter(|part| !live.contains(part.1));
        let steps = missing.map(|part| {
            let step = Step::new(Action::Create, part.0, part.1, part.1, part).needs(part.2.iter().copied());
            let step = step.costs(part.4).detail(part.5);
            if part.4 > 0.0 { step.usually(Usual::minutes(5, 10, SOURCE)) } else { step }
        });
        Ok(Plan { steps: steps.collect(), unchanged: live.len(), usd_per_hour: 0.1 })
    }

    fn teardown(&self, live: &Self::Live) -> Result<Plan<Self::Op>, Vec<Problem>> {
        let there = PARTS.iter().filter(|part| live.contains(part.1));
        let steps = there.map(|part| {
            let needs = PARTS.iter().filter(|other| other.2.contains(&part.1)).map(|other| other.1);
            Step::new(Action::Delete, part.0, part.1, part.1, part).needs(needs).costs(-part.4)
        });
        Ok(Plan { steps: steps.collect(), unchanged: 0, usd_per_hour: 0.0 })
    }

    fn settling(&self, _: &Self::Live, _: Goal) -> Result<Settling, Problem> {
        Ok(Settling::new())
    }

    fn ids(&self, live: &Self::Live) -> Ids {
        live.iter().map(|name| (*name, *name)).collect()
    }

    async fn apply(&self, step: &Step<Self::Op>, context: Context<'_>) -> Result<Option<String>, Problem> {
        if step.usual.is_some() {
            context.line.waits_for("is associating");
        }
        tokio::time::sleep(Duration::from_secs_f64(step.op.3 * self.scale)).await;
        if self.fails && step.op.0 == "security-group" {
            return Err(Problem::failed("CreateSecurityGroup: UnauthorizedOperation")
                .because("You are not authorized to perform this operation.")
                .fix("attach docs/permissions/net-up.json to your user"));
        }
        match step.action {
            Action::Delete => self.there.borrow_mut().remove(step.op.1),
            Action::Create | Action::Update => self.there.borrow_mut().insert(step.op.1),
        };
        Ok(Some(format!("{}-0123456789abcdef0", step.op.0)))
    }

    fn resources(&self, live: &Self::Live) -> Vec<Resource> {
        let there = PARTS.iter().filter(|part| live.contains(part.1));
        there.map(|part| Resource::new(part.0, part.1, format!("{}-0123456789abcdef0", part.0)).costs(part.4)).collect()
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    let scale = words.iter().skip_while(|word| *word != "--scale").nth(1);
    let verb = match words.first().map(String::as_str) {
        Some("plan") => Verb::Plan { check: false },
        Some("status") => Verb::Status,
        Some("down") => Verb::Down,
        _ => Verb::Up,
    };
    let all = PARTS.iter().map(|part| part.1).collect();
    let made_up = MadeUp {
        there: RefCell::new(if matches!(verb, Verb::Down | Verb::Status) { all } else { BTreeSet::new() }),
        fails: has("--fail"),
        reads_for: Duration::from_secs(if has("--slow") { 2 } else { 0 }),
        scale: scale.and_then(|scale| scale.parse().ok()).unwrap_or(2.0),
    };
    let request = Request {
        heading: Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() },
        program: "watch".into(),
        home: std::env::var_os("LAB_HOME").map(Into::into),
        json: has("--json"),
        quiet: false,
        plain: has("--plain"),
        yes: has("--yes"),
        budget: Budget { ask_above: 1.0, usd: 50.0, hours: 4.0, lab_usd: 0.4, lab_usd_per_hour: 0.1 },
        prices: "made-up prices".into(),
        options: String::new(),
        again: "watch up".into(),
        down: "watch down".into(),
    };
    run_program("watch", async |stop| run_verb(&made_up, verb, &request, &stop).await)
}
