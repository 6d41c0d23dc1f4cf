//! How wide a text is, and where it breaks.
//!
//! Widths are those of the font that comes along, which has the widths of Arial, Helvetica and Liberation Sans. What it lacks
//! counts by its script. The picture says each text's width (`textLength`), so that another font cannot make it longer.

use std::sync::LazyLock;

use ttf_parser::Face as Font;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

/// The fonts that come along, under the SIL Open Font License (`fonts/OFL.txt`).
pub(crate) const REGULAR: &[u8] = include_bytes!("../fonts/Arimo-Regular-subset.ttf");
pub(crate) const BOLD: &[u8] = include_bytes!("../fonts/Arimo-Bold-subset.ttf");

/// The family's name, for the renderer of PNG.
pub(crate) const FAMILY: &str = "Arimo";

/// A face and a size in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// The height of an em.
    pub size: f64,
    /// Bold.
    pub bold: bool,
}

impl Face {
    pub(crate) const fn regular(size: f64) -> Self {
        Self { size, bold: false }
    }

    pub(crate) const fn bold(size: f64) -> Self {
        Self { size, bold: true }
    }

    /// From one line to the next.
    pub(crate) fn line_height(self) -> f64 {
        (self.size * 1.3).round()
    }

    /// From the upper edge of a line's box to its baseline. CJK reaches higher than Latin, 0.88 em.
    pub(crate) fn ascent(self) -> f64 {
        (self.size * 1.3).round() * 0.5 + self.size * 0.36
    }
}

/// How wide `text` is, in pixels.
pub(crate) fn measure(text: &str, face: Face) -> f64 {
    let widths = if face.bold { &*BOLD_WIDTHS } else { &*REGULAR_WIDTHS };
    if text.is_ascii() {
        return text.chars().map(|c| widths.of(c)).sum::<f64>() * face.size;
    }
    text.graphemes(true).map(|letter| widths.of_letter(letter)).sum::<f64>() * face.size
}

/// Whether the fonts that come along have every letter of `text`.
pub(crate) fn has_every_letter(text: &str) -> bool {
    let has = |c: char| [&*REGULAR_WIDTHS, &*BOLD_WIDTHS].iter().all(|widths| widths.font.glyph_index(c).is_some());
    text.is_ascii() || text.chars().all(|c| c.is_ascii() || has(c))
}

/// Advance widths of one font, in em.
struct Widths {
    font: Font<'static>,
    /// Of the letters that most names are made of.
    ascii: [f64; 128],
}

static REGULAR_WIDTHS: LazyLock<Widths> = LazyLock::new(|| Widths::of_font(REGULAR));
static BOLD_WIDTHS: LazyLock<Widths> = LazyLock::new(|| Widths::of_font(BOLD));

impl Widths {
    fn of_font(bytes: &'static [u8]) -> Self {
        let font = Font::parse(bytes, 0).expect("the font that comes along is one");
        let mut widths = Self { font, ascii: [0.0; 128] };
        for code in 0..128_u8 {
            widths.ascii[usize::from(code)] = widths.look_up(char::from(code));
        }
        widths
    }

    /// A letter may have several characters: one with its accents, or pictures joined into one.
    fn of_letter(&self, letter: &str) -> f64 {
        letter.chars().map(|c| self.of(c)).fold(0.0, f64::max)
    }

    fn of(&self, c: char) -> f64 {
        self.ascii.get(c as usize).copied().unwrap_or_else(|| self.look_up(c))
    }

    fn look_up(&self, c: char) -> f64 {
        if c.width() == Some(0) {
            return 0.0;
        }
        let known = self.font.glyph_index(c).and_then(|glyph| self.font.glyph_hor_advance(glyph));
        let known = known.map(|advance| f64::from(advance) / f64::from(self.font.units_per_em()));
        known.unwrap_or_else(|| guess(c))
    }
}

/// A letter of no font of ours: East Asian ones are as wide as high (UAX 11); others are mostly narrower than this.
fn guess(c: char) -> f64 {
    match c.width() {
        Some(2..) => 1.0,
        _ if ('\u{600}'..='\u{8ff}').contains(&c) => 0.6,
        _ => 0.8,
    }
}

