//! Event source mappings of queues: lab-sim keeps them and polls. moto would call functions that it cannot run. Mappings of
//! streams are left to moto, which keeps them and does nothing.

mod mapping;
mod poller;
mod report;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};

use self::mapping::Mapping;
use self::settings::{Settings, check_visibility, invalid};
use super::{FunctionKey, body_json, not_found};
use crate::call::{Answer, Call, answer, json_answer};
use crate::classify::lambda_path;
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, lock};
use crate::sqs::QueueRef;

/// What a page of `ListEventSourceMappings` holds where the request does not say.
const PAGE: usize = 100;

/// The mappings of an account.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    all: Mutex<BTreeMap<String, Arc<Mapping>>>,
}

impl Mappings {
    /// Forgets every mapping; their pollers end.
    pub(crate) fn reset(&self) {
        for (_, mapping) in std::mem::take(&mut *lock(&self.all)) {
            mapping.forget();
        }
    }

    /// Those that are there, also while they go.
    fn list(&self, sim: &Sim) -> Vec<Arc<Mapping>> {
        let mut all = lock(&self.all);
        all.retain(|_, mapping| mapping.state(&sim.times).is_some());
        all.values().cloned().collect()
    }

    fn find(&self, sim: &Sim, uuid: &str) -> Option<Arc<Mapping>> {
        self.list(sim).into_iter().find(|mapping| mapping.uuid == uuid)
    }

    fn find_by_arn(&self, sim: &Sim, arn: &str) -> Option<Arc<Mapping>> {
        self.list(sim).into_iter().find(|mapping| mapping.arn == arn)
    }

    /// ARN and tags of those in a Region, for the tagging API.
    pub(crate) fn tagged(&self, sim: &Sim, region: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let here = self.list(sim).into_iter().filter(|mapping| mapping.queue.region == region);
        here.map(|mapping| (mapping.arn.clone(), mapping.tags())).filter(|(_, tags)| !tags.is_empty()).collect()
    }
}

/// Answers a call about mappings, or about the tags of one; `None` leaves it to moto.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Option<Result<Answer, ServiceError>> {
    let path = lambda_path(call.uri.path());
    let id = path.get(1).map(String::as_str).unwrap_or_default();
    let by_id = || sim.lambda.mappings.find(sim, id);
    match call.class.action.as_str() {
        "CreateEventSourceMapping" => create(sim, call).await,
        "ListEventSourceMappings" => Some(Ok(list(sim, call).await)),
        "GetEventSourceMapping" => by_id().map(|mapping| Ok(json_answer(200, &mapping.to_json(&sim.times)))),
        "UpdateEventSourceMapping" => Some(update(sim, call, by_id()).await),
        "DeleteEventSourceMapping" => Some(delete(sim, call, by_id()).await),
        "ListTags" | "TagResource" | "UntagResource" => {
            let mapping = sim.lambda.mappings.find_by_arn(sim, id)?;
            Some(Ok(change_tags(call, &mapping)))
        }
        _ => None,
    }
}

/// There is no such mapping.
fn no_mapping() -> ServiceError {
    ServiceError::new(404, "ResourceNotFoundException", "The resource you requested does not exist.")
}

async fn create(sim: &Arc<Sim>, call: &Call) -> Option<Result<Answer, ServiceError>> {
    let request = call.json();
    let queue = QueueRef::from_arn(request["EventSourceArn"].as_str().unwrap_or_default())?;
    Some(create_for_queue(sim, call, &request, queue).await)
}

async fn create_for_queue(
    sim: &Arc<Sim>,
    call: &Call,
    request: &Value,
    queue: QueueRef,
) -> Result<Answer, ServiceError> {
    let function = find_function(sim, &request["FunctionName"], &call.class.region)?;
    let settings = Settings::default().changed(request, &queue)?;
    check_queue(sim, &queue, &function.0).await?;
    refuse_twin(sim, &queue, &function.0)?;
    let uuid = uuid::Uuid::new_v4().to_string();
    let arn = format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", call.class.region, sim.account);
    let tags = read_tags(&request["Tags"]).collect();
    let mapping = Arc::new(Mapping::new(uuid, arn, queue, function, settings, tags, sim.times.now()));
    lock(&sim.lambda.mappings.all).insert(mapping.uuid.clone(), Arc::clone(&mapping));
    let shown = mapping.to_json(&sim.times);
    tokio::spawn(poller::serve(Arc::clone(sim), mapping));
    Ok(json_answer(202, &shown))
}

/// The function that a request names, with its ARN as the mapping shows it.
fn find_function(sim: &Sim, name: &Value, region: &str) -> Result<(FunctionKey, String), ServiceError> {
    let key = FunctionKey::parse(name.as_str().unwrap_or_default(), region);
    let function = sim.lambda.find(&key).ok_or_else(|| not_found(sim, &key))?;
    let arn = function.current().config.arn.clone();
    Ok((key, arn))
}

