//! From the arguments to what is uploaded under which key. Only file names and sizes are looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_event::{MAX_KEY_BYTES, strip_extension};
use lab_common::Images;
use lab_plan::Problem;

use crate::cli::Args;
use crate::picture::{Size, check_text};

/// The largest object that one `PutObject` takes, in bytes (S3 user guide, "Uploading objects"): 5 GiB.
const MAX_OBJECT_BYTES: u64 = 5 * 1024 * 1024 * 1024;

const SAMPLE_KEY: &str = "lab-image.png";

/// One object to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) content_type: &'static str,
    pub(crate) content: Content,
}

/// Where an object's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Sample { text: String, size: Size },
    File(PathBuf),
}

/// Everything to upload, checked as far as it can be without a call.
pub(crate) fn want_uploads(args: &Args, images: &Images) -> Result<Vec<Upload>, Problem> {
    let uploads = if args.file.is_empty() { want_samples(args)? } else { want_files(args)? };
    reject_twins(&uploads)?;
    for upload in &uploads {
        check_key(&upload.key)?;
        if args.wait.is_some() {
            check_triggers(&upload.key, images)?;
            images.result_keys(&upload.key).iter().try_for_each(|key| check_key(key))?;
        }
    }
    Ok(uploads)
}

fn want_samples(args: &Args) -> Result<Vec<Upload>, Problem> {
    check_text(&args.text)?;
    let key = args.key.as_deref().unwrap_or(SAMPLE_KEY);
    let sample = |key: String| Upload {
        key,
        content_type: "image/png",
        content: Content::Sample { text: args.text.clone(), size: args.size },
    };
    Ok(match args.count {
        None => vec![sample(key.to_owned())],
        Some(count) => (1..=count).map(|n| sample(number_key(key, n))).collect(),
    })
}

/// `lab-image.png`, 3 → `lab-image-3.png`
fn number_key(key: &str, n: u32) -> String {
    let stem = strip_extension(key);
    format!("{stem}-{n}{}", &key[stem.len()..])
}

fn want_files(args: &Args) -> Result<Vec<Upload>, Problem> {
    let problems: (Vec<_>, Vec<_>) = args.file.iter().map(|path| want_file(path, args)).partition(Result::is_ok);
    let (uploads, problems) = (
        problems.0.into_iter().filter_map(Result::ok).collect(),
        problems.1.into_iter().filter_map(Result::err).collect::<Vec<_>>(),
    );
    Problem::all(&problems).map_or(Ok(uploads), Err)
}

fn want_file(path: &Path, args: &Args) -> Result<Upload, Problem> {
    check_file(path)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Problem::usage(format!("--file {}: its name is not UTF-8, so it cannot be a key", path.display()))
            .fix("name the object with --key KEY")
    });
    let key = match args.key.as_deref() {
        None => name?.to_owned(),
        Some(key) if args.file.len() == 1 && !key.ends_with('/') => key.to_owned(),
        Some(folder) => format!("{}/{}", folder.trim_end_matches('/'), name?),
    };
    Ok(Upload { key, content_type: guess_content_type(path), content: Content::File(path.to_owned()) })
}

/// Opens the file, since only that tells whether it may be read.
fn check_file(path: &Path) -> Result<(), Problem> {
    let show = path.display();
    let problem = |error: std::io::Error| {
        Problem::usage(format!("--file {show} cannot be read"))
            .because(error.to_string())
            .fix("check the path and its permissions")
    };
    let file = std::fs::File::open(path).map_err(problem)?;
    let file = file.metadata().map_err(problem)?;
    if !file.is_file() {
        return Err(Problem::usage(format!("--file {show} is not a file")).fix("name files, not folders"));
    }
    if file.len() > MAX_OBJECT_BYTES {
        return Err(Problem::usage(format!("--file {show} has {} bytes, one upload takes at most 5 GiB", file.len()))
            .fix("use `aws s3 cp`, which uploads in parts"));
    }
    Ok(())
}

fn guess_content_type(path: &Path) -> &'static str {
    path.extension()
        .and_then(image::ImageFormat::from_extension)
        .map_or("application/octet-stream", |format| format.to_mime_type())
}

