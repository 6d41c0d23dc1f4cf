//! The lab as a picture: what exists, or what `up` would do, from one look at every part.

mod compose;
mod differ;
pub(crate) mod find;
mod many;
mod page;
mod refusals;
mod routes;
mod rules;

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lab_common::{Access, LabArgs, Session};
use lab_picture::{Scene, View, arrange, arrange_all, arrange_list, choose_scale, to_png, to_svg};
use lab_plan::{Exit, Problem, print_err, print_out};

use crate::census::{self, World};
use crate::clients::Clients;
use crate::inventory::{self, Part, Purpose};
use crate::scope::{Options, Scope};
use crate::show::Inventory;

pub(crate) use compose::last_four;
use compose::{Facts, compose};
pub(crate) use page::{HINT, POLICY, escape, show_time, size_rules};
pub(crate) use routes::{find_table, read_route};

/// What `picture` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct PictureArgs {
    /// Write SVG into this file [default: to stdout]
    #[arg(long, value_name = "FILE", group = "form")]
    svg: Option<PathBuf>,
    /// Write PNG into this file, in light colours
    #[arg(long, value_name = "FILE", group = "form")]
    png: Option<PathBuf>,
    /// Write a page that needs nothing else into this file
    #[arg(long, value_name = "FILE", group = "form")]
    html: Option<PathBuf>,
    /// What up would add, change and remove
    #[arg(long, conflicts_with = "all_labs")]
    plan: bool,
    /// Every lab of the account in this Region; needs no lab file
    #[arg(long)]
    all_labs: bool,
}

/// A look at a lab, ready to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) found: Inventory,
    pub(crate) parts: Vec<Part>,
    pub(crate) world: World,
    /// The account's 12 digits: for calls, never for showing.
    pub(crate) account: String,
    pub(crate) now: Timestamp,
}

/// Looks at all parts of a lab and at what its tags tell, at the same time.
///
/// # Errors
/// When AWS cannot be read.
pub(crate) async fn look(session: &Session, clients: &Clients, scope: &Scope) -> Result<Look, Problem> {
    // A few dozen calls wait in these at once: too large for the stack.
    let (parts, world) =
        tokio::join!(Box::pin(inventory::look(session, Purpose::Compare)), Box::pin(census::observe(clients, scope)));
    // The caller's credentials first: the census asks for them.
    let world = world?;
    let parts = parts?;
    let found = inventory::merge(parts.clone(), &world);
    Ok(Look { found, parts, account: world.account.clone(), now: world.now, world })
}

impl Look {
    /// What it shows.
    pub(crate) fn to_scene(&self, session: &Session, view: View) -> Scene {
        compose(&Facts {
            lab: &session.lab,
            names: &session.names,
            region: &session.region,
            account: Some(&self.account),
            at: show_time(self.now),
            view,
            found: &self.found,
            parts: &self.parts,
            world: &self.world,
        })
    }

    /// What the user should know besides the picture.
    pub(crate) fn list_notes(&self) -> Vec<String> {
        let unread = list_unread(&self.found.unread, &self.account).into_iter();
        let refused = refusals::list_refusals(&self.parts).into_iter();
        let refused = refused.map(|refusal| format!("up would stop here: {}", refusal.why));
        let notes = self.found.notes.iter().cloned();
        let all = refused.chain(unread).chain(notes);
        all.map(|note| compose::hide_account(&note, &self.account)).collect()
    }
}

