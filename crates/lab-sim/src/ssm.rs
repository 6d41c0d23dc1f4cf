//! SSM's public parameters of Canonical, which moto lacks; those of Amazon Linux it has.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::call::{Answer, Call, answer};
use crate::ec2::find_ubuntu_image;
use crate::sim::Sim;

/// Answers a call to SSM.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let request = call.json();
    match call.class.action.as_str() {
        "GetParameter" => {
            let name = request["Name"].as_str().unwrap_or_default();
            match find_parameter(sim, &call.class.region, name).await {
                Some(parameter) => answer(200, JSON, json!({ "Parameter": parameter }).to_string()),
                None => sim.moto.forward(call).await,
            }
        }
        "GetParameters" => add_parameters(sim, &call.class.region, sim.moto.forward(call).await).await,
        _ => sim.moto.forward(call).await,
    }
}

const JSON: &str = "application/x-amz-json-1.1";

/// The Ubuntu release in the name of a Canonical parameter for amd64: `24.04`.
fn parse_ubuntu_release(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("/aws/service/canonical/ubuntu/server/")?;
    let (release, rest) = rest.split_once('/')?;
    let known = ["stable/current/amd64/hvm/ebs-gp2/ami-id", "stable/current/amd64/hvm/ebs-gp3/ami-id"];
    known.contains(&rest).then_some(release)
}

async fn find_parameter(sim: &Arc<Sim>, region: &str, name: &str) -> Option<Value> {
    let release = parse_ubuntu_release(name)?;
    let image = find_ubuntu_image(sim, region, release).await?;
    Some(json!({
        "ARN": format!("arn:aws:ssm:{region}::parameter{name}"),
        "DataType": "aws:ec2:image",
        "LastModifiedDate": 1_750_000_000.0,
        "Name": name,
        "Type": "String",
        "Value": image,
        "Version": 1,
    }))
}

/// Moves the names that lab-sim knows from `InvalidParameters` to `Parameters`.
async fn add_parameters(sim: &Arc<Sim>, region: &str, moto: Answer) -> Answer {
    let Ok(mut whole) = serde_json::from_slice::<Value>(moto.body()) else { return moto };
    let invalid = whole["InvalidParameters"].as_array().cloned().unwrap_or_default();
    let (mut found, mut missing) = (whole["Parameters"].as_array().cloned().unwrap_or_default(), Vec::new());
    for name in invalid {
        match find_parameter(sim, region, name.as_str().unwrap_or_default()).await {
            Some(parameter) => found.push(parameter),
            None => missing.push(name),
        }
    }
    whole["Parameters"] = Value::Array(found);
    whole["InvalidParameters"] = Value::Array(missing);
    let mut answer = moto.map(|_| Bytes::from(whole.to_string()));
    answer.headers_mut().remove(http::header::CONTENT_LENGTH);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_canonicals_names() {
        let name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id";
        assert_eq!(parse_ubuntu_release(name), Some("24.04"));
        assert_eq!(parse_ubuntu_release(&name.replace("amd64", "arm64")), None);
        assert_eq!(parse_ubuntu_release("/aws/service/canonical/ubuntu"), None);
    }
}
