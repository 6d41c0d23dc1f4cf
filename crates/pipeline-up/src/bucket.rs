//! Writing to the buckets.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{BuildError, SdkError};
use aws_sdk_s3::operation::put_bucket_notification_configuration::PutBucketNotificationConfigurationError;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, NotificationConfiguration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, Tag, Tagging,
};
use futures::future::try_join_all;
use lab_common::{explain, has_code};
use lab_plan::{Pace, Problem, Stop, retry_while, wait_for};

use crate::clients::Clients;
use crate::empty::empty_bucket;
use crate::error::{has_any, is_bucket_unsettled, is_destination_unvalidated, none_if};
use crate::live::{Claim, Guard, block_public_access, find_claim, read_bucket_tags, read_notifications};
use crate::notification::{ENTRY_ID, Trigger, has_entry, replace_entry};
use crate::plan::Property;
use crate::want::{Side, Want};

/// S3's first Region takes no `LocationConstraint`; it is where a bucket goes without one.
const FIRST_REGION: &str = "us-east-1";
/// Pauses before S3 is asked again whether it can reach the function.
const VALIDATION_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Makes a bucket and gives it its properties. The tags come with the creating call, so that a crash cannot lose it.
pub(crate) async fn create(
    clients: &Clients,
    want: &Want,
    side: Side,
    properties: &[Property],
    stop: &Stop,
) -> Result<String, Problem> {
    let name = want.buckets.get(side);
    let tags = to_tags(&want.bucket_tags(side)).map_err(|error| unbuildable(&error))?;
    let location = (want.region != FIRST_REGION).then(|| BucketLocationConstraint::from(want.region.as_str()));
    let configuration =
        CreateBucketConfiguration::builder().set_location_constraint(location).set_tags(Some(tags)).build();
    let create = clients
        .s3
        .create_bucket()
        .bucket(name)
        .object_ownership(ObjectOwnership::BucketOwnerEnforced)
        .create_bucket_configuration(configuration);
    // A bucket of this name may still be on its way out.
    let aborted = |error: &_| has_code(error, "OperationAborted");
    match retry_while(Pace::SPREAD, stop, aborted, async || create.clone().send().await).await {
        Ok(_) => {}
        // The answer to our own call was lost, or another run was faster.
        Err(error) if has_code(&error, "BucketAlreadyOwnedByYou") => require_ours(clients, want, name).await?,
        Err(error) if has_code(&error, "BucketAlreadyExists") => {
            return Err(Problem::failed(format!("the bucket name {name} belongs to someone else"))
                .because("CreateBucket: BucketAlreadyExists; bucket names are shared by all AWS accounts")
                .fix("choose another --owner, or another name in [images] of lab.toml"));
        }
        Err(error) => return Err(explain("CreateBucket", &error)),
    }
    set(clients, name, properties, stop).await
}

async fn require_ours(clients: &Clients, want: &Want, name: &str) -> Result<(), Problem> {
    let tags = read_bucket_tags(clients, None, name).await?;
    if find_claim(&want.tags, &tags) == Claim::Ours || tags.is_empty() {
        return Ok(());
    }
    Err(Problem::failed(format!("the bucket {name} is there and does not bear the tags of this lab"))
        .fix("choose another --owner, or another name in [images] of lab.toml"))
}

/// Writes these properties, all at once.
pub(crate) async fn set(
    clients: &Clients,
    name: &str,
    properties: &[Property],
    stop: &Stop,
) -> Result<String, Problem> {
    try_join_all(properties.iter().map(|property| set_property(clients, name, property, stop))).await?;
    Ok(name.to_owned())
}

async fn set_property(clients: &Clients, name: &str, property: &Property, stop: &Stop) -> Result<(), Problem> {
    let s3 = &clients.s3;
    // Concurrent changes of one bucket can abort each other: each is then made again.
    match property {
        Property::Tags(tags) => {
            let tagging = to_tags(tags).and_then(|tags| Tagging::builder().set_tag_set(Some(tags)).build());
            let put = s3.put_bucket_tagging().bucket(name).tagging(tagging.map_err(|error| unbuildable(&error))?);
            let answer = retry_while(Pace::MOMENT, stop, is_bucket_unsettled, async || put.clone().send().await).await;
            answer.map(drop).map_err(|error| explain("PutBucketTagging", &error))
        }
        Property::Guard(Guard::PublicAccessBlock) => {
            let put = s3.put_public_access_block().bucket(name);
            let put = put.public_access_block_configuration(block_public_access());
            let answer = retry_while(Pace::MOMENT, stop, is_bucket_unsettled, async || put.clone().send().await).await;
            answer.map(drop).map_err(|error| explain("PutPublicAccessBlock", &error))
        }
        Property::Guard(Guard::Encryption) => {
            let configuration = default_encryption().map_err(|error| unbuildable(&error))?;
            let put = s3.put_bucket_encryption().bucket(name).server_side_encryption_configuration(configuration);
            let answer = retry_while(Pace::MOMENT, stop, is_bucket_unsettled, async || put.clone().send().await).await;
            answer.map(drop).map_err(|error| explain("PutBucketEncryption", &error))
        }
        Property::Guard(Guard::OwnerEnforced) => {
            let controls = owner_enforced().map_err(|error| unbuildable(&error))?;
            let put = s3.put_bucket_ownership_controls().bucket(name).ownership_controls(controls);
            let answer = retry_while(Pace::MOMENT, stop, is_bucket_unsettled, async || put.clone().send().await).await;
            answer.map(drop).map_err(|error| explain("PutBucketOwnershipControls", &error))
        }
        Property::Policy(policy) => {
            let put = s3.put_bucket_policy().bucket(name).policy(policy.to_string());
            let answer = retry_while(Pace::MOMENT, stop, is_bucket_unsettled, async || put.clone().send().await).await;
            answer.map(drop).map_err(|error| explain("PutBucketPolicy", &error))
        }
    }
}

