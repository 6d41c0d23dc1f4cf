//! What exists of a lab, across all of its parts.
//!
//! Every part is asked by its own library, so that what counts as its own is said in one place. Nothing is written.

mod cli;
mod doctor;
mod show;

use lab_common::Session;
use lab_plan::{Concern, Exit, Goal, Problem, Progress, Resource, Verb};

pub use cli::Args;

/// What one part of the lab has, and how it is removed.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// The command that removes it; its first word is the program that makes it.
    removal: &'static str,
    resources: Vec<Resource>,
    /// What is on its way out, or stands outside of the lab but in its way.
    leaving: Vec<String>,
    /// What the user should know besides.
    notes: Vec<String>,
}

/// Runs the program as its arguments say.
///
/// # Errors
/// When a part cannot be read.
pub async fn run(args: &Args) -> Result<Exit, Problem> {
    if let Some(regions) = args.doctor() {
        return doctor::run(&args.lab, regions).await;
    }
    let session = Session::open(&args.lab).await?;
    let parts = look(&session).await?;
    let leaks = args.looks_for_leaks();
    let heading = session.heading();
    let text =
        if args.lab.json { show::to_json(&heading, &parts, leaks)? } else { show::to_text(&heading, &parts, leaks) };
    lab_plan::print_out(&text)?;
    let progress = Progress::stderr();
    for note in list_notes(&parts) {
        progress.say(&format!("note: {note}"));
    }
    let left = parts.iter().any(|part| !part.resources.is_empty() || !part.leaving.is_empty());
    Ok(if leaks && left { Exit::Failed } else { Exit::Done })
}

/// Asks all parts at the same time; they are shown as `scripts/down.sh` removes them, the most expensive first.
async fn look(session: &Session) -> Result<Vec<Part>, Problem> {
    let network = net_up::Network::to_look_at(session);
    let vpn = vpn_setup::ClientVpn::to_look_at(session);
    let window = net_up::NatWindow::new(session);
    let hosts = host_up::Hosts::to_look_at(session)?;
    let pipeline = session.lab.images.as_ref().map(|_| pipeline_up::Pipeline::new(session)).transpose()?;
    let pipeline = async {
        match &pipeline {
            Some(pipeline) => look_at("pipeline-up down", pipeline).await.map(Some),
            None => Ok(None),
        }
    };
    let (vpn, window, hosts, pipeline, network) = tokio::try_join!(
        look_at("vpn-setup down", &vpn),
        look_at("net-up nat close", &window),
        look_at("host-up down", &hosts),
        pipeline,
        look_at("net-up down", &network)
    )?;
    Ok([Some(vpn), Some(window), Some(hosts), pipeline, Some(network)].into_iter().flatten().collect())
}

async fn look_at<C: Concern>(removal: &'static str, concern: &C) -> Result<Part, Problem> {
    let live = concern.observe().await?;
    let leaving = match concern.settling(&live, Goal::Down) {
        Ok(leaving) => leaving,
        Err(problem) => vec![problem.what().to_owned()],
    };
    Ok(Part { removal, resources: concern.resources(&live), leaving, notes: concern.notes(&live, Verb::Status) })
}

/// Every note once: several parts may know of the same window.
fn list_notes(parts: &[Part]) -> Vec<&str> {
    let mut notes: Vec<&str> = Vec::new();
    for note in parts.iter().flat_map(|part| &part.notes) {
        if !notes.contains(&note.as_str()) {
            notes.push(note);
        }
    }
    notes
}
