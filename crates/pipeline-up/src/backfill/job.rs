//! A job of S3 Batch Operations: made once, watched, and its report read. It runs in AWS, and goes on without us.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3control::config::http::HttpResponse;
use aws_sdk_s3control::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3control::operation::create_job::builders::CreateJobFluentBuilder;
use aws_sdk_s3control::types::{
    JobDescriptor, JobManifest, JobManifestFieldName, JobManifestFormat, JobManifestLocation, JobManifestSpec,
    JobOperation, JobProgressSummary, JobReport, JobReportFormat, JobReportScope, JobStatus, LambdaInvokeOperation,
    RequestedJobStatus, S3Tag,
};
use lab_common::{explain, has_code, upload_limits};
use lab_plan::{Line, Pace, Problem, Stop, clean, retry_while};

use super::events::{describe_job, make_manifest};
use super::objects::Object;
use super::report::{read_report, report_folder};
use super::{Ended, FOLDER, Work, role};
use crate::clients::Clients;
use crate::queue::show_count;
use crate::want::Want;

/// How a job stands among others of the account: in the middle.
const PRIORITY: i32 = 10;
/// How often a job is looked at.
const BEAT: Pace = Pace {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(5),
    deadline: Duration::from_hours(24 * 14),
};

/// The statuses of a job that is not over.
const UNDER_WAY: [JobStatus; 9] = [
    JobStatus::New,
    JobStatus::Preparing,
    JobStatus::Suspended,
    JobStatus::Ready,
    JobStatus::Active,
    JobStatus::Pausing,
    JobStatus::Paused,
    JobStatus::Completing,
    JobStatus::Failing,
];

/// A job that AWS works on.
pub(super) struct Job {
    id: String,
    line: Line,
}

