//! The Ubuntu image that Canonical's parameters name. moto has old Ubuntu images only: one of them stands for the release
//! that was asked for, and is shown with that release's name.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sim::{Sim, lock};
use crate::xml::Element;

/// Canonical's account, the owner of the Ubuntu images.
const CANONICAL: &str = "099720109477";

/// The release that an image stands for, by Region and image id.
pub(crate) type ImageBook = HashMap<(String, String), String>;

/// The id of an x86_64 Ubuntu image that moto's EC2 knows, to stand for `release` (`24.04`) from now on.
pub(crate) async fn find_ubuntu_image(sim: &Arc<Sim>, region: &str, release: &str) -> Option<String> {
    let known = lock(&sim.ec2.images)
        .iter()
        .find(|((known_region, _), known_release)| known_region == region && *known_release == release)
        .map(|((_, id), _)| id.clone());
    if known.is_some() {
        return known;
    }
    let root = sim.moto.ec2(region, "DescribeImages", &[("Owner.1", CANONICAL)]).await?;
    let mut book = lock(&sim.ec2.images);
    let id = root
        .items("imagesSet")
        .iter()
        .filter(|image| image.child_text("architecture").as_deref() == Some("x86_64"))
        .filter_map(|image| image.child_text("imageId"))
        .find(|id| !book.contains_key(&(region.to_owned(), id.clone())))?;
    book.insert((region.to_owned(), id.clone()), release.to_owned());
    Some(id)
}

/// Shows the images of a DescribeImages answer under the names that they stand for.
pub(crate) fn show_names(sim: &Sim, root: &mut Element) {
    let book = lock(&sim.ec2.images);
    let Some(images) = root.child_mut("imagesSet") else { return };
    for image in images.elements_mut() {
        let id = image.child_text("imageId").unwrap_or_default();
        if let Some((_, release)) = book.iter().find(|((_, known), _)| *known == id) {
            image.set_child_text("name", &format!("ubuntu/images/hvm-ssd-gp3/ubuntu-{release}-amd64-server"));
            image.set_child_text("description", &format!("Canonical, Ubuntu, {release}, amd64"));
        }
    }
}
