//! The input bucket's notification configuration: our entry in it, and the rest, which is kept. Pure.

use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};
use lab_plan::Problem;
use serde::Serialize;

use crate::want::Filter;

/// The id of our entry: the only one that we touch.
pub(crate) const ENTRY_ID: &str = "hybrid-lab";
/// Every way in which an object comes to be: put, post, copy, completed multipart upload.
const EVENT: Event = Event::S3ObjectCreated;
/// The same as S3 writes it.
pub(crate) const EVENTS: &str = "s3:ObjectCreated:*";

/// The entry that lab.toml wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trigger {
    /// Whom S3 tells.
    pub target: Target,
    /// Which objects.
    pub filter: Filter,
}

/// Whom S3 tells of a new object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Target {
    /// The function's ARN, without a version.
    Function(String),
    /// The queue's ARN.
    Queue(String),
}

impl Target {
    /// Its ARN.
    pub(crate) fn arn(&self) -> &str {
        let (Self::Function(arn) | Self::Queue(arn)) = self;
        arn
    }
}

/// Our entry in S3's own words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    Function(LambdaFunctionConfiguration),
    Queue(QueueConfiguration),
}

impl Trigger {
    /// In S3's own words.
    ///
    /// # Errors
    /// When the SDK refuses to build it, which only a missing field could cause.
    pub(crate) fn to_entry(&self) -> Result<Entry, Problem> {
        self.build_entry()
            .map_err(|error| Problem::failed("the notification cannot be built").because(error.to_string()))
    }

    fn build_entry(&self) -> Result<Entry, BuildError> {
        let filter = to_filter(&self.filter);
        Ok(match &self.target {
            Target::Function(arn) => {
                let entry = LambdaFunctionConfiguration::builder().id(ENTRY_ID).lambda_function_arn(arn).events(EVENT);
                Entry::Function(entry.set_filter(filter).build()?)
            }
            Target::Queue(arn) => {
                let entry = QueueConfiguration::builder().id(ENTRY_ID).queue_arn(arn).events(EVENT);
                Entry::Queue(entry.set_filter(filter).build()?)
            }
        })
    }

    /// Whether an entry with these parts does what we want, whatever its id.
    fn is_done_by(&self, arn: &str, events: &[Event], filter: Option<&NotificationConfigurationFilter>) -> bool {
        arn == self.target.arn() && events == [EVENT] && read_filter(filter) == self.filter
    }
}

fn to_filter(Filter { prefix, suffix }: &Filter) -> Option<NotificationConfigurationFilter> {
    let pairs = [(FilterRuleName::Prefix, prefix), (FilterRuleName::Suffix, suffix)];
    let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let rules: Vec<_> = given.map(|(name, value)| FilterRule::builder().name(name).value(value).build()).collect();
    if rules.is_empty() {
        return None;
    }
    let key = S3KeyFilter::builder().set_filter_rules(Some(rules)).build();
    Some(NotificationConfigurationFilter::builder().key(key).build())
}

/// How our entry stands in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not there.
    Absent,
    /// There, but with another target, event or filter.
    Different,
    /// As it should be.
    Right,
}

/// Looks for our entry. One that does the same under another id, made in the console perhaps, will do.
pub(crate) fn find_trigger(live: &NotificationConfiguration, trigger: &Trigger) -> Found {
    let mut functions = live.lambda_function_configurations().iter();
    let mut queues = live.queue_configurations().iter();
    let is_done = match trigger.target {
        Target::Function(_) => {
            functions.any(|it| trigger.is_done_by(it.lambda_function_arn(), it.events(), it.filter()))
        }
        Target::Queue(_) => queues.any(|it| trigger.is_done_by(it.queue_arn(), it.events(), it.filter())),
    };
    if is_done {
        Found::Right
    } else if has_entry(live) {
        Found::Different
    } else {
        Found::Absent
    }
}

