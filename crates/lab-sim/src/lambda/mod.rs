//! Lambda: moto keeps functions, policies and configurations; lab-sim keeps their code and runs it.

mod concurrency;
mod destinations;
mod environment;
mod function;
mod invoke;
mod logs;
mod metrics;
mod runtime_api;
mod slots;
mod sources;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::call::{Answer, Call};
use crate::classify::{Protocol, lambda_path};
use crate::faults::answers::ServiceError;
use crate::form::{decode_percent, encode_form};
use crate::sim::{Sim, lock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

pub(crate) use function::FunctionKey;
use function::{Code, Function, FunctionConfig, Version};
pub(crate) use invoke::{invoke_async, invoke_when_free};
use slots::Slots;
use sources::Mappings;

/// The functions and what runs them.
#[derive(Debug)]
pub(crate) struct LambdaHost {
    folder: PathBuf,
    functions: Mutex<HashMap<FunctionKey, Arc<Function>>>,
    /// How many environments may work at once.
    pub(crate) slots: Arc<Slots>,
    pub(crate) mappings: Mappings,
    counter: AtomicU64,
}

impl LambdaHost {
    /// A host that keeps its files in `folder` and runs at most `concurrency` environments at once.
    pub(crate) fn new(folder: PathBuf, concurrency: u32) -> Self {
        Self {
            folder,
            functions: Mutex::new(HashMap::new()),
            slots: Arc::new(Slots::new(concurrency)),
            mappings: Mappings::default(),
            counter: AtomicU64::new(0),
        }
    }

    pub(crate) fn find(&self, key: &FunctionKey) -> Option<Arc<Function>> {
        lock(&self.functions).get(key).cloned()
    }

    /// Ends and forgets every function.
    pub(crate) async fn reset(&self) {
        self.mappings.reset();
        self.slots.reset();
        let functions: Vec<_> = lock(&self.functions).drain().collect();
        for (_, function) in functions {
            function.delete();
        }
        // Ended processes are reaped in the background; give the runtime a turn to do so.
        tokio::task::yield_now().await;
    }

    /// A folder that nothing else uses.
    fn new_folder(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{what}-{}", self.counter.fetch_add(1, Ordering::Relaxed)))
    }
}

/// The deployment package of a function, for the download link in `GetFunction`'s answer.
pub(crate) fn find_zip(sim: &Sim, region: &str, name: &str) -> Option<Bytes> {
    let key = FunctionKey { region: region.to_owned(), name: decode_percent(name) };
    sim.lambda.find(&key).map(|function| function.current().code.zip.clone())
}

/// Answers a call to Lambda.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    if let Some(result) = sources::answer_call(sim, call).await {
        return result.unwrap_or_else(|error| error.to_answer(Protocol::RestJson));
    }
    let result = match call.class.action.as_str() {
        "CreateFunction" => create_function(sim, call).await,
        "UpdateFunctionCode" => update_code(sim, call).await,
        "UpdateFunctionConfiguration" => update_configuration(sim, call).await,
        "GetFunction" => get_function(sim, call).await,
        "GetFunctionConfiguration" => {
            Ok(edit_json(sim.moto.forward(call).await, |config| show_state(sim, call, config)))
        }
        "DeleteFunction" => delete_function(sim, call).await,
        "AddPermission" => add_permission(sim, call).await,
        "GetFunctionConcurrency" => concurrency::get(sim, call),
        "PutFunctionConcurrency" => concurrency::put(sim, call),
        "DeleteFunctionConcurrency" => concurrency::delete(sim, call),
        "GetAccountSettings" => Ok(concurrency::account_settings(sim, call)),
        "Invoke" => invoke::answer_invoke(sim, call).await,
        "InvokeAsync" => invoke::answer_invoke_async(sim, call),
        _ => Ok(sim.moto.forward(call).await),
    };
    result.unwrap_or_else(|error| error.to_answer(Protocol::RestJson))
}

/// The function that a call's path names.
fn key_of(call: &Call) -> FunctionKey {
    let path = lambda_path(call.uri.path());
    FunctionKey::parse(path.get(1).map(String::as_str).unwrap_or_default(), &call.class.region)
}

fn not_found(sim: &Sim, key: &FunctionKey) -> ServiceError {
    let arn = format!("arn:aws:lambda:{}:{}:function:{}", key.region, sim.account, key.name);
    ServiceError::new(404, "ResourceNotFoundException", format!("Function not found: {arn}"))
}

