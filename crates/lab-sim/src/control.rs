//! The control path `/_lab-sim/`: tests read the calls there and set faults while everything runs. No bucket can have
//! this name, so no AWS path is hidden by it.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::accounts::Accounts;
use crate::call::{Answer, Call, answer, json_answer};
use crate::sim::Sim;

/// What control paths begin with.
pub(crate) const PREFIX: &str = "/_lab-sim/";

/// Answers a call to a control path; `path` is what follows [`PREFIX`].
pub(crate) async fn answer_control(accounts: &Accounts, call: &Call, path: &str) -> Answer {
    let sim = &accounts.home;
    match (&call.method, path) {
        (&Method::GET, "health") => {
            json_answer(200, &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION"), "endpoint": sim.endpoint }))
        }
        (&Method::GET, "calls") => list_calls(sim, call),
        (&Method::DELETE, "calls") => {
            sim.calls.clear();
            json_answer(200, &json!({ "calls": 0 }))
        }
        (&Method::GET, "faults") => json_answer(200, &sim.faults().to_json()),
        (&Method::POST | &Method::PUT, "faults") => load_faults(sim, call),
        (&Method::DELETE, "faults") => {
            sim.faults().clear();
            json_answer(200, &sim.faults().to_json())
        }
        (&Method::POST, "advance") => advance(sim, call),
        (&Method::POST, "reset") => {
            accounts.reset().await;
            json_answer(200, &json!({ "status": "reset" }))
        }
        (&Method::GET, path) if path.starts_with("functions/") => send_package(accounts, path),
        _ => json_answer(
            404,
            &json!({ "error": format!("there is no {} {PREFIX}{path}", call.method), "paths": [
                "GET health", "GET calls?since=N", "DELETE calls", "GET faults", "POST faults", "DELETE faults", "POST reset", "POST advance?seconds=N",
                "GET functions/ACCOUNT/REGION/NAME/code.zip",
            ]}),
        ),
    }
}

fn list_calls(sim: &Sim, call: &Call) -> Answer {
    let since = match call.query().get("since").map(str::parse) {
        None => 0,
        Some(Ok(since)) => since,
        Some(Err(_)) => {
            return json_answer(400, &json!({ "error": "`since` is a number of calls" }));
        }
    };
    json_answer(200, &json!(sim.calls.since(since)))
}

/// Puts the clock of the state times forward.
fn advance(sim: &Sim, call: &Call) -> Answer {
    let seconds = call.query().get("seconds").and_then(|seconds| seconds.parse::<u32>().ok());
    let Some(seconds) = seconds else {
        return json_answer(400, &json!({ "error": "`seconds` is a number of seconds: POST advance?seconds=20" }));
    };
    sim.times.advance(Duration::from_secs(u64::from(seconds)));
    json_answer(200, &json!({ "advanced": seconds }))
}

/// A function's deployment package, where `GetFunction`'s answer says that it is.
fn send_package(accounts: &Accounts, path: &str) -> Answer {
    let parts: Vec<&str> = path.split('/').collect();
    let zip = match parts.as_slice() {
        ["functions", account, region, name, "code.zip"] => {
            let sim = accounts.all().into_iter().find(|sim| sim.account == *account);
            sim.and_then(|sim| crate::lambda::find_zip(&sim, region, name))
        }
        _ => None,
    };
    match zip {
        Some(zip) => answer(200, "application/zip", zip),
        None => json_answer(404, &json!({ "error": "there is no such function" })),
    }
}

fn load_faults(sim: &Sim, call: &Call) -> Answer {
    let mut faults = sim.faults();
    match faults.load(&call.body) {
        Ok(()) => json_answer(200, &faults.to_json()),
        Err(error) => json_answer(400, &json!({ "error": error })),
    }
}