/// Whether our entry is in it, whatever it says.
pub(crate) fn has_entry(live: &NotificationConfiguration) -> bool {
    live.lambda_function_configurations().iter().any(|entry| is_ours(entry.id()))
        || live.queue_configurations().iter().any(|entry| is_ours(entry.id()))
}

/// What our entry says: S3's words for its events, its filter, and whom it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// `s3:ObjectCreated:*`; several are joined.
    pub(crate) events: String,
    /// Which objects.
    pub(crate) filter: Filter,
    /// Whom S3 tells.
    pub(crate) target: Target,
}

/// Reads our entry; `None` where it is not there.
pub(crate) fn read_entry(live: &NotificationConfiguration) -> Option<Said> {
    let said = |events: &[Event], filter, target| {
        let events: Vec<_> = events.iter().map(Event::as_str).collect();
        Said { events: events.join(", "), filter: read_filter(filter), target }
    };
    let function = live.lambda_function_configurations().iter().find(|entry| is_ours(entry.id()));
    let queue = live.queue_configurations().iter().find(|entry| is_ours(entry.id()));
    let function =
        function.map(|it| said(it.events(), it.filter(), Target::Function(it.lambda_function_arn().to_owned())));
    function.or_else(|| queue.map(|it| said(it.events(), it.filter(), Target::Queue(it.queue_arn().to_owned()))))
}

