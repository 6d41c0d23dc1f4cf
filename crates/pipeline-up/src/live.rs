//! What is there: two rounds of reads, none of which writes.
//!
//! The first round asks who we are, whether the buckets exist, and for the function and the log group. The second asks
//! for what belongs to them. Only the code that AWS documents for it means "absent"; every other error is an error.

mod delivery;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::operation::get_role_policy::GetRolePolicyOutput;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_bucket_notification_configuration::GetBucketNotificationConfigurationOutput;
use aws_sdk_s3::operation::head_bucket::{HeadBucketError, HeadBucketOutput};
use aws_sdk_s3::types::{
    NotificationConfiguration, ObjectOwnership, OwnershipControlsRule, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault,
};
use lab_account::identify_with;
use lab_common::{Caller, Images, Tags, explain, is_unknown_caller};
use lab_ec2::NatGateway;
use lab_logs::{LogGroup, find_group, read_tags};
use lab_plan::Problem;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::Value;

use crate::clients::Clients;
use crate::concurrency::Room;
use crate::error::none_if;
use crate::stray::Stray;
use crate::want::{Both, Place, QueueKind, Side, Want};

pub(crate) use delivery::{
    Counts, LiveInvoke, LiveMapping, LiveQueue, NO_QUEUE, find_queue_url, read_counts, read_queue_tags,
};

/// What was observed of the pipeline.
#[derive(Debug, Clone)]
pub struct Live {
    pub(crate) caller: Caller,
    pub(crate) place: Place,
    pub(crate) buckets: Both<LiveBucket>,
    /// Our own role. Not looked for in a Learner Lab.
    pub(crate) role: Option<LiveRole>,
    /// Our role of backfills, where there was one.
    pub(crate) batch_role: Option<LiveRole>,
    pub(crate) log_group: Option<LogGroup>,
    pub(crate) function: Option<LiveFunction>,
    pub(crate) queues: Queues<LiveQueue>,
    /// From our queue to our function.
    pub(crate) mapping: Option<LiveMapping>,
    pub(crate) invoke: Option<LiveInvoke>,
    /// Where lab.toml bounds the function, and we may know.
    pub(crate) room: Option<Room>,
    /// What of ours lab.toml calls otherwise now. Looked for only where all is to go.
    pub(crate) strays: Vec<Stray>,
    /// The lab's NAT gateways. None of the pipeline's business, but nothing that costs is forgotten as easily.
    pub(crate) nat_gateways: Vec<NatGateway>,
}

/// Something for each queue that is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Queues<T> {
    pub(crate) images: Option<T>,
    pub(crate) dead_letters: Option<T>,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self { images: None, dead_letters: None }
    }
}

impl<T> Queues<T> {
    pub(crate) const fn get(&self, kind: QueueKind) -> Option<&T> {
        match kind {
            QueueKind::Images => self.images.as_ref(),
            QueueKind::DeadLetters => self.dead_letters.as_ref(),
        }
    }
}

/// A bucket's name, and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LiveBucket {
    /// Nobody has it.
    Absent,
    /// Another account has it, or we may not see it.
    Taken,
    /// It is in this other Region.
    Elsewhere(String),
    /// It is in our account and Region.
    Here(Box<HereBucket>),
}

impl LiveBucket {
    pub(crate) fn here(&self) -> Option<&HereBucket> {
        match self {
            Self::Here(bucket) => Some(bucket),
            _ => None,
        }
    }
}

/// A protection that every bucket of ours has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Guard {
    /// Block Public Access, all four parts.
    PublicAccessBlock,
    /// Objects are encrypted with S3's own keys unless they say otherwise.
    Encryption,
    /// There are no ACLs: the bucket's owner owns every object.
    OwnerEnforced,
}

/// A bucket in our account.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HereBucket {
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) guards: BTreeSet<Guard>,
    pub(crate) policy: Option<Value>,
    /// It holds no version and no delete marker.
    pub(crate) is_empty: bool,
    pub(crate) notifications: NotificationConfiguration,
}

