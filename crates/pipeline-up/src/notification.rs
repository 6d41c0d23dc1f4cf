//! The input bucket's notification configuration: our entry in it, and the rest, which is kept. Pure.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, S3KeyFilter,
};
use lab_plan::Problem;
use serde::Serialize;

use crate::want::Filter;

/// The id of our entry: the only one that we touch.
pub(crate) const ENTRY_ID: &str = "hybrid-lab";
/// Every way in which an object comes to be: put, post, copy, completed multipart upload.
const EVENT: Event = Event::S3ObjectCreated;

/// The entry that lab.toml wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// The function's ARN, without a version.
    pub function: String,
    /// Which objects.
    pub filter: Filter,
}

impl Trigger {
    /// In S3's own words.
    ///
    /// # Errors
    /// When the SDK refuses to build it, which only a missing field could cause.
    pub(crate) fn to_entry(&self) -> Result<LambdaFunctionConfiguration, Problem> {
        let Filter { prefix, suffix } = &self.filter;
        let pairs = [(FilterRuleName::Prefix, prefix), (FilterRuleName::Suffix, suffix)];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let rules: Vec<_> = given.map(|(name, value)| FilterRule::builder().name(name).value(value).build()).collect();
        let key = S3KeyFilter::builder().set_filter_rules(Some(rules.clone())).build();
        let filter = NotificationConfigurationFilter::builder().key(key).build();
        LambdaFunctionConfiguration::builder()
            .id(ENTRY_ID)
            .lambda_function_arn(&self.function)
            .events(EVENT)
            .set_filter((!rules.is_empty()).then_some(filter))
            .build()
            .map_err(|error| Problem::failed("the notification cannot be built").because(error.to_string()))
    }

    /// Whether `entry` does what we want, whatever its id.
    fn is_done_by(&self, entry: &LambdaFunctionConfiguration) -> bool {
        entry.lambda_function_arn() == self.function
            && entry.events() == [EVENT]
            && read_filter(entry.filter()) == self.filter
    }
}

/// How our entry stands in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not there.
    Absent,
    /// There, but with another function, event or filter.
    Different,
    /// As it should be.
    Right,
}

/// Looks for our entry. One that does the same under another id, made in the console perhaps, will do.
pub(crate) fn find_trigger(live: &NotificationConfiguration, trigger: &Trigger) -> Found {
    let entries = live.lambda_function_configurations();
    if entries.iter().any(|entry| trigger.is_done_by(entry)) {
        Found::Right
    } else if entries.iter().any(is_ours) {
        Found::Different
    } else {
        Found::Absent
    }
}

/// Whether our entry is in it, whatever it says.
pub(crate) fn has_entry(live: &NotificationConfiguration) -> bool {
    live.lambda_function_configurations().iter().any(is_ours)
}

/// The configuration with `entry` as ours, or without any of ours; all else is kept as it is.
pub(crate) fn replace_entry(
    mut live: NotificationConfiguration,
    entry: Option<LambdaFunctionConfiguration>,
) -> NotificationConfiguration {
    let mut entries = live.lambda_function_configurations.take().unwrap_or_default();
    entries.retain(|entry| !is_ours(entry));
    entries.extend(entry);
    live.lambda_function_configurations = (!entries.is_empty()).then_some(entries);
    live
}

/// Another entry that S3 would not have beside ours: a common event, and keys that pass both filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// The other entry's id.
    pub(crate) id: String,
    /// The ARN of the function, queue or topic it tells.
    pub(crate) target: String,
    /// Its filter.
    pub(crate) filter: Filter,
}

/// The first entry that overlaps with `trigger`. S3 answers such a configuration with the same message as a missing
/// permission, so it is found out here.
pub(crate) fn find_overlap(live: &NotificationConfiguration, trigger: &Trigger) -> Option<Overlap> {
    let functions = live.lambda_function_configurations().iter().filter(|entry| !is_ours(entry));
    let functions = functions.map(|it| (it.id(), it.lambda_function_arn(), it.events(), it.filter()));
    let queues = live.queue_configurations().iter().map(|it| (it.id(), it.queue_arn(), it.events(), it.filter()));
    let topics = live.topic_configurations().iter().map(|it| (it.id(), it.topic_arn(), it.events(), it.filter()));
    functions.chain(queues).chain(topics).find_map(|(id, target, events, filter)| {
        let filter = read_filter(filter);
        let overlaps = events.iter().any(is_creation) && overlap(&filter, &trigger.filter);
        overlaps.then(|| Overlap { id: id.unwrap_or("without an id").into(), target: target.into(), filter })
    })
}