/// The configuration with `entry` as ours, or without any of ours; all else is kept as it is. A change from the function
/// to the queue, or back, is one write: no event falls between them.
pub(crate) fn replace_entry(mut live: NotificationConfiguration, entry: Option<Entry>) -> NotificationConfiguration {
    let (function, queue) = match entry {
        Some(Entry::Function(entry)) => (Some(entry), None),
        Some(Entry::Queue(entry)) => (None, Some(entry)),
        None => (None, None),
    };
    let mut functions = live.lambda_function_configurations.take().unwrap_or_default();
    functions.retain(|entry| !is_ours(entry.id()));
    functions.extend(function);
    live.lambda_function_configurations = (!functions.is_empty()).then_some(functions);
    let mut queues = live.queue_configurations.take().unwrap_or_default();
    queues.retain(|entry| !is_ours(entry.id()));
    queues.extend(queue);
    live.queue_configurations = (!queues.is_empty()).then_some(queues);
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
    let functions = live.lambda_function_configurations().iter().filter(|entry| !is_ours(entry.id()));
    let functions = functions.map(|it| (it.id(), it.lambda_function_arn(), it.events(), it.filter()));
    let queues = live.queue_configurations().iter().filter(|entry| !is_ours(entry.id()));
    let queues = queues.map(|it| (it.id(), it.queue_arn(), it.events(), it.filter()));
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

fn is_ours(id: Option<&str>) -> bool {
    id == Some(ENTRY_ID)
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
    use aws_sdk_s3::types::{EventBridgeConfiguration, TopicConfiguration};
    use proptest::prelude::*;

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function";

    const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:lab-image-queue-ada";

    fn filter(prefix: &str, suffix: &str) -> Filter {
        Filter { prefix: prefix.into(), suffix: suffix.into() }
    }

    fn trigger(prefix: &str, suffix: &str) -> Trigger {
        Trigger { target: Target::Function(FUNCTION.into()), filter: filter(prefix, suffix) }
    }

    fn entry(id: &str, function: &str, event: &str, filter: &Filter) -> LambdaFunctionConfiguration {
        let builder = LambdaFunctionConfiguration::builder().id(id).lambda_function_arn(function).events(event.into());
        builder.set_filter(to_filter(filter)).build().unwrap()
    }

    fn queue(event: &str, prefix: &str) -> NotificationConfiguration {
        let filter = to_filter(&filter(prefix, ""));
        let queue = QueueConfiguration::builder().id("q").queue_arn("arn:aws:sqs:us-east-1:1:q").events(event.into());
        NotificationConfiguration::builder().queue_configurations(queue.set_filter(filter).build().unwrap()).build()
    }

    #[test]
    fn our_entry_is_read_as_it_is() {
        let entry = LambdaFunctionConfiguration::builder().id(ENTRY_ID).lambda_function_arn("arn:f");
        let rule = FilterRule::builder().name(FilterRuleName::Prefix).value("only/these/").build();
        let key = S3KeyFilter::builder().filter_rules(rule).build();
        let filter = NotificationConfigurationFilter::builder().key(key).build();
        let entry = entry.events(Event::S3ObjectRemoved).filter(filter).build().unwrap();
        let live = NotificationConfiguration::builder().lambda_function_configurations(entry).build();
        let said = read_entry(&live).unwrap();
        assert_eq!((said.events.as_str(), said.filter.prefix.as_str()), ("s3:ObjectRemoved:*", "only/these/"));
        assert_eq!(said.target, Target::Function("arn:f".into()));
        assert_eq!(read_entry(&NotificationConfiguration::builder().build()), None);
    }

    #[test]
    fn our_entry_listens_to_every_creation_under_its_filter() {
        let Ok(Entry::Function(entry)) = trigger("in/", ".png").to_entry() else { panic!("an entry of a function") };
        assert_eq!(entry.id(), Some("hybrid-lab"));
        assert_eq!(entry.events(), [Event::from("s3:ObjectCreated:*")]);
        assert_eq!(read_filter(entry.filter()), trigger("in/", ".png").filter);
        assert_eq!(to_filter(&filter("", "")), None);
    }

    #[test]
    fn a_change_from_the_function_to_the_queue_is_one_write_and_leaves_one_entry() {
        let to_function = trigger("in/", "");
        let to_queue = Trigger { target: Target::Queue(QUEUE.into()), ..to_function.clone() };
        let direct = replace_entry(NotificationConfiguration::builder().build(), to_function.to_entry().ok());
        assert_eq!(
            (find_trigger(&direct, &to_function), find_trigger(&direct, &to_queue)),
            (Found::Right, Found::Different)
        );
        assert_eq!(find_overlap(&direct, &to_queue), None, "our own entry is in nobody's way");
        let queued = replace_entry(direct, to_queue.to_entry().ok());
        assert!(queued.lambda_function_configurations().is_empty());
        assert_eq!(queued.queue_configurations()[0].queue_arn(), QUEUE);
        assert_eq!(
            (find_trigger(&queued, &to_function), find_trigger(&queued, &to_queue)),
            (Found::Different, Found::Right)
        );
        assert!(!has_entry(&replace_entry(queued, None)));
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
        fn merging_keeps_all_else_and_removing_undoes_it(
            live in any_configuration(), filter in any_filter(), to_queue: bool
        ) {
            let target = if to_queue { Target::Queue(QUEUE.into()) } else { Target::Function(FUNCTION.into()) };
            let trigger = Trigger { target, filter };
            let merged = replace_entry(live.clone(), Some(trigger.to_entry().unwrap()));
            let others = |it: &NotificationConfiguration| -> Vec<_> {
                it.lambda_function_configurations().iter().filter(|entry| !is_ours(entry.id())).cloned().collect()
            };
            prop_assert_eq!(others(&merged), others(&live));
            let other_queues = |it: &NotificationConfiguration| -> Vec<_> {
                it.queue_configurations().iter().filter(|entry| !is_ours(entry.id())).cloned().collect()
            };
            prop_assert_eq!(other_queues(&merged), other_queues(&live));
            prop_assert_eq!(merged.topic_configurations(), live.topic_configurations());
            prop_assert_eq!(merged.event_bridge_configuration(), live.event_bridge_configuration());
            prop_assert_eq!(find_trigger(&merged, &trigger), Found::Right);
            let ours = merged.lambda_function_configurations().iter().filter(|it| is_ours(it.id())).count()
                + merged.queue_configurations().iter().filter(|it| is_ours(it.id())).count();
            prop_assert_eq!(ours, 1);
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
