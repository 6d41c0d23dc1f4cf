//! A picture as shapes with absolute places: what the layout makes and the writers write. Tests look at it, too.

use crate::geometry::{Point, Rect, point, rect};
use crate::icons::Icon;
use crate::text::{Face, measure};

/// A finished picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawing {
    /// In pixels.
    pub width: f64,
    /// In pixels.
    pub height: f64,
    /// What it shows, in a few words.
    pub title: String,
    /// What it shows, in whole sentences, for whoever cannot see it.
    pub description: String,
    /// From the lowest to the topmost.
    pub groups: Vec<Group>,
}

/// Shapes that are one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// What it is: shown where the pointer rests. May be empty.
    pub title: String,
    /// Its shapes, from the lowest to the topmost.
    pub shapes: Vec<Shape>,
}

/// A shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A box.
    Box {
        /// Where.
        rect: Rect,
        /// How round its corners are.
        radius: f64,
        /// Its colours: a class of the style sheet.
        class: &'static str,
    },
    /// A line with corners.
    Line {
        /// Its corners.
        points: Vec<Point>,
        /// It ends in an arrow's head.
        arrow: bool,
        /// Its colours.
        class: &'static str,
    },
    /// A line of text.
    Text(Label),
    /// A sign.
    Icon {
        /// Which.
        icon: Icon,
        /// Where: a square.
        rect: Rect,
    },
    /// A state's dot; a ring where the state is off.
    Dot {
        /// Its middle.
        middle: Point,
        /// Its colours.
        class: &'static str,
    },
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The room it takes.
    pub rect: Rect,
    /// Its face and size.
    pub face: Face,
    /// What it says.
    pub text: String,
    /// Its colours.
    pub class: &'static str,
}

impl Label {
    /// A text whose box begins at `at`.
    pub(crate) fn new(at: Point, text: impl Into<String>, face: Face, class: &'static str) -> Self {
        let text = text.into();
        let rect = rect(at.x, at.y, measure(&text, face).ceil(), face.line_height());
        Self { rect, face, text, class }
    }

    /// Where its letters stand.
    pub fn baseline(&self) -> f64 {
        self.rect.y + self.face.ascent()
    }
}

impl Group {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), shapes: Vec::new() }
    }

    pub(crate) fn translated(self, by: Point) -> Self {
        Self { shapes: self.shapes.into_iter().map(|shape| shape.translated(by)).collect(), ..self }
    }
}

impl Shape {
    pub(crate) fn translated(self, by: Point) -> Self {
        match self {
            Self::Box { rect, radius, class } => Self::Box { rect: rect.translated(by), radius, class },
            Self::Line { points, arrow, class } => {
                let points = points.into_iter().map(|one| one.translated(by)).collect();
                Self::Line { points, arrow, class }
            }
            Self::Text(label) => Self::Text(Label { rect: label.rect.translated(by), ..label }),
            Self::Icon { icon, rect } => Self::Icon { icon, rect: rect.translated(by) },
            Self::Dot { middle, class } => Self::Dot { middle: middle.translated(by), class },
        }
    }
}

impl Drawing {
    /// All lines of text.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.shapes().filter_map(|shape| match shape {
            Shape::Text(label) => Some(label),
            _ => None,
        })
    }

    /// All lines, each by its corners.
    pub fn lines(&self) -> impl Iterator<Item = &[Point]> {
        self.shapes().filter_map(|shape| match shape {
            Shape::Line { points, .. } => Some(points.as_slice()),
            _ => None,
        })
    }

    /// All boxes: frames, cards and marks.
    pub fn boxes(&self) -> impl Iterator<Item = (&Rect, &'static str)> {
        self.shapes().filter_map(|shape| match shape {
            Shape::Box { rect, class, .. } => Some((rect, *class)),
            _ => None,
        })
    }

    fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.groups.iter().flat_map(|group| &group.shapes)
    }
}

/// Something with a size, laid out from 0,0 and put into its place later.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) groups: Vec<Group>,
}

impl Block {
    /// Its groups, put into their place.
    pub(crate) fn at(self, x: f64, y: f64) -> Vec<Group> {
        self.groups.into_iter().map(|group| group.translated(point(x, y))).collect()
    }
}
