//! Where everything goes. Made for this one small shape: outside at the left, the Region with its VPC in the middle, buckets
//! and function at the right.

mod band;
mod card;
mod network;
mod pipeline;
mod sheet;

pub(crate) use card::{tell, tell_mark};
pub(crate) use sheet::{arrange_all, arrange_list};

use std::collections::BTreeSet;

use crate::colours::{HALO, LINE, LINE_DATA, LINE_VPN, MUTED, REGION, TEXT};
use crate::describe::describe;
use crate::drawing::{Block, Drawing, Group, Label, Shape};
use crate::geometry::{Point, Rect, point, rect};
use crate::icons::Icon;
use crate::scene::{Part, Presence, Scene, View};
use crate::text::{Face, measure, wrap};
use card::{CHIP_RISE, SMALL, card, chip, header, line_class, mark};
use network::{Line, Network};
use pipeline::Pipeline;

const MARGIN: f64 = 24.0;
const TITLE: Face = Face::bold(20.0);
const SUBTITLE: Face = Face::regular(13.0);
const PAD: f64 = 16.0;
/// Internet and laptop.
const OUTSIDE: f64 = 186.0;

/// Lays out one lab.
pub(crate) fn arrange(scene: &Scene) -> Drawing {
    Picture::new(scene).finish()
}

struct Picture<'a> {
    scene: &'a Scene,
    network: Option<Network>,
    pipeline: Option<Pipeline>,
    groups: Vec<Group>,
    lines: Vec<Line>,
    /// The Region's frame.
    region: Rect,
    /// Where the network begins.
    vpc: Point,
    top: f64,
}

impl<'a> Picture<'a> {
    fn new(scene: &'a Scene) -> Self {
        let bucket = scene.pipeline.as_ref().map(|pipeline| pipeline.input.presence).unwrap_or_default();
        let network = scene.vpc.as_ref().map(|vpc| network::arrange(vpc, bucket));
        Self {
            scene,
            network,
            pipeline: scene.pipeline.as_ref().map(pipeline::arrange),
            groups: Vec::new(),
            lines: Vec::new(),
            region: Rect::default(),
            vpc: Point::default(),
            top: MARGIN + TITLE.line_height() + SUBTITLE.line_height() + 20.0,
        }
    }

    fn finish(mut self) -> Drawing {
        let carrier = self.scene.vpc.iter().filter_map(|vpc| vpc.vpn.as_ref()).map(|vpn| vpn.carrier.clone()).next();
        let gap = carrier.as_ref().map_or(44.0, |carrier| measure(carrier, SMALL).ceil() + 24.0);
        let left = MARGIN + OUTSIDE + gap;
        let head = header(Some(Icon::Region), &self.tell_region(), &[], 400.0);
        self.region = rect(left, self.top, 0.0, 0.0);
        self.vpc = point(left + PAD, self.top + 10.0 + head.height + 16.0);
        let (right, bottom) = self.put_inside();
        let (right, bottom) = self.put_others(right.max(left + head.width + 2.0 * PAD), bottom);
        let others_end = bottom + PAD;
        self.region = Rect { width: right + PAD - left, height: others_end - self.top, ..self.region };
        let outside_bottom = self.put_outside(carrier.as_deref());
        let mut outline = Group::new(self.tell_region());
        outline.shapes.push(Shape::Box { rect: self.region, radius: 8.0, class: REGION });
        let mut groups = vec![outline];
        groups.extend(head.at(left + PAD, self.top + 10.0));
        groups.append(&mut self.groups);
        groups.extend(draw_lines(&self.lines));
        let width = self.region.right() + MARGIN;
        groups.extend(self.put_title(width));
        let legend = put_legend(self.scene, self.region.bottom().max(outside_bottom) + 16.0, width);
        let notes = put_notes(&self.scene.notes, legend.height, width);
        let height = notes.height + MARGIN;
        groups.extend(legend.groups.into_iter().chain(notes.groups));
        Drawing { width, height, title: tell_title(self.scene), description: describe(self.scene), groups }
    }

    fn tell_region(&self) -> String {
        let account = self.scene.account.as_ref().map(|account| format!(" · account …{account}")).unwrap_or_default();
        format!("Region {}{account}", self.scene.region)
    }

