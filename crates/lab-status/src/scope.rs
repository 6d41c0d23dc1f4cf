//! Whose things are looked for: one lab's, or every lab's. Pure.

use aws_sdk_ec2::types::Filter;
use aws_sdk_resourcegroupstagging::types::TagFilter;
use lab_common::{Access, Account, LabArgs, Names, Session, Tags, repeat_access, repeat_options};
use lab_plan::Heading;

use crate::thing::Label;

/// Whose things are looked for.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// One lab's, by its tags and by the names that AWS wants unique.
    Lab(Box<LabScope>),
    /// Every lab's of the account, by their tags.
    All(Options),
}

/// What a printed command needs to find the same lab, account and Region again: options, each with a space before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Of the programs.
    pub(crate) program: String,
    /// Of AWS's own command line.
    pub(crate) aws: String,
}

impl Options {
    /// One lab's, as the user has named it.
    fn of_lab(args: &LabArgs, session: &Session) -> Self {
        Self { program: repeat_options(args, &session.lab.owner), aws: repeat_access(args, Some(&session.region)) }
    }

    /// Every lab's: the Region may be another one than the lab's own file says.
    pub(crate) fn of_all(args: &LabArgs, access: &Access) -> Self {
        let options = repeat_access(args, Some(&access.region));
        Self { program: options.clone(), aws: options }
    }
}

/// One lab.
#[derive(Debug, Clone)]
pub(crate) struct LabScope {
    pub(crate) heading: Heading,
    pub(crate) names: Names,
    pub(crate) account: Account,
    pub(crate) options: Options,
    /// The buckets of lab.toml.
    pub(crate) buckets: Vec<String>,
    /// The function of lab.toml.
    pub(crate) function: Option<String>,
}

impl LabScope {
    /// Whether a queue of the lab has this name.
    pub(crate) fn is_queue(&self, name: &str) -> bool {
        self.function.is_some() && [self.names.image_queue(), self.names.dead_letters()].iter().any(|it| it == name)
    }
}

impl Scope {
    pub(crate) fn of(args: &LabArgs, session: &Session) -> Self {
        let images = session.lab.images.as_ref();
        Self::Lab(Box::new(LabScope {
            heading: session.heading(),
            names: session.names.clone(),
            account: session.lab.account,
            options: Options::of_lab(args, session),
            buckets: images.map(|images| vec![images.input.clone(), images.output.clone()]).unwrap_or_default(),
            function: images.map(|images| images.function.clone()),
        }))
    }

    pub(crate) fn lab(&self) -> Option<&LabScope> {
        match self {
            Self::Lab(lab) => Some(lab),
            Self::All(_) => None,
        }
    }

    /// What a printed command needs to find the same again.
    pub(crate) fn options(&self) -> &Options {
        match self {
            Self::Lab(lab) => &lab.options,
            Self::All(options) => options,
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
            Self::All(_) => label.lab.is_some(),
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
            Self::All(_) => vec![filter("tag-key".into(), Tags::LAB)],
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
            Self::All(_) => vec![filter(Tags::LAB).build()],
        }
    }

    /// Whether a bucket or function of this name is worth asking for its tags, though no other call knows it as ours:
    /// the tagging API lags behind, and lab.toml may have been changed.
    pub(crate) fn suspects(&self, name: &str) -> bool {
        match self {
            Self::Lab(lab) => {
                lab.buckets.iter().any(|bucket| bucket == name)
                    || lab.function.as_deref() == Some(name)
                    || has_component(name, &lab.heading.owner)
                    || name.starts_with(&format!("{}-", lab.heading.lab))
            }
            Self::All(_) => true,
        }
    }
}

/// Whether `part` stands in `name` as whole components: `ada` in `lab-input-ada-2`, not in `canada-logs`.
fn has_component(name: &str, part: &str) -> bool {
    format!("-{name}-").contains(&format!("-{part}-"))
}

#[cfg(test)]
mod tests {
    use crate::testing::hol02;

    #[test]
    fn a_name_that_only_holds_the_owner_s_letters_is_not_suspected() {
        let scope = hol02();
        for name in ["photos-ada", "ada-photos", "old-ada-photos", "lab-photos"] {
            assert!(scope.suspects(name), "{name}");
        }
        for name in ["canada-audit-logs", "adamant", "collab-x"] {
            assert!(!scope.suspects(name), "{name}");
        }
    }
}
