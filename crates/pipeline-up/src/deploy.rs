//! The command that deploys the function. Pure.

use lab_common::quote;

use crate::want::{Place, Want};

/// The package of the function's code, and of its binary.
const BINARY: &str = "image-processor";

/// How `cargo lambda deploy` reaches the same AWS as we do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) profile: Option<String>,
    pub(crate) endpoint_url: Option<String>,
}

/// The words of the command. It deploys what `cargo lambda build --package image-processor` has built, and may be run
/// again at any time: what others have set in the function's environment stays.
pub(crate) fn deploy_command(want: &Want, place: &Place, way: &Way) -> Vec<String> {
    let function = &want.function;
    let mut words: Vec<String> = ["cargo", "lambda", "deploy", &function.name].map(str::to_owned).into();
    let mut option = |flag: &str, value: &str| words.extend([flag.to_owned(), value.to_owned()]);
    option("--binary-name", BINARY);
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

/// The command as one line that a POSIX shell takes.
pub(crate) fn to_line(words: &[String]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}
