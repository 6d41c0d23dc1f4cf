//! Uploads, several at a time, and the wait for each one's result.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures::StreamExt as _;
use lab_common::{Images, Session};
use lab_plan::{Exit, Pace, Problem, Stop, print_err, print_out, wait_for};

use crate::bucket::{Seen, connect, look_at, make_folder, put_image, save};
use crate::cli::Args;
use crate::picture::draw_png;
use crate::report::{Processed, Report, Uploaded};
use crate::want::{Content, Upload, want_uploads};

/// Uploads under way at a time. More would only wait for the same network, and each holds its picture in memory.
const AT_A_TIME: usize = 16;

/// How often to look for a result: the function needs some tens of milliseconds, a cold start some hundreds.
const FIRST_LOOK: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An event that S3 numbers no further than the last one leaves the result as it is. After this time a result of the
/// same bytes is taken for ours.
const SAME_RESULT_IS_OURS_AFTER: Duration = Duration::from_secs(5);

/// Does what the command line asks, and prints it.
///
/// # Errors
/// When the arguments or the lab are wrong (nothing was called), or when an upload or a wait failed; what succeeded has
/// been printed.
pub async fn run(args: &Args, stop: &Stop) -> Result<Exit, Problem> {
    let lab = args.lab.read_lab()?;
    let images = lab.images.ok_or_else(|| {
        Problem::usage("this lab has no [images]").fix("add [images] with the buckets' names to the lab file")
    })?;
    let uploads = want_uploads(args, &images)?;
    if args.wait.is_some() {
        make_folder(&args.out)?;
    }
    let session = stop.or(Session::open(&args.lab)).await?;
    let job = Job {
        client: connect(&session),
        images,
        wait: args.wait.map(|timeout| (timeout, args.out.clone())),
        stop: stop.clone(),
    };
    let (uploads, problems) = job.upload_all(uploads).await;
    let report = Report { heading: session.heading(), uploads };
    print_report(&report, args.lab.json)?;
    Problem::all(&problems).map_or(Ok(Exit::Done), Err)
}

fn print_report(report: &Report, json: bool) -> Result<(), Problem> {
    if !json {
        return print_out(&report.to_string());
    }
    let document = serde_json::to_string_pretty(report)
        .map_err(|error| Problem::failed("cannot write the answer").because(error.to_string()))?;
    print_out(&format!("{document}\n"))
}

/// What all uploads of a run share.
pub(crate) struct Job {
    pub(crate) client: Client,
    pub(crate) images: Images,
    pub(crate) wait: Option<(Duration, PathBuf)>,
    pub(crate) stop: Stop,
}

impl Job {
    /// Uploads everything and answers what succeeded, in order, and every different problem once.
    pub(crate) async fn upload_all(&self, uploads: Vec<Upload>) -> (Vec<Uploaded>, Vec<Problem>) {
        let mut results = futures::stream::iter(uploads)
            .map(|upload| Box::pin(async move { self.upload(&upload).await }))
            .buffered(AT_A_TIME);
        let (mut done, mut problems) = (Vec::new(), Vec::new());
        while let Some((uploaded, problem)) = results.next().await {
            done.extend(uploaded);
            problems.extend(problem.filter(|problem| !problems.contains(problem)));
        }
        (done, problems)
    }

    /// One object: an upload may have succeeded although waiting for its result did not.
    async fn upload(&self, upload: &Upload) -> (Option<Uploaded>, Option<Problem>) {
        let mut uploaded = None;
        let result = self.try_upload(upload, &mut uploaded).await;
        (uploaded, result.err())
    }

    async fn try_upload(&self, upload: &Upload, uploaded: &mut Option<Uploaded>) -> Result<(), Problem> {
        if let Some(exit) = self.stop.asked() {
            return Err(Stop::problem(exit));
        }
        let before = match self.wait {
            Some(_) => self.look_at_results(&upload.key).await?,
            None => Vec::new(),
        };
        let bucket = &self.images.input;
        let body = open_body(&upload.content).await?;
        let etag = put_image(&self.client, bucket, &upload.key, upload.content_type, body).await?;
        let since = Instant::now();
        let uploaded = uploaded.insert(Uploaded {
            uri: format!("s3://{bucket}/{}", upload.key),
            bucket: bucket.clone(),
            key: upload.key.clone(),
            etag,
            processed: None,
            others: Vec::new(),
        });
        if let Some((timeout, folder)) = &self.wait {
            for (output_key, before) in before {
                let seconds = self.wait_for_result(uploaded, &output_key, before.as_ref(), since, *timeout).await?;
                let processed = self.fetch(uploaded, output_key, seconds, folder).await?;
                match uploaded.processed {
                    None => uploaded.processed = Some(processed),
                    Some(_) => uploaded.others.push(processed),
                }
            }
        }
        Ok(())
    }

