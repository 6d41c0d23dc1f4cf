//! A drawing as SVG.
//!
//! Text, lines and boxes say their colours by class; light and dark stand in the picture's own style sheet, so that it needs
//! nothing around it. Every text says its width, so that a font with other widths cannot make it longer.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use svg::Node as _;
use svg::node::element::{
    Circle, Definitions, Description, Group as GroupNode, Path, Rectangle, SVG, Style as StyleNode, Symbol, Text,
    Title, Use,
};

use crate::colours::{OFF, PAGE, style_sheet};
use crate::drawing::{Drawing, Group, Label, Shape};
use crate::geometry::Point;
use crate::icons::Icon;

/// What a browser takes first that it has. All but the last are as wide as the layout reckons.
const FAMILIES: &str = "Arimo, 'Liberation Sans', Arial, 'Helvetica Neue', Helvetica, sans-serif";

/// The whole picture, ready for a file or for the middle of a page.
pub(crate) fn to_svg(drawing: &Drawing) -> String {
    let (width, height) = (round(drawing.width), round(drawing.height));
    let mut root = SVG::new()
        .set("xmlns", "http://www.w3.org/2000/svg")
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set("aria-labelledby", "lp-title lp-desc")
        .set("font-family", FAMILIES)
        .add(Title::new(drawing.title.as_str()).set("id", "lp-title"))
        .add(Description::new().set("id", "lp-desc").add(svg::node::Text::new(drawing.description.as_str())))
        .add(StyleNode::new(style_sheet()))
        .add(define_icons(drawing))
        .add(Rectangle::new().set("class", PAGE).set("width", width).set("height", height));
    for group in &drawing.groups {
        root.append(write_group(group));
    }
    root.to_string()
}

fn define_icons(drawing: &Drawing) -> Definitions {
    let shapes = drawing.groups.iter().flat_map(|group| &group.shapes);
    let used: BTreeSet<Icon> = shapes
        .filter_map(|shape| match shape {
            Shape::Icon { icon, .. } => Some(*icon),
            _ => None,
        })
        .collect();
    let mut definitions = Definitions::new();
    for icon in Icon::ALL.into_iter().filter(|icon| used.contains(icon)) {
        let ground = Rectangle::new().set("width", 24).set("height", 24).set("rx", 4).set("fill", icon.ground());
        let lines = Path::new()
            .set("d", icon.path())
            .set("fill", "none")
            .set("stroke", "#ffffff")
            .set("stroke-width", 1.6)
            .set("stroke-linecap", "round")
            .set("stroke-linejoin", "round");
        definitions.append(Symbol::new().set("id", icon.id()).set("viewBox", (0, 0, 24, 24)).add(ground).add(lines));
    }
    definitions
}

fn write_group(group: &Group) -> GroupNode {
    let mut node = GroupNode::new();
    if !group.title.is_empty() {
        node.append(Title::new(group.title.as_str()));
    }
    for shape in &group.shapes {
        write_shape(&mut node, shape);
    }
    node
}

fn write_shape(node: &mut GroupNode, shape: &Shape) {
    match shape {
        Shape::Box { rect, radius, class } => node.append(
            Rectangle::new()
                .set("class", *class)
                .set("x", round(rect.x))
                .set("y", round(rect.y))
                .set("width", round(rect.width))
                .set("height", round(rect.height))
                .set("rx", round(*radius)),
        ),
        Shape::Line { points, arrow, class } => write_line(node, points, *arrow, class),
        Shape::Text(label) => node.append(write_label(label)),
        Shape::Icon { icon, rect } => node.append(
            Use::new()
                .set("href", format!("#{}", icon.id()))
                .set("x", round(rect.x))
                .set("y", round(rect.y))
                .set("width", round(rect.width))
                .set("height", round(rect.height)),
        ),
        Shape::Dot { middle, class } => {
            let radius = if *class == OFF { 3.5 } else { 4.0 };
            let dot = Circle::new().set("cx", round(middle.x)).set("cy", round(middle.y)).set("r", radius);
            node.append(dot.set("class", *class));
        }
    }
}

/// How long an arrow's head is.
const HEAD: f64 = 8.0;

fn write_line(node: &mut GroupNode, points: &[Point], arrow: bool, class: &'static str) {
    let [.., before, end] = points else { return };
    let (dx, dy) = (end.x - before.x, end.y - before.y);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let mut points = points.to_vec();
    let tip = *end;
    if arrow && let Some(last) = points.last_mut() {
        *last = Point { x: tip.x - ux * HEAD * 0.8, y: tip.y - uy * HEAD * 0.8 };
    }
    let path = write_path(&points);
    node.append(Path::new().set("class", class).set("d", path).set("stroke-linejoin", "round"));
    if arrow {
        let corner = |side: f64| Point {
            x: tip.x - ux * HEAD - uy * HEAD * 0.5 * side,
            y: tip.y - uy * HEAD + ux * HEAD * 0.5 * side,
        };
        let corners = [tip, corner(1.0), corner(-1.0)].map(|one| format!("{} {}", round(one.x), round(one.y)));
        let head = format!("M{}z", corners.join("L"));
        node.append(Path::new().set("class", format!("{class}-head")).set("d", head));
    }
}

/// How round a line's corners are.
const CORNER: f64 = 7.0;

fn write_path(points: &[Point]) -> String {
    let mut path = String::new();
    for (at, here) in points.iter().enumerate() {
        let (x, y) = (round(here.x), round(here.y));
        let before = at.checked_sub(1).and_then(|before| points.get(before));
        let _ = match (before, points.get(at + 1)) {
            (None, _) => write!(path, "M{x} {y}"),
            (Some(before), Some(after)) => {
                let (enter, leave) = (towards(*here, *before), towards(*here, *after));
                let bend = format!("Q{x} {y} {} {}", round(leave.x), round(leave.y));
                write!(path, "L{} {}{bend}", round(enter.x), round(enter.y))
            }
            (Some(_), None) => write!(path, "L{x} {y}"),
        };
    }
    path
}

/// The place where a corner at `from` begins to bend, on the way to `to`.
fn towards(from: Point, to: Point) -> Point {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(0.001);
    let step = CORNER.min(length / 2.0) / length;
    Point { x: from.x + dx * step, y: from.y + dy * step }
}

fn write_label(label: &Label) -> Text {
    let node = Text::new(label.text.as_str())
        .set("class", label.class)
        .set("x", round(label.rect.x))
        .set("y", round(label.baseline()))
        .set("font-size", round(label.face.size))
        .set("textLength", round(label.rect.width))
        .set("lengthAdjust", "spacingAndGlyphs");
    if label.face.bold { node.set("font-weight", "bold") } else { node }
}

/// A tenth of a pixel is enough.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
