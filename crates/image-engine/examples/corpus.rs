//! Writes the seeds of the fuzz targets: a folder for each, under the folder named.
//!
//! Usage: corpus FOLDER

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use std::path::Path;

/// Recipes for the target `any`.
const RECIPES: [&str; 4] = [
    "",
    "format=jpeg width=13 height=9 fit=cover enlarge=true",
    "format=webp sizes=5,30 watermark=x",
    "grayscale=true background=#010203 sizes=8 depth=8",
];

const EVENTS: [&str; 5] = [
    r#"{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"in"},"object":{"key":"a+b%2Bc.png","size":1,"eTag":"0","sequencer":"0A"}}}]}"#,
    r#"{"Records":[{"messageId":"m","eventSource":"aws:sqs","body":"{\"Records\":[]}"}]}"#,
    r#"{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"in"},"object":{"key":"a.png","size":1,"etag":"0","sequencer":"0A"}}}"#,
    r#"{"invocationSchemaVersion":"2.0","invocationId":"i","job":{"id":"j"},"tasks":[{"taskId":"t","s3Key":"a%20b.png","s3VersionId":null,"s3Bucket":"in"}]}"#,
    r#"{"Event":"s3:TestEvent"}"#,
];

const KEYS: [&str; 4] = ["lab-image.png", "my+holiday%2B1.jpg", "caf%C3%A9/%E5%9B%BE.png", "a%FFb"];

fn main() {
    let folder = std::env::args().nth(1).expect("Usage: corpus FOLDER");
    let folder = Path::new(&folder);
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).expect("a folder for the seeds");
        std::fs::write(folder.join(name), bytes).expect("a seed");
    };
    for file in corpus::good() {
        write(file.format, &file.name, &file.bytes);
        for (index, recipe) in RECIPES.iter().enumerate() {
            let name = format!("{}-{}-{index}", file.format, file.name);
            write("any", &name, &[recipe.as_bytes(), b"\n", &file.bytes].concat());
        }
    }
    // Larger than what the fuzzer takes in, so cut: what lies is in the first bytes.
    for file in corpus::bombs() {
        write(file.format, &file.name, &file.bytes[..file.bytes.len().min(4096)]);
    }
    for (index, event) in EVENTS.iter().enumerate() {
        write("event", &index.to_string(), event.as_bytes());
    }
    for (index, key) in KEYS.iter().enumerate() {
        write("key", &index.to_string(), key.as_bytes());
    }
}