/// Changes the JSON of a successful answer.
fn edit_json(answer: Answer, edit: impl FnOnce(&mut Value)) -> Answer {
    if !answer.status().is_success() {
        return answer;
    }
    let Ok(mut json) = serde_json::from_slice::<Value>(answer.body()) else {
        return answer;
    };
    edit(&mut json);
    let mut answer = answer.map(|_| Bytes::from(json.to_string()));
    answer.headers_mut().remove(http::header::CONTENT_LENGTH);
    // moto adds a checksum of the body to some answers.
    answer.headers_mut().remove("x-amz-crc32");
    answer
}

fn body_json(answer: &Answer) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

async fn create_function(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let request = call.json();
    check_environment(&request)?;
    check_role(sim, &request)?;
    let answer = sim.moto.forward(call).await;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let config = FunctionConfig::from_answer(&body_json(&answer), request["LoggingConfig"]["LogGroup"].as_str());
    let zip = read_package(sim, &call.class.region, &request["Code"]).await?;
    let key = FunctionKey::parse(request["FunctionName"].as_str().unwrap_or_default(), &call.class.region);
    let code = Arc::new(Code::new(zip, sim.lambda.new_folder("code")));
    let function = Arc::new(Function::new(key.clone(), Version::new(config, code), sim.times.now()));
    lock(&sim.lambda.functions).insert(key.clone(), function);
    Ok(edit_json(answer, |config| show_state_of(sim, &key, config)))
}

/// The package in a request: inline, or an object in S3.
async fn read_package(sim: &Sim, region: &str, code: &Value) -> Result<Bytes, ServiceError> {
    let invalid = |message: &str| ServiceError::new(400, "InvalidParameterValueException", message);
    if let Some(inline) = code["ZipFile"].as_str() {
        return STANDARD.decode(inline).map(Bytes::from).map_err(|_| invalid("ZipFile is not base64"));
    }
    let (Some(bucket), Some(key)) = (code["S3Bucket"].as_str(), code["S3Key"].as_str()) else {
        return Ok(Bytes::new());
    };
    let path = format!("/{bucket}/{}", encode_form(key).replace('+', "%20").replace("%2F", "/"));
    let object = sim.moto.rest("s3", region, Method::GET, &path, Bytes::new()).await;
    if object.status().is_success() {
        Ok(object.into_body())
    } else {
        Err(invalid("Error occurred while GetObject. S3 Error Code: NoSuchKey."))
    }
}

/// Lambda's limits on a function's variables: 4 KB, and no reserved names.
fn check_environment(request: &Value) -> Result<(), ServiceError> {
    let Some(variables) = request["Environment"]["Variables"].as_object() else {
        return Ok(());
    };
    let invalid = |message: String| Err(ServiceError::new(400, "InvalidParameterValueException", message));
    let reserved: Vec<&str> = variables.keys().map(String::as_str).filter(|name| is_reserved(name)).collect();
    if !reserved.is_empty() {
        return invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        ));
    }
    let size = json!(variables).to_string().len();
    if size > 4096 {
        return invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             exceeded the 4KB limit. String measured: {size} bytes"
        ));
    }
    Ok(())
}

/// A role that Lambda does not know yet, where a fault rule hides it.
fn check_role(sim: &Sim, request: &Value) -> Result<(), ServiceError> {
    let role = request["Role"].as_str().unwrap_or_default();
    if sim.late.is_hidden(&crate::iam::role_name(role), sim.times.now()) {
        let message = "The role defined for the function cannot be assumed by Lambda.";
        return Err(ServiceError::new(400, "InvalidParameterValueException", message));
    }
    Ok(())
}

fn is_reserved(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "_HANDLER",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    ];
    RESERVED.contains(&name)
}

/// A function takes no second change while the first settles.
fn refuse_while_changing(sim: &Sim, key: &FunctionKey) -> Result<(), ServiceError> {
    let Some(function) = sim.lambda.find(key) else {
        return Ok(());
    };
    if function.until_ready(&sim.times).is_zero() {
        return Ok(());
    }
    let message = format!(
        "The operation cannot be performed at this time. An update is in progress for resource: {}",
        function.current().config.arn
    );
    Err(ServiceError::new(409, "ResourceConflictException", message))
}

async fn update_code(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = key_of(call);
    let request = call.json();
    refuse_while_changing(sim, &key)?;
    let answer = sim.moto.forward(call).await;
    if answer.status().is_success()
        && request["DryRun"].as_bool() != Some(true)
        && let Some(function) = sim.lambda.find(&key)
    {
        let zip = read_package(sim, &call.class.region, &request).await?;
        let old = function.current();
        let config = FunctionConfig::from_answer(&body_json(&answer), Some(&old.config.log_group));
        let code = Arc::new(Code::new(zip, sim.lambda.new_folder("code")));
        function.update(Version::new(config, code), sim.times.now());
    }
    Ok(edit_json(answer, |config| show_state_of(sim, &key, config)))
}

