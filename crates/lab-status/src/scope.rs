//! Whose things are looked for: one lab's, or every lab's. Pure.

use aws_sdk_ec2::types::Filter;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use lab_common::{Account, Names, Session, Tags};
use lab_plan::Heading;

use crate::thing::Label;

/// Whose things are looked for.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// One lab's, by its tags and by the names that AWS wants unique.
    Lab(Box<LabScope>),
    /// Every lab's of the account, by their tags.
    All,
}

/// One lab.
#[derive(Debug, Clone)]
pub(crate) struct LabScope {
    pub(crate) heading: Heading,
    pub(crate) names: Names,
    pub(crate) account: Account,
    /// The buckets of lab.toml.
    pub(crate) buckets: Vec<String>,
    /// The function of lab.toml.
    pub(crate) function: Option<String>,
}

impl Scope {
    pub(crate) fn of(session: &Session) -> Self {
        let images = session.lab.images.as_ref();
        Self::Lab(Box::new(LabScope {
            heading: session.heading(),
            names: session.names.clone(),
            account: session.lab.account,
            buckets: images.map(|images| vec![images.input.clone(), images.output.clone()]).unwrap_or_default(),
            function: images.map(|images| images.function.clone()),
        }))
    }

    pub(crate) fn lab(&self) -> Option<&LabScope> {
        match self {
            Self::Lab(lab) => Some(lab),
            Self::All => None,
        }
    }

    /// Whose rules the account has.
    pub(crate) fn account(&self) -> Account {
        self.lab().map_or(Account::Auto, |lab| lab.account)
    }

    /// Whether what bears these tags is looked for.
    pub(crate) fn owns(&self, label: &Label) -> bool {
        match self {
            Self::Lab(lab) => {
                label.lab.as_deref() == Some(&lab.heading.lab) && label.owner.as_deref() == Some(&lab.heading.owner)
            }
            Self::All => label.lab.is_some(),
        }
    }

    /// Whether what has one of the lab's own names is looked for: not where another lab has put its tags on it.
    pub(crate) fn claims(&self, label: &Label, has_our_name: bool) -> bool {
        self.owns(label) || (has_our_name && label.is_nobodys())
    }

    /// Filters of EC2's Describe calls.
    pub(crate) fn ec2_filters(&self) -> Vec<Filter> {
        let filter = |name: String, value: &str| Filter::builder().name(name).values(value).build();
        match self {
            Self::Lab(lab) => vec![
                filter(format!("tag:{}", Tags::LAB), &lab.heading.lab),
                filter(format!("tag:{}", Tags::OWNER), &lab.heading.owner),
            ],
            Self::All => vec![filter("tag-key".into(), Tags::LAB)],
        }
    }

    /// Filters of the Resource Groups Tagging API.
    pub(crate) fn tag_filters(&self) -> Vec<TagFilter> {
        let filter = |key: &str| TagFilter::builder().key(key);
        match self {
            Self::Lab(lab) => vec![
                filter(Tags::LAB).values(&lab.heading.lab).build(),
                filter(Tags::OWNER).values(&lab.heading.owner).build(),
            ],
            Self::All => vec![filter(Tags::LAB).build()],
        }
    }

    /// Whether a bucket or function of this name is worth asking for its tags, though no other call knows it as ours:
    /// the tagging API lags behind, and lab.toml may have been changed.
    pub(crate) fn suspects(&self, name: &str) -> bool {
        match self {
            Self::Lab(lab) => {
                lab.buckets.iter().any(|bucket| bucket == name)
                    || lab.function.as_deref() == Some(name)
                    || name.contains(&lab.heading.owner)
                    || name.starts_with(&format!("{}-", lab.heading.lab))
            }
            Self::All => true,
        }
    }
}