impl HereBucket {
    /// A bucket that has nothing yet.
    pub(crate) fn bare() -> Self {
        Self {
            tags: BTreeMap::new(),
            guards: BTreeSet::new(),
            policy: None,
            is_empty: true,
            notifications: NotificationConfiguration::builder().build(),
        }
    }
}

/// The function's role.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LiveRole {
    pub(crate) arn: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) trust: Option<Value>,
    /// The inline policy that bears our name.
    pub(crate) policy: Option<Value>,
}

/// The deployed function. Of its environment only what lab.toml sets is kept: the rest may be secret.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LiveFunction {
    pub(crate) arn: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) role: String,
    pub(crate) memory_mb: i32,
    pub(crate) timeout_s: i32,
    pub(crate) environment: BTreeMap<&'static str, String>,
    pub(crate) state: String,
    /// `InProgress`, `Failed`, or nothing to speak of.
    pub(crate) update: Option<String>,
    /// How many of it may work at once, where that is reserved.
    pub(crate) reserved: Option<i32>,
    /// `x86_64` or `arm64`.
    pub(crate) arch: Option<String>,
    /// Why it is in that state, in Lambda's words.
    pub(crate) reason: Option<String>,
    pub(crate) code_bytes: i64,
    pub(crate) modified: String,
    /// Its resource policy.
    pub(crate) policy: Option<Value>,
}

/// Whose a thing is, by its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This lab's.
    Ours,
    /// No lab's.
    Nobodys,
    /// Another lab's.
    Anothers,
}

/// Whose a thing with these tags is.
pub(crate) fn find_claim(ours: &Tags, tags: &BTreeMap<String, String>) -> Claim {
    if ours.match_all(tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))) {
        Claim::Ours
    } else if tags.contains_key(Tags::LAB) || tags.contains_key(Tags::OWNER) {
        Claim::Anothers
    } else {
        Claim::Nobodys
    }
}

/// The name of the inline policy of the function's role.
pub(crate) const ROLE_POLICY: &str = "hybrid-lab";

/// Reads all of it.
pub(crate) async fn observe(clients: &Clients, want: &Want) -> Result<Live, Problem> {
    let (caller, input, output, function, policy, log_group, queues, room) = tokio::join!(
        identify_with(&clients.sts),
        head_bucket(clients, want, Side::Input),
        head_bucket(clients, want, Side::Output),
        read_function(clients, want),
        read_function_policy(clients, want),
        find_group(&clients.logs, &want.log_group),
        delivery::find_queues(clients, want),
        delivery::read_room(clients, want),
    );
    // Who we are comes first: with bad credentials all of them fail, and STS says best why.
    let caller = caller?;
    let place = Place::new(want, &caller);
    let (input, output, function, policy, log_group) = (input?, output?, function?, policy?, log_group?);
    let (queues, room) = (queues?, room?);
    let (has_queue, has_dead_letters) = (queues.images.is_some(), queues.dead_letters.is_some());
    let (input, output, (role, batch_role), log_group, queues, mapping, invoke) = tokio::try_join!(
        read_bucket(clients, want, &place, Side::Input, input),
        read_bucket(clients, want, &place, Side::Output, output),
        read_roles(clients, want, &place),
        read_tags(&clients.logs, log_group),
        delivery::read_queues(clients, queues),
        delivery::read_mapping(clients, want, &place, has_queue),
        delivery::read_invoke(clients, want, has_dead_letters),
    )?;
    let function = function.map(|function| LiveFunction { policy, ..function });
    let buckets = Both { input, output };
    Ok(Live {
        caller,
        place,
        buckets,
        role,
        batch_role,
        log_group,
        function,
        queues,
        mapping,
        invoke,
        room,
        strays: Vec::new(),
        nat_gateways: Vec::new(),
    })
}

/// Whether a name is taken, and by whom: `Err` holds what is already known without looking closer.
type Head = Result<(), LiveBucket>;