async fn update_configuration(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = key_of(call);
    let request = call.json();
    check_environment(&request)?;
    refuse_while_changing(sim, &key)?;
    let answer = sim.moto.forward(call).await;
    if answer.status().is_success()
        && let Some(function) = sim.lambda.find(&key)
    {
        let old = function.current();
        let log_group = request["LoggingConfig"]["LogGroup"].as_str().unwrap_or(&old.config.log_group);
        let config = FunctionConfig::from_answer(&body_json(&answer), Some(log_group));
        function.update(Version::new(config, Arc::clone(&old.code)), sim.times.now());
    }
    Ok(edit_json(answer, |config| show_state_of(sim, &key, config)))
}

async fn get_function(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = key_of(call);
    Ok(edit_json(sim.moto.forward(call).await, |whole| {
        show_state_of(sim, &key, &mut whole["Configuration"]);
        if let Some(reserved) = sim.lambda.slots.reserved(&key) {
            whole["Concurrency"] = json!({ "ReservedConcurrentExecutions": reserved });
        }
        if sim.lambda.find(&key).is_some() {
            let path = format!("functions/{}/{}/{}/code.zip", sim.account, key.region, encode_form(&key.name));
            whole["Code"]["Location"] = json!(format!("{}{}{path}", sim.endpoint, crate::control::PREFIX));
        }
    }))
}

fn show_state(sim: &Sim, call: &Call, config: &mut Value) {
    show_state_of(sim, &key_of(call), config);
}

/// A function that has just been created is `Pending`, one that has just been changed is `InProgress`.
fn show_state_of(sim: &Sim, key: &FunctionKey, config: &mut Value) {
    let Some(function) = sim.lambda.find(key) else {
        return;
    };
    if function.until_ready(&sim.times).is_zero() {
        return;
    }
    if function.is_new() {
        config["State"] = json!("Pending");
        config["StateReason"] = json!("The function is being created.");
        config["StateReasonCode"] = json!("Creating");
    } else {
        config["LastUpdateStatus"] = json!("InProgress");
        config["LastUpdateStatusReason"] = json!("The function is being updated.");
        config["LastUpdateStatusReasonCode"] = json!("Updating");
    }
}

async fn delete_function(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let key = key_of(call);
    let whole = !call.query().has("Qualifier");
    let answer = sim.moto.forward(call).await;
    if answer.status().is_success() && whole {
        let function = lock(&sim.lambda.functions).remove(&key);
        if let Some(function) = function {
            function.delete();
            sim.lambda.slots.release(&key);
        }
    }
    Ok(answer)
}

/// moto adds a second statement of the same id; Lambda refuses it.
async fn add_permission(sim: &Arc<Sim>, call: &Call) -> Result<Answer, ServiceError> {
    let request = call.json();
    let id = request["StatementId"].as_str().unwrap_or_default();
    let present = read_policy(sim, &key_of(call)).await;
    if present.iter().any(|statement| statement["Sid"] == id) {
        let message = format!(
            "The statement id ({id}) provided already exists. Please provide a new statement id, or remove the existing \
             statement."
        );
        return Err(ServiceError::new(409, "ResourceConflictException", message));
    }
    Ok(sim.moto.forward(call).await)
}

/// The statements of a function's resource policy; none when it has no policy.
pub(crate) async fn read_policy(sim: &Sim, key: &FunctionKey) -> Vec<Value> {
    let path = format!("/2015-03-31/functions/{}/policy", encode_form(&key.name));
    let answer = sim.moto.rest("lambda", &key.region, Method::GET, &path, Bytes::new()).await;
    if !answer.status().is_success() {
        return Vec::new();
    }
    let policy = body_json(&answer)["Policy"].as_str().map(str::to_owned).unwrap_or_default();
    let document: Value = serde_json::from_str(&policy).unwrap_or_default();
    document["Statement"].as_array().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_large_environments_are_refused() {
        let with = |name: &str, value: String| json!({ "Environment": { "Variables": { name: value } } });
        assert!(check_environment(&with("OUTPUT_BUCKET", "x".into())).is_ok());
        assert!(check_environment(&json!({})).is_ok());
        let error = check_environment(&with("AWS_REGION", "x".into())).expect_err("reserved");
        assert!(error.message.ends_with("AWS_REGION"), "{}", error.message);
        let error = check_environment(&with("LONG", "x".repeat(4096))).expect_err("too large");
        assert!(error.message.contains("4KB"), "{}", error.message);
    }
}
