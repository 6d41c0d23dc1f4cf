//! A bucket's notification configuration: reading it, the rules S3 checks it by, and what it says about an event. Pure.

use crate::sqs::QueueRef;
use crate::xml::Element;

/// Whom a bucket tells about an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// By its ARN.
    Function(String),
    Queue(QueueRef),
    /// By its ARN.
    Topic(String),
}

/// One destination with the events that it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) destination: Destination,
    rule: EventRule,
}

/// Which events a configuration is about, whatever its destination is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EventRule {
    /// `s3:ObjectCreated:*`, `s3:ObjectCreated:Put`, …
    events: Vec<String>,
    prefix: String,
    suffix: String,
}

/// The elements whose content is a configuration with events and a filter, and where each names its destination.
const CONFIGURATIONS: &[(&str, &str)] = &[
    ("CloudFunctionConfiguration", "CloudFunction"),
    ("QueueConfiguration", "Queue"),
    ("TopicConfiguration", "Topic"),
];

/// The element that sends every event to `EventBridge`.
const EVENT_BRIDGE: &str = "EventBridgeConfiguration";

/// What S3 can tell about (S3 user guide, "Supported event types").
const EVENTS: &[&str] = &[
    "s3:IntelligentTiering",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleTransition",
    "s3:ObjectAcl:Put",
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Put",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectRestore:*",
    "s3:ObjectRestore:Completed",
    "s3:ObjectRestore:Delete",
    "s3:ObjectRestore:Post",
    "s3:ObjectTagging:*",
    "s3:ObjectTagging:Delete",
    "s3:ObjectTagging:Put",
    "s3:ReducedRedundancyLostObject",
    "s3:Replication:*",
    "s3:Replication:OperationFailedReplication",
    "s3:Replication:OperationMissedThreshold",
    "s3:Replication:OperationNotTracked",
    "s3:Replication:OperationReplicatedAfterThreshold",
];

/// A bucket's notification configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notification {
    elements: Vec<Element>,
    pub(crate) targets: Vec<Target>,
    pub(crate) event_bridge: bool,
}

impl Notification {
    /// Reads a configuration. What has no id gets one.
    ///
    /// # Errors
    /// What S3 says of a configuration that breaks one of its rules.
    pub(crate) fn read(root: &Element) -> Result<Self, &'static str> {
        let is_known = |name: &str| name == EVENT_BRIDGE || CONFIGURATIONS.iter().any(|(known, _)| *known == name);
        let mut elements: Vec<Element> = root.elements().filter(|element| is_known(&element.name)).cloned().collect();
        let mut targets = Vec::new();
        for element in elements.iter_mut().filter(|element| element.name != EVENT_BRIDGE) {
            complete(element)?;
            targets.push(read_target(element)?);
        }
        let rules = || targets.iter().map(|target| &target.rule);
        if rules().enumerate().any(|(index, one)| rules().skip(index + 1).any(|two| one.overlaps(two))) {
            return Err(INVALID_DESTINATION);
        }
        let event_bridge = elements.iter().any(|element| element.name == EVENT_BRIDGE);
        Ok(Self { elements, targets, event_bridge })
    }

    /// Puts the configurations into an answer.
    pub(crate) fn add_to(&self, root: &mut Element) {
        for element in &self.elements {
            root.push(element.clone());
        }
    }

    /// The destinations that want to know about `event` (`ObjectCreated:Put`) of the object `key`.
    pub(crate) fn matching(&self, event: &str, key: &str) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(move |target| target.rule.matches(event, key))
    }
}

/// What S3 says of a destination that is missing, refuses it, or overlaps with another.
pub(crate) const INVALID_DESTINATION: &str = "Unable to validate the following destination configurations";