/// Whether some entry of this configuration invokes `function`, in whatever version.
pub(crate) fn invokes(live: &NotificationConfiguration, function: &str) -> bool {
    let qualified = format!("{function}:");
    live.lambda_function_configurations()
        .iter()
        .any(|entry| entry.lambda_function_arn() == function || entry.lambda_function_arn().starts_with(&qualified))
}

fn is_ours(entry: &LambdaFunctionConfiguration) -> bool {
    entry.id() == Some(ENTRY_ID)
}

fn is_creation(event: &Event) -> bool {
    event.as_str().starts_with("s3:ObjectCreated:")
}

/// Whether some key passes both: one prefix begins with the other, and one suffix ends with the other.
fn overlap(a: &Filter, b: &Filter) -> bool {
    let prefixes = a.prefix.starts_with(&b.prefix) || b.prefix.starts_with(&a.prefix);
    let suffixes = a.suffix.ends_with(&b.suffix) || b.suffix.ends_with(&a.suffix);
    prefixes && suffixes
}

fn read_filter(filter: Option<&NotificationConfigurationFilter>) -> Filter {
    let rules = filter.and_then(NotificationConfigurationFilter::key).map_or(&[][..], S3KeyFilter::filter_rules);
    // S3 answers `Prefix` where `prefix` was written.
    let value = |name: FilterRuleName| {
        let named = |rule: &&FilterRule| rule.name().is_some_and(|it| it.as_str().eq_ignore_ascii_case(name.as_str()));
        rules.iter().find(named).and_then(FilterRule::value).unwrap_or_default().to_owned()
    };
    Filter { prefix: value(FilterRuleName::Prefix), suffix: value(FilterRuleName::Suffix) }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{EventBridgeConfiguration, QueueConfiguration, TopicConfiguration};
    use proptest::prelude::*;

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function";

    fn trigger(prefix: &str, suffix: &str) -> Trigger {
        Trigger { function: FUNCTION.into(), filter: Filter { prefix: prefix.into(), suffix: suffix.into() } }
    }

    fn entry(id: &str, function: &str, event: &str, filter: &Filter) -> LambdaFunctionConfiguration {
        let template = Trigger { function: function.into(), filter: filter.clone() }.to_entry().unwrap();
        let builder = LambdaFunctionConfiguration::builder().id(id).lambda_function_arn(function).events(event.into());
        builder.set_filter(template.filter).build().unwrap()
    }

    fn queue(event: &str, prefix: &str) -> NotificationConfiguration {
        let filter = trigger(prefix, "").to_entry().unwrap().filter;
        let queue = QueueConfiguration::builder().id("q").queue_arn("arn:aws:sqs:us-east-1:1:q").events(event.into());
        NotificationConfiguration::builder().queue_configurations(queue.set_filter(filter).build().unwrap()).build()
    }

    #[test]
    fn our_entry_listens_to_every_creation_under_its_filter() {
        let entry = trigger("in/", ".png").to_entry().unwrap();
        assert_eq!(entry.id(), Some("hybrid-lab"));
        assert_eq!(entry.events(), [Event::from("s3:ObjectCreated:*")]);
        assert_eq!(read_filter(entry.filter()), trigger("in/", ".png").filter);
        assert_eq!(trigger("", "").to_entry().unwrap().filter(), None);
    }

    #[test]
    fn the_same_trigger_under_another_id_will_do_and_is_not_ours_to_remove() {
        let theirs = entry("console", FUNCTION, "s3:ObjectCreated:*", &Filter::default());
        let live = NotificationConfiguration::builder().lambda_function_configurations(theirs).build();
        assert_eq!(find_trigger(&live, &trigger("", "")), Found::Right);
        assert_eq!(find_trigger(&live, &trigger("in/", "")), Found::Absent);
        assert_eq!(replace_entry(live.clone(), None), live);
    }

    #[test]
    fn overlaps_are_found_with_whatever_is_told() {
        assert_eq!(find_overlap(&queue("s3:ObjectCreated:Put", "in/"), &trigger("", "")).unwrap().id, "q");
        assert_eq!(find_overlap(&queue("s3:ObjectCreated:Put", "in/"), &trigger("in/a", ".png")).unwrap().id, "q");
        assert_eq!(find_overlap(&queue("s3:ObjectCreated:Put", "in/"), &trigger("out/", "")), None);
        assert_eq!(find_overlap(&queue("s3:ObjectRemoved:*", ""), &trigger("", "")), None);
    }

    #[test]
    fn a_function_is_recognised_in_any_version_and_not_by_half_its_name() {
        let live = |arn: &str| {
            let entry = entry("x", arn, "s3:ObjectCreated:*", &Filter::default());
            NotificationConfiguration::builder().lambda_function_configurations(entry).build()
        };
        assert!(invokes(&live(FUNCTION), FUNCTION));
        assert!(invokes(&live(&format!("{FUNCTION}:live")), FUNCTION));
        assert!(!invokes(&live(&format!("{FUNCTION}-2")), FUNCTION));
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        ("[ab/]{0,3}", "[ab.]{0,3}").prop_map(|(prefix, suffix)| Filter { prefix, suffix })
    }

    fn any_entry() -> impl Strategy<Value = LambdaFunctionConfiguration> {
        let id = prop_oneof![Just(ENTRY_ID.to_owned()), "[a-z]{1,4}"];
        let event = prop_oneof![Just("s3:ObjectCreated:*"), Just("s3:ObjectCreated:Put"), Just("s3:ObjectRemoved:*")];
        (id, "[fg]", event, any_filter())
            .prop_map(|(id, function, event, filter)| entry(&id, &function, event, &filter))
    }

    fn any_configuration() -> impl Strategy<Value = NotificationConfiguration> {
        (prop::collection::vec(any_entry(), 0..4), any::<[bool; 3]>()).prop_map(|(entries, [queue, topic, bridge])| {
            let queues = QueueConfiguration::builder().queue_arn("q").events("s3:ObjectRemoved:*".into()).build();
            let topics = TopicConfiguration::builder().topic_arn("t").events("s3:ObjectRestore:*".into()).build();
            NotificationConfiguration::builder()
                .set_lambda_function_configurations((!entries.is_empty()).then_some(entries))
                .set_queue_configurations(queue.then(|| vec![queues.unwrap()]))
                .set_topic_configurations(topic.then(|| vec![topics.unwrap()]))
                .set_event_bridge_configuration(bridge.then(|| EventBridgeConfiguration::builder().build()))
                .build()
        })
    }

    proptest! {
        #[test]
        fn merging_keeps_all_else_and_removing_undoes_it(live in any_configuration(), filter in any_filter()) {
            let trigger = Trigger { function: FUNCTION.into(), filter };
            let merged = replace_entry(live.clone(), Some(trigger.to_entry().unwrap()));
            let others = |it: &NotificationConfiguration| -> Vec<_> {
                it.lambda_function_configurations().iter().filter(|entry| !is_ours(entry)).cloned().collect()
            };
            prop_assert_eq!(others(&merged), others(&live));
            prop_assert_eq!(merged.queue_configurations(), live.queue_configurations());
            prop_assert_eq!(merged.topic_configurations(), live.topic_configurations());
            prop_assert_eq!(merged.event_bridge_configuration(), live.event_bridge_configuration());
            prop_assert_eq!(find_trigger(&merged, &trigger), Found::Right);
            prop_assert_eq!(merged.lambda_function_configurations().iter().filter(|it| is_ours(it)).count(), 1);
            let again = replace_entry(merged.clone(), Some(trigger.to_entry().unwrap()));
            prop_assert_eq!(&again, &merged);
            let removed = replace_entry(merged, None);
            prop_assert_eq!(others(&removed), others(&live));
            prop_assert!(!has_entry(&removed));
        }

        #[test]
        fn filters_overlap_exactly_when_a_key_passes_both(a in any_filter(), b in any_filter(), middle in "[ab/.]{0,2}") {
            let passes = |key: &str, filter: &Filter| key.starts_with(&filter.prefix) && key.ends_with(&filter.suffix);
            let longer = |x: &String, y: &String| if x.len() < y.len() { y.clone() } else { x.clone() };
            let key = longer(&a.prefix, &b.prefix) + &middle + &longer(&a.suffix, &b.suffix);
            prop_assert_eq!(overlap(&a, &b), passes(&key, &a) && passes(&key, &b));
            prop_assert_eq!(overlap(&a, &b), overlap(&b, &a));
        }
    }
}
