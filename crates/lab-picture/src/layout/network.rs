//! The VPC: gateway and VPN endpoint at the left, zones with their subnets at the right of them, and lines between that
//! do not cross where the lab's shape allows it.
//!
//! What comes through the internet gateway enters at the left of a band, from above; what comes through the VPN also, where
//! all of it lies below that, else at the right. What hosts say to each other, and the way to a NAT gateway, is at the right.

use crate::colours::{LINE, LINE_DATA, LINE_VPN, MUTED, PRIVATE, PUBLIC, TEXT, VPC, ZONE};
use crate::drawing::{Block, Group, Label, Shape};
use crate::geometry::{Point, Rect, point, rect};
use crate::icons::Icon;
use crate::layout::band::{self, Band, CARD_WIDTH, End, Port, Surroundings, find_bands};
use crate::layout::card::{CHIP_RISE, NAME, PORTS, SMALL, card, frame, header, join_presence, line_class, tell_mark};
use crate::scene::{Health, Part, Presence, Route, Source, Subnet, Vpc};
use crate::text::{Face, measure};

const PAD: f64 = 16.0;
const SUBNET_PAD: f64 = 14.0;
const GAP: f64 = 18.0;
/// Gateway and VPN endpoint.
const DOOR: f64 = 208.0;
/// A subnet is at least so wide inside: its block and its id fit into one line.
const LEAST: f64 = CARD_WIDTH + 2.0 * band::PAD + 8.0;
/// Between two lines that run beside each other.
const LANE: f64 = 16.0;
/// For the line of an association, at the foot of its subnet.
const FOOT: f64 = 40.0;

/// A laid out network, from 0,0.
pub(super) struct Network {
    pub(super) block: Block,
    pub(super) lines: Vec<Line>,
    /// Where the line from outside meets the internet gateway, at the left edge of its card.
    pub(super) gateway: Option<(Rect, Presence)>,
    /// The same of the VPN endpoint.
    pub(super) vpn: Option<(Rect, Presence)>,
    /// Where lines to the input bucket leave the VPC, and how each stands.
    pub(super) writers: Vec<(Point, Presence)>,
    pub(super) from_laptop: bool,
}

/// A line, with what it is called.
pub(super) struct Line {
    pub(super) points: Vec<Point>,
    pub(super) arrow: bool,
    pub(super) class: &'static str,
    pub(super) title: String,
    pub(super) labels: Vec<Label>,
}

struct Area<'a> {
    subnet: &'a Subnet,
    bands: Vec<Band<'a>>,
    head: Block,
    nat: Option<Block>,
    associated: Option<Presence>,
    place: Rect,
    nat_place: Rect,
}

/// Lays out a VPC; `bucket` is how the input bucket stands.
pub(super) fn arrange(vpc: &Vpc, bucket: Presence) -> Network {
    let hosts = vpc.subnets.iter().flat_map(|subnet| &subnet.hosts);
    let sources: Vec<&str> = hosts.flat_map(list_sources).collect();
    let around = Surroundings { public: false, vpn: vpc.vpn.is_some(), bucket, sources: &sources };
    let mut areas: Vec<Area<'_>> =
        order(&vpc.subnets).into_iter().map(|subnet| Area::new(subnet, vpc, around)).collect();
    let below = vpn_is_below(&areas);
    if !below {
        move_vpn_right(&mut areas);
    }
    add_exits(&mut areas);
    Plan::new(vpc, areas, below).draw()
}

/// The roles of other hosts that a host lets in.
fn list_sources(host: &crate::scene::Host) -> impl Iterator<Item = &str> {
    host.inbound.iter().filter_map(move |rule| match &rule.from {
        Source::Host(role) if *role != host.role => Some(role.as_str()),
        _ => None,
    })
}

/// Those behind the internet gateway first; those of one zone together.
fn order(subnets: &[Subnet]) -> Vec<&Subnet> {
    let mut zones: Vec<Option<&str>> = Vec::new();
    for subnet in subnets.iter().filter(|subnet| is_public(subnet)).chain(subnets) {
        if !zones.contains(&subnet.zone.as_deref()) {
            zones.push(subnet.zone.as_deref());
        }
    }
    let place = |subnet: &&Subnet| {
        let zone = zones.iter().position(|zone| *zone == subnet.zone.as_deref());
        (zone, !is_public(subnet))
    };
    let mut ordered: Vec<_> = subnets.iter().collect();
    ordered.sort_by_key(place);
    ordered
}

