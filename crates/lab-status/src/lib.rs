//! What exists of a lab, across all services: what it costs, what is left of it, and what removes that.
//!
//! Every part is asked by its own library, so that what counts as its own is said in one place; beside them a census finds
//! everything by its tags, whatever lab.toml says by now. Nothing is written.

mod blocks;
mod census;
mod cli;
mod clients;
mod cost;
mod doctor;
mod hour;
mod inventory;
mod labs;
mod leaks;
mod picture;
mod removal;
mod report;
mod scope;
mod serve;
mod show;
#[cfg(test)]
mod testing;
mod thing;
mod watch;

use jiff::Timestamp;
use lab_common::{Access, Session};
use lab_plan::{Exit, Look, Problem, Progress, Stop, print_err};

pub use cli::Args;

use cli::Command;
use clients::Clients;
use inventory::Purpose;
use leaks::Left;
use scope::{Options, Scope};

/// Runs the program as its arguments say.
///
/// # Errors
/// When AWS cannot be read.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let command = args.command();
    if args.watch.is_some() && !matches!(command, Command::Show | Command::Leaks { .. }) {
        return Err(Problem::usage("only what exists and what is left can be watched")
            .fix("leave --watch out, or watch what exists: lab-status --watch"));
    }
    let progress = Progress::stderr(args.lab.plain);
    match command {
        Command::Show => show_all(args, stop).await,
        Command::Leaks { all_labs: false } => show_leaks(args, stop).await,
        Command::Leaks { all_labs: true } => show_all_labs(args, stop).await,
        Command::Picture(options) => stop.or(picture::run(&args.lab, &options)).await,
        Command::Report(options) => stop.or(report::run(&args.lab, &options)).await,
        Command::Serve(options) => serve::run(&args.lab, &options, stop).await,
        Command::Cost(options) => stop.or(progress.reading(cost::run(&args.lab, &options))).await,
        Command::Doctor { regions } => stop.or(progress.reading(doctor::run(&args.lab, regions))).await,
    }
}

/// How text is shown on stdout: asked at each look, for a terminal's width changes.
fn look(args: &Args) -> Look {
    Look::of_stdout(args.lab.plain)
}

/// What a look answers: the text, what else the user should know, and how the program ends.
type Answer = Result<(String, Vec<String>, Exit), Problem>;

async fn show_all(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let (session, inquiry) = stop.or(Session::open(&args.lab)).await?.inquiring();
    let (clients, scope) = (Clients::new(&session.access()), Scope::of(&args.lab, &session));
    let heading = session.heading();
    answer(args, stop, async || {
        inquiry.begin();
        // A few dozen calls wait in these at once: too large for the stack.
        let (parts, world, hour) = tokio::join!(
            Box::pin(inventory::look(&session, Purpose::Show)),
            Box::pin(census::observe(&clients, &scope)),
            Box::pin(look_at_hour(args, &session))
        );
        // The caller's credentials first: the census asks for them.
        let world = world?;
        let mut found = inventory::merge(parts?, &world);
        match hour {
            Some(Ok(hour)) => found.hour = Some(hour),
            Some(Err(problem)) if found.has_function() => {
                let why = problem.why().unwrap_or(problem.what());
                found.notes.push(format!("what the function did in the last hour is not known: {why}"));
            }
            _ => {}
        }
        let text =
            if args.lab.json { show::to_json(&heading, &found)? } else { show::to_text(look(args), &heading, &found) };
        let exit = if found.unread.is_empty() { Exit::Done } else { Exit::Failed };
        Ok((text, found.notes, exit))
    })
    .await
}

/// Not asked again and again: each look costs a little.
async fn look_at_hour(args: &Args, session: &Session) -> Option<Result<hour::Hour, Problem>> {
    let images = session.lab.images.as_ref().filter(|_| args.watch.is_none())?;
    Some(hour::look(&session.sdk, &images.function, Timestamp::now()).await)
}

async fn show_leaks(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let (session, inquiry) = stop.or(Session::open(&args.lab)).await?.inquiring();
    let (clients, scope) = (Clients::new(&session.access()), Scope::of(&args.lab, &session));
    let heading = session.heading();
    answer(args, stop, async || {
        inquiry.begin();
        let left = find_left(&clients, &scope).await?;
        let text = if args.lab.json {
            show::leaks_to_json(&heading, &left)?
        } else {
            show::leaks_to_text(look(args), &heading, &left)
        };
        let exit = judge(&left);
        Ok((text, left.notes, exit))
    })
    .await
}

async fn show_all_labs(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let access = stop.or(Access::open(&args.lab)).await?;
    let (clients, scope) = (Clients::new(&access), Scope::All(Options::of_all(&args.lab, &access)));
    answer(args, stop, async || {
        let left = find_left(&clients, &scope).await?;
        let region = &access.region;
        let text =
            if args.lab.json { labs::to_document(region, &left)? } else { labs::to_text(look(args), region, &left) };
        let exit = judge(&left);
        Ok((text, left.notes, exit))
    })
    .await
}

async fn find_left(clients: &Clients, scope: &Scope) -> Result<Left, Problem> {
    let world = Box::pin(census::observe(clients, scope)).await?;
    Ok(leaks::find_leaks(&world, scope))
}

fn judge(left: &Left) -> Exit {
    if left.is_nothing() { Exit::Done } else { Exit::Failed }
}

/// Looks once, or again and again.
async fn answer(args: &Args, stop: &Stop, mut look: impl AsyncFnMut() -> Answer) -> Result<Exit, Problem> {
    if let Some(seconds) = args.watch {
        return watch::watch(seconds, stop, args.lab.plain, async || {
            look().await.map(|(text, notes, _)| (text, notes))
        })
        .await;
    }
    let progress = Progress::stderr(args.lab.plain);
    let (text, notes, exit) = stop.or(progress.reading(look())).await?;
    say_notes(&notes);
    lab_plan::print_out(&text)?;
    Ok(exit)
}

fn say_notes(notes: &[String]) {
    for note in notes {
        print_err(&format!("note: {note}"));
    }
}
