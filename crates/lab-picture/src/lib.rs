//! A lab as a picture: VPC, zones, subnets, hosts, gateways, VPN, buckets and function, and who may reach whom.
//!
//! A [`Scene`] is plain data. The layout ([`arrange`]) is made for this one shape and gives every text its room; the SVG
//! needs nothing around it: colours for light and dark, titles and a description are in it. Nothing here knows AWS.

mod colours;
mod describe;
mod drawing;
mod geometry;
mod icons;
mod layout;
mod png;
mod scene;
mod text;
mod write;

pub use drawing::{Drawing, Group, Label, Shape};
pub use geometry::{Point, Rect};
pub use icons::Icon;
pub use png::{Png, PngError, choose_scale, to_png};
pub use scene::{Health, Host, Inbound, Part, Pipeline, Presence, Route, Scene, Source, Subnet, View, Vpc, Vpn};
pub use text::Face;

/// Lays a lab out.
pub fn arrange(scene: &Scene) -> Drawing {
    layout::arrange(scene)
}

/// Lays many labs out on one sheet.
pub fn arrange_all(scenes: &[Scene], title: &str) -> Drawing {
    layout::arrange_all(scenes, title)
}

/// Lays many labs out below each other, for a page that is scrolled.
pub fn arrange_list(scenes: &[Scene], title: &str) -> Drawing {
    layout::arrange_list(scenes, title)
}

/// Writes it as SVG, ready for a file or for the middle of a page.
pub fn to_svg(drawing: &Drawing) -> String {
    write::to_svg(drawing)
}