    /// Network and pipeline; answers with their right and lower edges.
    fn put_inside(&mut self) -> (f64, f64) {
        let (mut right, mut bottom) = (self.vpc.x, self.vpc.y);
        let mut writers = Vec::new();
        if let Some(network) = &mut self.network {
            let block = std::mem::take(&mut network.block);
            (right, bottom) = (right + block.width, bottom + block.height);
            self.groups.extend(block.at(self.vpc.x, self.vpc.y));
            let moved = network.lines.drain(..).map(|line| line.translated(self.vpc));
            self.lines.extend(moved);
            writers = network.writers.iter().map(|(at, how)| (at.translated(self.vpc), *how)).collect();
        }
        if let Some(pipeline) = &mut self.pipeline {
            let gap = match (self.network.is_some(), writers.is_empty()) {
                (false, _) => 0.0,
                (true, true) => 28.0,
                (true, false) => measure(&tell_writing(&writers), SMALL).ceil() + 44.0,
            };
            let x = right + gap;
            let wanted = writers.first().map_or(self.vpc.y + CHIP_RISE, |(at, _)| at.y - pipeline.input_height / 2.0);
            let y = wanted.max(self.vpc.y + CHIP_RISE);
            let input = y + pipeline.input_height / 2.0;
            let block = std::mem::take(&mut pipeline.block);
            let (width, height) = (block.width, block.height);
            self.groups.extend(block.at(x, y));
            self.lines.extend(pipeline.lines.drain(..).map(|line| line.translated(point(x, y))));
            self.lines.extend(write_lines(&writers, right, point(x, input)));
            (right, bottom) = (x + width, bottom.max(y + height));
        }
        (right, bottom)
    }

    /// What else there is, below.
    fn put_others(&mut self, right: f64, bottom: f64) -> (f64, f64) {
        if self.scene.others.is_empty() {
            return (right, bottom);
        }
        let title = header(None, "Also in this lab", &[], 300.0);
        let mut y = bottom + 18.0;
        let title_height = title.height;
        self.groups.extend(title.at(self.vpc.x, y));
        y += title_height + CHIP_RISE + 2.0;
        let cards: Vec<_> = self.scene.others.iter().map(|part| card(Icon::Other, part, band::CARD_WIDTH)).collect();
        let (mut x, mut row) = (self.vpc.x, 0.0_f64);
        let right = right.max(self.vpc.x + band::CARD_WIDTH);
        for card in cards {
            if x + card.width > right && x > self.vpc.x {
                (x, y, row) = (self.vpc.x, y + row + 20.0, 0.0);
            }
            row = row.max(card.height);
            let width = card.width;
            self.groups.extend(card.at(x, y));
            x += width + 16.0;
        }
        (right, y + row)
    }

    /// The internet beside the gateway, the laptop beside the VPN endpoint; answers with their lower edge.
    fn put_outside(&mut self, carrier: Option<&str>) -> f64 {
        let gateway = self.network.as_ref().and_then(|network| network.gateway);
        let vpn = self.network.as_ref().and_then(|network| network.vpn);
        let from_laptop = self.network.as_ref().is_some_and(|network| network.from_laptop);
        let internet = card(Icon::Internet, &Part::new("Internet"), OUTSIDE);
        let laptop = card(Icon::Laptop, &self.scene.laptop, OUTSIDE);
        let door = |door: Rect| door.translated(self.vpc);
        let top = gateway.map_or(self.vpc.y, |(at, _)| door(at).middle() - internet.height / 2.0);
        let internet_place = rect(MARGIN, top, OUTSIDE, internet.height);
        let wanted = vpn.map_or(0.0, |(at, _)| door(at).middle() - laptop.height / 2.0);
        let laptop_place = rect(MARGIN, wanted.max(internet_place.bottom() + 48.0), OUTSIDE, laptop.height);
        if let Some((at, presence)) = gateway.filter(|_| self.is_open()) {
            let (from, to) = (point(internet_place.right(), internet_place.middle()), door(at));
            self.lines.push(Line {
                points: vec![from, point(to.x, internet_place.middle())],
                arrow: false,
                class: line_class(presence, LINE),
                title: "the internet gateway leads to the internet".to_owned(),
                labels: Vec::new(),
            });
        }
        if from_laptop {
            let x = internet_place.x + 60.0;
            self.lines.push(Line {
                points: vec![point(x, laptop_place.y), point(x, internet_place.bottom())],
                arrow: false,
                class: LINE,
                title: "your laptop reaches the hosts through the internet".to_owned(),
                labels: Vec::new(),
            });
        }
        if let (Some((at, presence)), Some(carrier)) = (vpn, carrier) {
            let to = door(at);
            let y = laptop_place.middle();
            let end = y.clamp(to.y + 16.0, to.bottom() - 16.0);
            let turn = self.region.x + PAD / 2.0;
            let mut points = vec![point(laptop_place.right(), y)];
            if (end - y).abs() > 0.5 {
                points.extend([point(turn, y), point(turn, end)]);
            }
            points.push(point(to.x, end));
            let at = point(laptop_place.right() + 10.0, y - SMALL.line_height() - 3.0);
            self.lines.push(Line {
                points,
                arrow: true,
                class: line_class(presence, LINE_VPN),
                title: format!("the VPN's tunnel, {carrier}"),
                labels: vec![Label::new(at, carrier, SMALL, TEXT)],
            });
        }
        self.groups.extend(internet.at(internet_place.x, internet_place.y));
        self.groups.extend(laptop.at(laptop_place.x, laptop_place.y));
        laptop_place.bottom()
    }