async fn head_bucket(clients: &Clients, want: &Want, side: Side) -> Result<Head, Problem> {
    let name = want.buckets.get(side);
    let answer = clients.s3.head_bucket().bucket(name).send().await;
    let sorted = sort_head(&want.region, answer);
    let is_refused = match &sorted {
        Ok(head) => matches!(head, Err(LiveBucket::Taken)),
        Err(error) => error.raw_response().is_some_and(|raw| raw.status().as_u16() == 400),
    };
    if is_refused {
        check_credentials(clients, name).await?;
    }
    sorted.map_err(|error| explain("HeadBucket", &error))
}

/// S3 cannot say in an answer without a body that it does not take our credentials (any more). Any GET is told so.
async fn check_credentials(clients: &Clients, bucket: &str) -> Result<(), Problem> {
    match clients.s3.get_bucket_tagging().bucket(bucket).send().await {
        Err(error) if is_unknown_caller(&error) => Err(explain("GetBucketTagging", &error)),
        _ => Ok(()),
    }
}

/// `HeadBucket` answers without a body, so its status is all there is (S3 API reference): 404 nobody's, 403 another's,
/// 301 in the Region that a header names.
fn sort_head(
    region: &str,
    answer: Result<HeadBucketOutput, SdkError<HeadBucketError, HttpResponse>>,
) -> Result<Head, SdkError<HeadBucketError, HttpResponse>> {
    let error = match answer {
        Ok(found) => {
            let elsewhere = found.bucket_region().filter(|found| *found != region);
            return Ok(elsewhere.map_or(Ok(()), |other| Err(LiveBucket::Elsewhere(other.to_owned()))));
        }
        Err(error) => error,
    };
    let Some(raw) = error.raw_response() else { return Err(error) };
    match raw.status().as_u16() {
        404 => Ok(Err(LiveBucket::Absent)),
        403 => Ok(Err(LiveBucket::Taken)),
        301 => {
            let other = raw.headers().get("x-amz-bucket-region").unwrap_or("another Region").to_owned();
            Ok(Err(LiveBucket::Elsewhere(other)))
        }
        _ => Err(error),
    }
}

async fn read_bucket(
    clients: &Clients,
    want: &Want,
    place: &Place,
    side: Side,
    head: Head,
) -> Result<LiveBucket, Problem> {
    if let Err(known) = head {
        return Ok(known);
    }
    let name = want.buckets.get(side);
    let (tags, public_access, encryption, ownership, policy, is_empty, notifications) = tokio::try_join!(
        read_bucket_tags(clients, Some(&place.account), name),
        read_public_access(clients, name),
        read_encryption(clients, name),
        read_ownership(clients, name),
        read_bucket_policy(clients, name),
        read_emptiness(clients, name),
        read_notifications(clients, name),
    )?;
    let guards = [public_access, encryption, ownership].into_iter().flatten().collect();
    Ok(LiveBucket::Here(Box::new(HereBucket { tags, guards, policy, is_empty, notifications })))
}

/// A bucket that was deleted since the first round has no properties either.
fn none_in_bucket<T, E>(
    call: &str,
    code: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Result<Option<T>, Problem>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    none_if(call, &[code, "NoSuchBucket"], answer)
}

pub(crate) async fn read_bucket_tags(
    clients: &Clients,
    owner: Option<&str>,
    name: &str,
) -> Result<BTreeMap<String, String>, Problem> {
    // With an owner S3 answers 403 for a bucket of another account that anybody may look into.
    let get = clients.s3.get_bucket_tagging().bucket(name).set_expected_bucket_owner(owner.map(str::to_owned));
    let answer = get.send().await;
    let found = none_in_bucket("GetBucketTagging", "NoSuchTagSet", answer)?;
    let tags = found.map_or(Vec::new(), |found| found.tag_set);
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

async fn read_public_access(clients: &Clients, name: &str) -> Result<Option<Guard>, Problem> {
    let answer = clients.s3.get_public_access_block().bucket(name).send().await;
    let found = none_in_bucket("GetPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration", answer)?;
    let blocks = found.and_then(|found| found.public_access_block_configuration) == Some(block_public_access());
    Ok(blocks.then_some(Guard::PublicAccessBlock))
}

/// All four parts of Block Public Access.
pub(crate) fn block_public_access() -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(true)
        .ignore_public_acls(true)
        .block_public_policy(true)
        .restrict_public_buckets(true)
        .build()
}

