//! A bucket's notification configuration: reading it, the rules S3 checks it by, and what it says about an event. Pure.

use crate::xml::Element;

/// One function that a bucket tells about its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionTarget {
    pub(crate) id: String,
    pub(crate) function_arn: String,
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

/// The elements whose content is a configuration with events and a filter.
const CONFIGURATIONS: &[&str] = &["CloudFunctionConfiguration", "QueueConfiguration", "TopicConfiguration"];

/// The element that configures a function.
const FUNCTION_CONFIGURATION: &str = "CloudFunctionConfiguration";

/// The functions' part of a notification configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FunctionTargets {
    elements: Vec<Element>,
    pub(crate) targets: Vec<FunctionTarget>,
}

impl FunctionTargets {
    /// Takes the functions' configurations out of `root`, which keeps all others. One without an id gets one.
    pub(crate) fn take_from(root: &mut Element) -> Self {
        let mut elements: Vec<Element> =
            root.elements().filter(|element| element.name == FUNCTION_CONFIGURATION).cloned().collect();
        root.retain(|element| element.name != FUNCTION_CONFIGURATION);
        for element in &mut elements {
            complete(element);
        }
        let targets = elements.iter().map(read_target).collect();
        Self { elements, targets }
    }

    /// Puts the configurations back into an answer.
    pub(crate) fn add_to(&self, root: &mut Element) {
        for element in &self.elements {
            root.push(element.clone());
        }
    }

    /// The functions that want to know about `event` (`ObjectCreated:Put`) of the object `key`.
    pub(crate) fn matching(&self, event: &str, key: &str) -> impl Iterator<Item = &FunctionTarget> {
        self.targets.iter().filter(move |target| target.rule.matches(event, key))
    }
}

/// What S3 adds and how it spells it: an id, and `Prefix` and `Suffix` with a capital.
fn complete(configuration: &mut Element) {
    if configuration.child_text("Id").is_none_or(|id| id.is_empty()) {
        configuration.set_child_text("Id", &uuid::Uuid::new_v4().to_string());
    }
    configuration.visit_mut(&mut |element| {
        if element.name == "FilterRule"
            && let Some(name) = element.child_mut("Name")
        {
            let spelled = if name.text().eq_ignore_ascii_case("prefix") { "Prefix" } else { "Suffix" };
            name.set_text(spelled);
        }
    });
}

