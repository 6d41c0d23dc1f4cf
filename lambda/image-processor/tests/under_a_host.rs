//! The function's program as Lambda runs it: events repeated and out of order, an S3 that fails, and what must be true at
//! the end.

mod host;

use std::collections::{BTreeMap, VecDeque};
use std::io::Cursor;
use std::sync::Mutex;

use host::lambda::Function;
use host::s3::S3;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

/// A picture that says which version of which key it is.
fn picture(key: u8, version: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(6, 5, Rgb([key, version, 77])).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

#[derive(Debug, Clone)]
enum Step {
    Upload {
        key: u8,
        version: u8,
        bad: bool,
    },
    /// An event of a version, once more.
    Deliver {
        key: u8,
        version: u8,
    },
}

fn name(key: u8) -> String {
    format!("folder/{key:02}.png")
}

fn record(key: u8, version: u8, etag: &str, size: usize) -> Value {
    json!({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {
        "bucket": {"name": "in"}, "object": {"key": name(key).replace('/', "%2F"), "size": size,
        "eTag": etag.trim_matches('"'), "sequencer": format!("{:0>16X}", u32::from(version) * 1000)}}})
}

/// The same event in the shape that this or that service gives it.
fn body(record: &Value, shape: usize) -> Value {
    let event = json!({ "Records": [record] });
    match shape % 3 {
        0 => event,
        1 => json!({"Type": "Notification", "TopicArn": "t", "Message": event.to_string()}),
        _ => {
            let object = &record["s3"]["object"];
            let key = object["key"].as_str().unwrap().replace("%2F", "/");
            json!({"detail-type": "Object Created", "source": "aws.s3", "detail": {"bucket": {"name": "in"},
                "object": {"key": key, "size": object["size"], "etag": object["eTag"], "sequencer": object["sequencer"]}}})
        }
    }
}

/// Uploads of each key in order, and after each of them its event, up to `copies` times, anywhere later.
fn plan(keys: u8, versions: u8, copies: usize, dice: &mut Dice) -> (Vec<Step>, BTreeMap<u8, Vec<bool>>) {
    let mut steps: Vec<Step> = Vec::new();
    let mut bad: BTreeMap<u8, Vec<bool>> = BTreeMap::new();
    for version in 1..=versions {
        for key in 0..keys {
            let is_bad = dice.roll(5) == 0;
            bad.entry(key).or_default().push(is_bad);
            steps.push(Step::Upload { key, version, bad: is_bad });
        }
    }
    for key in 0..keys {
        for version in 1..=versions {
            let uploaded =
                |step: &Step| matches!(step, Step::Upload { key: k, version: v, .. } if (*k, *v) == (key, version));
            for _ in 0..copies {
                let after = steps.iter().position(uploaded).unwrap() + 1;
                let at = after + dice.roll(steps.len() - after + 1);
                steps.insert(at, Step::Deliver { key, version });
            }
        }
    }
    (steps, bad)
}

/// What the workers of a test share.
struct World {
    s3: S3,
    steps: Mutex<VecDeque<Step>>,
    /// What was uploaded: its event.
    uploaded: Mutex<BTreeMap<(u8, u8), Value>>,
    delivered: Mutex<usize>,
}

impl World {
    fn take(&self, most: usize) -> Vec<(u8, u8)> {
        let mut steps = self.steps.lock().unwrap();
        let mut taken = Vec::new();
        while taken.len() < most {
            match steps.pop_front() {
                None => break,
                Some(Step::Deliver { key, version }) => taken.push((key, version)),
                Some(Step::Upload { key, version, bad }) => {
                    let mut content = picture(key, version);
                    if bad {
                        content.truncate(40 + usize::from(version));
                    }
                    let size = content.len();
                    let etag = self.s3.put(&format!("/in/{}", name(key)), content);
                    self.uploaded.lock().unwrap().insert((key, version), record(key, version, &etag, size));
                }
            }
        }
        *self.delivered.lock().unwrap() += taken.len();
        taken
    }

    fn give_back(&self, (key, version): (u8, u8)) {
        self.steps.lock().unwrap().push_back(Step::Deliver { key, version });
    }

    fn record(&self, at: (u8, u8)) -> Value {
        self.uploaded.lock().unwrap()[&at].clone()
    }

    /// One function's life: batches of a queue and direct events, in turns, until nothing is left.
    fn work(&self, function: &Function, seed: u64) {
        let mut dice = Dice(seed);
        loop {
            let direct = dice.roll(4) == 0;
            let taken = self.take(if direct { 1 } else { 1 + dice.roll(10) });
            if taken.is_empty() {
                return;
            }
            if direct {
                // Lambda tries a failed invocation again, later.
                if function.invoke(&body(&self.record(taken[0]), 3 * dice.roll(2)).to_string()).is_err() {
                    self.give_back(taken[0]);
                }
                continue;
            }
            let messages: Vec<_> = taken
                .iter()
                .enumerate()
                .map(|(at, version)| {
                    let body = body(&self.record(*version), dice.roll(3)).to_string();
                    json!({"messageId": at.to_string(), "body": body, "eventSource": "aws:sqs"})
                })
                .collect();
            let answer = function.invoke(&json!({ "Records": messages }).to_string()).expect("a queue gets an answer");
            for failure in answer["batchItemFailures"].as_array().unwrap() {
                let at: usize = failure["itemIdentifier"].as_str().unwrap().parse().unwrap();
                self.give_back(taken[at]);
            }
        }
    }
}

fn deliver_all(failing: u64, keys: u8, versions: u8, copies: usize) {
    let mut dice = Dice(42 + failing);
    let (steps, bad) = plan(keys, versions, copies, &mut dice);
    let world = World {
        s3: S3::start(),
        steps: Mutex::new(steps.into()),
        uploaded: Mutex::default(),
        delivered: Mutex::default(),
    };
    let mut functions: Vec<_> = (0..2).map(|_| Function::start(&world.s3, 60, &[])).collect();
    world.s3.with(|state| state.failing = failing);
    std::thread::scope(|scope| {
        for (at, function) in functions.iter().enumerate() {
            let world = &world;
            scope.spawn(move || world.work(function, 7 + at as u64));
        }
    });
    assert!(*world.delivered.lock().unwrap() >= usize::from(keys) * usize::from(versions) * copies);

    for (key, bad) in bad {
        let result = world.s3.get(&format!("/out/folder/{key:02}-processed.png"));
        let report = world.s3.get(&format!("/out/{}-failed.json", name(key)));
        let newest = world.record((key, versions));
        if *bad.last().unwrap() {
            let report: Value = serde_json::from_slice(&report.expect("the newest version is bad").content).unwrap();
            assert_eq!(report["source"]["etag"], newest["s3"]["object"]["eTag"], "the report is of the newest version");
            continue;
        }
        assert!(
            report.is_none(),
            "an orphan report of key {key}: {}",
            String::from_utf8_lossy(&report.unwrap().content)
        );
        let result = result.unwrap_or_else(|| panic!("key {key} has no result"));
        let pixel = image::load_from_memory(&result.content).unwrap().to_rgb8().get_pixel(0, 0).0;
        assert_eq!(pixel, [key, versions, 77], "the result of key {key} is of its newest version");
        assert_eq!(
            result.headers["x-amz-meta-source-sequencer"],
            newest["s3"]["object"]["sequencer"].as_str().unwrap()
        );
    }
    for function in &mut functions {
        assert!(function.is_up());
        let log = function.log();
        assert!(log.iter().any(|line| line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "hybrid-lab"));
    }
}

#[test]
fn a_thousand_events_repeated_and_out_of_order_leave_the_newest_of_each() {
    deliver_all(0, 50, 4, 5);
}

#[test]
fn they_do_so_when_s3_fails_at_any_call() {
    deliver_all(15, 40, 3, 3);
}

#[test]
fn nothing_that_is_sent_ends_the_function() {
    let s3 = S3::start();
    let mut function = Function::start(&s3, 60, &[]);
    for payload in
        ["{}", "[]", "null", "5", "\"text\"", "{\"Records\": 5}", "{\"Records\": [{\"messageId\": 1, \"body\": 2}]}"]
    {
        let _ = function.invoke(payload);
    }
    for (at, content) in
        [vec![], vec![0; 5000], picture(1, 1)[..30].to_vec(), b"\xFF\xD8\xFF\xE0junk".to_vec()].into_iter().enumerate()
    {
        let key = u8::try_from(at).unwrap();
        let etag = s3.put(&format!("/in/{}", name(key)), content);
        let summary = function.invoke(&json!({"Records": [record(key, 1, &etag, 1)]}).to_string()).unwrap();
        assert_eq!(summary["failed"].as_array().unwrap().len(), 1, "{summary}");
    }
    let etag = s3.put(&format!("/in/{}", name(9)), picture(9, 1));
    let summary = function.invoke(&json!({"Records": [record(9, 1, &etag, 1)]}).to_string()).unwrap();
    assert_eq!(summary["processed"].as_array().unwrap().len(), 1, "{summary}");
    assert!(function.is_up());
}

#[test]
fn one_event_of_many_records_is_done_at_once() {
    let s3 = S3::start();
    let function = Function::start(&s3, 60, &[("FORMAT", "jpeg"), ("SIZES", "3,6")]);
    let records: Vec<_> = (0..100)
        .map(|key| {
            let etag = s3.put(&format!("/in/{}", name(key)), picture(key, 1));
            record(key, 1, &etag, 100)
        })
        .collect();
    let summary = function.invoke(&json!({ "Records": records }).to_string()).unwrap();
    assert_eq!(summary["processed"].as_array().unwrap().len(), 200, "{summary}");
    let again = function.invoke(&json!({ "Records": records }).to_string()).unwrap();
    assert_eq!(again["skipped"].as_array().unwrap().len(), 100);
    let repeated = s3.with(|state| state.calls.iter().rev().take(100).filter(|call| call.starts_with("HEAD")).count());
    assert_eq!(repeated, 100, "the same event again is a HEAD a record and nothing else");
}

#[test]
fn what_the_deadline_does_not_allow_comes_back_before_lambda_ends_it() {
    let s3 = S3::start();
    let mut function = Function::start(&s3, 0, &[]);
    let etag = s3.put(&format!("/in/{}", name(1)), picture(1, 1));
    let error = function.invoke(&json!({"Records": [record(1, 1, &etag, 100)]}).to_string()).unwrap_err();
    assert_eq!(error["errorType"], "OutOfTime", "{error}");
    assert!(function.is_up());
}

#[test]
fn a_function_that_cannot_work_says_so_and_ends() {
    let s3 = S3::start();
    for variables in [[("OUTPUT_BUCKET", "")], [("FORMAT", "gif")]] {
        let mut function = Function::start(&s3, 60, &variables);
        while function.is_up() {
            std::thread::yield_now();
        }
    }
}