async fn read_encryption(clients: &Clients, name: &str) -> Result<Option<Guard>, Problem> {
    let answer = clients.s3.get_bucket_encryption().bucket(name).send().await;
    let found = none_in_bucket("GetBucketEncryption", "ServerSideEncryptionConfigurationNotFoundError", answer)?;
    let rules = found.and_then(|found| found.server_side_encryption_configuration).map_or(Vec::new(), |it| it.rules);
    let algorithms = rules.iter().filter_map(|rule| rule.apply_server_side_encryption_by_default());
    let encrypts = algorithms.map(ServerSideEncryptionByDefault::sse_algorithm).eq([&ServerSideEncryption::Aes256]);
    Ok(encrypts.then_some(Guard::Encryption))
}

async fn read_ownership(clients: &Clients, name: &str) -> Result<Option<Guard>, Problem> {
    let answer = clients.s3.get_bucket_ownership_controls().bucket(name).send().await;
    let found = none_in_bucket("GetBucketOwnershipControls", "OwnershipControlsNotFoundError", answer)?;
    let rules = found.and_then(|found| found.ownership_controls).map_or(Vec::new(), |controls| controls.rules);
    let enforces =
        rules.iter().map(OwnershipControlsRule::object_ownership).eq([&ObjectOwnership::BucketOwnerEnforced]);
    Ok(enforces.then_some(Guard::OwnerEnforced))
}

async fn read_bucket_policy(clients: &Clients, name: &str) -> Result<Option<Value>, Problem> {
    let answer = clients.s3.get_bucket_policy().bucket(name).send().await;
    let found = none_in_bucket("GetBucketPolicy", "NoSuchBucketPolicy", answer)?;
    read_document("GetBucketPolicy", found.and_then(|found| found.policy).as_deref())
}

async fn read_emptiness(clients: &Clients, name: &str) -> Result<bool, Problem> {
    let answer = clients.s3.list_object_versions().bucket(name).max_keys(1).send().await;
    let found = none_in_bucket("ListObjectVersions", "NoSuchBucket", answer)?;
    Ok(found.is_none_or(|found| found.versions().is_empty() && found.delete_markers().is_empty()))
}

pub(crate) async fn read_notifications(clients: &Clients, name: &str) -> Result<NotificationConfiguration, Problem> {
    let answer = clients.s3.get_bucket_notification_configuration().bucket(name).send().await;
    let found = match answer {
        Err(error) if is_bare_document(&error) => None,
        answer => none_in_bucket("GetBucketNotificationConfiguration", "NoSuchBucket", answer)?,
    };
    Ok(found.map_or_else(|| NotificationConfiguration::builder().build(), to_configuration))
}

/// Whether the answer is a success whose document is one element with nothing in it. S3's is then called
/// `NotificationConfiguration`; services that are like S3 call it otherwise, and only this SDK minds.
fn is_bare_document<E>(error: &SdkError<E, HttpResponse>) -> bool {
    let Some(raw) = error.raw_response().filter(|raw| raw.status().is_success()) else { return false };
    let text = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let document = text.split_once("?>").map_or(&*text, |(_, document)| document).trim();
    document.ends_with("/>") && document.matches('<').count() == 1
}

/// What `Get` answers, in the shape that `Put` takes.
fn to_configuration(found: GetBucketNotificationConfigurationOutput) -> NotificationConfiguration {
    NotificationConfiguration::builder()
        .set_topic_configurations(found.topic_configurations)
        .set_queue_configurations(found.queue_configurations)
        .set_lambda_function_configurations(found.lambda_function_configurations)
        .set_event_bridge_configuration(found.event_bridge_configuration)
        .build()
}

