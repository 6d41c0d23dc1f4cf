//! The answer: one document for text and JSON.

use std::fmt;
use std::path::PathBuf;

use lab_plan::Heading;
use serde::Serialize;

/// What was uploaded, and what came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Which lab.
    #[serde(flatten)]
    pub heading: Heading,
    /// The objects, in the order they were asked for. Those that failed are not among them.
    pub uploads: Vec<Uploaded>,
}

/// An object in the input bucket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Uploaded {
    /// `s3://bucket/key`
    pub uri: String,
    /// The input bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// What the function made of it; only with `--wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processed: Option<Processed>,
    /// Its further results, where the lab wants a thumbnail set; only with `--wait`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Processed>,
}

/// An object in the output bucket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Processed {
    /// `s3://bucket/key`
    pub uri: String,
    /// The object's key.
    pub key: String,
    /// From the end of the upload until the result was seen, in seconds.
    pub seconds: f64,
    /// Where it was saved.
    pub file: PathBuf,
}

/// One URI a line: each object's, and after it its result's.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for upload in &self.uploads {
            writeln!(f, "{}", upload.uri)?;
            for processed in upload.processed.iter().chain(&upload.others) {
                writeln!(f, "{}", processed.uri)?;
            }
        }
        Ok(())
    }
}
