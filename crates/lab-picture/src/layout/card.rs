//! Cards, frames and marks: what every part of a picture is made of.

use crate::colours::{
    BAD, BUSY, CARD, CARD_ADD, CARD_DRIFTED, CARD_MISSING, CARD_REMOVE, CARD_UNKNOWN, CHIP_ADD, CHIP_CHANGE,
    CHIP_MISSING, CHIP_REMOVE, CHIP_UNKNOWN, GOOD, LINE_ADD, LINE_CHANGE, LINE_MISSING, LINE_REMOVE, LINE_UNKNOWN,
    MUTED, OFF, ON_CHIP, TEXT,
};
use crate::drawing::{Block, Group, Label, Shape};
use crate::geometry::{Rect, point, rect};
use crate::icons::Icon;
use crate::scene::{Health, Part, Presence};
use crate::text::{Face, clean, measure, wrap};

/// A card's name, a frame's name.
pub(super) const NAME: Face = Face::bold(13.0);
/// Everything else on a card or beside a line.
pub(super) const SMALL: Face = Face::regular(12.0);
/// What AWS calls it.
const SERVICE: Face = Face::regular(11.0);
/// Ports beside a line.
pub(super) const PORTS: Face = Face::bold(12.0);
/// A mark.
const CHIP: Face = Face::bold(11.0);

const PAD: f64 = 10.0;
const SIGN: f64 = 30.0;

/// How far a mark reaches above its card or frame.
pub(super) const CHIP_RISE: f64 = 9.0;

/// A part as a box with its sign, what AWS calls it, its name and what else there is to say.
pub(super) fn card(icon: Icon, part: &Part, width: f64) -> Block {
    let mut group = Group::new(tell_with(icon, part));
    let left = PAD + SIGN + 10.0;
    let room = width - left - PAD;
    let mut y = PAD;
    let mut texts = Vec::new();
    let mut write = |text: &str, face: Face, most: usize, class: &'static str| {
        for line in wrap(text, face, room, most) {
            texts.push(Shape::Text(Label::new(point(left, y), line, face, class)));
            y += face.line_height();
        }
    };
    if let Some(service) = part.service.as_deref().or(icon.service()) {
        write(service, SERVICE, 1, MUTED);
    }
    write(&part.name, NAME, 4, TEXT);
    for line in &part.lines {
        write(line, SMALL, 3, MUTED);
    }
    if let Some(id) = part.id.as_ref().filter(|id| **id != part.name) {
        write(id, SMALL, 2, MUTED);
    }
    if let Some(why) = &part.why {
        write(why, SMALL, 4, TEXT);
    }
    if part.state.is_some() || part.usd_per_hour > 0.0 {
        y += 2.0;
        texts.extend(write_foot(part, left, room, &mut y));
    }
    let height = (y + PAD - 2.0).max(SIGN + 2.0 * PAD);
    // A name alone stands beside the middle of its sign.
    let spare = point(0.0, ((height - PAD - y) / 2.0).max(0.0).floor());
    let texts = texts.into_iter().map(|shape| shape.translated(spare));
    group.shapes.push(Shape::Box {
        rect: rect(0.0, 0.0, width, height),
        radius: 8.0,
        class: card_class(part.presence),
    });
    group.shapes.push(Shape::Icon { icon, rect: rect(PAD, PAD, SIGN, SIGN) });
    group.shapes.extend(texts);
    group.shapes.extend(chip(part.presence, width, 0.0));
    Block { width, height, groups: vec![group] }
}

