//! A plan is plain data: steps, what each needs, and what it costs.

use serde::Serialize;

use crate::Usual;
use crate::look::Ink;
use crate::report::round_usd;

/// What a step does to its resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Makes it.
    Create,
    /// Changes it in place.
    Update,
    /// Removes it.
    Delete,
}

impl Action {
    /// The sign in front of a plan's line: `+`, `~` or `-`.
    pub const fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Delete => '-',
        }
    }

    /// The colour that adds to the sign.
    pub(crate) const fn ink(self) -> Ink {
        match self {
            Self::Create => Ink::Good,
            Self::Update => Ink::Change,
            Self::Delete => Ink::Bad,
        }
    }

    /// The verb, as text and JSON say it.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One change, carried out by one call of [`crate::Concern::apply`]. `O` is the concern's own description of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(bound = "")]
pub struct Step<O> {
    /// The role it makes true (`subnet public`), unique in its plan. Others name it in `needs`.
    #[serde(skip)]
    pub role: String,
    /// What it does.
    pub action: Action,
    /// EC2's `ResourceType` name where one exists, else the service's own noun.
    pub kind: &'static str,
    /// The resource's name, as the console shows it.
    pub name: String,
    /// Roles of this plan that must be done first. A role that no step of the plan bears is already there.
    pub needs: Vec<String>,
    /// What the change adds to the burn rate, in US dollars an hour. Negative when it saves.
    pub usd_per_hour: f64,
    /// Why or how, in a few words, where the name does not say it all.
    #[serde(skip)]
    pub detail: String,
    /// How long it usually takes, where that is worth knowing: from some ten seconds on.
    #[serde(skip)]
    pub usual: Option<Usual>,
    /// A question that must be answered with yes before the plan is applied.
    #[serde(skip)]
    pub ask: Option<String>,
    /// What exactly is done: the concern's own business.
    #[serde(skip)]
    pub op: O,
}

impl<O> Step<O> {
    /// A step that needs nothing, costs nothing and asks nothing.
    pub fn new(action: Action, kind: &'static str, role: impl Into<String>, name: impl Into<String>, op: O) -> Self {
        Self {
            role: role.into(),
            action,
            kind,
            name: name.into(),
            needs: Vec::new(),
            usd_per_hour: 0.0,
            detail: String::new(),
            usual: None,
            ask: None,
            op,
        }
    }

    /// Waits for these roles, where the plan holds them.
    #[must_use]
    pub fn needs<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.needs.extend(roles.into_iter().map(Into::into));
        self
    }

    /// Adds a few words on why or how.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Changes the burn rate by this many dollars an hour.
    #[must_use]
    pub fn costs(mut self, usd_per_hour: f64) -> Self {
        self.usd_per_hour = round_usd(usd_per_hour);
        self
    }

    /// Says how long it usually takes.
    #[must_use]
    pub fn usually(mut self, usual: Usual) -> Self {
        self.usual = Some(usual);
        self
    }

    /// `create subnet lab-public-subnet`
    pub fn title(&self) -> String {
        format!("{} {} {}", self.action.verb(), self.kind, self.name)
    }
}

/// What must change, and what need not.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<O> {
    /// The changes, in an order a reader can follow; `needs` alone decides the order of work.
    pub steps: Vec<Step<O>>,
    /// How many resources are as they should be.
    pub unchanged: usize,
    /// What this concern costs once the plan is applied, in US dollars an hour.
    pub usd_per_hour: f64,
}

impl<O> Default for Plan<O> {
    fn default() -> Self {
        Self { steps: Vec::new(), unchanged: 0, usd_per_hour: 0.0 }
    }
}

impl<O> Plan<O> {
    /// Nothing to change.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What applying it adds to the burn rate, in US dollars an hour; savings do not count against additions.
    pub fn added_usd_per_hour(&self) -> f64 {
        self.steps.iter().map(|step| step.usd_per_hour).filter(|usd| *usd > 0.0).sum()
    }
}