    /// The keys of an upload's results, in the order of the lab's `sizes`, with what lies there now.
    async fn look_at_results(&self, key: &str) -> Result<Vec<(String, Option<Seen>)>, Problem> {
        let mut results = Vec::new();
        for key in self.images.result_keys(key) {
            let seen = look_at(&self.client, &self.images.output, &key).await?;
            results.push((key, seen));
        }
        Ok(results)
    }

    /// Waits for the result of this very upload, and answers the seconds since `since`.
    async fn wait_for_result(
        &self,
        uploaded: &Uploaded,
        output_key: &str,
        before: Option<&Seen>,
        since: Instant,
        timeout: Duration,
    ) -> Result<f64, Problem> {
        let pace = Pace { first: FIRST_LOOK, longest: LONGEST_PAUSE, deadline: timeout };
        let bucket = &self.images.output;
        let what = format!("s3://{bucket}/{output_key}");
        let look = async || {
            let seen = look_at(&self.client, bucket, output_key).await?;
            let ours = seen.is_some_and(|seen| is_result_of(&seen, &uploaded.etag, before, since.elapsed()));
            Ok(ours.then(|| since.elapsed().as_secs_f64()))
        };
        Box::pin(wait_for(pace, &self.stop, what, look)).await.map_err(|problem| {
            if problem.exit() != Exit::Failed || !problem.what().starts_with("gave up") {
                return problem;
            }
            let function = &self.images.function;
            Problem::failed(problem.what())
                .because(format!("{} is uploaded; its result is not there", uploaded.uri))
                .fix(format!(
                    "see what the function says: aws logs tail /aws/lambda/{function} --since 10m;\n\
                     see that it is deployed and triggered: pipeline-up status; or wait longer: --wait=5m"
                ))
        })
    }

    async fn fetch(&self, uploaded: &Uploaded, key: String, seconds: f64, folder: &Path) -> Result<Processed, Problem> {
        let bucket = &self.images.output;
        let file = save(&self.client, bucket, &key, folder).await?;
        print_err(&format!("{} -> {key} in {seconds:.3} s, saved as {}", uploaded.key, file.display()));
        Ok(Processed { uri: format!("s3://{bucket}/{key}"), key, seconds, file })
    }
}

/// Whether a result belongs to the upload with `etag`. The same bytes uploaded twice have the same entity tag, so an
/// unchanged result that was there `before` counts only after a while.
fn is_result_of(seen: &Seen, etag: &str, before: Option<&Seen>, waited: Duration) -> bool {
    let stale = before == Some(seen) && !seen.source_sequencer.is_empty() && waited < SAME_RESULT_IS_OURS_AFTER;
    seen.source_etag == etag && !stale
}

