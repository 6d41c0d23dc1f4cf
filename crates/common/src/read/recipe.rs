//! The words of `[images]` that say what is made of a picture.

use std::ops::RangeInclusive;

use super::find_word;
use crate::recipe::{Depth, Fit, PictureFormat, Recipe};
use crate::table::{At, Table};

/// What WebP can hold; larger pictures than that are no results of a web pipeline either.
const SIDE: RangeInclusive<i64> = 1..=16_383;
const QUALITY: RangeInclusive<i64> = 1..=100;
const MOST_SIZES: usize = 16;
const LONGEST_WATERMARK: usize = 200;

/// The words in the file's own notation; everything that is wrong is reported.
pub(super) fn read(table: &Table<'_>) -> Recipe {
    let number = |key| table.integer(key, SIDE).and_then(|number| u32::try_from(number.value).ok());
    let (width, height) = (number("width"), number("height"));
    let fit = read_one_of(table, "fit", &[("fit", Fit::Fit), ("cover", Fit::Cover), ("exact", Fit::Exact)]);
    let enlarge = table.boolean("enlarge");
    let sizes = read_sizes(table);
    let is_sized = width.is_some() || height.is_some();
    if !sizes.is_empty() && is_sized {
        let what = "images.sizes stands beside width or height";
        table.file.reject(
            &table.span_of("sizes"),
            what,
            "keep one of them: a thumbnail set, or the size of one picture",
        );
    }
    for key in ["fit", "enlarge"] {
        if table.has(key) && !is_sized {
            let what = format!("images.{key} says nothing without width or height");
            table.file.reject(&table.span_of(key), what, "add one of them, or remove the line");
        }
    }
    Recipe {
        format: read_one_of(
            table,
            "format",
            &[("png", PictureFormat::Png), ("jpeg", PictureFormat::Jpeg), ("webp", PictureFormat::Webp)],
        ),
        width,
        height,
        fit,
        enlarge,
        sizes,
        grayscale: table.boolean("grayscale"),
        quality: table.integer("quality", QUALITY).and_then(|number| u8::try_from(number.value).ok()),
        background: read_colour(table, "background"),
        watermark: read_watermark(table, "watermark"),
        depth: read_one_of(table, "depth", &[("keep", Depth::Keep), ("8", Depth::Eight)]),
    }
}

/// Rejects every word of a recipe: the function copies bytes, and looks at no picture.
pub(super) fn reject_with_copy(table: &Table<'_>, recipe: &Recipe) {
    if recipe.is_empty() {
        return;
    }
    for variable in Recipe::VARIABLES {
        let key = variable.to_ascii_lowercase();
        if table.has(&key) {
            let what = format!("images.{key} says nothing with mode = \"copy\"");
            table.file.reject(&table.span_of(&key), what, "remove the line, or write `mode = \"png\"`");
        }
    }
}

fn read_one_of<T: Copy>(table: &Table<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
    let word = table.string(key)?;
    find_word(table, key, &word, words)
}

fn read_sizes(table: &Table<'_>) -> Vec<u32> {
    let Some(sizes) = table.integers("sizes", SIDE) else { return Vec::new() };
    if sizes.is_empty() {
        table.file.reject(&table.span_of("sizes"), "images.sizes is empty", "write `sizes = [200, 720]`, or remove it");
    }
    if let Some(At { span, .. }) = sizes.get(MOST_SIZES) {
        let what = format!("images.sizes has {} sizes", sizes.len());
        table.file.reject(span, what, format!("keep {MOST_SIZES} at most"));
    }
    for (n, size) in sizes.iter().enumerate() {
        if sizes[..n].iter().any(|earlier| earlier.value == size.value) {
            table.file.reject(&size.span, format!("images.sizes has {} twice", size.value), "remove one");
        }
    }
    sizes.iter().filter_map(|size| u32::try_from(size.value).ok()).collect()
}

/// `#rrggbb`, with or without the sign, in either case; white and black by name.
fn read_colour(table: &Table<'_>, key: &str) -> Option<String> {
    let colour = table.string(key)?;
    let lower = colour.value.to_ascii_lowercase();
    let digits = match lower.as_str() {
        "white" => "ffffff",
        "black" => "000000",
        other => other.strip_prefix('#').unwrap_or(other),
    };
    if digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Some(format!("#{digits}"));
    }
    let what = format!("{} = \"{}\" is no colour", table.path_of(key), colour.value.escape_debug());
    table.file.reject(&colour.span, what, "write one like \"#ffffff\", or \"white\" or \"black\"");
    None
}

fn read_watermark(table: &Table<'_>, key: &str) -> Option<String> {
    let text = table.string(key)?;
    let trimmed = text.value.trim();
    let count = trimmed.chars().count();
    if (1..=LONGEST_WATERMARK).contains(&count) && !trimmed.chars().any(char::is_control) {
        return Some(trimmed.to_owned());
    }
    let what = format!("{} is no line of 1 to {LONGEST_WATERMARK} characters", table.path_of(key));
    table.file.reject(&text.span, what, "write one line of text");
    None
}