/// The function's role and that of backfills; neither in a Learner Lab, whose role is not ours.
async fn read_roles(
    clients: &Clients,
    want: &Want,
    place: &Place,
) -> Result<(Option<LiveRole>, Option<LiveRole>), Problem> {
    if place.academy {
        return Ok((None, None));
    }
    tokio::try_join!(read_role(clients, &want.role), read_role(clients, &want.batch_role))
}

async fn read_role(clients: &Clients, name: &str) -> Result<Option<LiveRole>, Problem> {
    let role = async {
        let answer = clients.iam.get_role().role_name(name).send().await;
        let found = none_if("GetRole", &["NoSuchEntity"], answer)?;
        let Some(role) = found.and_then(|found| found.role) else { return Ok(None) };
        let trust = read_document("GetRole", decode(role.assume_role_policy_document()).as_deref())?;
        let tags = role.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
        Ok(Some(LiveRole { arn: role.arn, tags, trust, policy: None }))
    };
    let policy = async {
        let answer = clients.iam.get_role_policy().role_name(name).policy_name(ROLE_POLICY).send().await;
        let found = none_if("GetRolePolicy", &["NoSuchEntity"], answer)?;
        read_document("GetRolePolicy", decode(found.as_ref().map(GetRolePolicyOutput::policy_document)).as_deref())
    };
    let (role, policy): (_, Option<Value>) = tokio::try_join!(role, policy)?;
    Ok(role.map(|role| LiveRole { policy, ..role }))
}

/// IAM answers documents as RFC 3986 has them in a URL.
fn decode(document: Option<&str>) -> Option<String> {
    Some(percent_decode_str(document?).decode_utf8_lossy().into_owned())
}

async fn read_function(clients: &Clients, want: &Want) -> Result<Option<LiveFunction>, Problem> {
    let answer = clients.lambda.get_function().function_name(&want.function.name).send().await;
    let Some(found) = none_if("GetFunction", &["ResourceNotFoundException"], answer)? else { return Ok(None) };
    let tags = found.tags.unwrap_or_default().into_iter().collect();
    let reserved = found.concurrency.and_then(|concurrency| concurrency.reserved_concurrent_executions);
    let Some(function) = found.configuration else {
        return Err(Problem::failed("GetFunction answers without the function's configuration"));
    };
    let variables = function.environment().and_then(|it| it.variables()).cloned().unwrap_or_default();
    let known = Images::variables();
    let environment = known.filter_map(|key| Some((key, variables.get(key)?.clone()))).collect();
    let reason = function.last_update_status_reason().or(function.state_reason()).map(str::to_owned);
    Ok(Some(LiveFunction {
        environment,
        tags,
        reason,
        state: function.state().map_or("Active", |state| state.as_str()).to_owned(),
        update: function.last_update_status().map(|update| update.as_str().to_owned()),
        reserved,
        arch: function.architectures().first().map(|arch| arch.as_str().to_owned()),
        memory_mb: function.memory_size.unwrap_or_default(),
        timeout_s: function.timeout.unwrap_or_default(),
        code_bytes: function.code_size,
        arn: function.function_arn.unwrap_or_default(),
        role: function.role.unwrap_or_default(),
        modified: function.last_modified.unwrap_or_default(),
        policy: None,
    }))
}

pub(crate) async fn read_function_policy(clients: &Clients, want: &Want) -> Result<Option<Value>, Problem> {
    let answer = clients.lambda.get_policy().function_name(&want.function.name).send().await;
    let found = none_if("GetPolicy", &["ResourceNotFoundException"], answer)?;
    read_document("GetPolicy", found.and_then(|found| found.policy).as_deref())
}

fn read_document(call: &str, text: Option<&str>) -> Result<Option<Value>, Problem> {
    let parse = |text: &str| {
        serde_json::from_str(text)
            .map_err(|error| Problem::failed(format!("{call} answers with no JSON")).because(error.to_string()))
    };
    text.map(parse).transpose()
}