/// Draws it and writes it where the arguments say.
///
/// # Errors
/// When AWS cannot be read, or the file not be written.
pub(crate) async fn run(args: &LabArgs, options: &PictureArgs) -> Result<Exit, Problem> {
    let (drawing, mut notes): (_, Vec<String>) = if options.all_labs {
        let access = Access::open(args).await?;
        let (clients, scope) = (Clients::new(&access), Scope::All(Options::of_all(args, &access)));
        let world = Box::pin(census::observe(&clients, &scope)).await?;
        let scenes = many::list_scenes(&world, &access.region);
        let title = format!("All labs in {}", access.region);
        // A page is scrolled down, and not sideways.
        let arrange = if options.html.is_some() { arrange_list } else { arrange_all };
        (arrange(&scenes, &title), list_unread(&world.unread, &world.account))
    } else {
        let (session, _) = Session::open(args).await?.inquiring();
        let (clients, scope) = (Clients::new(&session.access()), Scope::of(args, &session));
        let look = look(&session, &clients, &scope).await?;
        let view = if options.plan { View::Plan } else { View::Live };
        (arrange(&look.to_scene(&session, view)), look.list_notes())
    };
    let svg = to_svg(&drawing);
    match (&options.svg, &options.png, &options.html) {
        (_, Some(file), _) => {
            let png = to_png(&svg, choose_scale(&drawing)).map_err(|error| Problem::failed(error.to_string()))?;
            keep(file, &png.bytes)?;
            notes.extend(png.missing.iter().map(|script| tell_missing(script)));
        }
        (_, _, Some(file)) => {
            // What could not be read stands in the picture.
            let beside: Vec<_> = notes.iter().filter(|note| !note.starts_with("not known: ")).cloned().collect();
            keep(file, page::to_html(&drawing.title, &svg, (drawing.width, drawing.height), &beside).as_bytes())?;
        }
        (Some(file), _, _) => keep(file, svg.as_bytes())?,
        _ => print_out(&svg)?,
    }
    for note in &notes {
        print_err(&format!("note: {note}"));
    }
    Ok(Exit::Done)
}

/// What could not be read, without the account's number.
fn list_unread(unread: &[String], account: &str) -> Vec<String> {
    compose::tell_unread(unread).map(|note| compose::hide_account(&note, account)).collect()
}

/// What to do where no font has the letters of a script.
fn tell_missing(script: &str) -> String {
    format!("no font on this machine has letters of the picture, and boxes stand for them: {script}; or use --svg")
}

/// Writes a file whole, or leaves what was there.
///
/// # Errors
/// When that is not possible; the message names the file, and what to do.
pub(crate) fn keep(file: &Path, bytes: &[u8]) -> Result<(), Problem> {
    write_whole(file, bytes).map_err(|error| explain_write(file, &error))?;
    print_err(&format!("written: {} ({} kB)", file.display(), bytes.len().div_ceil(1000)));
    Ok(())
}

/// A pipe or a device is written to; nothing may take its place.
fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // What a link leads to is written, not the link.
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    if file.exists() && !file.is_file() {
        return std::fs::write(file, bytes);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As with any file that a program writes, the umask says who may read it.
    let mode = std::fs::metadata(&file).map_or_else(|_| Permissions::from_mode(0o666), |found| found.permissions());
    let mut draft = tempfile::Builder::new().prefix(".draft-").permissions(mode).tempfile_in(folder)?;
    draft.write_all(bytes)?;
    draft.persist(file)?;
    Ok(())
}

fn explain_write(file: &Path, error: &std::io::Error) -> Problem {
    let problem = Problem::failed(format!("cannot write {}", file.display())).because(error.to_string());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder.filter(|folder| !folder.exists()) {
        Some(folder) => problem.fix(format!("make the folder first: mkdir -p {}", folder.display())),
        None if file.is_dir() => problem.fix("it is a folder: name a file in it"),
        None => problem.fix("name a file in a folder that you may write to"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_told_with_what_makes_it() {
        let folder = tempfile::tempdir().unwrap();
        let problem = keep(&folder.path().join("none/lab.svg"), b"x").unwrap_err().to_string();
        assert!(problem.contains("fix: make the folder first: mkdir -p") && problem.contains("/none"), "{problem}");
    }
    #[test]
    fn what_cannot_be_written_leaves_the_old_file_and_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("lab.svg"), folder.path().join("link.svg"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        keep(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new", "the link's end is written");
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
        keep(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!Path::new("/dev/null").is_file(), "a device stays one");
    }
}