impl Work<'_> {
    /// Starts a job for these objects. A backfill that is under way is taken instead. Where this fails, none was made.
    pub(super) async fn begin_job(&self, objects: &[Object]) -> Result<Job, Problem> {
        let (want, clients) = (&self.pipeline.want, &self.pipeline.clients);
        let line = self.progress.begin("backfill", &want.buckets.input);
        let found = find_jobs(clients, want, &self.live.place.account).await?;
        let id = match found.into_iter().next() {
            Some(id) => {
                self.progress
                    .say(&format!("note: the backfill {id} is under way already: it is watched, and none is started"));
                id
            }
            None => self.start_job(objects, &line).await?,
        };
        Ok(Job { id, line })
    }

    /// Watches a job to its end, and reads why objects failed. It needs nobody for that: whatever is refused here, it
    /// goes on.
    pub(super) async fn follow_job(&self, job: Job) -> Result<Ended, Problem> {
        let (want, clients) = (&self.pipeline.want, &self.pipeline.clients);
        let Job { id, line } = job;
        let answer = self.watch(&self.live.place.account, &id, &line).await;
        line.end(answer.as_ref().map(|_| Some(id.as_str())));
        let found = answer?;
        let counts = found.progress_summary();
        let count = |number: Option<i64>| u64::try_from(number.unwrap_or_default()).unwrap_or_default();
        let failed = count(counts.and_then(JobProgressSummary::number_of_tasks_failed));
        let report = read_report(clients, want, &id).await;
        let mut reasons = report.unwrap_or_else(|problem| {
            let place = report_folder(want, &id);
            let why = clean(problem.why().unwrap_or_default());
            let what = clean(problem.what());
            self.progress.say(&format!("note: why objects failed is not known, it stands in {place}: {what} ({why})"));
            BTreeMap::new()
        });
        if let Some(status) = found.status().filter(|status| **status != JobStatus::Complete)
            && reasons.is_empty()
        {
            let why = found.failure_reasons().first().and_then(|failure| failure.failure_reason());
            reasons.insert(why.or(found.status_update_reason()).unwrap_or(status.as_str()).to_owned(), failed.max(1));
        }
        Ok(Ended {
            way: None,
            job: Some(id),
            status: found.status().map(|status| status.as_str().to_owned()),
            succeeded: count(counts.and_then(JobProgressSummary::number_of_tasks_succeeded)),
            failed,
            reasons,
        })
    }

    async fn start_job(&self, objects: &[Object], line: &Line) -> Result<String, Problem> {
        let (want, clients, place) = (&self.pipeline.want, &self.pipeline.clients, &self.live.place);
        line.waits_for("its role");
        let role = role::ensure(clients, want, place, self.live.batch_role.as_ref(), self.stop).await?;
        let token = uuid::Uuid::new_v4().to_string();
        let key = format!("{FOLDER}backfill-{token}/manifest.csv");
        line.waits_for("its manifest");
        let etag = put_manifest(clients, want, &key, make_manifest(&want.buckets.input, objects)).await?;
        let create = clients.s3control.create_job().account_id(&place.account).client_request_token(token);
        let create = create.role_arn(role).priority(PRIORITY).confirmation_required(false);
        let create = self.describe(create, &key, etag.trim_matches('"')).map_err(|error| unbuildable(&error))?;
        line.waits_for("S3 to take it");
        let answer = retry_while(Pace::SPREAD, self.stop, is_role_unknown, async || create.clone().send().await).await;
        let made = answer.map_err(|error| explain("CreateJob", &error))?;
        made.job_id
            .ok_or_else(|| Problem::failed("CreateJob answers without the job's id").fix("run the same command again"))
    }

    fn describe(
        &self,
        create: CreateJobFluentBuilder,
        key: &str,
        etag: &str,
    ) -> Result<CreateJobFluentBuilder, BuildError> {
        let (want, place) = (&self.pipeline.want, &self.live.place);
        let output = place.bucket_arn(&want.buckets.output);
        let spec = JobManifestSpec::builder()
            .format(JobManifestFormat::S3BatchOperationsCsv20180820)
            .fields(JobManifestFieldName::Bucket)
            .fields(JobManifestFieldName::Key)
            .build()?;
        let location = JobManifestLocation::builder().object_arn(format!("{output}/{key}")).e_tag(etag).build()?;
        let report = JobReport::builder()
            .enabled(true)
            .bucket(&output)
            .prefix(format!("{FOLDER}reports"))
            .format(JobReportFormat::ReportCsv20180820)
            .report_scope(JobReportScope::FailedTasksOnly)
            .build();
        let invoke =
            LambdaInvokeOperation::builder().function_arn(self.function).invocation_schema_version("1.0").build();
        let tags =
            want.batch_role_tags().into_iter().map(|(key, value)| S3Tag::builder().key(key).value(value).build());
        Ok(create
            .description(describe_job(&want.buckets.input))
            .operation(JobOperation::builder().lambda_invoke(invoke).build())
            .manifest(JobManifest::builder().spec(spec).location(location).build())
            .report(report)
            .set_tags(Some(tags.collect::<Result<Vec<_>, _>>()?)))
    }

    async fn watch(&self, account: &str, job: &str, line: &Line) -> Result<JobDescriptor, Problem> {
        let clients = &self.pipeline.clients;
        for pause in BEAT.pauses() {
            let describe = clients.s3control.describe_job().account_id(account).job_id(job);
            let answer = describe.send().await;
            let found = answer.map_err(|error| tell_it_goes_on(explain("DescribeJob", &error), account, job))?.job;
            let Some(found) = found else { break };
            if !found.status().is_some_and(|status| UNDER_WAY.contains(status) || *status == JobStatus::Cancelling) {
                return Ok(found);
            }
            line.waits_for(&show_progress(&found));
            if self.stop.sleep(pause).await.is_err() {
                let exit = self.stop.asked().unwrap_or(lab_plan::Exit::Interrupted);
                return Err(Stop::problem(exit).because(show_going_on(account, job)));
            }
        }
        Err(tell_it_goes_on(Problem::failed(format!("DescribeJob says nothing of the job {job}")), account, job))
    }
}

/// Puts a manifest, which a million objects make 65 MB long, into the output bucket; answers with its entity tag.
async fn put_manifest(clients: &Clients, want: &Want, key: &str, manifest: String) -> Result<String, Problem> {
    let (timeouts, protection) = upload_limits(manifest.len() as u64);
    let limits = aws_sdk_s3::Config::builder().timeout_config(timeouts).stalled_stream_protection(protection);
    let put = clients.s3.put_object().bucket(&want.buckets.output).key(key).content_type("text/csv");
    let put = put.body(ByteStream::from(manifest.into_bytes())).customize().config_override(limits).send().await;
    Ok(put.map_err(|error| explain("PutObject", &error))?.e_tag.unwrap_or_default())
}

/// How to look at a job that nobody watches any more.
fn show_going_on(account: &str, job: &str) -> String {
    format!(
        "the job goes on in AWS: `pipeline-up backfill` watches it again\nlook at it: aws s3control describe-job \
         --account-id {account} --job-id {job}\nend it: aws s3control update-job-status --account-id {account} --job-id \
         {job} --requested-job-status Cancelled"
    )
}

/// The remedy stays; that nothing is to be started anew comes after it.
fn tell_it_goes_on(problem: Problem, account: &str, job: &str) -> Problem {
    let goes_on = show_going_on(account, job);
    let fix = problem.remedy().map(|remedy| format!("{remedy}\n{goes_on}"));
    problem.fix(fix.unwrap_or(goes_on))
}