fn to_tags(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, BuildError> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn default_encryption() -> Result<ServerSideEncryptionConfiguration, BuildError> {
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::Aes256).build()?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default).build();
    ServerSideEncryptionConfiguration::builder().rules(rule).build()
}

fn owner_enforced() -> Result<OwnershipControls, BuildError> {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build()?;
    OwnershipControls::builder().rules(rule).build()
}

fn unbuildable(error: &BuildError) -> Problem {
    Problem::failed("a request to S3 cannot be built").because(error.to_string())
}

/// Puts our entry into the input bucket's notification configuration. The call replaces the whole configuration, so
/// it is read right before.
pub(crate) async fn set_trigger(
    clients: &Clients,
    want: &Want,
    trigger: &Trigger,
    stop: &Stop,
) -> Result<String, Problem> {
    let name = &want.buckets.input;
    let live = read_notifications(&clients.s3, name).await?;
    let configuration = replace_entry(live, Some(trigger.to_entry()?));
    let mut pauses = VALIDATION_PAUSES.into_iter();
    loop {
        let error = match put_notifications(clients, name, &configuration, false).await {
            Ok(()) => return Ok(ENTRY_ID.to_owned()),
            Err(error) => error,
        };
        let passing = is_destination_unvalidated(&error) || is_bucket_unsettled(&error);
        let Some(pause) = pauses.next().filter(|_| passing) else {
            return Err(explain("PutBucketNotificationConfiguration", &error));
        };
        stop.sleep(pause).await?;
    }
}

/// Takes our entry out again; all else stays.
pub(crate) async fn delete_trigger(clients: &Clients, want: &Want, stop: &Stop) -> Result<String, Problem> {
    let name = &want.buckets.input;
    let live = read_notifications(&clients.s3, name).await?;
    if has_entry(&live) {
        let configuration = replace_entry(live, None);
        // Another entry's target may be gone: that is not our business now.
        let put = async || put_notifications(clients, name, &configuration, true).await;
        let aborted = |error: &_| has_code(error, "OperationAborted");
        let answer = retry_while(Pace::MOMENT, stop, aborted, put).await;
        none_if("PutBucketNotificationConfiguration", &["NoSuchBucket"], answer)?;
    }
    Ok(ENTRY_ID.to_owned())
}

async fn put_notifications(
    clients: &Clients,
    name: &str,
    configuration: &NotificationConfiguration,
    skip_validation: bool,
) -> Result<(), SdkError<PutBucketNotificationConfigurationError, HttpResponse>> {
    let put = clients.s3.put_bucket_notification_configuration().bucket(name);
    let put = put.notification_configuration(configuration.clone());
    put.set_skip_destination_validation(skip_validation.then_some(true)).send().await.map(drop)
}

