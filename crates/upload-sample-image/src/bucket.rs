//! The two buckets: put an image into one, see and fetch its result in the other.

use std::path::{Path, PathBuf};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use image_event::SOURCE_ETAG;
use lab_common::{RENEW_CREDENTIALS, Session, explain, has_code, is_unknown_caller, upload_limits};
use lab_plan::Problem;
use tokio::io::AsyncWriteExt as _;

/// Makes the client.
pub(crate) fn connect(session: &Session) -> Client {
    let config = aws_sdk_s3::config::Builder::from(&session.sdk).force_path_style(session.has_own_s3_endpoint());
    Client::from_conf(config.build())
}

/// A result at some moment, as its metadata tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The version of the source it was made from, without quotes.
    pub(crate) source_etag: String,
    /// The event it was made for; empty where the event had none.
    pub(crate) source_sequencer: String,
}

/// Uploads and answers the object's entity tag, without quotes.
pub(crate) async fn put_image(
    client: &Client,
    bucket: &str,
    key: &str,
    content_type: &str,
    body: ByteStream,
) -> Result<String, Problem> {
    let (timeouts, protection) = upload_limits(body.size_hint().0);
    let limits = aws_sdk_s3::Config::builder().timeout_config(timeouts).stalled_stream_protection(protection);
    let put = client.put_object().bucket(bucket).key(key).content_type(content_type).body(body);
    match put.customize().config_override(limits).send().await {
        Ok(put) => Ok(put.e_tag().unwrap_or_default().trim_matches('"').to_owned()),
        Err(error) => Err(explain_bucket("PutObject", "input", bucket, &error)),
    }
}

/// Looks at a result. `None` where there is none yet.
pub(crate) async fn look_at(client: &Client, bucket: &str, key: &str) -> Result<Option<Seen>, Problem> {
    match client.head_object().bucket(bucket).key(key).send().await {
        Ok(head) => {
            let get = |name: &str| head.metadata().and_then(|all| all.get(name)).cloned().unwrap_or_default();
            Ok(Some(Seen { source_etag: get(SOURCE_ETAG), source_sequencer: get("source-sequencer") }))
        }
        Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(None),
        // HEAD has no body, so a refusal comes without a code of its own.
        Err(error) if error.raw_response().is_some_and(|answer| matches!(answer.status().as_u16(), 400 | 403)) => {
            check_credentials(client, bucket, key).await?;
            Err(explain_refused_look(bucket, error.raw_response().map(|answer| answer.status().as_u16())))
        }
        Err(error) => Err(explain_bucket("HeadObject", "output", bucket, &error)),
    }
}

/// Why S3 does not answer HEAD, as far as its status tells: 400 is its answer to credentials that have expired.
fn explain_refused_look(bucket: &str, status: Option<u16>) -> Problem {
    if status == Some(400) {
        return Problem::failed(format!("S3 does not let us look into the output bucket {bucket}"))
            .because("HeadObject: HTTP 400, which is its answer to credentials that have expired")
            .fix(format!("{RENEW_CREDENTIALS}, then run the same command again"))
            .ending_all();
    }
    Problem::failed(format!("you may not look into the output bucket {bucket}"))
        .because("HeadObject: HTTP 403, without a reason")
        .fix("ask for s3:GetObject and s3:ListBucket, as in docs/permissions/upload-sample-image.json")
}

/// A GET is told what HEAD is not: that S3 does not take our credentials (any more).
async fn check_credentials(client: &Client, bucket: &str, key: &str) -> Result<(), Problem> {
    match client.get_object().bucket(bucket).key(key).range("bytes=0-0").send().await {
        Err(error) if is_unknown_caller(&error) => Err(explain("GetObject", &error)),
        _ => Ok(()),
    }
}

/// Fetches a result into `folder` under its own name, or with a number where that is taken: nothing is overwritten.
pub(crate) async fn save(client: &Client, bucket: &str, key: &str, folder: &Path) -> Result<PathBuf, Problem> {
    let object = client
        .get_object()
        .bucket(bucket)
        .key(key)
        .send()
        .await
        .map_err(|error| explain_bucket("GetObject", "output", bucket, &error))?;
    let cannot = |error: std::io::Error| cannot_save(folder, &error);
    // Written aside and then given its name, so that nobody ever sees half a picture under it.
    let part = tempfile::Builder::new().prefix(".lab-image-").tempfile_in(folder).map_err(cannot)?;
    let mut file = tokio::fs::File::from_std(part.as_file().try_clone().map_err(cannot)?);
    let mut body = object.body;
    while let Some(chunk) = body.try_next().await.map_err(|error| {
        Problem::failed(format!("the download of s3://{bucket}/{key} broke off"))
            .because(DisplayErrorContext(&error).to_string())
            .fix("fetch it with `aws s3 cp`, or run the same command again")
    })? {
        file.write_all(&chunk).await.map_err(cannot)?;
    }
    file.flush().await.map_err(cannot)?;
    give_name(part, folder, key.rsplit('/').next().unwrap_or(key)).map_err(cannot)
}

