//! The command that deploys the function, and running it.

use std::path::Path;
use std::process::Stdio;

use lab_common::quote;
use lab_plan::{Pace, Problem, Stop, print_err};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::cli::Package;
use crate::want::{Place, Want};

/// The package of the function's code, and of its binary.
const BINARY: &str = "image-processor";

/// How `cargo lambda deploy` reaches the same AWS as we do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
}

/// The words of the command. It deploys `binary`, or what `cargo lambda build --package image-processor` has made, and
/// may be run again at any time: what others have set in the function's environment stays.
pub(crate) fn deploy_command(want: &Want, place: &Place, way: &Way, package: &Package) -> Vec<String> {
    let function = &want.function;
    let mut words: Vec<String> = ["cargo", "lambda", "deploy", &function.name].map(str::to_owned).into();
    let mut option = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    if let Some(path) = &package.manifest_path {
        option("--manifest-path", &path.display().to_string());
    }
    match &package.binary {
        Some(path) => option("--binary-path", &path.display().to_string()),
        None => option("--binary-name", BINARY),
    }
    option("--region", &want.region);
    option("--iam-role", &place.role_arn(want));
    option("--memory", &function.memory_mb.to_string());
    option("--timeout", &function.timeout_s.to_string());
    for (name, value) in &function.environment {
        option("--env-var", &format!("{name}={value}"));
    }
    for (key, value) in want.function_tags() {
        option("--tag", &format!("{key}={value}"));
    }
    if let Some(profile) = &way.profile {
        option("--profile", profile);
    }
    if let Some(url) = &way.endpoint_url {
        option("--endpoint-url", url);
    }
    words.push("--merge-env".to_owned());
    words
}

/// The function's binary in a folder of this run's own: `cargo lambda deploy` writes its zip beside it, and of two runs
/// at the same moment, as in a class, one would send what the other is just writing.
pub(crate) struct Staged {
    folder: tempfile::TempDir,
    name: std::ffi::OsString,
}

impl Staged {
    /// Links `binary` into a new folder, which goes with this.
    ///
    /// # Errors
    /// When the file system does not let us.
    pub(crate) fn new(binary: &Path) -> Result<Self, Problem> {
        let cannot = |error: std::io::Error| {
            Problem::failed(format!("cannot make a folder for {}", binary.display())).because(error.to_string())
        };
        let name = binary.file_name().unwrap_or_default().to_owned();
        let folder = tempfile::Builder::new().prefix("hybrid-lab-deploy-").tempdir().map_err(cannot)?;
        let original = std::path::absolute(binary).map_err(cannot)?;
        std::os::unix::fs::symlink(original, folder.path().join(&name)).map_err(cannot)?;
        Ok(Self { folder, name })
    }

    /// `package` with the linked binary.
    pub(crate) fn replace(&self, package: &Package) -> Package {
        Package { binary: Some(self.folder.path().join(&self.name)), ..package.clone() }
    }
}

/// The command as one line that a POSIX shell takes.
pub(crate) fn to_line(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// Runs the command; again while its only complaint is that the new role has not spread yet, which `cargo lambda`
/// waits for only with roles that it makes itself.
///
/// # Errors
/// When there is no `cargo lambda`, when it fails, or when the user stops us.
pub(crate) async fn run_deploy(words: &[String], stop: &Stop) -> Result<(), Problem> {
    let start = tokio::time::Instant::now();
    for pause in Pace::SPREAD.pauses() {
        let Some(complaint) = run_once(words).await? else { return Ok(()) };
        if let Some(exit) = stop.asked() {
            return Err(Stop::problem(exit));
        }
        if !is_role_unknown(&complaint) || start.elapsed() + pause > Pace::SPREAD.deadline {
            break;
        }
        print_err("the function's new role has not spread yet: deploying again");
        stop.sleep(pause).await?;
    }
    Err(Problem::failed("cargo lambda deploy has failed; what it says is above")
        .because(to_line(words))
        .fix("build the function first (cargo lambda build --release --package image-processor); then again"))
}

/// Everything that the command says goes to stderr. Answers with its complaint where it fails.
async fn run_once(words: &[String]) -> Result<Option<String>, Problem> {
    let [program, arguments @ ..] = words else { return Ok(None) };
    let mut command = Command::new(program);
    // Both are read to their end: with a reader that goes (`2>&1 | head`) it would end in the middle of its work.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Asked to trace, it would write the session token to its log.
    command.env_remove("RUST_LOG");
    // The Rust SDK inside it reads this one, and not AWS's own variable.
    if let (Some(bundle), None) = (std::env::var_os("AWS_CA_BUNDLE"), std::env::var_os("SSL_CERT_FILE")) {
        command.env("SSL_CERT_FILE", bundle);
    }
    let failed = |error: std::io::Error| {
        Problem::failed("cannot run cargo lambda")
            .because(error.to_string())
            .fix("scripts/setup.sh installs it; put it into PATH")
    };
    let mut child = command.spawn().map_err(failed)?;
    let (_, said) = tokio::join!(pass_on(child.stdout.take()), pass_on(child.stderr.take()));
    let status = child.wait().await.map_err(failed)?;
    Ok((!status.success()).then_some(said))
}

/// Shows each line of `stream` on stderr until it ends, whatever encoding it is in. Answers with all of them.
async fn pass_on(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut said = String::new();
    let Some(stream) = stream else { return said };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        print_err(line.trim_end());
        said.push_str(&line);
        said.push('\n');
    }
    said
}

