//! Shell completions and man pages of every program, made from the command lines themselves.
//!
//! They are files that are written once, in the layout of a `share` folder; the programs carry nothing of this.

use std::io;
use std::path::{Path, PathBuf};

use clap::builder::{Resettable, StyledStr};
use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The command line of every program, in the order in which a reader meets them.
pub fn list_programs() -> Vec<Command> {
    vec![
        net_up::Args::command(),
        host_up::Args::command(),
        pipeline_up::Args::command(),
        upload_sample_image::Args::command(),
        vpn_setup::Args::command(),
        lab_status::Args::command(),
        class_up::Args::command(),
        lab_sim::cli::Cli::command(),
        image_command::Cli::command(),
    ]
}

/// Every page of a program's help: its own and those of its subcommands, however deep, each with its words.
pub fn list_pages(program: Command) -> Vec<Command> {
    // clap's own `help` verb has no page: nobody is to be sent there.
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    let mut open = vec![program];
    while let Some(page) = open.pop() {
        open.extend(page.get_subcommands().filter(|page| !page.is_hide_set()).cloned());
        pages.push(page);
    }
    pages
}

/// Writes completions and man pages of all programs below `share`, and answers with their paths.
///
/// # Errors
/// When a folder or a file cannot be written.
pub fn write_all(share: &Path) -> io::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for program in list_programs() {
        for (shell, folder) in [
            (Shell::Bash, "bash-completion/completions"),
            (Shell::Zsh, "zsh/site-functions"),
            (Shell::Fish, "fish/vendor_completions.d"),
        ] {
            let name = name_completion(shell, program.get_name());
            written.push(write(&share.join(folder).join(name), &complete(shell, &program))?);
        }
        for page in list_pages(program) {
            let path = share.join("man/man1").join(Man::new(page.clone()).get_filename());
            written.push(write(&path, &describe(&page)?)?);
        }
    }
    Ok(written)
}

/// The name under which a shell looks for a program's completions.
fn name_completion(shell: Shell, program: &str) -> String {
    match shell {
        Shell::Zsh => format!("_{program}"),
        Shell::Fish => format!("{program}.fish"),
        _ => program.to_owned(),
    }
}

/// A shell's completions of `program`.
fn complete(shell: Shell, program: &Command) -> Vec<u8> {
    let mut text = Vec::new();
    generate(shell, &mut program.clone(), program.get_name().to_owned(), &mut text);
    match (shell, String::from_utf8(text)) {
        // `clap_complete` 4.6.11 takes a hyphen of our names for a step down to a verb, in one of two places: with the
        // separator of verbs written as that of hyphens both places say the same.
        (Shell::Bash, Ok(text)) => text.replace("__subcmd__", "__").into_bytes(),
        (_, Ok(text)) => text.into_bytes(),
        (_, Err(error)) => error.into_bytes(),
    }
}

/// The man page of a program or a subcommand. What stands behind its options is shown line by line, as in `--help`:
/// examples that are filled up like a paragraph cannot be read.
fn describe(page: &Command) -> io::Result<Vec<u8>> {
    let after = page.get_after_help().cloned();
    let man = Man::new(page.clone().after_help(Resettable::<StyledStr>::Reset)).manual("hybrid-lab");
    // A page that was made tomorrow says the same: there is no date, but a field of its own keeps the others in place.
    let man = man.date(" ");
    let mut text = Vec::new();
    man.render(&mut text)?;
    describe_environment(page).to_writer(&mut text)?;
    if let Some(after) = after {
        let mut roff = Roff::new();
        roff.control("SH", ["NOTES"]);
        // From the first column: the lines are made for 80.
        roff.control("in", ["0"]);
        roff.control("nf", []);
        for line in after.to_string().lines() {
            if line.is_empty() {
                roff.control("sp", []);
            } else {
                roff.text([roman(line)]);
            }
        }
        roff.control("fi", []);
        roff.to_writer(&mut text)?;
    }
    Ok(text)
}

/// The variables that stand for options.
fn describe_environment(page: &Command) -> Roff {
    let mut roff = Roff::new();
    let options = page.get_arguments().filter_map(|option| Some((option.get_env()?.to_str()?, option.get_long()?)));
    for (number, (variable, option)) in options.enumerate() {
        if number == 0 {
            roff.control("SH", ["ENVIRONMENT"]);
        }
        roff.control("TP", []);
        roff.text([bold(variable)]);
        roff.text([roman(format!("Stands for --{option} where that is not given."))]);
    }
    roff
}

fn write(path: &Path, text: &[u8]) -> io::Result<PathBuf> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)?;
    Ok(path.to_owned())
}
