//! The function `echo`, for the tests that need one.

use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Reply, Sim, wait_for};

const ROLE_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// The function's path in the API.
pub(crate) const FUNCTION: &str = "/2015-03-31/functions/echo";

/// The test's function as a zip in base64, with this mode.
pub(crate) fn package(mode: u32) -> String {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("bootstrap", zip::write::SimpleFileOptions::default().unix_permissions(mode)).expect("an entry");
    zip.write_all(include_bytes!("../bootstrap.sh")).expect("written");
    STANDARD.encode(zip.finish().expect("a zip").into_inner())
}

pub(crate) fn create_function(sim: &Sim, mode: u32, variables: &Value) -> Reply {
    sim.query("iam", "CreateRole", &[("RoleName", "echo"), ("AssumeRolePolicyDocument", ROLE_POLICY)]);
    let body = json!({
        "FunctionName": "echo",
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Role": "arn:aws:iam::123456789012:role/echo",
        "Timeout": 5,
        "Code": { "ZipFile": package(mode) },
        "Environment": { "Variables": variables },
    });
    sim.request("lambda", "POST", "/2015-03-31/functions", &[], body.to_string().as_bytes())
}

pub(crate) fn wait_until_active(sim: &Sim) {
    wait_for("an active function", || {
        let config = sim.request("lambda", "GET", &format!("{FUNCTION}/configuration"), &[], b"").ok().json();
        (config["State"] == "Active").then_some(())
    });
}

pub(crate) fn invoke(sim: &Sim, kind: &str, event: &str) -> Reply {
    let headers = [("x-amz-invocation-type", kind), ("x-amz-log-type", "Tail")];
    sim.request("lambda", "POST", &format!("{FUNCTION}/invocations"), &headers, event.as_bytes())
}

pub(crate) fn change_configuration(sim: &Sim, change: &Value) {
    let path = format!("{FUNCTION}/configuration");
    sim.request("lambda", "PUT", &path, &[], change.to_string().as_bytes()).ok();
    wait_for("the change", || {
        let config = sim.request("lambda", "GET", &path, &[], b"").ok().json();
        (config["LastUpdateStatus"] == "Successful").then_some(())
    });
}