    /// Whether the internet gateway leads to the internet, or would.
    fn is_open(&self) -> bool {
        self.scene.vpc.as_ref().is_none_or(network::is_open)
    }

    fn put_title(&self, width: f64) -> Vec<Group> {
        let mut group = Group::new("");
        let room = width - 2.0 * MARGIN;
        for line in wrap(&tell_title(self.scene), TITLE, room, 1) {
            group.shapes.push(Shape::Text(Label::new(point(MARGIN, MARGIN - 6.0), line, TITLE, TEXT)));
        }
        let parts = [self.scene.at.clone(), tell_rate(self.scene)];
        let subtitle = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
        for line in wrap(&subtitle, SUBTITLE, room, 1) {
            let y = MARGIN - 6.0 + TITLE.line_height() + 2.0;
            group.shapes.push(Shape::Text(Label::new(point(MARGIN, y), line, SUBTITLE, MUTED)));
        }
        vec![group]
    }
}

const WRITES: &str = "writes pictures";

/// `writes pictures`, and how that stands where all lines stand alike.
fn tell_writing(writers: &[(Point, Presence)]) -> String {
    let first = writers.first().map(|(_, presence)| *presence).unwrap_or_default();
    let alike = writers.iter().all(|(_, presence)| *presence == first);
    format!("{WRITES}{}", if alike { tell_mark(first) } else { String::new() })
}

/// From where lines leave the VPC to the input bucket.
fn write_lines(writers: &[(Point, Presence)], from: f64, to: Point) -> Vec<Line> {
    let turn = from + 18.0;
    let mut lines: Vec<_> = writers
        .iter()
        .map(|(at, presence)| {
            let mut points = vec![*at];
            if (at.y - to.y).abs() > 0.5 {
                points.extend([point(turn, at.y), point(turn, to.y)]);
            }
            points.push(to);
            let title = "hosts may write to the input bucket".to_owned();
            Line { points, arrow: true, class: line_class(*presence, LINE_DATA), title, labels: Vec::new() }
        })
        .collect();
    if let Some(first) = lines.first_mut() {
        let at = point(turn + 8.0, to.y - SMALL.line_height() - 3.0);
        first.labels.push(Label::new(at, tell_writing(writers), SMALL, TEXT));
    }
    lines
}

impl Line {
    fn translated(self, by: Point) -> Self {
        let points = self.points.into_iter().map(|one| one.translated(by)).collect();
        let moved = |label: Label| Label { rect: label.rect.translated(by), ..label };
        Self { points, labels: self.labels.into_iter().map(moved).collect(), ..self }
    }
}

/// Lines, and a gap in the lower one where two cross.
fn draw_lines(lines: &[Line]) -> Vec<Group> {
    let mut groups = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut group = Group::new(line.title.as_str());
        for crossing in lines[..at].iter().flat_map(|other| find_crossings(&line.points, &other.points)) {
            let (dx, dy) = crossing.1;
            let ends = [-7.0, 7.0].map(|step| point(crossing.0.x + dx * step, crossing.0.y + dy * step));
            group.shapes.push(Shape::Line { points: ends.to_vec(), arrow: false, class: HALO });
        }
        group.shapes.push(Shape::Line { points: line.points.clone(), arrow: line.arrow, class: line.class });
        group.shapes.extend(line.labels.iter().cloned().map(Shape::Text));
        groups.push(group);
    }
    groups
}

/// Where two lines of upright and level parts cross, and which way the first one goes there.
pub(crate) fn find_crossings(line: &[Point], other: &[Point]) -> Vec<(Point, (f64, f64))> {
    let mut found = Vec::new();
    for part in line.windows(2) {
        for beside in other.windows(2) {
            let level = |part: &[Point]| (part[0].y - part[1].y).abs() < 0.5;
            let inside = |value: f64, one: f64, two: f64| one.min(two) + 1.0 < value && value < one.max(two) - 1.0;
            let (flat, upright) = match (level(part), level(beside)) {
                (true, false) => (part, beside),
                (false, true) => (beside, part),
                _ => continue,
            };
            let at = point(upright[0].x, flat[0].y);
            if inside(at.x, flat[0].x, flat[1].x) && inside(at.y, upright[0].y, upright[1].y) {
                found.push((at, if level(part) { (1.0, 0.0) } else { (0.0, 1.0) }));
            }
        }
    }
    found
}