/// What S3 adds and how it spells it: an id, and `Prefix` and `Suffix` with a capital.
fn complete(configuration: &mut Element) -> Result<(), &'static str> {
    if configuration.child_text("Id").is_none_or(|id| id.is_empty()) {
        configuration.set_child_text("Id", &uuid::Uuid::new_v4().to_string());
    }
    let mut is_known = true;
    configuration.visit_mut(&mut |element| {
        if element.name == "FilterRule"
            && let Some(name) = element.child_mut("Name")
        {
            match name.text().to_ascii_lowercase().as_str() {
                "prefix" => name.set_text("Prefix"),
                "suffix" => name.set_text("Suffix"),
                _ => is_known = false,
            }
        }
    });
    if is_known { Ok(()) } else { Err("filter rule name must be either prefix or suffix") }
}

fn read_target(configuration: &Element) -> Result<Target, &'static str> {
    let place = CONFIGURATIONS.iter().find(|(name, _)| *name == configuration.name).map_or("", |(_, place)| place);
    let arn = configuration.child_text(place).unwrap_or_default();
    let destination = match place {
        "Queue" => QueueRef::from_arn(&arn).map(Destination::Queue),
        "Topic" => arn.starts_with("arn:").then_some(Destination::Topic(arn)),
        _ => arn.starts_with("arn:").then_some(Destination::Function(arn)),
    };
    let destination = destination.ok_or("The ARN could not be parsed")?;
    let rule = read_rule(configuration);
    if rule.events.is_empty() || rule.events.iter().any(|event| !EVENTS.contains(&event.as_str())) {
        return Err("A specified event is not supported for notifications.");
    }
    Ok(Target { id: configuration.child_text("Id").unwrap_or_default(), destination, rule })
}

