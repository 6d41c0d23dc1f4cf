//! The colours, for light and for dark: the families that AWS's own drawings use (compute orange, networking purple,
//! storage green, public subnets green, private ones blue), with text dark or light enough on each. One table, so that tests can
//! check every pair of text and ground.

use std::fmt::Write as _;

/// What a class looks like.
pub(crate) struct Style {
    /// The class in the picture: `lp-` keeps it apart from those of a page around it.
    pub(crate) class: &'static str,
    /// Light, then dark.
    pub(crate) fill: [&'static str; 2],
    /// Light, then dark; `none` for no line.
    pub(crate) stroke: [&'static str; 2],
    /// What else: the same in both.
    pub(crate) more: &'static str,
}

const NONE: [&str; 2] = ["none", "none"];

const fn style(class: &'static str, fill: [&'static str; 2], stroke: [&'static str; 2], more: &'static str) -> Style {
    Style { class, fill, stroke, more }
}

pub(crate) const PAGE: &str = "lp-page";
pub(crate) const REGION: &str = "lp-region";
pub(crate) const VPC: &str = "lp-vpc";
pub(crate) const ZONE: &str = "lp-zone";
pub(crate) const PUBLIC: &str = "lp-public";
pub(crate) const PRIVATE: &str = "lp-private";
pub(crate) const GROUP: &str = "lp-group";
pub(crate) const CARD: &str = "lp-card";
pub(crate) const CARD_MISSING: &str = "lp-card-missing";
pub(crate) const CARD_DRIFTED: &str = "lp-card-drifted";
pub(crate) const CARD_ADD: &str = "lp-card-add";
pub(crate) const CARD_REMOVE: &str = "lp-card-remove";
pub(crate) const CARD_UNKNOWN: &str = "lp-card-unknown";
pub(crate) const TEXT: &str = "lp-text";
pub(crate) const MUTED: &str = "lp-muted";
pub(crate) const ON_CHIP: &str = "lp-on-chip";
pub(crate) const CHIP_MISSING: &str = "lp-chip-missing";
pub(crate) const CHIP_CHANGE: &str = "lp-chip-change";
pub(crate) const CHIP_ADD: &str = "lp-chip-add";
pub(crate) const CHIP_REMOVE: &str = "lp-chip-remove";
pub(crate) const CHIP_UNKNOWN: &str = "lp-chip-unknown";
pub(crate) const LINE: &str = "lp-line";
pub(crate) const LINE_VPN: &str = "lp-line-vpn";
pub(crate) const LINE_DATA: &str = "lp-line-data";
pub(crate) const LINE_MISSING: &str = "lp-line-missing";
pub(crate) const LINE_ADD: &str = "lp-line-add";
pub(crate) const LINE_CHANGE: &str = "lp-line-change";
pub(crate) const LINE_REMOVE: &str = "lp-line-remove";
pub(crate) const LINE_UNKNOWN: &str = "lp-line-unknown";
pub(crate) const HALO: &str = "lp-halo";
pub(crate) const GOOD: &str = "lp-good";
pub(crate) const BUSY: &str = "lp-busy";
pub(crate) const BAD: &str = "lp-bad";
pub(crate) const OFF: &str = "lp-off";

/// Everything, in the order of the style sheet.
pub(crate) const STYLES: &[Style] = &[
    style(PAGE, ["#ffffff", "#10161d"], NONE, ""),
    style(REGION, NONE, ["#00827f", "#3fb8b4"], "stroke-width:1.5;stroke-dasharray:5 4"),
    style(VPC, NONE, ["#8c4fff", "#a77bff"], "stroke-width:1.75"),
    style(ZONE, NONE, ["#147eba", "#58a9d8"], "stroke-width:1.25;stroke-dasharray:7 5"),
    style(PUBLIC, ["#f2f7e9", "#18230f"], ["#7aa116", "#86ad2a"], "stroke-width:1.25"),
    style(PRIVATE, ["#e9f5f8", "#0d2229"], ["#00a4a6", "#23a9ab"], "stroke-width:1.25"),
    style(GROUP, NONE, ["#c8263d", "#f0697c"], "stroke-width:1.1;stroke-dasharray:4 3"),
    style(CARD, ["#ffffff", "#1b2530"], ["#aeb9c4", "#46535f"], "stroke-width:1"),
    style(CARD_MISSING, ["#ffffff", "#1b2530"], ["#5a6673", "#93a1ae"], "stroke-width:1.5;stroke-dasharray:6 4"),
    style(CARD_DRIFTED, ["#ffffff", "#1b2530"], ["#b25f00", "#e79a3c"], "stroke-width:2"),
    style(CARD_ADD, ["#ffffff", "#1b2530"], ["#1d7d2c", "#4fb463"], "stroke-width:2;stroke-dasharray:6 4"),
    style(CARD_REMOVE, ["#ffffff", "#1b2530"], ["#b3122a", "#f0697c"], "stroke-width:2;stroke-dasharray:2 3"),
    style(CARD_UNKNOWN, ["#ffffff", "#1b2530"], ["#4758a8", "#97a6ee"], "stroke-width:2;stroke-dasharray:9 3 2 3"),
    style(TEXT, ["#16191f", "#eef2f6"], NONE, ""),
    style(MUTED, ["#4a5561", "#b4c0cb"], NONE, ""),
    style(ON_CHIP, ["#ffffff", "#ffffff"], NONE, ""),
    style(CHIP_MISSING, ["#4a5561", "#5a6673"], NONE, ""),
    style(CHIP_CHANGE, ["#8a4b00", "#8a4b00"], NONE, ""),
    style(CHIP_ADD, ["#1b6b28", "#1b6b28"], NONE, ""),
    style(CHIP_REMOVE, ["#a8112a", "#a8112a"], NONE, ""),
    style(CHIP_UNKNOWN, ["#3d4c96", "#3d4c96"], NONE, ""),
    style(LINE, NONE, ["#37424e", "#b4c0cb"], "stroke-width:1.5"),
    style(LINE_VPN, NONE, ["#7a3cf0", "#b18cff"], "stroke-width:1.5"),
    style(LINE_DATA, NONE, ["#5a8a00", "#9ccb3c"], "stroke-width:1.5"),
    style(LINE_MISSING, NONE, ["#5a6673", "#93a1ae"], "stroke-width:1.5;stroke-dasharray:6 4"),
    style(LINE_ADD, NONE, ["#1d7d2c", "#4fb463"], "stroke-width:1.75;stroke-dasharray:6 4"),
    style(LINE_CHANGE, NONE, ["#b25f00", "#e79a3c"], "stroke-width:2"),
    style(LINE_REMOVE, NONE, ["#b3122a", "#f0697c"], "stroke-width:1.75;stroke-dasharray:2 3"),
    style(LINE_UNKNOWN, NONE, ["#4758a8", "#97a6ee"], "stroke-width:1.75;stroke-dasharray:9 3 2 3"),
    style(HALO, NONE, ["#ffffff", "#10161d"], "stroke-width:6"),
    style(GOOD, ["#1d8102", "#5cc04a"], ["#1d8102", "#5cc04a"], "stroke-width:1.5"),
    style(BUSY, ["#c77700", "#f2a93b"], ["#c77700", "#f2a93b"], "stroke-width:1.5"),
    style(BAD, ["#c8263d", "#f0697c"], ["#c8263d", "#f0697c"], "stroke-width:1.5"),
    style(OFF, NONE, ["#5a6673", "#93a1ae"], "stroke-width:1.5"),
];

/// What stands behind the icons of each family, in both schemes.
pub(crate) const COMPUTE: &str = "#c65000";
pub(crate) const NETWORK: &str = "#7a3cf0";
pub(crate) const STORAGE: &str = "#5a8a00";
pub(crate) const MESSAGES: &str = "#c2185b";
pub(crate) const PLAIN: &str = "#4a5561";
pub(crate) const PUBLIC_SIGN: &str = "#5f7f0f";
pub(crate) const PRIVATE_SIGN: &str = "#00827f";
pub(crate) const ZONE_SIGN: &str = "#147eba";

/// The style sheet. Paper is always light.
pub(crate) fn style_sheet() -> String {
    let mut sheet = String::new();
    for Style { class, fill, stroke, more } in STYLES {
        let more = if more.is_empty() { String::new() } else { format!(";{more}") };
        let _ = write!(sheet, ".{class}{{fill:{};stroke:{}{more}}}", fill[0], stroke[0]);
        // A line's head is filled with the colour of the line.
        if class.starts_with("lp-line") {
            let _ = write!(sheet, ".{class}-head{{fill:{};stroke:none}}", stroke[0]);
        }
    }
    sheet.push_str("@media screen and (prefers-color-scheme:dark){");
    for Style { class, fill, stroke, .. } in STYLES {
        if fill[0] != fill[1] || stroke[0] != stroke[1] {
            let _ = write!(sheet, ".{class}{{fill:{};stroke:{}}}", fill[1], stroke[1]);
        }
        if class.starts_with("lp-line") {
            let _ = write!(sheet, ".{class}-head{{fill:{}}}", stroke[1]);
        }
    }
    sheet.push('}');
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, "contrast ratio" and "relative luminance".
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let channel = |at: usize| f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(channel(1)) + 0.7152 * linear(channel(3)) + 0.0722 * linear(channel(5))
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    fn find(class: &str) -> &'static Style {
        STYLES.iter().find(|style| style.class == class).unwrap()
    }

    #[test]
    fn every_text_is_readable_on_every_ground_in_light_and_dark() {
        for scheme in [0, 1] {
            for ground in [PAGE, PUBLIC, PRIVATE, CARD, CARD_MISSING, CARD_DRIFTED, CARD_ADD, CARD_REMOVE, CARD_UNKNOWN]
            {
                for text in [TEXT, MUTED] {
                    let ratio = contrast(find(text).fill[scheme], find(ground).fill[scheme]);
                    assert!(ratio >= 4.5, "{text} on {ground}: {ratio:.2}");
                }
            }
            for chip in [CHIP_MISSING, CHIP_CHANGE, CHIP_ADD, CHIP_REMOVE, CHIP_UNKNOWN] {
                let ratio = contrast(find(ON_CHIP).fill[scheme], find(chip).fill[scheme]);
                assert!(ratio >= 4.5, "{chip}: {ratio:.2}");
            }
        }
    }

    #[test]
    fn every_line_and_frame_is_seen_on_its_ground() {
        for scheme in [0, 1] {
            let page = find(PAGE).fill[scheme];
            for style in STYLES.iter().filter(|style| style.stroke[scheme] != "none" && style.class != HALO) {
                // WCAG 2.2, 1.4.11, asks 3:1 of what is needed to understand; a card has its text and its sign.
                let wanted = if matches!(style.class, CARD | PUBLIC | PRIVATE) { 1.7 } else { 3.0 };
                let ratio = contrast(style.stroke[scheme], page);
                assert!(ratio >= wanted, "{} on the page: {ratio:.2}", style.class);
            }
        }
        for sign in [COMPUTE, NETWORK, STORAGE, MESSAGES, PLAIN, PUBLIC_SIGN, PRIVATE_SIGN, ZONE_SIGN] {
            assert!(contrast(sign, "#ffffff") >= 3.0, "white on {sign}: {:.2}", contrast(sign, "#ffffff"));
        }
    }
}