/// What may stand in a picture: no control characters, which XML forbids, and none of those that turn the direction of what
/// follows, which would make a name look like another.
pub(crate) fn clean(text: &str) -> String {
    let is_direction =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_noncharacter = |c: char| (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    let kept = text.chars().filter(|&c| !is_direction(c));
    let shown = kept.map(|c| if c.is_control() || is_noncharacter(c) { '\u{fffd}' } else { c });
    shown.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Breaks `text` into lines of at most `width` pixels, `most` of them at most: after spaces, hyphens, slashes and the like
/// where it can, else within a word. What does not fit ends in `…`.
pub(crate) fn wrap(text: &str, face: Face, width: f64, most: usize) -> Vec<String> {
    let text = clean(text);
    let mut lines = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        if lines.len() + 1 == most {
            lines.push(shorten(rest, face, width));
            break;
        }
        let end = find_break(rest, face, width);
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines
}

/// The end of the first line of `text`; never 0.
fn find_break(text: &str, face: Face, width: f64) -> usize {
    let fit = count_fitting(text, face, width);
    if fit == text.len() {
        return fit;
    }
    // A word that has room in a line of its own stays whole: ids and types are words.
    let space = text[..fit].rfind(' ').map(|at| at + 1).filter(|&end| {
        let word = text[end..].split(' ').next().unwrap_or_default();
        measure(&text[..end], face) > width * 0.25 && measure(word, face) <= width
    });
    if text[fit..].starts_with(' ') {
        return fit;
    }
    if let Some(end) = space {
        return end;
    }
    let is_seam = |c: char| matches!(c, ' ' | '-' | '/' | ':' | ',' | '_' | '.' | '·');
    let seam = text[..fit].char_indices().rev().find(|&(_, c)| is_seam(c)).map(|(at, c)| at + c.len_utf8());
    // A line that a seam leaves nearly empty looks worse than a word in two.
    seam.filter(|&end| measure(&text[..end], face) > width * 0.4).unwrap_or(fit)
}

/// How many bytes of `text` fit, in whole letters; at least one letter.
fn count_fitting(text: &str, face: Face, width: f64) -> usize {
    let mut used = 0.0;
    let mut fit = 0;
    for (at, letter) in text.grapheme_indices(true) {
        used += measure(letter, face);
        if used > width && fit > 0 {
            return fit;
        }
        fit = at + letter.len();
    }
    fit
}

fn shorten(text: &str, face: Face, width: f64) -> String {
    if measure(text, face) <= width {
        return text.to_owned();
    }
    let room = width - measure("…", face);
    format!("{}…", text[..count_fitting(text, face, room)].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACE: Face = Face::regular(10.0);

    #[test]
    fn widths_are_those_of_helvetica() {
        // Of Helvetica's metrics: H 722, i 222, space 278, digit 556, in thousandths of an em.
        for (text, wanted) in [("H", 7.22), ("i", 2.22), (" ", 2.78), ("0123", 22.24)] {
            assert!((measure(text, FACE) - wanted).abs() < 0.05, "{text}: {}", measure(text, FACE));
        }
        assert!(measure("lab", Face::bold(10.0)) > measure("lab", FACE));
        assert!((measure("研究", FACE) - 20.0).abs() < 0.01);
        assert!(measure("שלום", FACE) > 15.0, "Hebrew is in the font");
        assert!((measure("e\u{301}", FACE) - measure("e", FACE)).abs() < 0.01, "an accent has no width of its own");
    }

    #[test]
    fn the_signs_of_every_picture_are_in_the_fonts_that_come_along() {
        assert!(has_every_letter("10.0.1.0/24 · account …1234 ≠ drifted ~ change − remove šžé"));
        assert!(!has_every_letter("研究室"));
    }

    #[test]
    fn lines_break_at_seams_and_never_exceed_the_width() {
        let lines = wrap("lab-output-bucket-a-very-long-owner-name", FACE, 100.0, 4);
        assert_eq!(lines, ["lab-output-bucket-a-", "very-long-owner-", "name"]);
        let lines = wrap("a name that is much too long for two lines of it", FACE, 80.0, 2);
        assert!(lines.len() == 2 && lines[1].ends_with('…'), "{lines:?}");
        for text in ["研究室のネットワーク環境と分析サーバー", "abcdefghijklmnopqrstuvwxyz", "👩‍🔬👩‍🔬👩‍🔬👩‍🔬👩‍🔬👩‍🔬👩‍🔬"]
        {
            assert!(wrap(text, FACE, 60.0, 3).iter().all(|line| measure(line, FACE) <= 60.0), "{text}");
        }
    }

    #[test]
    fn ids_and_types_stay_whole_where_they_have_room() {
        let lines = wrap("lab-public-ec2 exists 2 times: i-3bd79a869ec55a73a, i-06649942d9de46727", FACE, 150.0, 4);
        assert!(lines.iter().any(|line| line.contains("i-3bd79a869ec55a73a")), "{lines:?}");
        let lines = wrap("t3.micro instead of the m5.large", FACE, 130.0, 2);
        assert_eq!(lines, ["t3.micro instead of the", "m5.large"]);
    }

    #[test]
    fn a_name_cannot_break_the_picture_or_pose_as_another() {
        assert_eq!(clean("a\u{0}b\u{202e}gpj.exe\n c"), "a\u{fffd}bgpj.exe\u{fffd} c");
        assert_eq!(clean("\u{ffff}"), "\u{fffd}");
    }
}