/// Whether Lambda says that it cannot assume the role. The message comes wrapped and decorated.
fn is_role_unknown(complaint: &str) -> bool {
    let words = complaint.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().windows(3).any(|three| three == ["cannot", "be", "assumed"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::want::sample;

    #[test]
    fn the_command_says_everything_that_lab_toml_and_the_way_to_aws_say() {
        let (want, place) = sample(|_| ());
        let way = Way { profile: Some("class a".into()), endpoint_url: Some("http://127.0.0.1:4566".into()) };
        let line = to_line(&deploy_command(&want, &place, &way, &Package::default()));
        assert_eq!(
            line,
            "cargo lambda deploy lab-lambda-function --binary-name image-processor --region us-east-1 \
             --iam-role arn:aws:iam::123456789012:role/lab-lambda-role-ada --memory 512 --timeout 60 \
             --env-var MODE=png --env-var OUTPUT_BUCKET=lab-output-bucket-ada \
             --tag Name=lab-lambda-function --tag hybrid-lab:lab=lab --tag hybrid-lab:owner=ada \
             --tag hybrid-lab:role=function --profile 'class a' --endpoint-url http://127.0.0.1:4566 --merge-env"
        );
    }

    #[test]
    fn each_run_has_a_folder_of_its_own_for_the_zip_and_leaves_none_behind() {
        let home = tempfile::tempdir().unwrap();
        let binary = home.path().join("bootstrap");
        std::fs::write(&binary, "code").unwrap();
        let (one, two) = (Staged::new(&binary).unwrap(), Staged::new(&binary).unwrap());
        let package = Package { binary: Some(binary), ..Package::default() };
        let [one_path, two_path] = [&one, &two].map(|staged| staged.replace(&package).binary.unwrap());
        assert_ne!(one_path.parent(), two_path.parent());
        assert_eq!(
            (std::fs::read(&one_path).unwrap(), one_path.file_name().unwrap()),
            (b"code".to_vec(), "bootstrap".as_ref())
        );
        drop(one);
        assert!(!one_path.parent().unwrap().exists() && two_path.exists());
    }

    #[test]
    fn a_role_that_has_not_spread_is_recognised_however_it_is_wrapped() {
        assert!(is_role_unknown("  │ The role defined for the function cannot be\n  │ assumed by Lambda."));
        assert!(!is_role_unknown("AccessDenied: not authorized to perform: iam:PassRole"));
    }

    #[tokio::test]
    async fn what_the_command_says_is_read_in_any_encoding() {
        let words = ["sh", "-c", r"printf 'Jos\351: it cannot be\nassumed\n' >&2; exit 3"].map(str::to_owned);
        let said = run_once(&words).await.unwrap().unwrap();
        assert!(is_role_unknown(&said), "{said}");
    }

    #[tokio::test]
    async fn a_failing_command_is_a_problem_that_repeats_it_and_a_missing_one_says_how_to_get_it() {
        let run = async |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            run_deploy(&words, &Stop::new()).await
        };
        assert_eq!(run(&["true"]).await, Ok(()));
        let failed = run(&["sh", "-c", "echo no such binary >&2; exit 1"]).await.unwrap_err();
        assert_eq!(failed.why(), Some("sh -c 'echo no such binary >&2; exit 1'"));
        let missing = run(&["no-such-program-anywhere"]).await.unwrap_err();
        assert!(missing.remedy().is_some_and(|fix| fix.contains("scripts/setup.sh")), "{missing}");
    }
}
