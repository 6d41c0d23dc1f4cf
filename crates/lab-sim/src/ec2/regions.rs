//! Regions: which of them the account has not enabled, and that they are listed only where all are asked for.

use crate::call::Call;
use crate::sim::Sim;
use crate::xml::Element;

/// Gives the Regions of `--disabled-region` their status, and leaves out what is not enabled unless `AllRegions` is set
/// or they are named.
pub(crate) fn show_regions(sim: &Sim, call: &Call, root: &mut Element) {
    let everything = call.param("AllRegions") == Some("true") || !call.form.list("RegionName").is_empty();
    let Some(regions) = root.child_mut("regionInfo") else { return };
    for region in regions.elements_mut() {
        let disabled = region.child_text("regionName").is_some_and(|name| sim.disabled_regions.contains(&name));
        if disabled {
            region.set_child_text("optInStatus", "not-opted-in");
        }
    }
    if !everything {
        regions.retain(|region| region.child_text("optInStatus").as_deref() != Some("not-opted-in"));
    }
}