/// Names a finished file `a.png`, or `a-1.png` where that exists with another content, and so on.
fn give_name(mut part: tempfile::NamedTempFile, folder: &Path, name: &str) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    part.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "png"));
    let names = std::iter::once(name.to_owned()).chain((1..).map(|n| format!("{stem}-{n}.{extension}")));
    for name in names {
        let path = folder.join(name);
        match part.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => part = error.file,
            Err(error) => return Err(error.error),
        }
        if has_same_content(part.path(), &path)? {
            return Ok(path);
        }
    }
    unreachable!("the names never end")
}

fn has_same_content(one: &Path, other: &Path) -> std::io::Result<bool> {
    let other_size = match std::fs::metadata(other) {
        Ok(other) if other.is_file() => other.len(),
        _ => return Ok(false),
    };
    Ok(std::fs::metadata(one)?.len() == other_size && std::fs::read(one)? == std::fs::read(other)?)
}

/// Makes the folder for results, before anything is uploaded.
pub(crate) fn make_folder(folder: &Path) -> Result<(), Problem> {
    std::fs::create_dir_all(folder).map_err(|error| cannot_save(folder, &error).exit_with(lab_plan::Exit::Usage))
}

fn cannot_save(folder: &Path, error: &std::io::Error) -> Problem {
    Problem::failed(format!("cannot save results in {}", folder.display()))
        .because(error.to_string())
        .fix("name a folder that can be written with --out DIR")
}

fn explain_bucket<E>(call: &str, role: &str, bucket: &str, error: &SdkError<E, HttpResponse>) -> Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if has_code(error, "NoSuchBucket") {
        return Problem::failed(format!("the {role} bucket {bucket} does not exist"))
            .fix("make it with pipeline-up, or correct [images] or the owner");
    }
    if has_code(error, "AccessDenied") {
        return Problem::failed(format!("the {role} bucket {bucket} refuses {call}"))
            .because(error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or("AccessDenied").to_owned())
            .fix(
                "see whether it is yours (pipeline-up status): bucket names are the whole world's, and another --owner makes\n\
                 another name; a bucket of this lab refuses plain HTTP; else ask for docs/permissions/upload-sample-image.json",
            );
    }
    explain(call, error)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use aws_config::timeout::TimeoutConfig;
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_types::body::SdkBody;
    use lab_common::{Clock, HOL02, Names, Overrides, Tags, read_lab};

    use super::*;

    /// Answers everything with an empty 200, and keeps how long an answer is awaited.
    #[derive(Debug, Clone, Default)]
    struct Patience(Arc<Mutex<Vec<Option<Duration>>>>);

    impl HttpClient for Patience {
        fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            self.0.lock().unwrap().push(settings.read_timeout());
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Patience {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::empty())))
        }
    }

    /// A lost connection must not be waited for without end, and a large picture over a slow line takes its time.
    #[tokio::test]
    async fn only_a_large_upload_may_be_silent_for_long() {
        let patience = Patience::default();
        let usual = Duration::from_secs(30);
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .http_client(patience.clone())
            .timeout_config(TimeoutConfig::builder().read_timeout(usual).build())
            .build();
        let lab = read_lab("hol02", HOL02, &Overrides { owner: Some("ana".into()), region: None }).unwrap();
        let (names, tags) = (Names::new(&lab), Tags::new(&lab));
        let client = connect(&Session { names, tags, region: "us-east-1".into(), lab, sdk, clock: Clock::default() });
        let put = async |bytes: usize| {
            put_image(&client, "b", "k.png", "image/png", ByteStream::from(vec![0; bytes])).await.unwrap();
        };
        put(1_000).await;
        put(20_000_000).await;
        let _ = look_at(&client, "b", "k.png").await.unwrap();
        let seen = std::mem::take(&mut *patience.0.lock().unwrap());
        let [small, large, look] = seen[..] else { panic!("three calls: {seen:?}") };
        assert_eq!([small, look], [Some(usual); 2]);
        assert!(large > Some(Duration::from_mins(30)), "{large:?}");
    }

    fn part(folder: &Path, content: &[u8]) -> tempfile::NamedTempFile {
        let part = tempfile::NamedTempFile::new_in(folder).unwrap();
        std::fs::write(part.path(), content).unwrap();
        part
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_kept_twice() {
        let folder = tempfile::tempdir().unwrap();
        let save = |content: &[u8]| give_name(part(folder.path(), content), folder.path(), "a.png").unwrap();
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name(save(b"first")), "a.png");
        assert_eq!(name(save(b"second")), "a-1.png");
        assert_eq!(name(save(b"first")), "a.png");
        assert_eq!(name(save(b"third")), "a-2.png");
        assert_eq!(std::fs::read(folder.path().join("a.png")).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
