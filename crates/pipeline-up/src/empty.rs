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
            return Err(still_listed(name, &first.key, "it was deleted"));
        }
        deleted += found.len();
        delete_batch(clients, name, found).await?;
        first_before = Some(first);
        if deleted - said >= SPEAK_UP {
            said = deleted;
            lab_plan::print_err(&format!("  waits   {name}: {deleted} objects deleted"));
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
    let mut first_before = None;
    // Every page is the first, as with versions.
    loop {
        check_stop(stop)?;
        let answer = clients.s3.list_multipart_uploads().bucket(name).send().await;
        let Some(page) = none_if("ListMultipartUploads", &["NoSuchBucket"], answer)? else { return Ok(()) };
        let Some(first) = page.uploads().first().cloned() else { return Ok(()) };
        if first_before.as_ref() == Some(&first) {
            return Err(still_listed(name, first.key().unwrap_or_default(), "its upload was aborted"));
        }
        first_before = Some(first);
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

/// Without progress the next page would be the same one, and so without end.
fn still_listed(bucket: &str, key: &str, after: &str) -> Problem {
    Problem::failed(format!("{bucket}: `{key}` is still listed after {after}"))
        .fix("run the same command again in a minute")
}

fn check_stop(stop: &Stop) -> Result<(), Problem> {
    stop.asked().map_or(Ok(()), |exit| Err(Stop::problem(exit)))
}

fn unbuildable(error: &BuildError) -> Problem {
    Problem::failed("S3 lists an object without a key").because(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_s3::Client;
    use aws_sdk_s3::operation::abort_multipart_upload::AbortMultipartUploadOutput;
    use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
    use aws_sdk_s3::operation::list_multipart_uploads::ListMultipartUploadsOutput;
    use aws_sdk_s3::types::{DeleteMarkerEntry, Error, ObjectVersion};
    use aws_smithy_mocks::{Rule, mock};

    use super::*;
    use crate::testing::{refuse, s3_clients};

    /// A bucket that holds this many versions, and one delete marker less.
    fn listing(held: &Arc<Mutex<usize>>) -> Rule {
        let held = Arc::clone(held);
        mock!(Client::list_object_versions).then_compute_output(move |_| {
            let held = *held.lock().unwrap();
            let version = |n: usize| ObjectVersion::builder().key(format!("k{n}")).version_id(format!("v{n}")).build();
            let marker = |n: usize| DeleteMarkerEntry::builder().key(format!("k{n}")).version_id("m").build();
            let versions = held.min(600);
            ListObjectVersionsOutput::builder()
                .set_versions(Some((0..versions).map(|n| version(held - n)).collect()))
                .set_delete_markers(Some((1..versions).map(marker).take(400).collect()))
                .build()
        })
    }

    #[tokio::test]
    async fn versions_markers_and_unfinished_uploads_go_a_thousand_a_call() {
        let held = Arc::new(Mutex::new(1500));
        let (list, left) = (listing(&held), Arc::clone(&held));
        let delete = mock!(Client::delete_objects).then_compute_output(move |delete| {
            let objects = delete.delete().unwrap().objects();
            assert!(objects.len() <= 1000 && objects.iter().all(|object| object.version_id().is_some()));
            let mut left = left.lock().unwrap();
            *left -= (*left).min(600);
            DeleteObjectsOutput::builder().build()
        });
        let uploads = mock!(Client::list_multipart_uploads).then_output(|| {
            let upload = MultipartUpload::builder().key("big").upload_id("u1").build();
            ListMultipartUploadsOutput::builder().uploads(upload).build()
        });
        let abort = mock!(Client::abort_multipart_upload)
            .match_requests(|abort| (abort.key(), abort.upload_id()) == (Some("big"), Some("u1")))
            .then_output(|| AbortMultipartUploadOutput::builder().build());
        let clients = s3_clients(&[&list, &delete, &uploads, &abort]);
        assert_eq!(empty_bucket(&clients, "b", &Stop::new()).await, Ok(()));
        assert_eq!((*held.lock().unwrap(), delete.num_calls(), abort.num_calls()), (0, 3, 1));
    }

    #[tokio::test]
    async fn an_object_that_cannot_be_deleted_is_named() {
        let list = listing(&Arc::new(Mutex::new(1)));
        let delete = mock!(Client::delete_objects).then_output(|| {
            let error = Error::builder().key("k1").code("AccessDenied").message("object lock").build();
            DeleteObjectsOutput::builder().errors(error).build()
        });
        let problem = empty_bucket(&s3_clients(&[&list, &delete]), "b", &Stop::new()).await.unwrap_err();
        assert!(problem.to_string().contains("`k1` cannot be deleted"), "{problem}");
    }

    #[tokio::test]
    async fn a_bucket_that_is_gone_is_empty_and_one_that_never_empties_is_no_endless_loop() {
        let gone = || refuse(404, "NoSuchBucket", "");
        let list = mock!(Client::list_object_versions).then_http_response(gone);
        let uploads = mock!(Client::list_multipart_uploads).then_http_response(gone);
        assert_eq!(empty_bucket(&s3_clients(&[&list, &uploads]), "b", &Stop::new()).await, Ok(()));

        let list = listing(&Arc::new(Mutex::new(1)));
        let delete = mock!(Client::delete_objects).then_output(|| DeleteObjectsOutput::builder().build());
        let problem = empty_bucket(&s3_clients(&[&list, &delete]), "b", &Stop::new()).await.unwrap_err();
        assert!(problem.to_string().contains("still listed"), "{problem}");
    }

    #[tokio::test]
    async fn pages_of_unfinished_uploads_go_one_after_the_other_and_without_progress_not_at_all() {
        let nothing = mock!(Client::list_object_versions).then_output(|| ListObjectVersionsOutput::builder().build());
        let page = |key: String| {
            let upload = MultipartUpload::builder().key(key).upload_id("u").build();
            ListMultipartUploadsOutput::builder().uploads(upload).is_truncated(true).build()
        };
        let left = Arc::new(Mutex::new(3));
        let (pages, aborts) = (Arc::clone(&left), Arc::clone(&left));
        let list = mock!(Client::list_multipart_uploads).then_compute_output(move |_| match *pages.lock().unwrap() {
            0 => ListMultipartUploadsOutput::builder().build(),
            n => page(format!("k{n}")),
        });
        let abort = mock!(Client::abort_multipart_upload).then_compute_output(move |_| {
            *aborts.lock().unwrap() -= 1;
            AbortMultipartUploadOutput::builder().build()
        });
        assert_eq!(empty_bucket(&s3_clients(&[&nothing, &list, &abort]), "b", &Stop::new()).await, Ok(()));
        assert_eq!((*left.lock().unwrap(), abort.num_calls()), (0, 3));

        let stuck = mock!(Client::list_multipart_uploads).then_output(move || page("k1".into()));
        let abort = mock!(Client::abort_multipart_upload).then_output(|| AbortMultipartUploadOutput::builder().build());
        let problem = empty_bucket(&s3_clients(&[&nothing, &stuck, &abort]), "b", &Stop::new()).await.unwrap_err();
        assert!(problem.to_string().contains("`k1` is still listed"), "{problem}");
        assert_eq!(stuck.num_calls(), 2);
    }
}