/// State at the left and price at the right, or below each other where they are too long.
fn write_foot(part: &Part, left: f64, room: f64, y: &mut f64) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let price = (part.usd_per_hour > 0.0).then(|| show_price(part));
    let price_width = price.as_ref().map_or(0.0, |price| measure(price, SMALL).ceil());
    let mut free = room;
    if let Some((state, health)) = &part.state {
        let indent = 14.0;
        let alone = measure(&clean(state), SMALL) + indent + price_width + 8.0 > room;
        for (at, line) in wrap(state, SMALL, room - indent, 2).into_iter().enumerate() {
            if at == 0 {
                let class = dot_class(*health);
                shapes.push(Shape::Dot { middle: point(left + 5.0, *y + SMALL.line_height() / 2.0), class });
            } else {
                *y += SMALL.line_height();
            }
            shapes.push(Shape::Text(Label::new(point(left + indent, *y), line, SMALL, TEXT)));
        }
        if alone && price.is_some() {
            *y += SMALL.line_height();
        }
        free = if alone { 0.0 } else { room - price_width };
    }
    if let Some(price) = price {
        let x = if part.state.is_some() && free > 0.0 { left + free } else { left };
        shapes.push(Shape::Text(Label::new(point(x, *y), price, SMALL, MUTED)));
    }
    *y += SMALL.line_height();
    shapes
}

/// `$0.0104/h`, and no more digits than say something.
pub(super) fn show_rate(usd_per_hour: f64) -> String {
    let text = format!("{usd_per_hour:.4}");
    let text = text.strip_suffix("00").unwrap_or(&text);
    format!("${text}/h")
}

/// What a part costs; of what would be added, with its sign: it costs nothing yet.
fn show_price(part: &Part) -> String {
    let sign = if part.presence == Presence::Add { "+" } else { "" };
    format!("{sign}{}", show_rate(part.usd_per_hour))
}

/// The mark of what is not as wanted, on the upper edge at the right.
pub(super) fn chip(presence: Presence, right: f64, top: f64) -> Vec<Shape> {
    let Some((text, class)) = mark(presence) else { return Vec::new() };
    let width = measure(text, CHIP).ceil() + 14.0;
    let place = rect(right - width - 8.0, top - CHIP_RISE, width, 18.0);
    let at = point(place.x + 7.0, place.y + (place.height - CHIP.line_height()) / 2.0);
    vec![Shape::Box { rect: place, radius: 9.0, class }, Shape::Text(Label::new(at, text, CHIP, ON_CHIP))]
}

/// What a mark says: words and signs, so that it needs no colour.
pub(super) const fn mark(presence: Presence) -> Option<(&'static str, &'static str)> {
    match presence {
        Presence::There => None,
        Presence::Missing => Some(("missing", CHIP_MISSING)),
        Presence::Drifted => Some(("≠ drifted", CHIP_CHANGE)),
        Presence::Unexpected => Some(("not in lab.toml", CHIP_CHANGE)),
        Presence::Add => Some(("+ add", CHIP_ADD)),
        Presence::Change => Some(("~ change", CHIP_CHANGE)),
        Presence::Remove => Some(("− remove", CHIP_REMOVE)),
        Presence::Blocked => Some(("up stops here", CHIP_REMOVE)),
        Presence::Unknown => Some(("? not known", CHIP_UNKNOWN)),
    }
}

const fn card_class(presence: Presence) -> &'static str {
    match presence {
        Presence::There => CARD,
        Presence::Missing => CARD_MISSING,
        Presence::Drifted | Presence::Unexpected | Presence::Change => CARD_DRIFTED,
        Presence::Add => CARD_ADD,
        Presence::Remove | Presence::Blocked => CARD_REMOVE,
        Presence::Unknown => CARD_UNKNOWN,
    }
}

/// The colours of a line: its own where everything is as wanted.
pub(super) const fn line_class(presence: Presence, own: &'static str) -> &'static str {
    match presence {
        Presence::There => own,
        Presence::Missing => LINE_MISSING,
        Presence::Drifted | Presence::Unexpected | Presence::Change => LINE_CHANGE,
        Presence::Add => LINE_ADD,
        Presence::Remove | Presence::Blocked => LINE_REMOVE,
        Presence::Unknown => LINE_UNKNOWN,
    }
}

const fn dot_class(health: Health) -> &'static str {
    match health {
        Health::Good => GOOD,
        Health::Busy => BUSY,
        Health::Bad => BAD,
        Health::Off => OFF,
    }
}