/// The queue must be there and hide messages for as long as the function may work on them.
async fn check_queue(sim: &Sim, queue: &QueueRef, function: &FunctionKey) -> Result<(), ServiceError> {
    let attributes = queue.attributes(sim).await.ok_or_else(|| {
        invalid(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: \
             The specified queue does not exist.",
        )
    })?;
    let function = sim.lambda.find(function).ok_or_else(|| not_found(sim, function))?;
    check_visibility(&attributes, function.current().config.timeout)
}

fn refuse_twin(sim: &Sim, queue: &QueueRef, function: &FunctionKey) -> Result<(), ServiceError> {
    let twin = sim.lambda.mappings.list(sim).into_iter().find(|it| it.queue == *queue && it.function() == *function);
    let Some(twin) = twin else { return Ok(()) };
    let message = format!(
        "An event source mapping with SQS arn (\" {} \") and function (\" {} \") already exists. Please update or delete the \
         existing mapping with UUID {}",
        queue.arn(),
        function.name,
        twin.uuid
    );
    Err(ServiceError::new(409, "ResourceConflictException", message))
}

/// Ours, and on the first page moto's.
async fn list(sim: &Arc<Sim>, call: &Call) -> Answer {
    let query = call.query();
    let function = query.get("FunctionName").map(|name| FunctionKey::parse(name, &call.class.region));
    let here = |mapping: &Arc<Mapping>| {
        query.get("EventSourceArn").is_none_or(|arn| mapping.queue.arn() == arn)
            && function.as_ref().is_none_or(|key| mapping.function() == *key)
            && mapping.queue.region == call.class.region
    };
    let mut shown: Vec<Value> =
        sim.lambda.mappings.list(sim).iter().filter(|it| here(it)).map(|it| it.to_json(&sim.times)).collect();
    let others = body_json(&sim.moto.forward(call).await);
    shown.extend(others["EventSourceMappings"].as_array().cloned().unwrap_or_default());
    let start = query.get("Marker").and_then(|marker| marker.parse().ok()).unwrap_or(0).min(shown.len());
    let size = query.get("MaxItems").and_then(|items| items.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let end = (start + size).min(shown.len());
    let mut page = json!({ "EventSourceMappings": shown[start..end] });
    if end < shown.len() {
        page["NextMarker"] = json!(end.to_string());
    }
    json_answer(200, &page)
}

/// A mapping takes no second change while the first settles.
fn refuse_while_changing(sim: &Sim, mapping: &Mapping, verb: &str) -> Result<(), ServiceError> {
    if matches!(mapping.state(&sim.times), Some("Enabled" | "Disabled")) {
        return Ok(());
    }
    let message = format!("Cannot {verb} the event source mapping because it is in use.");
    Err(ServiceError::new(400, "ResourceInUseException", message))
}

/// A mapping that is not ours may be one of a stream. moto says nothing of one that is not there.
async fn ask_moto(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let answer = sim.moto.forward(call).await;
    // moto answers the deletion of one that is not there with success and nothing.
    let is_nothing = answer.status().is_success() && body_json(&answer)["UUID"].is_null();
    if answer.status() == 404 || is_nothing { Err(no_mapping()) } else { Ok(answer) }
}

async fn update(sim: &Arc<Sim>, call: &Call, mapping: Option<Arc<Mapping>>) -> Result<Answer, ServiceError> {
    let Some(mapping) = mapping else { return ask_moto(sim, call).await };
    refuse_while_changing(sim, &mapping, "update")?;
    let request = call.json();
    let function = match &request["FunctionName"] {
        Value::Null => None,
        name => Some(find_function(sim, name, &call.class.region)?),
    };
    let settings = mapping.settings().changed(&request, &mapping.queue)?;
    let key = function.as_ref().map_or_else(|| mapping.function(), |(key, _)| key.clone());
    check_queue(sim, &mapping.queue, &key).await?;
    mapping.update(settings, function, sim.times.now());
    Ok(json_answer(202, &mapping.to_json(&sim.times)))
}

async fn delete(sim: &Arc<Sim>, call: &Call, mapping: Option<Arc<Mapping>>) -> Result<Answer, ServiceError> {
    let Some(mapping) = mapping else { return ask_moto(sim, call).await };
    refuse_while_changing(sim, &mapping, "delete")?;
    mapping.delete(sim.times.now());
    let mut shown = mapping.to_json(&sim.times);
    shown["State"] = json!("Deleting");
    Ok(json_answer(202, &shown))
}

fn read_tags(tags: &Value) -> impl Iterator<Item = (String, String)> + '_ {
    let pairs = tags.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
}

fn change_tags(call: &Call, mapping: &Mapping) -> Answer {
    match call.class.action.as_str() {
        "TagResource" => mapping.change_tags(|tags| tags.extend(read_tags(&call.json()["Tags"]))),
        "UntagResource" => {
            let query = call.query();
            let gone: Vec<&String> = query.0.iter().filter(|(name, _)| name == "tagKeys").map(|(_, key)| key).collect();
            mapping.change_tags(|tags| tags.retain(|key, _| !gone.contains(&key)));
        }
        _ => return json_answer(200, &json!({ "Tags": mapping.tags() })),
    }
    answer(204, "application/json", Bytes::new())
}
