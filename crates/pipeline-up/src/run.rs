//! One run of the program.

use std::io::{ErrorKind, Write as _};

use lab_common::Session;
use lab_plan::{Concern as _, Exit, Heading, Problem, Stop, run_verb};
use serde::Serialize;

use crate::cli::Task;
use crate::deploy::to_line;
use crate::{Args, Pipeline};

/// Does what the command line asks for.
///
/// # Errors
/// What stopped it, ready to be shown.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let session = Session::open(&args.lab).await?;
    let pipeline = Pipeline::new(&session)?.profile(args.lab.profile.clone());
    match args.task() {
        Task::Verb(verb) => run_verb(&pipeline, verb, &session.request(&args.lab, "pipeline-up"), stop).await,
        Task::DeployCommand => print_deploy_command(&pipeline, &session, args.lab.json, stop).await,
    }
}

#[derive(Serialize)]
struct DeployDocument<'a> {
    #[serde(flatten)]
    heading: Heading,
    command: &'a [String],
}

async fn print_deploy_command(
    pipeline: &Pipeline,
    session: &Session,
    json: bool,
    stop: &Stop,
) -> Result<Exit, Problem> {
    let live = tokio::select! {
        biased;
        exit = stop.wait() => return Err(Stop::problem(exit)),
        live = pipeline.observe() => live?,
    };
    if live.role.is_none() && !live.place.academy {
        return Err(Problem::failed(format!("the function's role {} is not there yet", pipeline.want.role))
            .fix("run `pipeline-up` first: it makes the role that the command names"));
    }
    let command = pipeline.deploy_command(&live);
    let text = if json {
        let document = DeployDocument { heading: session.heading(), command: &command };
        serde_json::to_string_pretty(&document)
            .map_err(|error| Problem::failed("the answer is no JSON").because(error.to_string()))?
    } else {
        to_line(&command)
    };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Problem::failed("cannot write to stdout").because(error.to_string()))
        }
        _ => Ok(Exit::Done),
    }
}
