//! S3 Batch Operations: jobs that invoke a function for each object of a manifest. The rest of S3 Control is moto's.

mod job;
mod manifest;
mod report;
mod request;
mod runner;

use std::sync::{Arc, Mutex};

use self::job::{Job, Status};
use self::request::{JobRequest, bad_request, parse_priority};
use crate::call::{Answer, Call, answer};
use crate::classify::{Protocol, s3control_path};
use crate::faults::answers::ServiceError;
use crate::sim::{Sim, lock};
use crate::xml::Element;

const NAMESPACE: &str = "http://awss3control.amazonaws.com/doc/2018-08-20/";

/// What a page of `ListJobs` holds where the request does not say.
const PAGE: usize = 1000;

/// The jobs of an account, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct S3ControlOverlay {
    jobs: Mutex<Vec<Arc<Job>>>,
}

impl S3ControlOverlay {
    /// Forgets all jobs; those at work are cancelled.
    pub(crate) fn reset(&self, sim: &Sim) {
        for job in std::mem::take(&mut *lock(&self.jobs)) {
            let _ = cancel(sim, &job);
        }
    }

    fn jobs(&self) -> Vec<Arc<Job>> {
        lock(&self.jobs).clone()
    }
}

/// Answers a call to S3 Control.
pub(crate) async fn answer_call(sim: &Arc<Sim>, call: &Call) -> Answer {
    let result = match call.class.action.as_str() {
        "CreateJob" => create(sim, call),
        "ListJobs" => list(sim, call),
        "DescribeJob" => find(sim, call).map(|job| describe(sim, &job)),
        "UpdateJobStatus" => update_status(sim, call),
        "UpdateJobPriority" => update_priority(sim, call),
        "GetJobTagging" | "PutJobTagging" | "DeleteJobTagging" => change_tags(sim, call),
        _ => return sim.moto.forward(call).await,
    };
    match result {
        Ok(mut root) => {
            root.ensure_namespace(NAMESPACE);
            answer(200, "application/xml", root.to_document())
        }
        Err(error) => error.to_answer(Protocol::RestXml),
    }
}

fn create(sim: &Arc<Sim>, call: &Call) -> Result<Element, ServiceError> {
    let root = Element::parse(&call.body).ok_or_else(|| bad_request("The body is not XML"))?;
    let request = JobRequest::read(&root)?;
    let mut jobs = lock(&sim.s3control.jobs);
    let twin = jobs.iter().find(|job| job.request.token == request.token && job.region == call.class.region);
    let id = match twin {
        Some(twin) if twin.request == request => twin.id.clone(),
        Some(_) => {
            let message = "The ClientRequestToken was used for a request with other parameters";
            return Err(ServiceError::new(400, "IdempotencyException", message));
        }
        None => {
            let id = uuid::Uuid::new_v4().to_string();
            let arn = format!("arn:aws:s3:{}:{}:job/{id}", call.class.region, sim.account);
            let job = Arc::new(Job::new(id.clone(), arn, call.class.region.clone(), request));
            jobs.push(Arc::clone(&job));
            tokio::spawn(runner::run(Arc::clone(sim), job));
            id
        }
    };
    let mut result = Element::new("CreateJobResult");
    result.push(Element::with_text("JobId", &id));
    Ok(result)
}

/// The job that a call's path names.
fn find(sim: &Sim, call: &Call) -> Result<Arc<Job>, ServiceError> {
    let path = s3control_path(call.uri.path());
    let id = path.get(1).map(String::as_str).unwrap_or_default();
    let job = sim.s3control.jobs().into_iter().find(|job| job.id == id && job.region == call.class.region);
    job.ok_or_else(|| ServiceError::new(404, "NotFoundException", format!("The job {id} does not exist")))
}

fn describe(sim: &Sim, job: &Job) -> Element {
    let mut result = Element::new("DescribeJobResult");
    result.push(job.describe(&sim.times));
    result
}

