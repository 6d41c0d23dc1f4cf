//! Hosts with the same rules: one security group's frame, so that thirty hosts have one arrow a source and not thirty.

use crate::colours::GROUP;
use crate::drawing::{Block, Group};
use crate::geometry::{Rect, rect};
use crate::icons::Icon;
use crate::layout::card::{CHIP_RISE, PORTS, SMALL, card, frame, header, is_absent, join_own, tell_mark};
use crate::scene::{Host, Inbound, Part, Presence, Source};
use crate::text::wrap;

pub(super) const CARD_WIDTH: f64 = 232.0;
pub(super) const PAD: f64 = 12.0;
const GAP: f64 = 16.0;
/// Where a frame's head begins: below the mark on its edge.
const HEAD: f64 = 8.0;
/// Labels beside lines are at most so wide.
const LABEL_WIDTH: f64 = 168.0;
/// Free room between the labels of two lines.
const LABEL_GAP: f64 = 10.0;

/// Hosts of one subnet that let in the same.
pub(super) struct Band<'a> {
    pub(super) hosts: Vec<&'a Host>,
    group: Part,
    head: Block,
    cards: Vec<Block>,
    columns: usize,
    /// What comes in at its left side, from above.
    pub(super) left: Vec<Port>,
    /// What comes in and goes out at its right side, from above.
    pub(super) right: Vec<Port>,
    pub(super) place: Rect,
}

/// Where a line meets a band.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub(super) end: End,
    pub(super) presence: Presence,
    /// Above the line.
    pub(super) above: Vec<String>,
    /// Below it.
    pub(super) below: Vec<String>,
    /// Where the line is, once everything has its place.
    pub(super) y: f64,
}

/// What is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Gateway,
    Vpn,
    /// From the band of this host.
    FromHost(String),
    /// To every band that lets in a host of this one.
    ToHosts,
    /// To the input bucket.
    Bucket,
}

impl Port {
    pub(super) fn new(end: End) -> Self {
        Self { end, presence: Presence::There, above: Vec::new(), below: Vec::new(), y: 0.0 }
    }

    fn labelled(end: End, inbound: &Inbound, from: &str) -> Self {
        Self {
            presence: inbound.presence,
            above: wrap(&inbound.ports, PORTS, LABEL_WIDTH, 4),
            below: from.lines().flat_map(|line| wrap(line, SMALL, LABEL_WIDTH, 3)).collect(),
            ..Self::new(end)
        }
    }

    fn rise(&self) -> f64 {
        count(&self.above) * PORTS.line_height() + 4.0
    }

    fn height(&self) -> f64 {
        self.rise() + count(&self.below) * SMALL.line_height() + 4.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few lines")]
fn count(lines: &[String]) -> f64 {
    lines.len() as f64
}

/// What an arrow needs to be drawn.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The subnet reaches the internet through the gateway.
    pub(super) public: bool,
    /// There is a VPN endpoint.
    pub(super) vpn: bool,
    /// How the input bucket stands.
    pub(super) bucket: Presence,
    /// The roles of hosts that other hosts let in.
    pub(super) sources: &'a [&'a str],
}

/// Hosts that share a frame: they let in the same and may write the same. A host that others let in has its own, so that
/// its line says whose it is.
#[derive(PartialEq)]
struct Kind<'a> {
    rules: Vec<Inbound>,
    writes: bool,
    writing: Presence,
    source: Option<&'a str>,
}

/// The bands of a subnet, those behind the internet gateway first.
pub(super) fn find_bands<'a>(hosts: &'a [Host], around: Surroundings<'_>) -> Vec<Band<'a>> {
    let mut kinds: Vec<(Kind<'_>, Vec<&Host>)> = Vec::new();
    for host in hosts {
        let mut rules = host.inbound.clone();
        rules.sort();
        let source = around.sources.contains(&host.role.as_str()).then_some(host.role.as_str());
        let kind = Kind { rules, writes: host.writes, writing: host.writing, source };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, members)) => members.push(host),
            None => kinds.push((kind, vec![host])),
        }
    }
    let from_outside = |rules: &[Inbound]| rules.iter().any(|rule| is_outside(&rule.from));
    kinds.sort_by_key(|(kind, _)| !from_outside(&kind.rules));
    kinds.into_iter().map(|(kind, members)| Band::new(members, &kind.rules, around)).collect()
}

fn is_outside(from: &Source) -> bool {
    matches!(from, Source::Anywhere | Source::Laptop(_) | Source::Network(_))
}

