//! Buckets and function, from above in the order a picture takes.

use crate::colours::{LINE_DATA, MUTED, TEXT};
use crate::drawing::{Block, Label};
use crate::geometry::point;
use crate::icons::Icon;
use crate::layout::card::{PORTS, SMALL, card, join_own, line_class};
use crate::layout::network::Line;
use crate::scene::{self, Part};
use crate::text::wrap;

const WIDTH: f64 = 226.0;
/// Where the line goes down: below the signs.
const LINE_X: f64 = 25.0;

/// A laid out pipeline, from 0,0.
pub(super) struct Pipeline {
    pub(super) block: Block,
    pub(super) lines: Vec<Line>,
    /// How high the first card is.
    pub(super) input_height: f64,
}

/// Lays out a pipeline.
pub(super) fn arrange(pipeline: &scene::Pipeline) -> Pipeline {
    let hop = |text: &str, own: &Part, from: &Part, to: &Part| Part {
        name: text.to_owned(),
        presence: join_own(own.presence, from.presence, to.presence),
        ..own.clone()
    };
    let mut stops: Vec<(Icon, &Part, Part)> = vec![(Icon::Bucket, &pipeline.input, pipeline.trigger.clone())];
    if let Some(queue) = &pipeline.queue {
        let takes = hop("takes messages", &pipeline.takes, queue, &pipeline.function);
        stops.push((Icon::Queue, queue, takes));
    }
    let writes = hop("writes", &pipeline.writes, &pipeline.function, &pipeline.output);
    stops.push((Icon::Function, &pipeline.function, writes));
    stops.push((Icon::Bucket, &pipeline.output, Part::default()));
    let (mut groups, mut lines, mut y) = (Vec::new(), Vec::new(), 0.0);
    let (mut input_height, last) = (0.0, stops.len() - 1);
    for (at, (icon, part, trigger)) in stops.into_iter().enumerate() {
        let card = card(icon, part, WIDTH);
        let height = card.height;
        if at == 0 {
            input_height = height;
        }
        groups.extend(card.at(0.0, y));
        y += height;
        if at < last {
            let line = draw_hop(&trigger, y);
            y = line.points[1].y;
            lines.push(line);
        }
    }
    Pipeline { block: Block { width: WIDTH, height: y, groups }, lines, input_height }
}

/// The line from one card to the next, with what is said beside it.
fn draw_hop(trigger: &Part, y: f64) -> Line {
    let x = LINE_X + 14.0;
    let mut at = y + 9.0;
    let mut labels = Vec::new();
    let mark = crate::layout::card::mark(trigger.presence).map(|(mark, _)| mark.to_owned());
    let bold = wrap(&trigger.name, PORTS, WIDTH - x, 2).into_iter().map(|line| (line, PORTS, TEXT));
    let rest = trigger.lines.iter().chain(&mark).chain(&trigger.why).flat_map(|line| wrap(line, SMALL, WIDTH - x, 3));
    for (line, face, class) in bold.chain(rest.map(|line| (line, SMALL, MUTED))) {
        labels.push(Label::new(point(x, at), line, face, class));
        at += face.line_height();
    }
    // A mark of the next card may rise above it.
    let end = (at + 14.0).max(y + 44.0);
    Line {
        points: vec![point(LINE_X, y), point(LINE_X, end)],
        arrow: true,
        class: line_class(trigger.presence, LINE_DATA),
        title: crate::layout::card::tell(trigger),
        labels,
    }
}
