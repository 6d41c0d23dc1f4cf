//! A page as PDF, printed by a browser that is installed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use lab_plan::Problem;
use tokio::process::Command;

use crate::picture;

/// What Chromium and its kin are called.
const BROWSERS: [&str; 6] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge"];
/// Where macOS keeps it.
const ON_A_MAC: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
/// A page takes it a second or two.
const PATIENCE: Duration = Duration::from_mins(1);

/// Prints `page` into `file`, which is whole then.
///
/// # Errors
/// When no browser is installed, or it fails; what `file` was is still there then.
pub(super) async fn print(page: &Path, file: &Path) -> Result<(), Problem> {
    let Some(browser) = find_browser() else {
        return Err(Problem::failed("no Chromium or Chrome is installed, so there is no PDF").fix(format!(
            "open {} in any browser and print it into a file, or install the package chromium",
            page.display()
        )));
    };
    let failed = |why: String| {
        Problem::failed(format!("{} did not print {}", browser.display(), page.display()))
            .because(why)
            .fix(format!("open {} in any browser and print it into a file", page.display()))
    };
    let absolute = std::path::absolute(page).map_err(|error| failed(error.to_string()))?;
    let profile = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let printed = profile.path().join("page.pdf");
    let mut command = Command::new(&browser);
    command
        .args(["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"])
        .args(["--disable-component-update", "--disable-quic", "--no-pdf-header-footer"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--print-to-pdf={}", printed.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Chromium refuses to run as root otherwise; the page is ours and loads nothing.
    if rustix::process::geteuid().is_root() {
        command.arg("--no-sandbox");
    }
    let run = command.arg(to_url(&absolute)).output();
    let output = tokio::time::timeout(PATIENCE, run).await;
    let output = output.map_err(|_| failed(format!("it takes more than {} s", PATIENCE.as_secs())))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    match std::fs::read(&printed) {
        Ok(bytes) if output.status.success() && !bytes.is_empty() => picture::keep(file, &bytes),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(failed(said.lines().last().unwrap_or("it says nothing").to_owned()))
        }
    }
}

fn find_browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let on_path = BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    on_path.chain([PathBuf::from(ON_A_MAC)]).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Bytes that mean something in a URL are escaped (RFC 3986).
fn to_url(path: &Path) -> String {
    let escaped: String = path
        .to_string_lossy()
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("file://{escaped}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_and_accents_is_a_url() {
        assert_eq!(to_url(Path::new("/tmp/mein é#1.html")), "file:///tmp/mein%20%C3%A9%231.html");
    }
}
