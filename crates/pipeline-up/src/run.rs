//! One run of the program.

use lab_common::Session;
use lab_plan::{Concern as _, Exit, Heading, Problem, Stop, Verb, answer_nothing, print_out, run_verb, to_json};
use serde::Serialize;

use crate::cli::{Deploy, Task};
use crate::deploy::{Staged, run_deploy, to_line};
use crate::{Args, Pipeline, backfill, redrive, simulate};

/// Does what the command line asks for.
///
/// # Errors
/// What stopped it, ready to be shown.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    if let Task::Simulate(simulate) = args.task() {
        return simulate::run(&simulate, &args.lab);
    }
    let session = stop.or(Session::open(&args.lab)).await?;
    if let (None, Task::Verb(verb @ (Verb::Status | Verb::Down))) = (&session.lab.images, args.task()) {
        return answer_nothing(&session.request(&args.lab, "pipeline-up"), verb);
    }
    let takes_all = matches!(args.task(), Task::Verb(Verb::Down));
    let pipeline = Pipeline::new(&session)?.profile(args.lab.profile.clone()).taking_all(takes_all);
    match args.task() {
        Task::Verb(verb) => run_verb(&pipeline, verb, &session.request(&args.lab, "pipeline-up"), stop).await,
        Task::Deploy(deploy) => run_deployment(&pipeline, &session, &deploy, args.lab.json, stop).await,
        Task::Backfill(backfill) => {
            let request = session.request(&args.lab, "pipeline-up");
            Box::pin(backfill::run(&pipeline, &session, &backfill, &request, stop)).await
        }
        Task::Simulate(simulate) => simulate::run(&simulate, &args.lab),
        Task::Redrive { to_source } => redrive::run(&pipeline, &session, to_source, &args.lab, stop).await,
    }
}

/// What `deploy --json` answers.
#[derive(Serialize)]
struct DeployDocument<'a> {
    #[serde(flatten)]
    heading: Heading,
    /// The words of the command.
    command: &'a [String],
}

async fn run_deployment(
    pipeline: &Pipeline,
    session: &Session,
    deploy: &Deploy,
    json: bool,
    stop: &Stop,
) -> Result<Exit, Problem> {
    if let Some(path) = deploy.package.binary.as_ref().filter(|path| !path.is_file()) {
        return Err(Problem::usage(format!("there is no file {}", path.display()))
            .fix("build the function first: cargo lambda build --release --package image-processor"));
    }
    let live = stop.or(pipeline.observe()).await?;
    pipeline.check_deployable(&live)?;
    let command = pipeline.deploy_command(&live, &deploy.package);
    if !deploy.print {
        let staged = deploy.package.binary.as_deref().map(Staged::new).transpose()?;
        let package = staged.as_ref().map_or_else(|| deploy.package.clone(), |staged| staged.replace(&deploy.package));
        run_deploy(&pipeline.deploy_command(&live, &package), stop).await?;
    }
    if json {
        let document = DeployDocument { heading: session.heading(), command: &command };
        print_out(&to_json(&document)?)?;
    } else if deploy.print {
        print_out(&format!("{}\n", to_line(&command)))?;
    }
    Ok(Exit::Done)
}
