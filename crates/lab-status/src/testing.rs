//! Samples for tests.

use lab_common::{HOL02, Names, Overrides, read_lab};
use lab_plan::{Heading, Resource};

use crate::leaks::Total;
use crate::scope::{LabScope, Options, Scope};
use crate::show::Inventory;
use crate::thing::Label;

/// The tags of `owner`'s lab.
pub(crate) fn label(owner: &str) -> Label {
    Label { lab: Some("lab".into()), owner: Some(owner.into()), ..Label::default() }
}

/// The built-in lab of ada.
pub(crate) fn hol02() -> Scope {
    let overrides = Overrides { owner: Some("ada".into()), region: None };
    let lab = read_lab("hol02", HOL02, &overrides).unwrap();
    let images = lab.images.as_ref().unwrap();
    Scope::Lab(Box::new(LabScope {
        heading: Heading { lab: "lab".into(), owner: "ada".into(), region: "us-east-1".into() },
        names: Names::new(&lab),
        account: lab.account,
        options: Options::default(),
        buckets: vec![images.input.clone(), images.output.clone()],
        function: Some(images.function.clone()),
    }))
}

/// What was found where these resources are all that there is.
pub(crate) fn inventory(resources: Vec<Resource>) -> Inventory {
    Inventory {
        hour: None,
        resources,
        others: Vec::new(),
        leaving: Vec::new(),
        total: Total::default(),
        unread: Vec::new(),
        knows_tags: true,
        notes: Vec::new(),
    }
}

/// As a screen reader hears it.
pub(crate) fn plain() -> lab_plan::Look {
    let mut look = lab_plan::Look::page(None);
    look.plain = true;
    look
}
