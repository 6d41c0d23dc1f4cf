//! Pictures as reviewed structure: which text stands in which frame or card, and which lines there are. Places and sizes
//! may change; what is in what may not, unseen. `LAB_UPDATE_SNAPSHOTS=1` writes them anew.

mod samples;

use std::path::Path;

use lab_picture::{arrange, to_svg};
use roxmltree::{Document, Node};

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// The classes of the boxes around a place, the largest first.
fn find_path(boxes: &[Node<'_, '_>], x: f64, y: f64) -> Vec<String> {
    let inside = |node: &&Node<'_, '_>| {
        let (left, top) = (number(node, "x"), number(node, "y"));
        left <= x && x <= left + number(node, "width") && top <= y && y <= top + number(node, "height")
    };
    let mut around: Vec<_> = boxes.iter().filter(inside).collect();
    around.sort_by(|one, other| number(other, "width").total_cmp(&number(one, "width")));
    around.iter().filter_map(|node| node.attribute("class")).map(|class| class.replace("lp-", "")).collect()
}

fn outline(svg: &str) -> String {
    let document = Document::parse(svg).unwrap();
    let drawn: Vec<_> =
        document.descendants().filter(|node| node.ancestors().all(|one| !one.has_tag_name("symbol"))).collect();
    let is = |name: &'static str| move |node: &&Node<'_, '_>| node.tag_name().name() == name;
    let boxes: Vec<Node<'_, '_>> = drawn.iter().filter(is("rect")).copied().collect();
    let mut lines = Vec::new();
    for text in drawn.iter().filter(is("text")) {
        let path = find_path(&boxes, number(text, "x") + 1.0, number(text, "y") - 2.0).join(" > ");
        lines.push(format!("{path}: {}", text.text().unwrap_or_default().trim()));
    }
    for path in drawn.iter().filter(is("path")) {
        let class = path.attribute("class").unwrap_or_default().replace("lp-", "");
        let group = path.parent().and_then(|group| group.children().find(|node| node.has_tag_name("title")));
        let title = group.and_then(|title| title.text()).unwrap_or_default().trim();
        if class.starts_with("line") && !class.ends_with("-head") {
            lines.push(format!("{class}: {title}"));
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn pictures_have_their_reviewed_structure() {
    for (name, scene) in samples::all() {
        if !["hol02", "drifted", "plan", "nat", "zones"].contains(&name) {
            continue;
        }
        let found = outline(&to_svg(&arrange(&scene)));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name).with_extension("txt");
        if std::env::var_os("LAB_UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(&file, &found).unwrap();
        }
        let wanted = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(found == wanted, "{} differs; LAB_UPDATE_SNAPSHOTS=1 writes it anew:\n{found}", file.display());
    }
}
