//! The pipeline of HOL 02 on a local AWS, with a function that somebody has deployed.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::{Answer, LocalAws};

/// The built-in lab's file.
pub const HOL02: &str = include_str!("../../crates/common/labs/hol02.toml");

/// A zip file with nothing in it, in base64: the code of a function that is never run.
const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";
/// A role of somebody else's.
const ROLE: &str = "somebodys-role";

/// Local AWS, and the pipeline of HOL 02 with a function whose name ends in its owner's, as a class has it.
#[derive(Debug)]
pub struct PipelineLab {
    /// Where it is.
    pub aws: LocalAws,
}

/// Lambda's Runtime API in shell, until the event is there.
const BEFORE_HANDLER: &str = r#"#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while :; do
    head="$TMPDIR/head"
    event=$(curl -sS -D "$head" "$api/invocation/next")
    id=$(tr -d '\r' <"$head" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
"#;
/// And once it has been handled.
const AFTER_HANDLER: &str = r#"    curl -sS -o /dev/null --data-binary "$answer" "$api/invocation/$id/$kind"
done
"#;

impl PipelineLab {
    /// With these options of lab-sim, and lab.toml as HOL 02 has it.
    ///
    /// # Panics
    /// When local AWS does not start.
    #[must_use]
    pub fn start(options: &[&str]) -> Self {
        let aws = LocalAws::start(options);
        // Lambda takes no function without a role that it can assume.
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        let create = format!("Action=CreateRole&Version=2010-05-08&RoleName={ROLE}&AssumeRolePolicyDocument={trust}");
        let _ = aws.send("iam", "POST", "/", &create);
        aws.clear_calls();
        let lab = Self { aws };
        lab.write_images("");
        lab
    }

    /// Writes lab.toml anew, with these lines more in `[images]`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_images(&self, lines: &str) {
        let function = "function = \"lab-lambda-function\"\n";
        assert!(HOL02.contains(function), "the built-in lab names the function");
        let text = HOL02.replace(function, &format!("function = \"lab-lambda-function-{{owner}}\"\n{lines}\n"));
        std::fs::write(self.aws.folder.path().join("lab.toml"), text).expect("written");
    }

    /// Runs `pipeline-up`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.run_program("pipeline-up", arguments)
    }

    /// Runs any of the programs on this lab.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run_program(&self, program: &str, arguments: &[&str]) -> Answer {
        self.aws.command(program, arguments).env("LAB_FILE", "lab.toml").output().expect("it starts").into()
    }

    /// The function's name.
    #[must_use]
    pub fn function(&self) -> String {
        format!("lab-lambda-function-{}", self.aws.owner)
    }

    /// Deploys the function as somebody would, with these tags and another role than ours. Nobody runs it.
    pub fn deploy(&self, tags: &Value) {
        self.deploy_code(tags, EMPTY_ZIP);
    }

    /// Deploys a function of ours that handles each event by these lines of shell: they find it in `event`, and set
    /// `answer` and whether that is a `response` or an `error`, in `kind`.
    ///
    /// # Panics
    /// When it cannot be packed.
    pub fn deploy_handler(&self, lines: &str) {
        let script = format!("{BEFORE_HANDLER}{lines}\n{AFTER_HANDLER}");
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let executable = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file("bootstrap", executable).expect("an entry");
        zip.write_all(script.as_bytes()).expect("written");
        self.deploy_code(&self.our_tags(), &STANDARD.encode(zip.finish().expect("a zip").into_inner()));
    }

    fn deploy_code(&self, tags: &Value, zip: &str) {
        let Self { aws } = self;
        let function = json!({
            "FunctionName": self.function(), "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": format!("arn:aws:iam::123456789012:role/{ROLE}"),
            "Code": { "ZipFile": zip }, "MemorySize": 512, "Timeout": 60, "Tags": tags,
            "Environment": {
                "Variables": { "MODE": "png", "OUTPUT_BUCKET": format!("lab-output-bucket-{}", aws.owner) }
            },
        });
        let _ = aws.send("lambda", "POST", "/2015-03-31/functions", &function.to_string());
    }

    /// The tags that `pipeline-up deploy` gives the function.
    #[must_use]
    pub fn our_tags(&self) -> Value {
        json!({
            "Name": self.function(), "hybrid-lab:lab": "lab", "hybrid-lab:owner": self.aws.owner,
            "hybrid-lab:role": "function",
        })
    }
}

/// Runs `verb` in a lab of its own for each of its calls (each `stride`th), killed after that call, and then once more to
/// its end. It has more than `least` calls.
///
/// # Panics
/// When a run does not end as it should.
pub fn kill_after_calls(
    mut lab: PipelineLab,
    (stride, least): (usize, usize),
    verb: &[&str],
    prepare: impl Fn(&PipelineLab),
    check: impl Fn(&PipelineLab, &str),
) {
    for nth in (1..).step_by(stride) {
        lab.aws.owner = format!("killed-{nth}");
        prepare(&lab);
        lab.aws.set_faults(&json!([{ "nth": nth, "effect": { "kill": "caller" } }]));
        let killed = lab.run(verb);
        lab.aws.clear_faults();
        if killed.code == Some(0) {
            assert!(nth > least, "the run has more than {least} calls, so it must have been killed {nth} times");
            return;
        }
        assert_eq!(killed.code, None, "killed by a signal: {killed:#?}");
        let why = format!("{verb:?} killed after call {nth}");
        let next = lab.run(verb);
        assert_eq!(next.code, Some(0), "{why}: {next:#?}");
        check(&lab, &why);
    }
}

/// Kinds and names of a document's resources.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn list_names(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let document = answer.json();
    let resources = document["resources"].as_array().expect("resources");
    resources.iter().map(|one| (text(&one["kind"]), text(&one["name"]))).collect()
}
