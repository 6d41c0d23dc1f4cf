//! The shells and `man` themselves read what is written.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what a test says is read where it fails")]

use std::path::Path;
use std::process::Command;

use lab_manual::{list_programs, write_all};

/// Whether `program` is there. In CI it must be.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(found || !is_ci, "{program} is missing: scripts/setup.sh --tests");
    if !found {
        eprintln!("not tested: there is no {program} here");
    }
    found
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && error.is_empty(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What bash offers behind `words`, the last of which is being typed.
fn ask_bash(share: &Path, words: &[&str]) -> Vec<String> {
    let script = r#"
        source "$1" || exit
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        function=$(complete -p "$1" | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
        "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let file = share.join("bash-completion/completions").join(words[0]);
    let mut command = Command::new("bash");
    run(command.args(["--norc", "-c", script, "bash"]).arg(file).args(words)).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_options_and_their_values() {
    let folder = tempfile::tempdir().expect("a folder");
    write_all(folder.path()).expect("files");
    for (words, offered) in [
        (&["net-up", "na"][..], "nat"),
        (&["net-up", "nat", "cl"], "close"),
        (&["net-up", "plan", "--ch"], "--check"),
        (&["host-up", "ssh-"], "ssh-config"),
        (&["pipeline-up", "dep"], "deploy"),
        (&["vpn-setup", "client", "rev"], "revoke"),
        (&["upload-sample-image", "--wa"], "--wait"),
        (&["lab-status", "leaks", "--all"], "--all-labs"),
        (&["class-up", "up", "--tasks", ""], "both"),
        (&["lab-sim", "--fau"], "--faults"),
    ] {
        let answer = ask_bash(folder.path(), words);
        assert!(answer.iter().any(|word| word == offered), "{words:?}: {answer:?}");
    }
    for program in list_programs() {
        let answer = ask_bash(folder.path(), &[program.get_name(), "--hel"]);
        assert_eq!(answer, ["--help"], "{}", program.get_name());
    }
}

#[test]
fn fish_completes_too() {
    if !has("fish") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_all(folder.path()).expect("files");
    let ask = |program: &str, line: &str| {
        let file = folder.path().join(format!("fish/vendor_completions.d/{program}.fish"));
        let script = format!("source {}; complete -C '{line}'", file.display());
        run(Command::new("fish").args(["--no-config", "-c", &script]).env("HOME", folder.path()))
    };
    assert!(ask("net-up", "net-up na").starts_with("nat\t"), "{}", ask("net-up", "net-up na"));
    assert!(ask("lab-status", "lab-status leaks --all").starts_with("--all-labs\t"));
    for program in list_programs() {
        let name = program.get_name();
        assert!(ask(name, &format!("{name} --hel")).contains("--help\t"), "{name}");
    }
}

#[test]
fn zsh_takes_each_file_for_its_program() {
    if !has("zsh") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_all(folder.path()).expect("files");
    let functions = folder.path().join("zsh/site-functions");
    for program in list_programs() {
        let name = program.get_name();
        run(Command::new("zsh").args(["-f", "-n"]).arg(functions.join(format!("_{name}"))));
        let script = format!(
            "fpath=('{}' $fpath); autoload -Uz compinit; compinit -D -u; print -r -- ${{_comps[{name}]}}",
            functions.display()
        );
        assert_eq!(run(Command::new("zsh").args(["-f", "-c", &script])).trim(), format!("_{name}"));
    }
}

#[test]
fn man_pages_are_without_a_warning_and_keep_the_lines_of_examples() {
    if !has("groff") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let written = write_all(folder.path()).expect("files");
    let pages: Vec<_> =
        written.iter().filter(|path| path.extension().is_some_and(|extension| extension == "1")).collect();
    assert!(pages.len() > 30, "one for each program and subcommand: {}", pages.len());
    for page in pages {
        let text = run(Command::new("groff")
            .args(["-Kutf8", "-man", "-Tutf8", "-ww", "-rLL=78n", "-P-c", "-P-b", "-P-u"])
            .arg(page));
        assert!(text.contains("NAME") && text.contains("SYNOPSIS"), "{}:\n{text}", page.display());
        let is_wide = |line: &&str| line.chars().count() > 80;
        assert_eq!(text.lines().find(is_wide), None, "{}", page.display());
        assert!(!text.contains("-help(1)"), "{} names a page that is not there", page.display());
    }
    let net_up = folder.path().join("man/man1/net-up.1");
    let text = run(Command::new("groff").args(["-Kutf8", "-man", "-Tascii", "-P-c", "-P-b", "-P-u"]).arg(net_up));
    let is_example = |line: &str| line.trim() == "net-up status --json                  what is there, for programs";
    assert!(text.lines().any(is_example), "{text}");
    for variable in ["LAB_FILE", "LAB_OWNER", "LAB_PLAIN"] {
        assert!(text.contains(variable), "{variable} is missing:\n{text}");
    }
}

#[test]
fn an_option_is_no_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let ask = |option: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab-manual"));
        command.arg(option).current_dir(folder.path()).output().expect("it runs")
    };
    let help = ask("--help");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("Usage: lab-manual SHARE"));
    assert_eq!(ask("--share").status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nothing is written");
}
