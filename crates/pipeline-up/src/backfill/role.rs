//! The role in which a job of S3 Batch Operations works: made when the first backfill needs it, taken down with the rest.

use lab_iam::{NewRole, create_role, put_role_policy, to_tags};
use lab_plan::{Problem, Stop};
use serde_json::{Value, json};

use super::FOLDER;
use crate::clients::Clients;
use crate::live::{Claim, LiveRole, ROLE_POLICY, find_claim};
use crate::policy::says_same;
use crate::want::{Place, Want};

/// Who may assume it (S3 user guide, "Granting permissions for Batch Operations").
pub(super) fn trust_policy() -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "batchoperations.s3.amazonaws.com"}, "Action": "sts:AssumeRole"
    }]})
}

/// What a job may do: invoke the function, read its manifest, write its report.
pub(super) fn job_policy(want: &Want, place: &Place) -> Value {
    let function = want.function_arn(place);
    let folder = format!("{}/{FOLDER}*", place.bucket_arn(&want.buckets.output));
    let allow = |sid: &str, actions: &[&str], resources: &[&str]| json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources});
    json!({"Version": "2012-10-17", "Statement": [
        allow("InvokeFunction", &["lambda:InvokeFunction"], &[&function, &format!("{function}:*")]),
        allow("ReadManifest", &["s3:GetObject", "s3:GetObjectVersion"], &[&folder]),
        allow("WriteReport", &["s3:PutObject"], &[&folder]),
    ]})
}

/// Makes the role, or mends it; answers with its ARN.
pub(super) async fn ensure(
    clients: &Clients,
    want: &Want,
    place: &Place,
    live: Option<&LiveRole>,
    stop: &Stop,
) -> Result<String, Problem> {
    let policy = job_policy(want, place);
    match live {
        Some(role) if find_claim(&want.tags, &role.tags) != Claim::Ours => return Err(taken(&want.batch_role)),
        Some(role) if role.policy.as_ref().is_some_and(|found| says_same(found, &policy)) => {
            return Ok(role.arn.clone());
        }
        Some(_) => {}
        None => create(clients, want, stop).await?,
    }
    put_role_policy(&clients.iam, &want.batch_role, ROLE_POLICY, &policy, stop).await?;
    Ok(want.batch_role_arn(place))
}

fn taken(name: &str) -> Problem {
    Problem::failed(format!("the role {name} is there and does not bear the tags of this lab"))
        .fix("choose another --owner, or delete that role")
}

async fn create(clients: &Clients, want: &Want, stop: &Stop) -> Result<(), Problem> {
    let role = NewRole {
        name: &want.batch_role,
        description: format!("What a backfill by {} may do", want.function.name),
        trust: &trust_policy(),
        tags: to_tags(want.batch_role_tags())?,
    };
    create_role(&clients.iam, role, &want.tags, stop).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::want::sample;

    #[test]
    fn a_job_may_invoke_one_function_and_touch_one_folder() {
        let (want, place) = sample(|_| ());
        let policy = job_policy(&want, &place);
        let resources: Vec<_> =
            policy["Statement"].as_array().unwrap().iter().map(|it| it["Resource"].clone()).collect();
        let function = "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function";
        assert_eq!(resources[0], json!([function, format!("{function}:*")]));
        assert!(resources[1..].iter().all(|it| *it == json!(["arn:aws:s3:::lab-output-bucket-ada/.hybrid-lab/*"])));
    }
}