impl<'a> Band<'a> {
    fn new(hosts: Vec<&'a Host>, rules: &[Inbound], around: Surroundings<'_>) -> Self {
        let (mut left, mut right, mut said) = (Vec::new(), Vec::new(), Vec::new());
        if hosts.iter().any(|host| host.writes) {
            // One that is there is enough for the line to be.
            let all = || hosts.iter().map(|host| host.part.presence);
            let own = all().find(|presence| !is_absent(*presence)).or_else(|| all().next()).unwrap_or_default();
            let writing = hosts.first().map(|host| host.writing).unwrap_or_default();
            right.push(Port { presence: join_own(writing, own, around.bucket), ..Port::new(End::Bucket) });
        }
        for rule in rules {
            let from = tell_source(&rule.from);
            match &rule.from {
                source if is_outside(source) && around.public => left.push(Port::labelled(End::Gateway, rule, &from)),
                Source::Vpn if around.vpn => left.push(Port::labelled(End::Vpn, rule, &from)),
                Source::Host(role) if hosts.iter().all(|host| host.role != *role) => {
                    right.push(Port::labelled(End::FromHost(role.clone()), rule, &from));
                }
                // Among themselves, or from where no line comes.
                _ => {
                    let how = tell_mark(rule.presence);
                    said.push(format!("{} {}{how}", rule.ports, from.replace('\n', ", ")));
                }
            }
        }
        left.sort_by_key(|port| port.end != End::Gateway);
        let group = sum_up_groups(&hosts, rules);
        let columns = choose_columns(hosts.len());
        let cards = hosts.iter().map(|host| card(Icon::Host, &host.part, CARD_WIDTH)).collect();
        let mut band =
            Band { hosts, group, head: Block::default(), cards, columns, left, right, place: Rect::default() };
        let lines: Vec<_> = said.into_iter().chain(band.group.why.clone()).collect();
        band.head = header(None, &band.group.name, &lines, band.grid_width());
        band
    }

    fn grid_width(&self) -> f64 {
        cells(self.columns) * (CARD_WIDTH + GAP) - GAP
    }

    pub(super) fn width(&self) -> f64 {
        self.grid_width() + 2.0 * PAD
    }

    pub(super) fn height(&self) -> f64 {
        let rows: f64 = self.rows().map(|(_, height)| height + GAP).sum();
        let own = HEAD + self.head.height + CHIP_RISE + 3.0 + rows - GAP + PAD;
        own.max(stack_height(&self.left)).max(stack_height(&self.right))
    }

    fn rows(&self) -> impl Iterator<Item = (&[Block], f64)> {
        self.cards.chunks(self.columns).map(|row| (row, row.iter().map(|card| card.height).fold(0.0, f64::max)))
    }

    /// How wide the labels at a side are.
    pub(super) fn label_width(ports: &[Port]) -> f64 {
        let above = ports.iter().flat_map(|port| &port.above).map(|line| crate::text::measure(line, PORTS));
        let below = ports.iter().flat_map(|port| &port.below).map(|line| crate::text::measure(line, SMALL));
        above.chain(below).fold(0.0, f64::max).ceil()
    }

    /// Puts it into its place, which may be wider than it needs.
    pub(super) fn put(&mut self, x: f64, y: f64, width: f64) {
        self.place = rect(x, y, width, self.height());
        for ports in [&mut self.left, &mut self.right] {
            let mut at = self.place.middle() - stack_height(ports) / 2.0 + LABEL_GAP / 2.0;
            for port in ports.iter_mut() {
                port.y = at + port.rise();
                at += port.height() + LABEL_GAP;
            }
        }
    }

    pub(super) fn draw(&self) -> Vec<Group> {
        let mut outline = Group::new(crate::layout::card::tell(&self.group));
        outline.shapes = frame(self.place, self.group.presence, 6.0, GROUP);
        let mut groups = vec![outline];
        groups.extend(self.head.clone().at(self.place.x + PAD, self.place.y + HEAD));
        let mut y = self.place.y + HEAD + self.head.height + CHIP_RISE + 3.0;
        for (row, height) in self.rows() {
            let mut x = self.place.x + PAD;
            for card in row {
                groups.extend(card.clone().at(x, y));
                x += CARD_WIDTH + GAP;
            }
            y += height + GAP;
        }
        groups
    }
}

fn stack_height(ports: &[Port]) -> f64 {
    ports.iter().map(|port| port.height() + LABEL_GAP).sum()
}

/// Wider than high, as screens and paper are.
fn choose_columns(hosts: usize) -> usize {
    (1..=hosts).find(|columns| columns * columns * 5 >= hosts * 4).unwrap_or(1)
}

#[expect(clippy::cast_precision_loss, reason = "a few columns")]
fn cells(count: usize) -> f64 {
    count as f64
}

/// One group is itself; several with the same rules are told as so many.
fn sum_up_groups(hosts: &[&Host], rules: &[Inbound]) -> Part {
    let groups = hosts.iter().map(|host| &host.group);
    let presence = groups.clone().map(|group| group.presence).max().unwrap_or_default();
    let mut names: Vec<_> = groups.clone().map(|group| group.name.as_str()).collect();
    names.dedup();
    let name = match names.as_slice() {
        [one] => format!("Security group {one}"),
        several if rules.is_empty() => format!("{} security groups", several.len()),
        several => format!("{} security groups with the same rules", several.len()),
    };
    let mut why: Vec<_> = groups.filter_map(|group| group.why.as_deref()).collect();
    why.dedup();
    let part = Part::new(name).presence(presence);
    if why.is_empty() { part } else { part.because(why.join("; ")) }
}

fn tell_source(from: &Source) -> String {
    match from {
        Source::Anywhere => "from anywhere".to_owned(),
        Source::Laptop(address) if address.is_empty() => "from your laptop".to_owned(),
        Source::Laptop(address) => format!("from your laptop\n{address}"),
        Source::Network(source) | Source::Inside(source) => format!("from {source}"),
        Source::Vpn => "from VPN clients".to_owned(),
        Source::Host(role) => format!("from host {role}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_wider_than_high() {
        let chosen: Vec<_> = [1, 2, 3, 5, 10, 30].map(choose_columns).into();
        assert_eq!(chosen, [1, 2, 2, 2, 3, 5]);
    }
}
