//! Pictures out of a picture: the bytes of any supported image and a [`Recipe`] become upright, clean pictures in sRGB.
//! No AWS, no files, no network.
//!
//! Whoever may upload decides what is in these bytes, so nothing in them is believed: the claimed size is checked before
//! anything is allocated for it, and a file that ends early is refused, not filled up with grey.

mod colour;
mod decode;
mod encode;
mod engine;
mod limits;
mod picture;
mod plan;
mod raster;
mod reason;
mod recipe;
mod scale;
mod watermark;

pub use engine::{Engine, Made, Picture, Source, SourceFormat, Times};
pub use limits::Limits;
pub use reason::Reason;
pub use recipe::{Depth, Fit, Format, Recipe, RecipeError, Resize};
