//! The flow, with a concern that is nowhere.

use super::*;
use crate::Action;

/// Whatever is done is undone at the same moment.
struct Undone;

impl Concern for Undone {
    type Live = ();
    type Op = ();

    async fn observe(&self) -> Result<(), Problem> {
        Ok(())
    }

    fn plan(&self, (): &()) -> Result<Plan<()>, Vec<Problem>> {
        let steps = vec![Step::new(Action::Create, "vpc", "vpc", "lab-vpc", ())];
        Ok(Plan { steps, ..Plan::default() })
    }

    fn teardown(&self, live: &()) -> Result<Plan<()>, Vec<Problem>> {
        self.plan(live)
    }

    fn ids(&self, (): &()) -> Ids {
        Ids::new()
    }

    async fn apply(&self, _: &Step<()>, _: Context<'_>) -> Result<Option<String>, Problem> {
        Ok(None)
    }

    fn resources(&self, (): &()) -> Vec<Resource> {
        Vec::new()
    }
}

fn request() -> Request {
    Request {
        heading: Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() },
        program: "net-up".into(),
        home: None,
        json: false,
        quiet: true,
        plain: true,
        yes: true,
        budget: Budget { ask_above: 0.0, usd: 0.0, hours: 0.0, lab_usd: 0.0, lab_usd_per_hour: 0.0 },
        prices: String::new(),
        options: String::new(),
        again: "net-up up".into(),
        down: "net-up down".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_undone_at_the_same_moment_is_told_before_the_wait_is_over() {
    let problem = run_verb(&Undone, Verb::Up, &request(), &Stop::new()).await.unwrap_err();
    assert!(problem.what().starts_with("done, but not there after 90 s: "), "{problem}");
}
