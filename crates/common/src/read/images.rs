//! `[images]`: the S3 → Lambda → S3 pipeline.

use super::{read_word, recipe};
use crate::table::{At, Table};
use crate::{Arch, Images, Mode};

const MEMORY_MB: std::ops::RangeInclusive<i64> = 128..=10_240;
const TIMEOUT_S: std::ops::RangeInclusive<i64> = 1..=900;
/// What an SQS mapping takes as its maximum begins at 2 (Lambda developer guide, "Maximum concurrency").
const CONCURRENCY: std::ops::RangeInclusive<i64> = 1..=1000;
const MAX_PIXELS: std::ops::RangeInclusive<i64> = 1..=1_000_000_000;
const RECORD_SECONDS: std::ops::RangeInclusive<i64> = 1..=900;

pub(super) fn read(table: &Table<'_>, owner: Option<&str>) -> Option<Images> {
    let input = table.required_string("input", "\"lab-input-bucket-{owner}\"");
    let output = table.required_string("output", "\"lab-output-bucket-{owner}\"");
    let function = table.required_string("function", "\"lab-lambda-function\"");
    let input = input.and_then(|name| read_bucket(table, "input", name, owner));
    let output = output.and_then(|name| read_bucket(table, "output", name, owner));
    let function = function.and_then(|name| read_function(table, &name, owner));
    let mode = read_word(table, "mode", &[("png", Mode::Png), ("copy", Mode::Copy)], Mode::Png);
    let prefix = read_filter(table, "prefix");
    let suffix = read_filter(table, "suffix");
    let whole = |key, bounds, default| {
        let number = table.integer(key, bounds);
        number.map_or(default, |number| i32::try_from(number.value).unwrap_or(default))
    };
    let (memory_mb, timeout_s) = (whole("memory_mb", MEMORY_MB, 512), whole("timeout_s", TIMEOUT_S, 60));
    let recipe = recipe::read(table);
    if mode == Some(Mode::Copy) {
        recipe::reject_with_copy(table, &recipe);
    }
    let (queue, dead_letters) = read_queue(table);
    let concurrency = read_concurrency(table, queue);
    let arch = read_word(table, "arch", &[("x86_64", Arch::X86), ("arm64", Arch::Arm)], Arch::X86);
    let max_pixels = table.integer("max_pixels", MAX_PIXELS).and_then(|number| u64::try_from(number.value).ok());
    let record_seconds = read_record_seconds(table, timeout_s);
    table.reject_unknown();
    let (input, output, function) = (input?, output?, function?);
    // AWS's loop detection does not know the Rust runtime: a function that writes where it is triggered runs for ever.
    if input.value == output.value {
        let what = format!("images.output = \"{}\" is the input bucket too", output.value);
        table.file.reject(&output.span, what, "the function would trigger itself: write to a bucket of its own");
        return None;
    }
    Some(Images {
        input: input.value,
        output: output.value,
        function,
        mode: mode?,
        prefix,
        suffix,
        memory_mb,
        timeout_s,
        recipe,
        queue,
        dead_letters,
        concurrency,
        arch: arch?,
        max_pixels,
        record_seconds,
    })
}

/// A queue always has its dead letters.
fn read_queue(table: &Table<'_>) -> (bool, bool) {
    let queue = table.boolean("queue").unwrap_or(false);
    let dead_letters = table.boolean("dead_letters");
    if queue && dead_letters == Some(false) {
        let what = "images.dead_letters = false with queue = true";
        let fix = "remove the line: what fails again and again must leave the queue for somewhere";
        table.file.reject(&table.span_of("dead_letters"), what, fix);
    }
    (queue, queue || dead_letters.unwrap_or(false))
}

fn read_concurrency(table: &Table<'_>, queue: bool) -> Option<i32> {
    let number = table.integer("concurrency", CONCURRENCY)?;
    if queue && number.value < 2 {
        let what = "images.concurrency = 1 with queue = true";
        table.file.reject(&number.span, what, "write 2 or more: Lambda bounds a queue's function to no less");
        return None;
    }
    i32::try_from(number.value).ok()
}

fn read_record_seconds(table: &Table<'_>, timeout_s: i32) -> Option<u32> {
    let number = table.integer("record_seconds", RECORD_SECONDS)?;
    if number.value > i64::from(timeout_s) {
        let what = format!("images.record_seconds = {} is more than timeout_s = {timeout_s}", number.value);
        table.file.reject(&number.span, what, "Lambda ends the function at timeout_s: write less, or raise timeout_s");
        return None;
    }
    u32::try_from(number.value).ok()
}

/// Puts the owner in; `None` where the owner itself is wrong, which is reported elsewhere.
fn substitute(table: &Table<'_>, key: &str, name: &At<String>, owner: Option<&str>) -> Option<String> {
    let text = name.value.replace("{owner}", owner?);
    if text.contains(['{', '}']) {
        let what = format!("{} = \"{}\" has an unknown placeholder", table.path_of(key), name.value);
        table.file.reject(&name.span, what, "only {owner} is known");
        return None;
    }
    Some(text)
}

fn read_bucket(table: &Table<'_>, key: &str, name: At<String>, owner: Option<&str>) -> Option<At<String>> {
    let text = substitute(table, key, &name, owner)?;
    if let Some(why) = reject_bucket(&text) {
        let what = format!("{} = \"{text}\" is no bucket name: {why}", table.path_of(key));
        table.file.reject(&name.span, what, "use 3 to 63 lower-case letters, digits and hyphens");
        return None;
    }
    Some(At { value: text, span: name.span })
}

/// S3 user guide, "General purpose bucket naming rules". Dots are legal, but break TLS host names: not here.
fn reject_bucket(name: &str) -> Option<&'static str> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=63).contains(&name.len()) {
        Some("it has not 3 to 63 characters")
    } else if !name.chars().all(|c| edge(c) || c == '-') {
        Some("it has other characters than lower-case letters, digits and hyphens")
    } else if !name.starts_with(edge) || !name.ends_with(edge) {
        Some("it begins or ends with a hyphen")
    } else if ["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|taken| name.starts_with(taken)) {
        Some("S3 keeps this prefix for itself")
    } else if ["-s3alias", "--ol-s3", "--x-s3", "--table-s3", "-an"].iter().any(|taken| name.ends_with(taken)) {
        Some("S3 keeps this suffix for itself")
    } else {
        None
    }
}

/// A function's name has up to 64 letters, digits, hyphens and underscores (Lambda API reference).
fn read_function(table: &Table<'_>, name: &At<String>, owner: Option<&str>) -> Option<String> {
    let text = substitute(table, "function", name, owner)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=64).contains(&text.len()) && text.chars().all(legal) {
        return Some(text);
    }
    let what = format!("{} = \"{text}\" is no function name", table.path_of("function"));
    table.file.reject(&name.span, what, "use up to 64 letters, digits, hyphens and underscores");
    None
}

/// A prefix or suffix of keys, at most 1,024 bytes like a key itself.
fn read_filter(table: &Table<'_>, key: &str) -> String {
    let Some(filter) = table.string(key) else { return String::new() };
    if filter.value.len() > 1024 {
        let what = format!("{} has {} bytes", table.path_of(key), filter.value.len());
        table.file.reject(&filter.span, what, "S3 keys end at 1,024 bytes");
    }
    filter.value
}