/// Empties and deletes a bucket. What is written meanwhile goes too.
pub(crate) async fn delete(clients: &Clients, name: &str, stop: &Stop) -> Result<String, Problem> {
    wait_for(Pace::SPREAD, stop, format!("{name} to be empty"), async || {
        empty_bucket(clients, name, stop).await?;
        let answer = clients.s3.delete_bucket().bucket(name).send().await;
        match answer {
            Err(error) if has_any(&error, &["BucketNotEmpty", "OperationAborted"]) => Ok(None),
            answer => none_if("DeleteBucket", &["NoSuchBucket"], answer).map(|_| Some(())),
        }
    })
    .await?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::Client;
    use aws_sdk_s3::operation::create_bucket::CreateBucketOutput;
    use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
    use aws_sdk_s3::operation::get_bucket_tagging::GetBucketTaggingOutput;
    use aws_sdk_s3::operation::put_bucket_notification_configuration::PutBucketNotificationConfigurationOutput;
    use aws_sdk_s3::types::{EventBridgeConfiguration, QueueConfiguration};
    use aws_smithy_mocks::{Rule, mock};
    use lab_plan::Stop;
    use tokio::time::Instant;

    use super::*;
    use crate::notification::Target;
    use crate::testing::{refuse, s3_clients};
    use crate::want::{Filter, sample};

    const UNVALIDATED: &str = "Unable to validate the following destination configurations";

    fn trigger() -> Trigger {
        Trigger { target: Target::Function("arn:aws:lambda:us-east-1:1:function:f".into()), filter: Filter::default() }
    }

    /// A configuration of others, as S3 answers it.
    fn others() -> Rule {
        mock!(Client::get_bucket_notification_configuration).then_output(|| {
            let queue = QueueConfiguration::builder().id("q").queue_arn("q").events("s3:ObjectRemoved:*".into());
            GetBucketNotificationConfigurationOutput::builder()
                .queue_configurations(queue.build().unwrap())
                .event_bridge_configuration(EventBridgeConfiguration::builder().build())
                .build()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_is_not_valid_yet_is_tried_again_after_1_2_and_4_seconds() {
        let (want, _) = sample(|_| ());
        let put = mock!(Client::put_bucket_notification_configuration)
            .match_requests(|put| {
                let it = put.notification_configuration().unwrap();
                it.queue_configurations().len() == 1
                    && it.event_bridge_configuration().is_some()
                    && it.lambda_function_configurations().len() == 1
                    && put.skip_destination_validation().is_none()
            })
            .sequence()
            .http_response(|| refuse(400, "InvalidArgument", UNVALIDATED))
            .times(3)
            .output(|| PutBucketNotificationConfigurationOutput::builder().build())
            .build();
        let start = Instant::now();
        let clients = s3_clients(&[&others(), &put]);
        assert_eq!(set_trigger(&clients, &want, &trigger(), &Stop::new()).await.as_deref(), Ok("hybrid-lab"));
        assert_eq!((put.num_calls(), start.elapsed().as_secs()), (4, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_refusal_of_a_notification_is_final() {
        let (want, _) = sample(|_| ());
        for (code, message) in [("InvalidArgument", "The event is not supported"), ("AccessDenied", UNVALIDATED)] {
            let put = mock!(Client::put_bucket_notification_configuration)
                .then_http_response(move || refuse(400, code, message));
            let clients = s3_clients(&[&others(), &put]);
            let problem = set_trigger(&clients, &want, &trigger(), &Stop::new()).await.unwrap_err();
            assert!(problem.to_string().contains(code), "{problem}");
            assert_eq!(put.num_calls(), 1, "{code}");
        }
    }

    #[tokio::test]
    async fn a_bucket_is_created_with_its_tags_and_without_a_location_in_the_first_region() {
        for (region, location) in [("us-east-1", None), ("eu-west-1", Some("eu-west-1"))] {
            let (mut want, _) = sample(|_| ());
            want.region = region.into();
            let create = mock!(Client::create_bucket)
                .match_requests(move |create| {
                    let configuration = create.create_bucket_configuration().unwrap();
                    let named = configuration.location_constraint().map(BucketLocationConstraint::as_str);
                    let tags: Vec<_> = configuration.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
                    named == location
                        && tags.contains(&("hybrid-lab:owner", "ada"))
                        && tags.contains(&("hybrid-lab:role", "bucket input"))
                        && create.object_ownership() == Some(&ObjectOwnership::BucketOwnerEnforced)
                })
                .then_output(|| CreateBucketOutput::builder().build());
            let clients = s3_clients(&[&create]);
            let made = super::create(&clients, &want, Side::Input, &[], &Stop::new()).await;
            assert_eq!((made.as_deref(), create.num_calls()), (Ok("lab-input-bucket-ada"), 1), "{region}");
        }
    }

    #[tokio::test]
    async fn a_bucket_that_is_there_already_is_done_when_it_is_ours_and_refused_when_not() {
        let (want, _) = sample(|_| ());
        for (owner, done) in [("ada", true), ("bob", false)] {
            let create = mock!(Client::create_bucket).then_http_response(|| refuse(409, "BucketAlreadyOwnedByYou", ""));
            let tags = mock!(Client::get_bucket_tagging).then_output(move || {
                let tags = [("hybrid-lab:lab", "lab"), ("hybrid-lab:owner", owner)]
                    .map(|(key, value)| Tag::builder().key(key).value(value).build().unwrap());
                GetBucketTaggingOutput::builder().set_tag_set(Some(tags.into())).build().unwrap()
            });
            let clients = s3_clients(&[&create, &tags]);
            let made = super::create(&clients, &want, Side::Input, &[], &Stop::new()).await;
            assert_eq!(made.is_ok(), done, "{made:?}");
        }
        let taken = mock!(Client::create_bucket).then_http_response(|| refuse(409, "BucketAlreadyExists", ""));
        let problem = super::create(&s3_clients(&[&taken]), &want, Side::Input, &[], &Stop::new()).await.unwrap_err();
        assert!(problem.to_string().contains("another --owner"), "{problem}");
        assert_eq!(taken.num_calls(), 1);
    }
}
