//! From the command line to the verb.

use std::io::IsTerminal as _;

use lab_common::{Home, Session};
use lab_plan::{Exit, Problem, Request, Stop, print_err, run_verb};

use crate::ssh::{self, Login};
use crate::want::{check_hosts, check_via};
use crate::{Args, Hosts, Verb, secrets};

const PROGRAM: &str = "host-up";

/// Does what the command line says.
///
/// # Errors
/// What stopped it, ready to be shown.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let session = stop.or(Session::open(&args.lab)).await?;
    let request = session.request(&args.lab, PROGRAM);
    match args.verb.clone().unwrap_or_default() {
        Verb::Up { hosts, wait_ready } => {
            let concern = Hosts::to_make(&session, &hosts)?;
            let concern = if wait_ready { concern.waiting_for_ready() } else { concern };
            let request = name_hosts(request, &hosts, wait_ready);
            let answer = run_verb(&concern, lab_plan::Verb::Up, &request, stop).await;
            if let Some(host) = concern.made_file_server() {
                let home = Home::of(&session.lab)?;
                let login = tell_login(&home, host, std::io::stderr().is_terminal());
                print_err(&login.unwrap_or_else(|problem| problem.to_string()));
            }
            answer
        }
        Verb::Plan { hosts, check } => {
            let concern = Hosts::to_make(&session, &hosts)?;
            run_verb(&concern, lab_plan::Verb::Plan { check }, &request, stop).await
        }
        Verb::Status { show_url, check_ready } => {
            let concern = Hosts::to_look_at(&session)?.checking_ready(&check_ready)?;
            let concern = if show_url { concern.showing_logins()? } else { concern };
            run_verb(&concern, lab_plan::Verb::Status, &request, stop).await
        }
        Verb::Down { hosts } => {
            let concern = Hosts::to_take_down(&session, &hosts)?;
            let request = name_hosts(request, &hosts, false);
            run_verb(&concern, lab_plan::Verb::Down, &request, stop).await
        }
        Verb::Ssh { host, user, via, identity, command } => {
            check_hosts(&session.lab, std::slice::from_ref(&host))?;
            check_via(&session.lab, via.as_deref(), &[&host])?;
            ssh::connect(&session, &host, via.as_deref(), Login { user, identity }, &command).await?;
            Ok(Exit::Done)
        }
        Verb::SshConfig { via } => {
            let lab = &session.lab;
            let private = lab.hosts.iter().filter(|host| !lab.is_public(host)).map(|host| host.role.as_str());
            check_via(lab, via.as_deref(), &private.collect::<Vec<_>>())?;
            lab_plan::print_out(&ssh::show_config(&session, via.as_deref()).await?)?;
            Ok(Exit::Done)
        }
    }
}

/// How to log in to a file server that has just been made. A person at a terminal sees the password, this once; what
/// may become a log only hears where it is.
fn tell_login(home: &Home, host: &str, to_a_person: bool) -> Result<String, Problem> {
    let (user, path) = (secrets::FILEGATOR_USER, home.path(secrets::PASSWORD_FILE));
    let (path, password) = (path.display(), secrets::find_password(home)?);
    let login = match password.filter(|_| to_a_person) {
        Some(password) => {
            format!("log in to {host} as {user} with {}, shown once here; it stays in {path}", password.reveal())
        }
        None => format!("log in to {host} as {user}; the password is in {path}"),
    };
    Ok(format!("{login} (host-up status --show-url)"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_the_new_password_and_a_log_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let _ = secrets::make_password_hash(&home).unwrap();
        let password = secrets::find_password(&home).unwrap().unwrap();
        let told = |to_a_person| tell_login(&home, "lab-private-ec2", to_a_person).unwrap();
        assert!(told(true).contains(password.reveal()), "{}", told(true));
        assert!(!told(false).contains(password.reveal()), "{}", told(false));
        assert!(told(false).contains("filegator-password"), "{}", told(false));
    }
}
