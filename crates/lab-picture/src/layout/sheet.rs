//! Many labs on one sheet.

use crate::colours::{MUTED, TEXT};
use crate::drawing::{Drawing, Group, Label, Shape};
use crate::geometry::point;
use crate::layout::{MARGIN, SUBTITLE, TITLE, arrange, put_notes};
use crate::scene::Scene;
use crate::text::wrap;

/// Lays out labs in columns, in their order from above: a sheet about as wide as high.
pub(crate) fn arrange_all(scenes: &[Scene], title: &str) -> Drawing {
    arrange_in(choose_columns(scenes.len()), scenes, title)
}

/// Lays out labs below each other: no wider than the widest of them.
pub(crate) fn arrange_list(scenes: &[Scene], title: &str) -> Drawing {
    arrange_in(1, scenes, title)
}

fn arrange_in(columns: usize, scenes: &[Scene], title: &str) -> Drawing {
    // What all of them must say is said once, below.
    let mut notes: Vec<String> = Vec::new();
    for note in scenes.iter().flat_map(|scene| &scene.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let drawings: Vec<Drawing> =
        scenes.iter().map(|scene| arrange(&Scene { notes: Vec::new(), ..scene.clone() })).collect();
    let rate: f64 = scenes.iter().map(|scene| scene.usd_per_hour).sum();
    let labs = if scenes.len() == 1 { "1 lab".to_owned() } else { format!("{} labs", scenes.len()) };
    let least = if scenes.iter().any(|scene| scene.is_at_least) { "at least " } else { "" };
    let subtitle = format!("{labs} · {least}${rate:.4} an hour");
    let widths: Vec<f64> = (0..columns)
        .map(|column| drawings.iter().skip(column).step_by(columns).map(|one| one.width).fold(0.0, f64::max))
        .collect();
    let width = widths.iter().sum::<f64>().max(480.0);
    let mut head = Group::new("");
    let mut y = MARGIN;
    for (text, face, class) in [(title, TITLE, TEXT), (subtitle.as_str(), SUBTITLE, MUTED)] {
        for line in wrap(text, face, width - 2.0 * MARGIN, 1) {
            head.shapes.push(Shape::Text(Label::new(point(MARGIN, y), line, face, class)));
        }
        y += face.line_height() + 2.0;
    }
    let description: Vec<String> =
        drawings.iter().map(|drawing| format!("{}. {}", drawing.title, drawing.description)).collect();
    let mut groups = vec![head];
    let mut rows = drawings.into_iter().peekable();
    while rows.peek().is_some() {
        let row: Vec<_> = rows.by_ref().take(columns).collect();
        let height = row.iter().map(|one| one.height).fold(0.0, f64::max);
        let mut x = 0.0;
        for (drawing, width) in row.into_iter().zip(&widths) {
            groups.extend(drawing.groups.into_iter().map(|group| group.translated(point(x, y))));
            x += width;
        }
        y += height;
    }
    let foot = put_notes(&notes, y, width);
    groups.extend(foot.groups);
    Drawing {
        width,
        height: foot.height + MARGIN,
        title: title.to_owned(),
        description: [format!("{subtitle}: {}", description.join(" ")), notes.join(". ")]
            .join(" ")
            .trim_end()
            .to_owned(),
        groups,
    }
}

/// As wide as high, about: a lab is one and a half times as wide as high.
fn choose_columns(labs: usize) -> usize {
    (1..=labs).find(|columns| columns * columns * 3 >= labs * 2).unwrap_or(1)
}