fn read_target(configuration: &Element) -> FunctionTarget {
    FunctionTarget {
        id: configuration.child_text("Id").unwrap_or_default(),
        function_arn: configuration.child_text("CloudFunction").unwrap_or_default(),
        rule: read_rule(configuration),
    }
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

/// Whether two configurations of any kind in `root` could be about the same event.
pub(crate) fn has_overlap(root: &Element) -> bool {
    let rules: Vec<EventRule> =
        root.elements().filter(|element| CONFIGURATIONS.contains(&element.name.as_str())).map(read_rule).collect();
    rules.iter().enumerate().any(|(index, one)| rules[index + 1..].iter().any(|two| one.overlaps(two)))
}

/// Whether a function's policy lets S3 invoke it for this bucket. `account` is the bucket owner's.
pub(crate) fn permits_s3(statements: &[serde_json::Value], bucket: &str, account: &str) -> bool {
    let bucket_arn = format!("arn:aws:s3:::{bucket}");
    statements.iter().any(|statement| {
        let is_s3 = ["s3.amazonaws.com", "*"].into_iter().any(|name| {
            holds_text(&statement["Principal"], name) || holds_text(&statement["Principal"]["Service"], name)
        });
        let invokes = ["lambda:InvokeFunction", "lambda:*", "*"]
            .into_iter()
            .any(|action| holds_text(&statement["Action"], action));
        statement["Effect"] == "Allow"
            && is_s3
            && invokes
            && conditions_hold(&statement["Condition"], &bucket_arn, account)
    })
}

/// A policy writes one text as it is and several as a list.
fn holds_text(value: &serde_json::Value, wanted: &str) -> bool {
    value.as_str() == Some(wanted) || value.as_array().is_some_and(|list| list.iter().any(|item| item == wanted))
}

fn conditions_hold(condition: &serde_json::Value, bucket_arn: &str, account: &str) -> bool {
    let operators = condition.as_object().into_iter().flatten();
    operators.flat_map(|(_, keys)| keys.as_object().into_iter().flatten()).all(|(key, pattern)| {
        let actual = match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => bucket_arn,
            "aws:sourceaccount" => account,
            _ => return false,
        };
        let patterns = pattern.as_array().cloned().unwrap_or_else(|| vec![pattern.clone()]);
        patterns
            .iter()
            .filter_map(serde_json::Value::as_str)
            .any(|glob| crate::faults::rules::matches_glob(glob, actual))
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::json;

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
        xml.push_str("<QueueConfiguration><Queue>q</Queue><Event>s3:ObjectRemoved:*</Event></QueueConfiguration></NotificationConfiguration>");
        Element::parse(xml.as_bytes()).expect("well-formed")
    }

    #[test]
    fn a_target_matches_by_event_prefix_and_suffix_of_the_decoded_key() {
        let mut root = configuration(&[("s3:ObjectCreated:*", "in box/", ".png")]);
        let targets = FunctionTargets::take_from(&mut root);
        assert_eq!(root.elements().count(), 1, "the queue stays");
        assert_eq!(targets.matching("ObjectCreated:Put", "in box/a+b.png").count(), 1);
        assert_eq!(targets.matching("ObjectCreated:CompleteMultipartUpload", "in box/.png").count(), 1);
        assert_eq!(targets.matching("ObjectRemoved:Delete", "in box/a.png").count(), 0);
        assert_eq!(targets.matching("ObjectCreated:Put", "in+box/a.png").count(), 0);
        assert_eq!(targets.matching("ObjectCreated:Put", "in box/a.PNG").count(), 0);
    }

    #[test]
    fn an_answer_shows_an_id_and_capital_filter_names() {
        let mut root = configuration(&[("s3:ObjectCreated:Put", "a", "b")]);
        let targets = FunctionTargets::take_from(&mut root);
        targets.add_to(&mut root);
        let document = root.to_document();
        assert!(document.contains("<Name>Prefix</Name>") && document.contains("<Name>Suffix</Name>"), "{document}");
        assert!(!targets.targets[0].id.is_empty());
    }

    #[test]
    fn overlaps_need_a_common_event_prefix_and_suffix() {
        let overlap = |entries: &[(&str, &str, &str)]| has_overlap(&configuration(entries));
        assert!(overlap(&[("s3:ObjectCreated:*", "", ""), ("s3:ObjectCreated:Put", "a/", "")]));
        assert!(overlap(&[("s3:ObjectCreated:*", "a", ""), ("s3:ObjectCreated:*", "", ".png")]));
        assert!(!overlap(&[("s3:ObjectCreated:*", "a/", ""), ("s3:ObjectCreated:*", "b/", "")]));
        assert!(!overlap(&[("s3:ObjectCreated:Put", "", ""), ("s3:ObjectCreated:Copy", "", "")]));
        assert!(overlap(&[("s3:ObjectRemoved:Delete", "", "")]), "with the queue");
    }

    #[test]
    fn a_policy_permits_only_the_bucket_that_it_names() {
        let statement = |arn: &str| {
            json!({ "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" }, "Action": "lambda:InvokeFunction",
                "Condition": { "ArnLike": { "AWS:SourceArn": arn }, "StringEquals": { "AWS:SourceAccount": "1" } } })
        };
        assert!(permits_s3(&[statement("arn:aws:s3:::in")], "in", "1"));
        assert!(permits_s3(&[statement("arn:aws:s3:::*")], "in", "1"));
        assert!(!permits_s3(&[statement("arn:aws:s3:::other")], "in", "1"));
        assert!(!permits_s3(&[statement("arn:aws:s3:::in")], "in", "2"));
        assert!(!permits_s3(&[], "in", "1"));
        let mut events = statement("arn:aws:s3:::in");
        events["Principal"] = json!({ "Service": "events.amazonaws.com" });
        assert!(!permits_s3(&[events], "in", "1"));
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