pub(crate) fn tell_title(scene: &Scene) -> String {
    let Scene { lab, owner, view, .. } = scene;
    match view {
        View::Live => format!("Lab “{lab}” of {owner}"),
        View::Plan => format!("Lab “{lab}” of {owner}: what up would do"),
    }
}

/// What it costs, and would cost.
pub(crate) fn tell_rate(scene: &Scene) -> String {
    let least = if scene.is_at_least { "at least " } else { "" };
    let now = format!("{least}${:.4} an hour", scene.usd_per_hour);
    scene
        .usd_per_hour_after
        .map_or_else(|| now.clone(), |after| format!("{now} now, {least}${after:.4} an hour after up"))
}

/// What the marks mean, as far as they are used.
fn put_legend(scene: &Scene, top: f64, width: f64) -> Block {
    let mut used = BTreeSet::new();
    used.extend(list_parts(scene).into_iter().map(|part| part.presence));
    used.extend(list_lines(scene));
    let mut group = Group::new("");
    let (mut x, mut y, mut row) = (MARGIN, top + CHIP_RISE, 0.0);
    for presence in used {
        let (Some((text, _)), Some(meaning)) = (mark(presence), explain(presence)) else { continue };
        let chip_width = measure(text, Face::bold(11.0)).ceil() + 14.0;
        let label_width = measure(meaning, SMALL).ceil();
        let whole = chip_width + 8.0 + label_width;
        if x > MARGIN && x + whole > width - MARGIN {
            (x, y) = (MARGIN, y + 26.0);
        }
        group.shapes.extend(chip(presence, x + chip_width + 8.0, y));
        let at = point(x + chip_width + 8.0, y - SMALL.line_height() / 2.0);
        group.shapes.push(Shape::Text(Label::new(at, meaning, SMALL, MUTED)));
        x += whole + 24.0;
        row = CHIP_RISE + 2.0;
    }
    Block { width, height: if row > 0.0 { y + row } else { top - 16.0 }, groups: vec![group] }
}

/// What must be known besides, below the legend.
fn put_notes(notes: &[String], top: f64, width: f64) -> Block {
    let mut group = Group::new("");
    let mut y = top + 12.0;
    for line in notes.iter().flat_map(|note| wrap(note, SMALL, width - 2.0 * MARGIN, 3)) {
        group.shapes.push(Shape::Text(Label::new(point(MARGIN, y), line, SMALL, TEXT)));
        y += SMALL.line_height();
    }
    Block { width, height: if notes.is_empty() { top } else { y }, groups: vec![group] }
}

const fn explain(presence: Presence) -> Option<&'static str> {
    match presence {
        Presence::There => None,
        Presence::Missing => Some("lab.toml wants it, and it is not there"),
        Presence::Drifted => Some("it is not as lab.toml says"),
        Presence::Unexpected => Some("it bears the lab's tags, and lab.toml does not know it"),
        Presence::Add => Some("up would make it"),
        Presence::Change => Some("up would change it"),
        Presence::Remove => Some("up would remove it"),
        Presence::Blocked => Some("up would refuse this, and change nothing of its part"),
        Presence::Unknown => Some("whether it is there, and as wanted, was not or could not be read"),
    }
}

/// All parts of a lab.
pub(crate) fn list_parts(scene: &Scene) -> Vec<&Part> {
    let mut parts = Vec::new();
    if let Some(vpc) = &scene.vpc {
        parts.push(&vpc.part);
        parts.extend(&vpc.gateway);
        parts.extend(vpc.vpn.iter().map(|vpn| &vpn.part));
        for subnet in &vpc.subnets {
            parts.push(&subnet.part);
            parts.extend(&subnet.nat);
            parts.extend(subnet.hosts.iter().flat_map(|host| [&host.part, &host.group]));
        }
    }
    if let Some(pipeline) = &scene.pipeline {
        parts.extend([&pipeline.input, &pipeline.trigger, &pipeline.function, &pipeline.writes, &pipeline.output]);
        parts.extend(pipeline.queue.iter().flat_map(|queue| [queue, &pipeline.takes]));
    }
    parts.extend(&scene.others);
    parts
}

/// How the lines of a lab stand that are no parts.
fn list_lines(scene: &Scene) -> impl Iterator<Item = Presence> {
    let hosts = scene.vpc.iter().flat_map(|vpc| &vpc.subnets).flat_map(|subnet| &subnet.hosts);
    let rules = hosts.clone().flat_map(|host| host.inbound.iter().map(|rule| rule.presence));
    let writing = hosts.filter(|host| host.writes).map(|host| host.writing);
    let vpn = scene.vpc.iter().filter_map(|vpc| vpc.vpn.as_ref());
    rules.chain(writing).chain(vpn.flat_map(|vpn| vpn.subnets.iter().map(|(_, presence)| *presence)))
}