fn is_public(subnet: &Subnet) -> bool {
    subnet.route == Route::Gateway
}

/// Whether there is an internet gateway that something comes through: not one that is detached.
pub(super) fn is_open(vpc: &Vpc) -> bool {
    let is_off = |part: &Part| matches!(part.state, Some((_, Health::Off))) && part.presence != Presence::Change;
    vpc.gateway.as_ref().is_some_and(|gateway| !is_off(gateway))
}

/// Whether every line of the VPN lies below every line of the internet gateway.
fn vpn_is_below(areas: &[Area<'_>]) -> bool {
    let ends = areas
        .iter()
        .flat_map(|area| &area.bands)
        .enumerate()
        .flat_map(|(at, band)| band.left.iter().map(move |port| (at, port.end.clone())));
    let last_of_gateway = ends.clone().filter(|(_, end)| *end == End::Gateway).map(|(at, _)| at).max();
    let first_of_vpn = ends.filter(|(_, end)| *end == End::Vpn).map(|(at, _)| at).min();
    last_of_gateway.zip(first_of_vpn).is_none_or(|(gateway, vpn)| gateway <= vpn)
}

fn move_vpn_right(areas: &mut [Area<'_>]) {
    for band in areas.iter_mut().flat_map(|area| &mut area.bands) {
        let (vpn, rest): (Vec<_>, Vec<_>) = band.left.drain(..).partition(|port| port.end == End::Vpn);
        band.left = rest;
        band.right.extend(vpn);
    }
}

/// A band that others let in gets a way out.
fn add_exits(areas: &mut [Area<'_>]) {
    let ports = areas.iter().flat_map(|area| &area.bands).flat_map(|band| &band.right);
    let sources: Vec<String> = ports
        .filter_map(|port| match &port.end {
            End::FromHost(role) => Some(role.clone()),
            _ => None,
        })
        .collect();
    for band in areas.iter_mut().flat_map(|area| &mut area.bands) {
        if band.hosts.iter().any(|host| sources.contains(&host.role)) {
            band.right.push(Port::new(End::ToHosts));
        }
    }
}

impl<'a> Area<'a> {
    fn new(subnet: &'a Subnet, vpc: &Vpc, around: Surroundings<'_>) -> Self {
        let around = Surroundings { public: is_public(subnet) && is_open(vpc), ..around };
        let bands = find_bands(&subnet.hosts, around);
        let width = bands.iter().map(Band::width).fold(LEAST, f64::max);
        let way = match &subnet.route {
            Route::None => "no way to the internet".to_owned(),
            Route::Gateway => "0.0.0.0/0 to the internet gateway".to_owned(),
            Route::Nat => "0.0.0.0/0 to the NAT gateway".to_owned(),
            Route::Other(target) => format!("0.0.0.0/0 to {target}"),
            Route::Unknown => "way to the internet: not known".to_owned(),
        };
        let mut lines = vec![tell_block(&subnet.cidr, subnet.part.id.as_deref()), way];
        lines.extend(subnet.part.why.clone());
        let icon = if is_public(subnet) { Icon::Public } else { Icon::Private };
        let head = header(Some(icon), &subnet.part.name, &lines, width);
        let nat = subnet.nat.as_ref().map(|nat| card(Icon::Nat, nat, CARD_WIDTH));
        let associations = vpc.vpn.iter().flat_map(|vpn| &vpn.subnets);
        let associated = associations.filter(|(role, _)| *role == subnet.role).map(|(_, presence)| *presence).next();
        Self { subnet, bands, head, nat, associated, place: Rect::default(), nat_place: Rect::default() }
    }

    /// A NAT gateway reaches the internet as every other thing of its subnet: through the internet gateway.
    fn has_nat_behind_gateway(&self) -> bool {
        self.nat.is_some() && is_public(self.subnet)
    }

    fn inner_width(&self) -> f64 {
        self.bands.iter().map(Band::width).fold(LEAST.max(self.head.width), f64::max)
    }

    /// Puts it and what is in it into their places; answers with its lower edge.
    fn put(&mut self, x: f64, y: f64, inner: f64) -> f64 {
        let mut at = y + 10.0 + self.head.height + 10.0;
        for band in &mut self.bands {
            at += CHIP_RISE - 4.0;
            // One host needs no frame for three.
            let width = band.width().max(LEAST).min(inner);
            band.put(x + SUBNET_PAD, at, width);
            at = band.place.bottom() + GAP - 4.0;
        }
        if let Some(nat) = &self.nat {
            at += CHIP_RISE - 4.0;
            self.nat_place = rect(x + SUBNET_PAD + band::PAD, at, nat.width, nat.height);
            at += nat.height + GAP - 4.0;
        }
        if self.associated.is_some() {
            at += FOOT - 14.0;
        }
        self.place = rect(x, y, inner + 2.0 * SUBNET_PAD, at - y);
        self.place.bottom()
    }

    fn draw(&self) -> Vec<Group> {
        let own = if is_public(self.subnet) { PUBLIC } else { PRIVATE };
        let mut outline = Group::new(format!("Subnet {}", crate::layout::card::tell(&self.subnet.part)));
        outline.shapes = frame(self.place, self.subnet.part.presence, 6.0, own);
        let mut groups = vec![outline];
        groups.extend(self.head.clone().at(self.place.x + SUBNET_PAD, self.place.y + 10.0));
        groups.extend(self.bands.iter().flat_map(Band::draw));
        if let Some(nat) = &self.nat {
            groups.extend(nat.clone().at(self.nat_place.x, self.nat_place.y));
        }
        groups
    }
}

/// `10.0.1.0/24 · subnet-0123`
fn tell_block(cidr: &str, id: Option<&str>) -> String {
    [Some(cidr), id].into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Everything with its place.
struct Plan<'a> {
    vpc: &'a Vpc,
    areas: Vec<Area<'a>>,
    zones: Vec<(Rect, Option<&'a str>)>,
    head: Block,
    gateway: Option<(Block, Rect)>,
    vpn: Option<(Block, Rect)>,
    /// The VPN's lines are at the left.
    vpn_left: bool,
    left_labels: f64,
    right_labels: f64,
    place: Rect,
}

impl<'a> Plan<'a> {
    fn new(vpc: &'a Vpc, areas: Vec<Area<'a>>, vpn_left: bool) -> Self {
        let lines: Vec<_> =
            [tell_block(&vpc.cidr, vpc.part.id.as_deref())].into_iter().chain(vpc.part.why.clone()).collect();
        let head = header(Some(Icon::Vpc), &vpc.part.name, &lines, 420.0);
        let bands = || areas.iter().flat_map(|area| &area.bands);
        let associated = areas.iter().filter_map(|area| area.associated);
        let least = associated.map(|how| measure(&tell_association(how), SMALL).ceil()).fold(0.0, f64::max);
        let nat = is_open(vpc) && areas.iter().any(Area::has_nat_behind_gateway);
        let least = if nat { measure(TO_INTERNET, PORTS).ceil().max(least) } else { least };
        let left_labels = bands().map(|band| Band::label_width(&band.left)).fold(least, f64::max);
        let to_nat = areas.iter().any(|area| area.subnet.route == Route::Nat);
        let least = if to_nat { measure(TO_NAT, PORTS).ceil() } else { 0.0 };
        let right_labels = bands().map(|band| Band::label_width(&band.right)).fold(least, f64::max);
        let gateway = vpc.gateway.as_ref().map(|part| (card(Icon::Gateway, part, DOOR), Rect::default()));
        let vpn = vpc.vpn.as_ref().map(|vpn| (card(Icon::Vpn, &vpn.part, DOOR), Rect::default()));
        let mut plan = Self {
            vpc,
            areas,
            zones: Vec::new(),
            head,
            gateway,
            vpn,
            vpn_left,
            left_labels,
            right_labels,
            place: Rect::default(),
        };
        plan.put_zones();
        plan.put_doors();
        plan.put_border();
        plan
    }

    fn has_doors(&self) -> bool {
        self.gateway.is_some() || self.vpn.is_some()
    }

    fn doors_right(&self) -> f64 {
        if self.has_doors() { PAD + DOOR } else { 0.0 }
    }

    fn zones_left(&self) -> f64 {
        let channel = if self.left_labels > 0.0 { 2.0 * LANE + 14.0 + self.left_labels + 10.0 } else { PAD };
        self.doors_right() + channel
    }

    fn put_zones(&mut self) {
        let inner = self.areas.iter().map(Area::inner_width).fold(LEAST, f64::max);
        let left = self.zones_left();
        let mut y = 10.0 + self.head.height + 14.0;
        let mut first = 0;
        while first < self.areas.len() {
            let zone = self.areas[first].subnet.zone.as_deref();
            let same = self.areas[first..].iter().take_while(|area| area.subnet.zone.as_deref() == zone).count();
            let top = y;
            y += 34.0;
            for area in &mut self.areas[first..first + same] {
                y = area.put(left + SUBNET_PAD, y + CHIP_RISE - 4.0, inner) + GAP - 4.0;
            }
            self.zones.push((rect(left, top, inner + 4.0 * SUBNET_PAD, y - top), zone));
            y += GAP;
            first += same;
        }
    }

    fn ports_at_left(&self, end: &End) -> Vec<f64> {
        let ports = self.areas.iter().flat_map(|area| &area.bands).flat_map(|band| &band.left);
        ports.filter(|port| port.end == *end).map(|port| port.y).collect()
    }

    fn put_doors(&mut self) {
        let top = 10.0 + self.head.height + 14.0 + CHIP_RISE;
        let (to_gateway, to_vpn) = (self.ports_at_left(&End::Gateway), self.ports_at_left(&End::Vpn));
        let mut free = top;
        if let Some((card, place)) = &mut self.gateway {
            let wanted = to_gateway.first().map_or(top, |y| y - card.height / 2.0);
            *place = rect(PAD, wanted.max(top), DOOR, card.height);
            let nats = self.areas.iter().filter(|area| area.has_nat_behind_gateway());
            let nats = nats.map(|area| area.nat_place.middle());
            free = to_gateway.iter().copied().chain(nats).fold(place.bottom(), f64::max) + 44.0;
        }
        let last = self.zones.last().map_or(top, |(zone, _)| zone.bottom());
        let lowest = self.areas.iter().filter(|area| area.associated.is_some()).map(|area| area.place.bottom());
        let lowest = lowest.fold(0.0, f64::max);
        if let Some((card, place)) = &mut self.vpn {
            let wanted = match to_vpn.first() {
                _ if !self.vpn_left => last + 28.0 - card.height / 2.0,
                Some(y) => y - card.height / 2.0,
                None => lowest - card.height / 2.0,
            };
            *place = rect(PAD, wanted.max(free), DOOR, card.height);
        }
    }

    /// The lanes at the right of the zones, from the left.
    fn count_right_lanes(&self) -> usize {
        let ports = self.areas.iter().flat_map(|area| &area.bands).flat_map(|band| &band.right);
        let hosts = ports.filter(|port| port.end == End::ToHosts).count();
        let nat = usize::from(self.areas.iter().any(|area| area.subnet.route == Route::Nat));
        hosts + nat + usize::from(!self.vpn_left)
    }

    #[expect(clippy::cast_precision_loss, reason = "a few lanes")]
    fn lane(&self, at: usize) -> f64 {
        self.zones_right() + self.right_labels + 18.0 + LANE * at as f64
    }

    fn zones_right(&self) -> f64 {
        self.zones.iter().map(|(zone, _)| zone.right()).fold(self.zones_left(), f64::max)
    }

    fn put_border(&mut self) {
        let lanes = self.count_right_lanes();
        let right = if lanes > 0 { self.lane(lanes) } else { self.zones_right() + PAD };
        let zones = self.zones.last().map_or(0.0, |(zone, _)| zone.bottom());
        let doors = [&self.gateway, &self.vpn].into_iter().flatten().map(|(_, place)| place.bottom());
        let bottom = doors.fold(zones, f64::max) + PAD;
        let bottom = if self.vpn_left { bottom } else { bottom.max(zones + 28.0 + PAD) };
        let width = right.max(self.head.width + 140.0);
        self.place = rect(0.0, 0.0, width, bottom.max(10.0 + self.head.height + PAD));
    }

    fn draw(self) -> Network {
        let mut outline = Group::new(format!("VPC {}", crate::layout::card::tell(&self.vpc.part)));
        outline.shapes = frame(self.place, self.vpc.part.presence, 6.0, VPC);
        let mut groups = vec![outline];
        groups.extend(self.head.clone().at(PAD, 10.0));
        for (zone, name) in &self.zones {
            groups.push(draw_zone(*zone, *name));
        }
        groups.extend(self.areas.iter().flat_map(Area::draw));
        for (card, place) in [&self.gateway, &self.vpn].into_iter().flatten() {
            groups.extend(card.clone().at(place.x, place.y));
        }
        let lines = self.lines();
        let presence = |part: &Part| part.presence;
        let writing = self.areas.iter().flat_map(|area| &area.bands).flat_map(|band| &band.right);
        let writers = writing
            .filter(|port| port.end == End::Bucket)
            .map(|port| (point(self.place.right(), port.y), port.presence));
        // Only where a line leads on from the internet.
        let entered = self.vpc.subnets.iter().filter(|subnet| is_public(subnet) && is_open(self.vpc));
        let mut entered = entered.flat_map(|subnet| &subnet.hosts).flat_map(|host| &host.inbound);
        Network {
            lines,
            gateway: self.gateway.as_ref().zip(self.vpc.gateway.as_ref()).map(|((_, at), part)| (*at, presence(part))),
            vpn: self.vpn.as_ref().zip(self.vpc.vpn.as_ref()).map(|((_, at), vpn)| (*at, presence(&vpn.part))),
            writers: writers.collect(),
            from_laptop: entered.any(|inbound| matches!(inbound.from, Source::Laptop(_))),
            block: Block { width: self.place.width, height: self.place.height, groups },
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = self.associations();
        if let Some((_, door)) = &self.gateway {
            lines.extend(self.lead_in(*door, &End::Gateway, 1, LINE));
            if is_open(self.vpc) {
                lines.extend(self.lead_from_nat(*door));
            }
        }
        if let Some((_, door)) = &self.vpn {
            if self.vpn_left {
                lines.extend(self.lead_in(*door, &End::Vpn, 1, LINE_VPN));
            } else {
                lines.extend(self.vpn_round(*door));
            }
        }
        lines.extend(self.lead_to_nat());
        lines.extend(self.between_hosts());
        lines.extend(self.lead_to_bucket());
        lines
    }

    /// From the right edge of a door to the bands, straight where that is possible.
    fn lead_in(&self, door: Rect, end: &End, lane: u8, class: &'static str) -> Vec<Line> {
        let x = door.right() + f64::from(lane) * LANE + 12.0;
        let label_x = self.zones_left() - 10.0 - self.left_labels;
        let mut lines = Vec::new();
        for band in self.areas.iter().flat_map(|area| &area.bands) {
            for port in band.left.iter().filter(|port| port.end == *end) {
                let start = port.y.clamp(door.y + 22.0, door.bottom() - 22.0);
                let mut points = vec![point(door.right(), start)];
                if (start - port.y).abs() > 0.5 {
                    points.extend([point(x, start), point(x, port.y)]);
                }
                points.push(point(band.place.x, port.y));
                lines.push(port_line(port, points, label_x, class));
            }
        }
        lines
    }

    /// From the VPN endpoint below all zones to their right.
    fn vpn_round(&self, door: Rect) -> Vec<Line> {
        let foot = self.zones.last().map_or(door.bottom(), |(zone, _)| zone.bottom()) + 16.0;
        let start = foot.clamp(door.y + 22.0, door.bottom() - 22.0);
        let lane = self.lane(self.count_right_lanes() - 1);
        let turn = door.right() + LANE + 12.0;
        let mut lines = Vec::new();
        for band in self.areas.iter().flat_map(|area| &area.bands) {
            for port in band.right.iter().filter(|port| port.end == End::Vpn) {
                let mut points = vec![point(door.right(), start)];
                if (start - foot).abs() > 0.5 {
                    points.extend([point(turn, start), point(turn, foot)]);
                }
                points.extend([point(lane, foot), point(lane, port.y), point(band.place.right(), port.y)]);
                lines.push(port_line(port, points, self.zones_right() + 10.0, LINE_VPN));
            }
        }
        lines
    }

    /// From the VPN endpoint to the subnets it is associated with.
    fn associations(&self) -> Vec<Line> {
        let Some((_, door)) = &self.vpn else { return Vec::new() };
        let x = door.right() + 12.0;
        let label_x = self.zones_left() - 10.0 - self.left_labels;
        let mut lines = Vec::new();
        for area in &self.areas {
            let Some(presence) = area.associated else { continue };
            let y = area.place.bottom() - 13.0;
            let start = if y < door.y + 12.0 { door.y + 12.0 } else { y.min(door.bottom() - 12.0) };
            let mut points = vec![point(door.right(), start)];
            if (start - y).abs() > 0.5 {
                points.extend([point(x, start), point(x, y)]);
            }
            points.push(point(area.place.x, y));
            let at = point(label_x, y - SMALL.line_height() - 3.0);
            lines.push(Line {
                points,
                arrow: false,
                class: line_class(presence, LINE_VPN),
                title: format!("the VPN endpoint is associated with {}", area.subnet.part.name),
                labels: vec![Label::new(at, tell_association(presence), SMALL, MUTED)],
            });
        }
        lines
    }

    /// From subnets whose way out it is to the NAT gateway.
    fn lead_to_nat(&self) -> Vec<Line> {
        let Some(nat) = self.areas.iter().find(|area| area.nat.is_some()) else { return Vec::new() };
        let presence = nat.subnet.nat.as_ref().map(|nat| nat.presence).unwrap_or_default();
        let lane = self.lane(0);
        let target = nat.nat_place;
        let from = self.areas.iter().filter(|area| area.subnet.route == Route::Nat);
        from.map(|area| {
            let y = area.place.y + 26.0;
            let points = vec![
                point(area.place.right(), y),
                point(lane, y),
                point(lane, target.middle()),
                point(target.right(), target.middle()),
            ];
            let at = point(self.zones_right() + 10.0, y - PORTS.line_height() - 4.0);
            Line {
                points,
                arrow: true,
                class: line_class(presence, LINE),
                title: format!("{}: 0.0.0.0/0 to the NAT gateway", area.subnet.part.name),
                labels: vec![Label::new(at, TO_NAT, PORTS, TEXT)],
            }
        })
        .collect()
    }

    /// From NAT gateways to the internet gateway, in the lane of what comes in.
    fn lead_from_nat(&self, door: Rect) -> Vec<Line> {
        let gateway = self.vpc.gateway.as_ref().map(|part| part.presence).unwrap_or_default();
        let x = door.right() + LANE + 12.0;
        let label_x = self.zones_left() - 10.0 - self.left_labels;
        let areas = self.areas.iter().filter(|area| area.has_nat_behind_gateway());
        areas
            .map(|area| {
                let y = area.nat_place.middle();
                // Below where lines to hosts begin.
                let end = y.clamp(door.y + 12.0, door.bottom() - 12.0);
                let mut points = vec![point(area.nat_place.x, y)];
                if (end - y).abs() > 0.5 {
                    points.extend([point(x, y), point(x, end)]);
                }
                points.push(point(door.right(), end));
                let nat = area.subnet.nat.as_ref().map(|nat| nat.presence).unwrap_or_default();
                let at = point(label_x, y - PORTS.line_height() - 4.0);
                Line {
                    points,
                    arrow: true,
                    class: line_class(join_presence(nat, gateway), LINE),
                    title: "the NAT gateway reaches the internet through the internet gateway".to_owned(),
                    labels: vec![Label::new(at, TO_INTERNET, PORTS, TEXT)],
                }
            })
            .collect()
    }

    /// From hosts to hosts, each source in a lane of its own: what reaches farthest outermost, so that those between need
    /// not cross it.
    fn between_hosts(&self) -> Vec<Line> {
        let first = usize::from(self.areas.iter().any(|area| area.subnet.route == Route::Nat));
        let bands = || self.areas.iter().flat_map(|area| &area.bands);
        let targets = |source: &Band<'_>| -> Vec<(&Band<'_>, &Port)> {
            let ports = bands().flat_map(|band| band.right.iter().map(move |port| (band, port)));
            let is_its = |port: &Port| match &port.end {
                End::FromHost(role) => source.hosts.iter().any(|host| host.role == *role),
                _ => false,
            };
            ports.filter(|(_, port)| is_its(port)).collect()
        };
        let exits = bands().filter_map(|band| Some((band, band.right.iter().find(|port| port.end == End::ToHosts)?)));
        let mut sources: Vec<_> = exits.map(|(band, exit)| (band, exit, targets(band))).collect();
        sources.sort_by(|one, other| {
            let reach = |exit: &Port, targets: &[(&Band<'_>, &Port)]| {
                targets.iter().map(|(_, port)| (port.y - exit.y).abs()).fold(0.0, f64::max)
            };
            reach(one.1, &one.2).total_cmp(&reach(other.1, &other.2))
        });
        let mut lines = Vec::new();
        for (lane, (source, exit, targets)) in sources.into_iter().enumerate() {
            let x = self.lane(first + lane);
            for (target, port) in targets {
                let points = vec![
                    point(source.place.right(), exit.y),
                    point(x, exit.y),
                    point(x, port.y),
                    point(target.place.right(), port.y),
                ];
                lines.push(port_line(port, points, self.zones_right() + 10.0, LINE));
            }
        }
        lines
    }

    /// From bands to the VPC's edge.
    fn lead_to_bucket(&self) -> Vec<Line> {
        let bands = self.areas.iter().flat_map(|area| &area.bands);
        let ports = bands.flat_map(|band| band.right.iter().map(move |port| (band, port)));
        let writing = ports.filter(|(_, port)| port.end == End::Bucket);
        writing
            .map(|(band, port)| Line {
                points: vec![point(band.place.right(), port.y), point(self.place.right(), port.y)],
                arrow: false,
                class: line_class(port.presence, LINE_DATA),
                title: "may write to the input bucket".to_owned(),
                labels: Vec::new(),
            })
            .collect()
    }
}

/// `associated`, or how that stands.
fn tell_association(presence: Presence) -> String {
    format!("associated{}", tell_mark(presence))
}

const TO_NAT: &str = "0.0.0.0/0";
const TO_INTERNET: &str = "0.0.0.0/0";

/// A line that ends at a port, with its labels above and below its last part.
fn port_line(port: &Port, points: Vec<Point>, label_x: f64, own: &'static str) -> Line {
    let mut labels = Vec::new();
    let mut y = port.y - 4.0;
    for line in port.above.iter().rev() {
        y -= PORTS.line_height();
        labels.push(Label::new(point(label_x, y), line, PORTS, TEXT));
    }
    let mut y = port.y + 3.0;
    for line in &port.below {
        labels.push(Label::new(point(label_x, y), line, SMALL, MUTED));
        y += SMALL.line_height();
    }
    let title = [port.above.concat(), port.below.join(" ")].join(" ");
    Line { points, arrow: true, class: line_class(port.presence, own), title, labels }
}

fn draw_zone(place: Rect, name: Option<&str>) -> Group {
    let title = name.map_or_else(|| "Availability Zone".to_owned(), |name| format!("Availability Zone {name}"));
    let mut group = Group::new(title.as_str());
    group.shapes = vec![
        Shape::Box { rect: place, radius: 6.0, class: ZONE },
        Shape::Icon { icon: Icon::Zone, rect: rect(place.x + SUBNET_PAD, place.y + 8.0, 20.0, 20.0) },
        Shape::Text(Label::new(
            point(place.x + SUBNET_PAD + 28.0, place.y + 10.0),
            title,
            Face { bold: false, ..NAME },
            TEXT,
        )),
    ];
    group
}
