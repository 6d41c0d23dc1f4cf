//! From the command line to the verb.

use lab_common::Session;
use lab_plan::{Exit, Problem, Request, Stop, Verb, run_verb};

use crate::check::{CheckArgs, Checker};
use crate::cli::Command;
use crate::client::{ClientVerb, Desk};
use crate::files::Files;
use crate::services::Services;
use crate::vpn::{Course, refuse_no_vpn};
use crate::{Args, ClientVpn};

const PROGRAM: &str = "vpn-setup";

/// Does what the command line says.
///
/// # Errors
/// What stopped it, ready to be shown.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let session = stop.or(Session::open(&args.lab)).await?;
    let request = name_directory(session.request(&args.lab, PROGRAM), args);
    let command = args.command.clone().unwrap_or(Command::Up);
    // What is in AWS is found by tag and goes on costing: status, pause and down look also where lab.toml has no [vpn].
    if session.lab.vpn.is_none() && matches!(command, Command::Up | Command::Plan { .. } | Command::Resume) {
        return Err(refuse_no_vpn());
    }
    let run = async |course, verb, request| {
        let vpn = ClientVpn::with_files(&session, args.ca_dir.clone())?.on_course(course);
        run_verb(&vpn, verb, &request, stop).await
    };
    match command {
        Command::Client { verb } => serve_clients(&session, args, &verb, stop).await,
        Command::Check(how) => check(&session, args, &how, stop).await,
        Command::Up => run(Course::Make, Verb::Up, request).await,
        Command::Plan { check } => run(Course::Make, Verb::Plan { check }, request).await,
        Command::Status => run(Course::Leave, Verb::Status, request).await,
        Command::Down => run(Course::Leave, Verb::Down, request).await,
        Command::Pause => run(Course::Pause, Verb::Up, name_again(request, "pause")).await,
        Command::Resume => run(Course::Resume, Verb::Up, name_again(request, "resume")).await,
    }
}

async fn serve_clients(session: &Session, args: &Args, verb: &ClientVerb, stop: &Stop) -> Result<Exit, Problem> {
    let files = Files::of(&session.lab, args.ca_dir.clone())?;
    let services = Services::new(&session.sdk);
    let (json, yes) = (args.lab.json, args.lab.yes);
    let desk = Desk { session, services: &services, files: &files, json, yes, stop };
    desk.run(verb).await
}

async fn check(session: &Session, args: &Args, how: &CheckArgs, stop: &Stop) -> Result<Exit, Problem> {
    let vpn = session.lab.vpn.as_ref().ok_or_else(refuse_no_vpn)?;
    let files = Files::of(&session.lab, args.ca_dir.clone())?;
    let services = Services::new(&session.sdk);
    let checker = Checker { session, services: &services, files: &files, vpn, json: args.lab.json, stop };
    checker.run(how).await
}

/// The command that continues this run names the same authority.
fn name_directory(request: Request, args: &Args) -> Request {
    let Some(directory) = &args.ca_dir else { return request };
    let again = format!("{} --ca-dir {}", request.again, lab_common::quote(&directory.display().to_string()));
    Request { again, ..request }
}

fn name_again(request: Request, verb: &str) -> Request {
    let up = format!("{PROGRAM} up");
    let options = request.again.strip_prefix(&up).unwrap_or_default();
    Request { again: format!("{PROGRAM} {verb}{options}"), ..request }
}
