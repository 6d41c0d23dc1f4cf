//! The tags by which everything of a lab is found again.

use crate::Lab;

/// The tags of one lab. What bears them is ours; nothing else is ever changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    lab: String,
    owner: String,
}

impl Tags {
    /// The console's name column.
    pub const NAME: &'static str = "Name";
    /// Which lab a resource belongs to.
    pub const LAB: &'static str = "hybrid-lab:lab";
    /// Whose lab it is.
    pub const OWNER: &'static str = "hybrid-lab:owner";
    /// What it is in its lab (`subnet public`).
    pub const ROLE: &'static str = "hybrid-lab:role";
    /// Which attempt of which run made it: how a create whose answer was lost is found again.
    pub const ATTEMPT: &'static str = "hybrid-lab:attempt";
    /// The number that its run has drawn for it: which of two is kept that runs made at the same moment.
    pub const NUMBER: &'static str = "hybrid-lab:number";

    /// The tags of `lab`.
    pub fn new(lab: &Lab) -> Self {
        Self { lab: lab.name.clone(), owner: lab.owner.clone() }
    }

    /// Key and value of every tag of the resource called `name` in this `role`.
    pub fn of(&self, role: &str, name: &str) -> [(&'static str, String); 4] {
        [
            (Self::NAME, name.to_owned()),
            (Self::LAB, self.lab.clone()),
            (Self::OWNER, self.owner.clone()),
            (Self::ROLE, role.to_owned()),
        ]
    }

    /// The two tags that everything of this lab bears, and nothing else.
    pub fn common(&self) -> [(&'static str, String); 2] {
        [(Self::LAB, self.lab.clone()), (Self::OWNER, self.owner.clone())]
    }

    /// Whether a resource with these tags belongs to this lab.
    pub fn match_all<'a>(&self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        let (mut lab, mut owner) = (false, false);
        for (key, value) in tags {
            lab |= key == Self::LAB && value == self.lab;
            owner |= key == Self::OWNER && value == self.owner;
        }
        lab && owner
    }
}
