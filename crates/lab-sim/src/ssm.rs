//! SSM's public parameters that name machine images: those of lab-sim's own catalogue.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::call::{Answer, Call, answer};
use crate::images::find_image;
use crate::sim::Sim;

/// Answers a call to SSM.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let request = call.json();
    match call.class.action.as_str() {
        "GetParameter" => {
            let name = request["Name"].as_str().unwrap_or_default();
            match find_parameter(&call.class.region, name) {
                Some(parameter) => answer(200, JSON, json!({ "Parameter": parameter }).to_string()),
                None => sim.moto.forward(call).await,
            }
        }
        "GetParameters" => add_parameters(&call.class.region, sim.moto.forward(call).await),
        _ => sim.moto.forward(call).await,
    }
}

const JSON: &str = "application/x-amz-json-1.1";

fn find_parameter(region: &str, name: &str) -> Option<Value> {
    let image = find_image(name)?;
    Some(json!({
        "ARN": format!("arn:aws:ssm:{region}::parameter{name}"),
        "DataType": "aws:ec2:image",
        "LastModifiedDate": 1_788_220_800.0,
        "Name": name,
        "Type": "String",
        "Value": image.id,
        "Version": 1,
    }))
}

/// Moves the names that lab-sim knows from `InvalidParameters` to `Parameters`.
fn add_parameters(region: &str, moto: Answer) -> Answer {
    let Ok(mut whole) = serde_json::from_slice::<Value>(moto.body()) else { return moto };
    let invalid = whole["InvalidParameters"].as_array().cloned().unwrap_or_default();
    let mut found = whole["Parameters"].as_array().cloned().unwrap_or_default();
    // moto's Amazon Linux images are not among ours.
    for parameter in &mut found {
        if let Some(ours) = parameter["Name"].as_str().and_then(|name| find_parameter(region, name)) {
            *parameter = ours;
        }
    }
    let mut missing = Vec::new();
    for name in invalid {
        match find_parameter(region, name.as_str().unwrap_or_default()) {
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
    use crate::call::json_answer;

    #[test]
    fn a_list_keeps_what_moto_found_and_adds_the_images() {
        let name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id";
        let moto = json!({ "Parameters": [{ "Name": "/mine" }], "InvalidParameters": [name, "/none"] });
        let answer = add_parameters("us-east-1", json_answer(200, &moto));
        let whole: Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(whole["Parameters"][0]["Name"], "/mine");
        assert_eq!(whole["Parameters"][1]["Name"], name);
        assert_eq!(whole["InvalidParameters"], json!(["/none"]));
    }
}
