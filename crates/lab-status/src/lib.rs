//! What exists of a lab, across all of its parts.
//!
//! Every part is asked by its own library, so that what counts as its own is said in one place. Nothing is written.

mod cli;
mod show;

use lab_common::Session;
use lab_plan::{Concern, Exit, Goal, Problem, Resource};

pub use cli::Args;

/// What one part of the lab has, and how it is removed.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// The program that makes and removes it.
    program: &'static str,
    resources: Vec<Resource>,
    /// What is on its way out, or stands outside of the lab but in its way.
    leaving: Vec<String>,
}

/// Runs the program as its arguments say.
///
/// # Errors
/// When a part cannot be read.
pub async fn run(args: &Args) -> Result<Exit, Problem> {
    let session = Session::open(&args.lab).await?;
    let parts = look(&session).await?;
    let leaks = args.looks_for_leaks();
    let heading = session.heading();
    let text =
        if args.lab.json { show::to_json(&heading, &parts, leaks)? } else { show::to_text(&heading, &parts, leaks) };
    lab_plan::print_out(&text)?;
    let left = parts.iter().any(|part| !part.resources.is_empty() || !part.leaving.is_empty());
    Ok(if leaks && left { Exit::Failed } else { Exit::Done })
}

async fn look(session: &Session) -> Result<Vec<Part>, Problem> {
    let network = net_up::Network::to_look_at(session);
    let hosts = host_up::Hosts::new(session, &[])?;
    let network = look_at("net-up", &network);
    let hosts = look_at("host-up", &hosts);
    if session.lab.images.is_none() {
        let (hosts, network) = tokio::try_join!(hosts, network)?;
        return Ok(vec![hosts, network]);
    }
    let pipeline = pipeline_up::Pipeline::new(session)?;
    let (hosts, pipeline, network) = tokio::try_join!(hosts, look_at("pipeline-up", &pipeline), network)?;
    Ok(vec![hosts, pipeline, network])
}

async fn look_at<C: Concern>(program: &'static str, concern: &C) -> Result<Part, Problem> {
    let live = concern.observe().await?;
    let leaving = match concern.settling(&live, Goal::Down) {
        Ok(leaving) => leaving,
        Err(problem) => vec![problem.what().to_owned()],
    };
    Ok(Part { program, resources: concern.resources(&live), leaving })
}