async fn open_body(content: &Content) -> Result<ByteStream, Problem> {
    match content {
        Content::Sample { text, size } => Ok(ByteStream::from(draw_png(text, *size)?)),
        Content::File(path) => ByteStream::from_path(path)
            .await
            .map_err(|error| Problem::failed(format!("{} cannot be read", path.display())).because(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_sdk_s3::config::retry::RetryConfig;
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_s3::operation::get_object::GetObjectOutput;
    use aws_sdk_s3::operation::head_object::HeadObjectOutput;
    use aws_sdk_s3::operation::put_object::PutObjectOutput;
    use aws_smithy_mocks::{MockResponse, MockResponseInterceptor, Rule, RuleMode, create_mock_http_client, mock};
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    fn client(rules: &[Rule]) -> Client {
        let interceptor = rules
            .iter()
            .fold(MockResponseInterceptor::new().rule_mode(RuleMode::MatchAny), MockResponseInterceptor::with_rule);
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .http_client(create_mock_http_client())
            .interceptor(interceptor)
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    fn refuse(status: u16, code: &str) -> HttpResponse {
        let body = format!("<Error><Code>{code}</Code><Message>as told</Message></Error>");
        HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
    }

    fn job(rules: &[Rule], wait: Option<(Duration, PathBuf)>) -> Job {
        let overrides = Overrides { owner: Some("ana".into()), region: None };
        let images = read_lab("hol02", HOL02, &overrides).unwrap().images.unwrap();
        Job { client: client(rules), images, wait, stop: Stop::new() }
    }

    fn sample(key: &str) -> Upload {
        Upload {
            key: key.into(),
            content_type: "image/png",
            content: Content::Sample { text: "Hello!".into(), size: "200x100".parse().unwrap() },
        }
    }

    fn put_into_the_input_bucket() -> Rule {
        mock!(Client::put_object)
            .match_requests(|put| {
                put.bucket() == Some("lab-input-bucket-ana") && put.content_type() == Some("image/png")
            })
            .then_output(|| PutObjectOutput::builder().e_tag("\"e1\"").build())
    }

    /// No result for `looks` looks, then one made from `etag`.
    fn result_after(looks: usize, etag: &'static str) -> Rule {
        let seen = Arc::new(AtomicUsize::new(0));
        mock!(Client::head_object)
            .match_requests(|head| {
                head.bucket() == Some("lab-output-bucket-ana") && head.key() == Some("lab-image-processed.png")
            })
            .then_compute_response(move |_| {
                if seen.fetch_add(1, Ordering::Relaxed) < looks {
                    return MockResponse::Http(HttpResponse::new(404.try_into().unwrap(), SdkBody::empty()));
                }
                let head = HeadObjectOutput::builder().metadata("source-etag", etag).metadata("source-sequencer", "1");
                MockResponse::Output(head.build())
            })
    }

    #[tokio::test]
    async fn a_waited_for_result_is_saved() {
        let folder = tempfile::tempdir().unwrap();
        let get = mock!(Client::get_object)
            .then_output(|| GetObjectOutput::builder().body(ByteStream::from_static(b"a result")).build());
        let rules = [put_into_the_input_bucket(), result_after(3, "e1"), get];
        let job = job(&rules, Some((Duration::from_secs(10), folder.path().into())));
        let (done, problems) = job.upload_all(vec![sample("lab-image.png")]).await;
        assert_eq!(problems, []);
        let processed = done[0].processed.as_ref().unwrap();
        assert_eq!(done[0].etag, "e1");
        assert_eq!(processed.uri, "s3://lab-output-bucket-ana/lab-image-processed.png");
        assert_eq!(processed.file, folder.path().join("lab-image-processed.png"));
        assert_eq!(std::fs::read(&processed.file).unwrap(), b"a result");
        assert_eq!(rules[1].num_calls(), 4);
    }

    #[tokio::test]
    async fn another_versions_result_is_not_waited_out() {
        let folder = tempfile::tempdir().unwrap();
        let rules = [put_into_the_input_bucket(), result_after(0, "another")];
        let job = job(&rules, Some((Duration::from_millis(80), folder.path().into())));
        let (done, problems) = job.upload_all(vec![sample("lab-image.png")]).await;
        assert_eq!(done.len(), 1, "the upload itself succeeded and is told");
        assert_eq!(done[0].processed, None);
        let text = problems[0].to_string();
        assert!(text.contains("lab-image-processed.png") && text.contains("aws logs tail"), "{text}");
    }

    #[tokio::test]
    async fn many_uploads_keep_their_order() {
        let rules = [put_into_the_input_bucket()];
        let keys: Vec<_> = (1..=40).map(|n| format!("lab-image-{n}.png")).collect();
        let (done, problems) = job(&rules, None).upload_all(keys.iter().map(|key| sample(key)).collect()).await;
        assert_eq!(problems, []);
        assert_eq!(done.iter().map(|upload| &upload.key).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
        assert_eq!(rules[0].num_calls(), 40);
    }

    #[tokio::test]
    async fn a_missing_bucket_is_told_once_with_the_command_that_makes_it() {
        let rules = [mock!(Client::put_object).then_http_response(|| refuse(404, "NoSuchBucket"))];
        let (done, problems) = job(&rules, None).upload_all(vec![sample("a.png"), sample("b.png")]).await;
        assert_eq!(done, []);
        assert_eq!(problems.len(), 1);
        let text = problems[0].to_string();
        assert!(text.contains("lab-input-bucket-ana does not exist") && text.contains("pipeline-up"), "{text}");
    }

    #[tokio::test]
    async fn after_ctrl_c_nothing_new_starts() {
        let rules = [put_into_the_input_bucket()];
        let job = job(&rules, None);
        job.stop.ask(Exit::Interrupted);
        let (done, problems) = job.upload_all(vec![sample("a.png")]).await;
        assert_eq!((done.len(), rules[0].num_calls()), (0, 0));
        assert_eq!(problems[0].exit(), Exit::Interrupted);
    }

    #[test]
    fn a_result_belongs_to_the_upload_it_was_made_from() {
        let seen = |etag: &str, sequencer: &str| Seen { source_etag: etag.into(), source_sequencer: sequencer.into() };
        let (now, later) = (Duration::ZERO, SAME_RESULT_IS_OURS_AFTER);
        assert!(is_result_of(&seen("e", "1"), "e", None, now));
        assert!(!is_result_of(&seen("d", "1"), "e", None, later));
        assert!(is_result_of(&seen("e", "2"), "e", Some(&seen("e", "1")), now));
        assert!(!is_result_of(&seen("e", "1"), "e", Some(&seen("e", "1")), now));
        assert!(is_result_of(&seen("e", "1"), "e", Some(&seen("e", "1")), later));
        assert!(
            is_result_of(&seen("e", ""), "e", Some(&seen("e", "")), now),
            "without a number nothing tells them apart"
        );
    }
}
