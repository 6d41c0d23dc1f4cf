//! From the command line to the verb.

use lab_common::{Home, Session};
use lab_plan::{Exit, Problem, Request, Stop, run_verb};

use crate::ssh::{self, Login};
use crate::want::{check_hosts, check_served, choose_served};
use crate::{Args, Hosts, Verb, secrets};

const PROGRAM: &str = "host-up";

/// Does what the command line says.
///
/// # Errors
/// What stopped it, ready to be shown.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let session = Session::open(&args.lab).await?;
    let request = session.request(&args.lab, PROGRAM);
    match args.verb.clone().unwrap_or_default() {
        Verb::Up { hosts, wait_ready } => {
            let hosts = choose_served(&session.lab, &hosts);
            let concern = Hosts::to_make(&session, &hosts)?;
            let concern = if wait_ready { concern.waiting_for_ready() } else { concern };
            check_served(&session.lab, concern.wanted())?;
            run_verb(&concern, lab_plan::Verb::Up, &name_hosts(request, &hosts, wait_ready), stop).await
        }
        Verb::Plan { hosts, check } => {
            let hosts = choose_served(&session.lab, &hosts);
            let concern = Hosts::to_make(&session, &hosts)?;
            check_served(&session.lab, concern.wanted())?;
            run_verb(&concern, lab_plan::Verb::Plan { check }, &request, stop).await
        }
        Verb::Status { show_url } => {
            let token = if show_url { find_token(&session)? } else { None };
            let concern = Hosts::to_look_at(&session)?.with_consoles().showing(token);
            run_verb(&concern, lab_plan::Verb::Status, &request, stop).await
        }
        Verb::Down { hosts } => {
            let concern = Hosts::to_take_down(&session, &hosts)?;
            let request = name_hosts(request, &hosts, false);
            run_verb(&concern, lab_plan::Verb::Down, &request, stop).await
        }
        Verb::Ssh { host, user, identity, command } => {
            check_hosts(&session.lab, std::slice::from_ref(&host))?;
            ssh::connect(&session, &host, Login { user, identity }, &command).await?;
            Ok(Exit::Done)
        }
        Verb::SshConfig => {
            lab_plan::print_out(&ssh::show_config(&session).await?)?;
            Ok(Exit::Done)
        }
    }
}

fn find_token(session: &Session) -> Result<Option<lab_common::Secret>, Problem> {
    let home = Home::of(&session.lab)?;
    let token = secrets::find_token(&home)?;
    if token.is_none() {
        eprintln!("note: this machine has no login token ({})", home.path(secrets::TOKEN_FILE).display());
    }
    Ok(token)
}

/// The commands that continue or undo this run speak of the same hosts.
fn name_hosts(request: Request, hosts: &[String], wait_ready: bool) -> Request {
    let named = hosts.iter().flat_map(|host| [" ", host]).collect::<String>();
    let ready = if wait_ready { " --wait-ready" } else { "" };
    let insert = |command: &str, verb: &str, more: &str| {
        let start = format!("{PROGRAM} {verb}");
        command.strip_prefix(&start).map_or_else(|| command.to_owned(), |rest| format!("{start}{more}{rest}"))
    };
    Request {
        again: insert(&request.again, "up", &format!("{named}{ready}")),
        down: insert(&request.down, "down", &named),
        ..request
    }
}
