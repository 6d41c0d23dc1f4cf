//! The pipeline's function, who may invoke it, and whom the input bucket tells of new objects.

use aws_sdk_lambda::types::Concurrency;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter, S3KeyFilter,
};
use lab_common::{Images, Names, explain, has_code};
use lab_plan::Problem;
use serde_json::Value;

use super::{Read, unread};
use crate::clients::Clients;

/// The function, whoever deployed it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Function {
    pub(in super::super) arn: String,
    pub(in super::super) state: String,
    /// Why it is in that state, in Lambda's words.
    pub(in super::super) reason: Option<String>,
    /// The bucket that its environment names; `None` where it names none.
    pub(in super::super) output: Option<String>,
    /// How many of it may work at once, where that is reserved.
    pub(in super::super) reserved: Option<i32>,
    /// `provided.al2023`, `python3.13`.
    pub(in super::super) runtime: String,
    /// SHA-256 of its package, in base64.
    pub(in super::super) code: String,
}

/// An entry of the input bucket's notifications: a function or a queue that is told of objects.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Trigger {
    /// ARN of the function or queue.
    pub(in super::super) target: String,
    pub(in super::super) events: Vec<String>,
    pub(in super::super) prefix: String,
    pub(in super::super) suffix: String,
}

/// What was read of all three.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Pipeline {
    pub(in super::super) function: Read<Option<Function>>,
    /// The function's resource policy.
    pub(in super::super) policy: Read<Option<Value>>,
    pub(in super::super) triggers: Read<Vec<Trigger>>,
    /// The role of the lab's own instance profile has the lab's policy.
    pub(in super::super) may_upload: Read<bool>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self { function: Ok(None), policy: Ok(None), triggers: Ok(Vec::new()), may_upload: Ok(false) }
    }
}

pub(super) async fn find_pipeline(images: &Images, names: &Names, clients: &Clients) -> Pipeline {
    let (function, policy, triggers, may_upload) = tokio::join!(
        find_function(images, clients),
        find_policy(images, clients),
        pipeline_up::read_notifications(&clients.s3, &images.input),
        find_host_policy(names, clients),
    );
    Pipeline {
        function: function.map_err(unread),
        policy: policy.map_err(unread),
        triggers: triggers.as_ref().map(list_triggers).map_err(|problem| unread(problem.clone())),
        may_upload: may_upload.map_err(unread),
    }
}

async fn find_function(images: &Images, clients: &Clients) -> Result<Option<Function>, Problem> {
    let answer = match clients.lambda.get_function().function_name(&images.function).send().await {
        Ok(answer) => answer,
        Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(None),
        Err(error) => return Err(explain("GetFunction", &error)),
    };
    let reserved = answer.concurrency().and_then(Concurrency::reserved_concurrent_executions);
    let Some(function) = answer.configuration() else { return Ok(None) };
    let variables = function.environment().and_then(|environment| environment.variables());
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(Some(Function {
        arn: text(function.function_arn()),
        state: function.state().map_or("Active", |state| state.as_str()).to_owned(),
        reason: function.state_reason().map(str::to_owned),
        output: variables.and_then(|all| all.get("OUTPUT_BUCKET").cloned()),
        reserved,
        runtime: function.runtime().map(|runtime| runtime.as_str().to_owned()).unwrap_or_default(),
        code: text(function.code_sha256()),
    }))
}

async fn find_policy(images: &Images, clients: &Clients) -> Result<Option<Value>, Problem> {
    let answer = match clients.lambda.get_policy().function_name(&images.function).send().await {
        Ok(answer) => answer,
        Err(error) if has_code(&error, "ResourceNotFoundException") => return Ok(None),
        Err(error) => return Err(explain("GetPolicy", &error)),
    };
    Ok(answer.policy().and_then(|text| serde_json::from_str(text).ok()))
}

/// The inline policy that `host-up` gives the hosts' role.
async fn find_host_policy(names: &Names, clients: &Clients) -> Result<bool, Problem> {
    let request = clients.iam.get_role_policy().role_name(names.host_role()).policy_name(host_up::HOST_POLICY);
    match request.send().await {
        Ok(_) => Ok(true),
        Err(error) if has_code(&error, "NoSuchEntity") => Ok(false),
        Err(error) => Err(explain("GetRolePolicy", &error)),
    }
}

fn list_triggers(live: &NotificationConfiguration) -> Vec<Trigger> {
    let functions = live.lambda_function_configurations().iter();
    let functions = functions.map(|one| (one.lambda_function_arn(), one.events(), one.filter()));
    let queues = live.queue_configurations().iter().map(|one| (one.queue_arn(), one.events(), one.filter()));
    let read = |(target, events, filter): (&str, &[Event], Option<&NotificationConfigurationFilter>)| Trigger {
        target: target.to_owned(),
        events: events.iter().map(|event| event.as_str().to_owned()).collect(),
        prefix: read_filter(filter, &FilterRuleName::Prefix),
        suffix: read_filter(filter, &FilterRuleName::Suffix),
    };
    functions.chain(queues).map(read).collect()
}

/// S3 answers `Prefix` where `prefix` was written.
fn read_filter(filter: Option<&NotificationConfigurationFilter>, name: &FilterRuleName) -> String {
    let rules = filter.and_then(NotificationConfigurationFilter::key).map_or(&[][..], S3KeyFilter::filter_rules);
    let named = |rule: &&FilterRule| rule.name().is_some_and(|it| it.as_str().eq_ignore_ascii_case(name.as_str()));
    rules.iter().find(named).and_then(FilterRule::value).unwrap_or_default().to_owned()
}