fn reject_twins(uploads: &[Upload]) -> Result<(), Problem> {
    let mut seen = BTreeMap::new();
    for upload in uploads {
        if let Some(first) = seen.insert(&upload.key, upload) {
            let path = |upload: &Upload| match &upload.content {
                Content::File(path) => path.display().to_string(),
                Content::Sample { .. } => "the sample".to_owned(),
            };
            return Err(Problem::usage(format!(
                "{} and {} would both become {}",
                path(first),
                path(upload),
                upload.key
            ))
            .fix("upload them one by one, each with its own --key"));
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), Problem> {
    let problem = if key.is_empty() {
        "--key is empty, and S3 has no object without a name".to_owned()
    } else if key.ends_with('/') {
        format!("--key {key} names a folder, not an object")
    } else if key.len() > MAX_KEY_BYTES {
        format!(
            "the key {}… has {} bytes, S3 allows {MAX_KEY_BYTES}",
            key.chars().take(40).collect::<String>(),
            key.len()
        )
    } else {
        return Ok(());
    };
    Err(Problem::usage(problem).fix("name the object with --key, such as --key lab-image.png"))
}

/// Waiting makes sense only for a key that the trigger listens to.
fn check_triggers(key: &str, images: &Images) -> Result<(), Problem> {
    let (prefix, suffix) = (&images.prefix, &images.suffix);
    if key.starts_with(prefix.as_str()) && key.ends_with(suffix.as_str()) {
        return Ok(());
    }
    Err(Problem::usage(format!("--wait: the function is not triggered by {key}"))
        .because(format!("[images] of the lab file has prefix = {prefix:?} and suffix = {suffix:?}"))
        .fix("choose a --key that fits them, or upload without --wait"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use lab_common::{HOL02, Overrides, read_lab};

    use super::*;

    fn images() -> Images {
        let overrides = Overrides { owner: Some("ana".into()), region: None };
        read_lab("hol02", HOL02, &overrides).unwrap().images.unwrap()
    }

    fn want(arguments: &[&str]) -> Result<Vec<Upload>, Problem> {
        want_uploads(&Args::parse_from([&["upload-sample-image"], arguments].concat()), &images())
    }

    fn keys(arguments: &[&str]) -> Vec<String> {
        want(arguments).unwrap().into_iter().map(|upload| upload.key).collect()
    }

    #[test]
    fn samples_are_named_and_numbered() {
        assert_eq!(keys(&[]), ["lab-image.png"]);
        assert_eq!(keys(&["--key", "a b/ñ+1.png"]), ["a b/ñ+1.png"]);
        assert_eq!(keys(&["--count", "2"]), ["lab-image-1.png", "lab-image-2.png"]);
        assert_eq!(keys(&["--count", "1", "--key", "v1.0/shot"]), ["v1.0/shot-1"]);
    }

    #[test]
    fn files_are_named_after_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, b"x").unwrap();
            path.display().to_string()
        };
        let (one, two) = (path("one.tiff"), path("two"));
        assert_eq!(keys(&["--file", &one, &two]), ["one.tiff", "two"]);
        assert_eq!(keys(&["--file", &one, "--key", "scan.tif"]), ["scan.tif"]);
        assert_eq!(keys(&["--file", &one, "--key", "scans/"]), ["scans/one.tiff"]);
        assert_eq!(keys(&["--file", &one, &two, "--key", "scans"]), ["scans/one.tiff", "scans/two"]);
        let types: Vec<_> = want(&["--file", &one, &two]).unwrap().iter().map(|upload| upload.content_type).collect();
        assert_eq!(types, ["image/tiff", "application/octet-stream"]);
        let twins = want(&["--file", &one, &one]).unwrap_err();
        assert!(twins.what().contains("would both become one.tiff"), "{twins}");
    }

    #[test]
    fn every_file_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let problem = want(&["--file", "/no/such/a.png", &folder.path().display().to_string()]).unwrap_err();
        let text = problem.to_string();
        assert!(text.contains("/no/such/a.png cannot be read") && text.contains("is not a file"), "{text}");
        assert_eq!(problem.exit().code(), 2);
    }

    #[test]
    fn keys_that_s3_would_not_take_are_refused() {
        for (key, says) in [("", "is empty"), ("folder/", "names a folder"), (&"k".repeat(1025), "1025 bytes")] {
            let problem = want(&["--key", key]).unwrap_err();
            assert!(problem.what().contains(says), "{problem}");
        }
        assert!(want(&["--key", &"k".repeat(1024)]).is_ok());
        assert!(want(&["--key", &"k".repeat(1024), "--wait"]).is_err(), "its result would have no name");
    }

    #[test]
    fn waiting_needs_a_key_that_triggers() {
        let images = Images { prefix: "in/".into(), suffix: ".png".into(), ..images() };
        let want = |arguments: &[&str]| {
            want_uploads(&Args::parse_from([&["upload-sample-image"], arguments].concat()), &images)
        };
        assert!(want(&["--wait"]).unwrap_err().to_string().contains("in/"));
        assert!(want(&["--wait", "--key", "in/a.png"]).is_ok());
        assert!(want(&[]).is_ok());
    }
}