/// A frame around others, with the mark of its part. What is not there yet has no ground of its own.
pub(super) fn frame(place: Rect, presence: Presence, radius: f64, own: &'static str) -> Vec<Shape> {
    let border = line_class(presence, own);
    let mut shapes = Vec::new();
    if !matches!(presence, Presence::Missing | Presence::Add) {
        shapes.push(Shape::Box { rect: place, radius, class: own });
    }
    if border != own {
        shapes.push(Shape::Box { rect: place, radius, class: border });
    }
    shapes.extend(chip(presence, place.right(), place.y));
    shapes
}

/// A frame's sign, name and what else there is to say, from 0,0.
pub(super) fn header(icon: Option<Icon>, name: &str, lines: &[String], width: f64) -> Block {
    const SIGN: f64 = 20.0;
    let left = if icon.is_some() { SIGN + 8.0 } else { 0.0 };
    let mut group = Group::new(clean(name));
    if let Some(icon) = icon {
        group.shapes.push(Shape::Icon { icon, rect: rect(0.0, 0.0, SIGN, SIGN) });
    }
    let mut y = 2.0;
    let service = icon.and_then(Icon::service).map(|service| (service.to_owned(), SERVICE, MUTED));
    let face = if icon.is_some() { NAME } else { SMALL };
    let own_lines = wrap(name, face, width - left, 3).into_iter().map(|line| (line, face, TEXT));
    let others = lines.iter().flat_map(|line| wrap(line, SMALL, width - left, 3));
    let mut used = 0.0_f64;
    for (line, face, class) in service.into_iter().chain(own_lines).chain(others.map(|line| (line, SMALL, MUTED))) {
        let label = Label::new(point(left, y), line, face, class);
        used = used.max(label.rect.right());
        group.shapes.push(Shape::Text(label));
        y += face.line_height();
    }
    Block { width: used.max(left), height: y.max(if icon.is_some() { SIGN } else { 0.0 }), groups: vec![group] }
}

/// [`tell`], with what AWS calls it.
fn tell_with(icon: Icon, part: &Part) -> String {
    let told = tell(part);
    icon.service()
        .filter(|_| part.service.is_none())
        .map_or_else(|| told.clone(), |service| format!("{service} {told}"))
}

/// Whether something is not there, or will not be, or may not be.
pub(super) const fn is_absent(presence: Presence) -> bool {
    use Presence::{Add, Blocked, Missing, Remove, Unknown};
    matches!(presence, Missing | Add | Remove | Blocked | Unknown)
}

/// What a line's label says of how it stands: ` (missing)`; nothing where it is as wanted.
pub(crate) fn tell_mark(presence: Presence) -> String {
    mark(presence).map(|(mark, _)| format!(" ({mark})")).unwrap_or_default()
}

/// How a line between two stands that has a word of its own to say.
pub(super) const fn join_own(own: Presence, one: Presence, other: Presence) -> Presence {
    match join_presence(one, other) {
        Presence::There => own,
        joined => joined,
    }
}

/// How a line between two stands: as the one of them that is not there.
pub(super) const fn join_presence(one: Presence, other: Presence) -> Presence {
    if is_absent(one) {
        one
    } else if is_absent(other) {
        other
    } else {
        Presence::There
    }
}

/// Everything about a part in one text: for whoever rests the pointer on it, and for whoever cannot see it.
pub(crate) fn tell(part: &Part) -> String {
    let service = part.service.as_ref().map(|service| format!("{} ", clean(service))).unwrap_or_default();
    let mut parts = vec![format!("{service}{}", clean(&part.name))];
    parts.extend(part.lines.iter().map(|line| clean(line)));
    parts.extend(part.id.iter().filter(|id| **id != part.name).map(|id| clean(id)));
    parts.extend(part.state.iter().map(|(state, _)| clean(state)));
    if part.usd_per_hour > 0.0 {
        parts.push(show_price(part));
    }
    parts.extend(mark(part.presence).map(|(mark, _)| mark.to_owned()));
    parts.extend(part.why.iter().map(|why| clean(why)));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}
