//! A picture in a page that needs nothing else.

use std::fmt::Write as _;

use jiff::Timestamp;

/// Nothing may be fetched from anywhere, whatever a name might smuggle in.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark}
body{margin:0;padding:1rem;font:15px/1.5 Arimo,'Liberation Sans',Arial,Helvetica,sans-serif;background:#fff;color:#16191f}
@media screen and (prefers-color-scheme:dark){body{background:#10161d;color:#eef2f6}}
@page{size:A4 landscape;margin:10mm}
@media print{body{padding:0}}
";

/// Of a page of A4 that lies, within its margins: how high it is for its width.
const LYING_PAGE: f64 = 180.0 / 277.0;

/// What is said where a window shows only a part of the picture.
pub(crate) const HINT: &str = "This window shows a part of the picture: scroll it sideways to see the rest.";

/// How small a picture may be shown: letters stay readable, and a narrow window is scrolled.
const SMALLEST: f64 = 0.64;
/// How large: on a wide screen it fills the window, and its letters do not become headlines.
const LARGEST: f64 = 1.7;

/// How large a picture of that size, in pixels, is shown: all of it, in a window and on paper, as long as its letters can be
/// read. `main` holds it in a `.picture`, and before that a `.hint` that it goes on sideways.
pub(crate) fn size_rules(width: f64, height: f64) -> String {
    let (least, most) = ((width * SMALLEST).round(), (width * LARGEST).round());
    let lowest = (height * SMALLEST).round();
    // What is much higher than a page goes on on the next one.
    let on_paper = if height / width > 1.5 * LYING_PAGE { "none" } else { "180mm" };
    format!(
        "main{{container-type:inline-size}}\n.hint{{display:none;margin:0 0 .5rem}}\n.picture{{overflow-x:auto}}\n\
         .picture svg{{display:block;width:100%;height:auto;margin-inline:auto}}\n\
         @media screen{{.picture svg{{min-width:{least}px;max-width:{most}px;max-height:max(100vh - 3rem,{lowest}px)}}\
         @container (max-width:{least}px){{.hint{{display:block}}}}}}\n\
         @media print{{.picture{{overflow:visible}}.picture svg{{max-height:{on_paper}}}}}\n"
    )
}

/// The page with a picture that has `size`, width and height in pixels.
pub(crate) fn to_html(title: &str, svg: &str, size: (f64, f64), notes: &[String]) -> String {
    let (title, sizes) = (escape(title), size_rules(size.0, size.1));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{sizes}</style>\n</head>\n<body>\n<main>\n<p class=\"hint\">{HINT}</p>\n\
         <div class=\"picture\" tabindex=\"0\" role=\"region\" aria-label=\"Picture\">\n{svg}\n</div>\n"
    );
    if !notes.is_empty() {
        html.push_str("<ul>\n");
        for note in notes {
            let _ = writeln!(html, "<li>{}</li>", escape(note));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// A text as HTML and XML take it, in attributes too.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `2026-11-26 05:10 UTC`
pub(crate) fn show_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fills_a_wide_window_and_says_where_it_is_wider_than_a_narrow_one() {
        let html = to_html("lab", "<svg></svg>", (1000.0, 500.0), &[]);
        assert!(html.contains("min-width:640px;max-width:1700px;max-height:max(100vh - 3rem,320px)"), "{html}");
        assert!(html.contains("@container (max-width:640px){.hint{display:block}}") && html.contains(HINT), "{html}");
    }

    #[test]
    fn a_picture_is_printed_on_one_page_unless_it_is_much_higher() {
        assert!(size_rules(1300.0, 900.0).contains("max-height:180mm"));
        assert!(size_rules(1900.0, 9000.0).contains("max-height:none"));
    }

    #[test]
    fn a_title_and_a_note_cannot_break_out_of_the_page() {
        let html = to_html("</title><script>", "<svg></svg>", (800.0, 500.0), &["<b onclick=\"x\">".into()]);
        assert!(!html.contains("<script") && !html.contains("<b "), "{html}");
    }
}
