//! Emptying a bucket: versions, delete markers and unfinished multipart uploads.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{Delete, MultipartUpload, ObjectIdentifier};
use futures::stream::{StreamExt as _, TryStreamExt as _, iter};
use lab_plan::{Problem, Stop};

use crate::clients::Clients;
use crate::error::none_if;

/// Unfinished uploads are aborted one a call; this many calls at a time.
const ABORTS_AT_ONCE: usize = 16;
/// After how many deleted objects to say so.
const SPEAK_UP: usize = 10_000;

/// Deletes everything in a bucket. A bucket that is gone is empty.
pub(crate) async fn empty_bucket(clients: &Clients, name: &str, stop: &Stop) -> Result<(), Problem> {
    delete_versions(clients, name, stop).await?;
    abort_uploads(clients, name, stop).await
}

async fn delete_versions(clients: &Clients, name: &str, stop: &Stop) -> Result<(), Problem> {
    let (mut deleted, mut said) = (0, 0);
    let mut first_before = None;
    // Every page is the first: S3 is consistent, so what was deleted is listed no more.
    loop {
        check_stop(stop)?;
        let answer = clients.s3.list_object_versions().bucket(name).send().await;
        let Some(page) = none_if("ListObjectVersions", &["NoSuchBucket"], answer)? else { return Ok(()) };
        let found = list_identifiers(&page).map_err(|error| unbuildable(&error))?;
        let Some(first) = found.first().cloned() else { return Ok(()) };
        if first_before.as_ref() == Some(&first) {
            return Err(Problem::failed(format!("{name}: `{}` is still listed after it was deleted", first.key))
                .fix("run the same command again in a minute"));
        }
        deleted += found.len();
        delete_batch(clients, name, found).await?;
        first_before = Some(first);
        if deleted - said >= SPEAK_UP {
            said = deleted;
            eprintln!("  ...     {name}: {deleted} objects deleted");
        }
    }
}

/// The versions and delete markers of one page: at most 1,000, which is also what one `DeleteObjects` takes.
fn list_identifiers(page: &ListObjectVersionsOutput) -> Result<Vec<ObjectIdentifier>, BuildError> {
    let versions = page.versions().iter().map(|version| (version.key(), version.version_id()));
    let markers = page.delete_markers().iter().map(|marker| (marker.key(), marker.version_id()));
    let build = |(key, id): (Option<&str>, Option<&str>)| {
        ObjectIdentifier::builder().key(key.unwrap_or_default()).set_version_id(id.map(str::to_owned)).build()
    };
    versions.chain(markers).map(build).collect()
}

async fn delete_batch(clients: &Clients, name: &str, found: Vec<ObjectIdentifier>) -> Result<(), Problem> {
    let delete = Delete::builder().set_objects(Some(found)).quiet(true).build().map_err(|error| unbuildable(&error))?;
    let answer = clients.s3.delete_objects().bucket(name).delete(delete).send().await;
    let Some(answer) = none_if("DeleteObjects", &["NoSuchBucket"], answer)? else { return Ok(()) };
    // The call succeeds also where single objects could not be deleted.
    let Some(error) = answer.errors().first() else { return Ok(()) };
    let (key, code) = (error.key().unwrap_or_default(), error.code().unwrap_or_default());
    Err(Problem::failed(format!("{name}: `{key}` cannot be deleted"))
        .because(format!("DeleteObjects: {code}: {}", error.message().unwrap_or_default()))
        .fix("see whether the object is locked or a policy protects it, then run the same command again"))
}

async fn abort_uploads(clients: &Clients, name: &str, stop: &Stop) -> Result<(), Problem> {
    loop {
        check_stop(stop)?;
        let answer = clients.s3.list_multipart_uploads().bucket(name).send().await;
        let Some(page) = none_if("ListMultipartUploads", &["NoSuchBucket"], answer)? else { return Ok(()) };
        let aborts = page.uploads().iter().map(|upload| abort_upload(clients, name, upload));
        iter(aborts).buffer_unordered(ABORTS_AT_ONCE).try_collect::<()>().await?;
        if page.is_truncated() != Some(true) {
            return Ok(());
        }
    }
}

async fn abort_upload(clients: &Clients, name: &str, upload: &MultipartUpload) -> Result<(), Problem> {
    let (key, id) = (upload.key().unwrap_or_default(), upload.upload_id().unwrap_or_default());
    let answer = clients.s3.abort_multipart_upload().bucket(name).key(key).upload_id(id).send().await;
    none_if("AbortMultipartUpload", &["NoSuchUpload", "NoSuchBucket"], answer).map(drop)
}

fn check_stop(stop: &Stop) -> Result<(), Problem> {
    stop.asked().map_or(Ok(()), |exit| Err(Stop::problem(exit)))
}

fn unbuildable(error: &BuildError) -> Problem {
    Problem::failed("S3 lists an object without a key").because(error.to_string())
}
