//! What a host does at its first boot: a cloud-config document, made from the files under `user-data/`.
//!
//! A template has two kinds of places. A line that holds only `{{file}}` becomes that file, indented alike, so every
//! script stands in a file of its own where shellcheck and editors see it. `@NAME@` becomes a value.

use lab_common::{Images, Runs, Secret};
use lab_plan::Problem;
use sha2::{Digest as _, Sha256};

use crate::secrets::write_hex;

/// EC2's limit, before base64 (EC2 user guide, "Run commands when you launch an EC2 instance").
const LONGEST: usize = 16 * 1024;

const BARE: &str = include_str!("../user-data/bare.yaml");
const FILEGATOR: &str = include_str!("../user-data/filegator.yaml");
const JUPYTER: &str = include_str!("../user-data/jupyter.yaml");

const FILES: [(&str, &str); 11] = [
    ("bare/ready.sh", include_str!("../user-data/bare/ready.sh")),
    ("filegator/filegator.service", include_str!("../user-data/filegator/filegator.service")),
    ("filegator/report-ready.sh", include_str!("../user-data/filegator/report-ready.sh")),
    ("filegator/setup.sh", include_str!("../user-data/filegator/setup.sh")),
    ("filegator/users.json", include_str!("../user-data/filegator/users.json")),
    ("jupyter/jupyter.service", include_str!("../user-data/jupyter/jupyter.service")),
    ("jupyter/jupyter_server_config.py", include_str!("../user-data/jupyter/jupyter_server_config.py")),
    ("jupyter/report-ready.sh", include_str!("../user-data/jupyter/report-ready.sh")),
    ("jupyter/requirements.txt", include_str!("../user-data/jupyter/requirements.txt")),
    ("jupyter/sample-image.ipynb", include_str!("../user-data/jupyter/sample-image.ipynb")),
    ("jupyter/setup.sh", include_str!("../user-data/jupyter/setup.sh")),
];

/// The document of a host that runs nothing of ours.
pub(crate) fn render_bare() -> Result<String, Problem> {
    render(BARE, &[])
}

/// The document of a Jupyter host. Of `token` only the SHA-256 goes into it.
pub(crate) fn render_jupyter(region: &str, images: Option<&Images>, token: &Secret) -> Result<String, Problem> {
    let (input, output) = images.map_or(("", ""), |images| (&images.input, &images.output));
    let hash = hash_token(token);
    let values = [("REGION", region), ("INPUT_BUCKET", input), ("OUTPUT_BUCKET", output), ("TOKEN_SHA256", &hash)];
    render(JUPYTER, &values)
}

/// The document of a `FileGator` host. `hash` is the bcrypt hash of the administrator's password, as PHP writes it.
pub(crate) fn render_filegator(hash: &str) -> Result<String, Problem> {
    render(FILEGATOR, &[("PASSWORD_BCRYPT", hash)])
}

/// What differs from host to host.
const VALUES: [&str; 5] = ["REGION", "INPUT_BUCKET", "OUTPUT_BUCKET", "TOKEN_SHA256", "PASSWORD_BCRYPT"];

/// Whether `text` is the document that this version gives a host that runs `runs`, whatever its values.
pub fn is_user_data_of(text: &str, runs: Runs) -> bool {
    let template = match runs {
        Runs::Jupyter => JUPYTER,
        Runs::Filegator => FILEGATOR,
    };
    let Ok(wanted) = render(template, &[]) else { return false };
    wanted.lines().count() == text.lines().count()
        && wanted.lines().zip(text.lines()).all(|(wanted, line)| is_line_of(wanted, line))
}

/// Whether a line is the template's, with any value in its place; no line has two.
fn is_line_of(wanted: &str, line: &str) -> bool {
    let place = VALUES.iter().find_map(|name| wanted.split_once(&format!("@{name}@")));
    place.map_or(wanted == line, |(front, back)| line.strip_prefix(front).is_some_and(|rest| rest.ends_with(back)))
}

fn hash_token(token: &Secret) -> String {
    write_hex(&Sha256::digest(token.reveal()))
}

fn render(template: &str, values: &[(&str, &str)]) -> Result<String, Problem> {
    let mut text = String::with_capacity(LONGEST);
    for line in template.lines() {
        include(line, &mut text)?;
    }
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), value);
    }
    if text.len() > LONGEST {
        let what = format!("the user-data would be {} bytes long; EC2 takes {LONGEST}", text.len());
        return Err(Problem::failed(what).fix("use shorter bucket names"));
    }
    Ok(text)
}

/// Appends `line`, or the file it names with every line indented like it.
fn include(line: &str, text: &mut String) -> Result<(), Problem> {
    let place = line.trim_start();
    let indent = &line[..line.len() - place.len()];
    let Some(name) = place.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
        text.push_str(line);
        text.push('\n');
        return Ok(());
    };
    let found = FILES.iter().find(|(known, _)| *known == name);
    let (_, content) = found.ok_or_else(|| Problem::failed(format!("a user-data template names no file {name}")))?;
    for line in content.lines() {
        if !line.is_empty() {
            text.push_str(indent);
            text.push_str(line);
        }
        text.push('\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests;