/// The newest first.
fn list(sim: &Sim, call: &Call) -> Result<Element, ServiceError> {
    let query = call.query();
    let wanted: Vec<&str> =
        query.0.iter().filter(|(name, _)| name == "jobStatuses").map(|(_, status)| status.as_str()).collect();
    let here = |job: &Arc<Job>| {
        job.region == call.class.region && (wanted.is_empty() || wanted.contains(&job.status().name()))
    };
    let jobs: Vec<Arc<Job>> = sim.s3control.jobs().into_iter().rev().filter(here).collect();
    let start = match query.get("nextToken") {
        None => 0,
        Some(token) => token.parse().ok().filter(|start| *start <= jobs.len()).ok_or_else(|| {
            ServiceError::new(400, "InvalidNextTokenException", "The token is not one of this list's")
        })?,
    };
    let size = query.get("maxResults").and_then(|size| size.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let end = (start + size).min(jobs.len());
    let mut result = Element::new("ListJobsResult");
    if end < jobs.len() {
        result.push(Element::with_text("NextToken", &end.to_string()));
    }
    let mut page = Element::new("Jobs");
    for job in &jobs[start..end] {
        page.push(job.summarize(&sim.times));
    }
    result.push(page);
    Ok(result)
}

/// Ends a job that is not over, and says whether it could.
fn cancel(sim: &Sim, job: &Job) -> bool {
    let times = &sim.times;
    // A job that has not begun ends at once; its runner sees that.
    let waits = [Status::New, Status::Preparing, Status::Suspended, Status::Ready];
    let ended = waits.into_iter().any(|from| job.step(from, Status::Cancelled, times));
    ended || job.step(Status::Active, Status::Cancelling, times)
}

fn update_status(sim: &Sim, call: &Call) -> Result<Element, ServiceError> {
    let job = find(sim, call)?;
    let query = call.query();
    let before = job.status();
    let is_done = match query.get("requestedJobStatus") {
        Some("Ready") => job.step(Status::Suspended, Status::Ready, &sim.times),
        Some("Cancelled") => cancel(sim, &job),
        _ => return Err(bad_request("requestedJobStatus must be Ready or Cancelled")),
    };
    if !is_done {
        let wanted = query.get("requestedJobStatus").unwrap_or_default();
        let message = format!("A job that is {} cannot become {wanted}", before.name());
        return Err(ServiceError::new(400, "JobStatusException", message));
    }
    job.set_reason(query.get("statusUpdateReason").map(str::to_owned));
    let mut result = Element::new("UpdateJobStatusResult");
    result.push(Element::with_text("JobId", &job.id));
    result.push(Element::with_text("Status", job.status().name()));
    if let Some(reason) = query.get("statusUpdateReason") {
        result.push(Element::with_text("StatusUpdateReason", reason));
    }
    Ok(result)
}

fn update_priority(sim: &Sim, call: &Call) -> Result<Element, ServiceError> {
    let job = find(sim, call)?;
    let priority = parse_priority(call.query().get("priority").unwrap_or_default())?;
    if job.status().is_over() {
        return Err(bad_request(format!("The job is {} already", job.status().name())));
    }
    job.set_priority(priority);
    let mut result = Element::new("UpdateJobPriorityResult");
    result.push(Element::with_text("JobId", &job.id));
    result.push(Element::with_text("Priority", &priority.to_string()));
    Ok(result)
}

fn change_tags(sim: &Sim, call: &Call) -> Result<Element, ServiceError> {
    let job = find(sim, call)?;
    match call.class.action.as_str() {
        "PutJobTagging" => {
            let root = Element::parse(&call.body).ok_or_else(|| bad_request("The body is not XML"))?;
            job.set_tags(root.child("Tags").into_iter().flat_map(Element::elements).cloned().collect());
            Ok(Element::new("PutJobTaggingResult"))
        }
        "DeleteJobTagging" => {
            job.set_tags(Vec::new());
            Ok(Element::new("DeleteJobTaggingResult"))
        }
        _ => {
            let mut tags = Element::new("Tags");
            for tag in job.tags() {
                tags.push(tag);
            }
            let mut result = Element::new("GetJobTaggingResult");
            result.push(tags);
            Ok(result)
        }
    }
}