fn show_progress(job: &JobDescriptor) -> String {
    let status = job.status().map_or("in no state", JobStatus::as_str);
    let Some(counts) = job.progress_summary() else { return status.to_owned() };
    let (done, failed) = (counts.number_of_tasks_succeeded(), counts.number_of_tasks_failed().unwrap_or_default());
    let all = u64::try_from(counts.total_number_of_tasks().unwrap_or_default()).unwrap_or_default();
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{status}, {} of {}{failed}", done.unwrap_or_default(), show_count(all, "object"))
}

/// A new role is not known everywhere yet.
fn is_role_unknown<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let message = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
    has_code(error, "InvalidRequest") && message.to_ascii_lowercase().contains("role")
}

fn unbuildable(error: &BuildError) -> Problem {
    Problem::failed("a request to S3 Batch Operations cannot be built").because(error.to_string())
}

/// The backfills of our bucket that are under way. Runs that did not see each other may have started several.
async fn find_jobs(clients: &Clients, want: &Want, account: &str) -> Result<Vec<String>, Problem> {
    let list = clients.s3control.list_jobs().account_id(account).set_job_statuses(Some(UNDER_WAY.to_vec()));
    let pages = list.into_paginator().send().try_collect().await.map_err(|error| explain("ListJobs", &error))?;
    let description = describe_job(&want.buckets.input);
    let jobs = pages.into_iter().flat_map(|page| page.jobs.unwrap_or_default());
    let ours = jobs.filter(|job| job.description() == Some(&description));
    Ok(ours.filter_map(|job| job.job_id).collect())
}

/// What S3 answers about a job that cannot be cancelled any more.
const OVER: [&str; 3] = ["JobStatusException", "NoSuchJob", "NotFoundException"];

/// Cancels the backfills of our bucket that are under way: what they need is about to go.
pub(crate) async fn cancel_jobs(clients: &Clients, want: &Want, account: &str) -> Result<(), Problem> {
    let mut problems = Vec::new();
    for job in find_jobs(clients, want, account).await? {
        let update = clients.s3control.update_job_status().account_id(account).job_id(job);
        match update.requested_job_status(RequestedJobStatus::Cancelled).send().await {
            Ok(_) => {}
            // It was over before.
            Err(error) if OVER.iter().any(|code| has_code(&error, code)) => {}
            Err(error) => problems.push(explain("UpdateJobStatus", &error)),
        }
    }
    Problem::all(&problems).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_s3control::Client;
    use aws_sdk_s3control::operation::list_jobs::ListJobsOutput;
    use aws_sdk_s3control::operation::update_job_status::UpdateJobStatusOutput;
    use aws_sdk_s3control::types::JobListDescriptor;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::testing::{refuse_xml, s3control_clients};
    use crate::want::sample;

    #[tokio::test]
    async fn all_backfills_of_the_bucket_are_cancelled_and_no_other_job() {
        let (want, place) = sample(|_| ());
        let ours = describe_job(&want.buckets.input);
        let list = mock!(Client::list_jobs).then_output(move || {
            let job = |id: &str, said: &str| JobListDescriptor::builder().job_id(id).description(said).build();
            let jobs = [job("one", &ours), job("else", "a copy"), job("two", &ours), job("three", &ours)];
            ListJobsOutput::builder().set_jobs(Some(jobs.into())).build()
        });
        let cancelled = Arc::new(Mutex::new(Vec::new()));
        let (asked, seen) = (Arc::clone(&cancelled), Arc::clone(&cancelled));
        // One that was over by then does not keep the others.
        let over = mock!(Client::update_job_status)
            .match_requests(move |update| {
                update.job_id() == Some("one") && {
                    asked.lock().unwrap().push("one".to_owned());
                    true
                }
            })
            .then_http_response(|| refuse_xml(400, "JobStatusException", "it is Complete"));
        let cancel = mock!(Client::update_job_status).match_requests(|update| update.job_id() != Some("one"));
        let cancel = cancel.then_compute_output(move |update| {
            assert_eq!(update.requested_job_status(), Some(&RequestedJobStatus::Cancelled));
            seen.lock().unwrap().extend(update.job_id().map(str::to_owned));
            UpdateJobStatusOutput::builder().build()
        });
        let clients = s3control_clients(&[&list, &over, &cancel]);
        assert_eq!(cancel_jobs(&clients, &want, &place.account).await, Ok(()));
        assert_eq!(*cancelled.lock().unwrap(), ["one", "two", "three"]);
    }

    #[test]
    fn whoever_cannot_watch_a_job_is_told_that_it_goes_on() {
        let denied = Problem::failed("you may not call DescribeJob").fix("ask for the policy");
        let told = tell_it_goes_on(denied, "123456789012", "job-1");
        let fix = told.remedy().unwrap_or_default();
        assert!(
            fix.starts_with("ask for the policy\nthe job goes on in AWS") && fix.contains("--job-id job-1"),
            "{fix}"
        );
    }
}