fn read_rule(configuration: &Element) -> EventRule {
    let events = configuration.elements().filter(|e| e.name == "Event").map(Element::text).collect();
    let filter = |wanted: &str| {
        configuration
            .descend(&["Filter", "S3Key"])
            .into_iter()
            .flat_map(Element::elements)
            .find(|rule| rule.child_text("Name").is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
            .and_then(|rule| rule.child_text("Value"))
            .unwrap_or_default()
    };
    EventRule { events, prefix: filter("prefix"), suffix: filter("suffix") }
}

impl EventRule {
    fn matches(&self, event: &str, key: &str) -> bool {
        let wanted = self.events.iter().any(|pattern| {
            pattern.strip_prefix("s3:").is_some_and(|pattern| crate::faults::rules::matches_glob(pattern, event))
        });
        wanted && key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }

    /// Whether one event of one key could match both rules.
    fn overlaps(&self, other: &Self) -> bool {
        let events = self.events.iter().any(|one| other.events.iter().any(|two| events_overlap(one, two)));
        let prefixes = self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let suffixes = self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        events && prefixes && suffixes
    }
}

fn events_overlap(one: &str, two: &str) -> bool {
    let stem = |event: &'_ str| event.strip_suffix('*').map(str::to_owned);
    match (stem(one), stem(two)) {
        (None, None) => one == two,
        (Some(stem), None) => two.starts_with(&stem),
        (None, Some(stem)) => one.starts_with(&stem),
        (Some(one), Some(two)) => one.starts_with(&two) || two.starts_with(&one),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn configuration(entries: &[(&str, &str, &str)]) -> Element {
        let mut xml = String::from("<NotificationConfiguration>");
        for (event, prefix, suffix) in entries {
            let _ = write!(
                xml,
                "<CloudFunctionConfiguration><CloudFunction>arn:f</CloudFunction><Event>{event}</Event><Filter><S3Key>\
                 <FilterRule><Name>prefix</Name><Value>{prefix}</Value></FilterRule>\
                 <FilterRule><Name>SUFFIX</Name><Value>{suffix}</Value></FilterRule></S3Key></Filter>\
                 </CloudFunctionConfiguration>"
            );
        }
        xml.push_str("<QueueConfiguration><Queue>arn:aws:sqs:us-east-1:1:q</Queue><Event>s3:ObjectRemoved:*</Event></QueueConfiguration></NotificationConfiguration>");
        Element::parse(xml.as_bytes()).expect("well-formed")
    }

    fn read(entries: &[(&str, &str, &str)]) -> Notification {
        Notification::read(&configuration(entries)).expect("a configuration")
    }

    #[test]
    fn a_target_matches_by_event_prefix_and_suffix_of_the_decoded_key() {
        let notification = read(&[("s3:ObjectCreated:*", "in box/", ".png")]);
        let count = |event: &str, key: &str| notification.matching(event, key).count();
        assert_eq!(count("ObjectCreated:Put", "in box/a+b.png"), 1);
        assert_eq!(count("ObjectCreated:CompleteMultipartUpload", "in box/.png"), 1);
        assert_eq!(count("ObjectCreated:Put", "in+box/a.png"), 0);
        assert_eq!(count("ObjectCreated:Put", "in box/a.PNG"), 0);
        let removed: Vec<_> = notification.matching("ObjectRemoved:Delete", "in box/a.png").collect();
        assert!(matches!(removed[..], [Target { destination: Destination::Queue(_), .. }]), "{removed:?}");
    }

    #[test]
    fn an_answer_shows_an_id_and_capital_filter_names() {
        let notification = read(&[("s3:ObjectCreated:Put", "a", "b")]);
        let mut root = Element::new("NotificationConfiguration");
        notification.add_to(&mut root);
        let document = root.to_document();
        assert!(document.contains("<Name>Prefix</Name>") && document.contains("<Name>Suffix</Name>"), "{document}");
        assert!(!notification.targets[0].id.is_empty());
    }

    #[test]
    fn what_s3_does_not_know_is_refused() {
        let refusal =
            |xml: &str| Notification::read(&Element::parse(xml.as_bytes()).expect("XML")).expect_err("refused");
        let event = configuration(&[("s3:ObjectMoved:*", "", "")]).to_document();
        assert!(refusal(&event).contains("event is not supported"));
        let filter = configuration(&[("s3:ObjectCreated:*", "", "")]).to_document().replace("SUFFIX", "regex");
        assert!(refusal(&filter).contains("prefix or suffix"));
        let queue = configuration(&[]).to_document().replace("arn:aws:sqs:us-east-1:1:q", "q");
        assert!(refusal(&queue).contains("ARN"));
    }

    #[test]
    fn overlaps_need_a_common_event_prefix_and_suffix() {
        let overlap = |entries: &[(&str, &str, &str)]| Notification::read(&configuration(entries)).is_err();
        assert!(overlap(&[("s3:ObjectCreated:*", "", ""), ("s3:ObjectCreated:Put", "a/", "")]));
        assert!(overlap(&[("s3:ObjectCreated:*", "a", ""), ("s3:ObjectCreated:*", "", ".png")]));
        assert!(!overlap(&[("s3:ObjectCreated:*", "a/", ""), ("s3:ObjectCreated:*", "b/", "")]));
        assert!(!overlap(&[("s3:ObjectCreated:Put", "", ""), ("s3:ObjectCreated:Copy", "", "")]));
        assert!(overlap(&[("s3:ObjectRemoved:Delete", "", "")]), "with the queue");
    }

    proptest! {
        #[test]
        fn rules_that_do_not_overlap_never_match_the_same_key(
            prefixes in ("[ab]{0,2}", "[ab]{0,2}"),
            suffixes in ("[ab]{0,2}", "[ab]{0,2}"),
            key in "[ab]{0,6}",
        ) {
            let rule = |prefix: &str, suffix: &str| EventRule {
                events: vec!["s3:ObjectCreated:*".to_owned()],
                prefix: prefix.to_owned(),
                suffix: suffix.to_owned(),
            };
            let (one, two) = (rule(&prefixes.0, &suffixes.0), rule(&prefixes.1, &suffixes.1));
            prop_assert_eq!(one.overlaps(&two), two.overlaps(&one));
            if one.matches("ObjectCreated:Put", &key) && two.matches("ObjectCreated:Put", &key) {
                prop_assert!(one.overlaps(&two));
            }
        }
    }
}
