use std::collections::BTreeSet;

use aws_sdk_s3::types::NotificationConfiguration;
use lab_common::Caller;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::concurrency::Room;
use crate::live::{LiveBucket, LiveFunction, LiveInvoke, LiveMapping, LiveQueue, Queues};
use crate::notification::{ENTRY_ID, Entry, replace_entry};
use crate::policy::PERMISSION_SID;
use crate::stray::{Stray, StrayKind};
use crate::want::{Both, Filter, Place, sample};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:lab-lambda-function";

fn nothing(place: &Place) -> Live {
    let absent = || LiveBucket::Absent;
    let buckets = Both { input: absent(), output: absent() };
    let caller = Caller { account: "123456789012".into(), arn: "arn:aws:iam::123456789012:user/ada".into() };
    Live {
        caller,
        place: place.clone(),
        buckets,
        role: None,
        batch_role: None,
        log_group: None,
        function: None,
        queues: Queues::default(),
        mapping: None,
        invoke: None,
        room: None,
        strays: vec![],
        nat_gateways: vec![],
    }
}

fn deployed(want: &Want, place: &Place) -> LiveFunction {
    LiveFunction {
        arn: FUNCTION.into(),
        tags: want.function_tags(),
        role: place.role_arn(want),
        memory_mb: 512,
        timeout_s: 60,
        environment: want.function.environment.clone(),
        state: "Active".into(),
        update: None,
        reserved: None,
        arch: None,
        reason: None,
        code_bytes: 1,
        modified: String::new(),
        policy: None,
    }
}

fn bucket(live: &mut Live, side: Side) -> &mut LiveBucket {
    match side {
        Side::Input => &mut live.buckets.input,
        Side::Output => &mut live.buckets.output,
    }
}

fn here(live: &mut Live, side: Side) -> &mut HereBucket {
    match bucket(live, side) {
        LiveBucket::Here(bucket) => bucket,
        other => panic!("{side:?} is {other:?}"),
    }
}

/// What AWS would make of a step.
fn carry_out(live: &mut Live, op: &Op) {
    match op {
        Op::CreateBucket(side, properties) => {
            *bucket(live, *side) = LiveBucket::Here(Box::new(HereBucket::bare()));
            set_properties(here(live, *side), properties);
        }
        Op::SetBucket(side, properties) => set_properties(here(live, *side), properties),
        Op::CreateRole(parts) => {
            let RoleParts { trust, policy, tags } = parts.clone();
            live.role = Some(LiveRole { arn: "role".into(), tags: tags.unwrap(), trust, policy });
        }
        Op::SetRole(parts) => {
            let role = live.role.as_mut().unwrap();
            role.trust = parts.trust.clone().or(role.trust.take());
            role.policy = parts.policy.clone().or(role.policy.take());
            role.tags.extend(parts.tags.clone().unwrap_or_default());
        }
        Op::CreateLogGroup(parts) => {
            let tags = parts.tags.clone().unwrap();
            live.log_group = Some(LogGroup { arn: "log".into(), tags, retention: parts.retention });
        }
        Op::SetLogGroup(parts) => {
            let group = live.log_group.as_mut().unwrap();
            group.retention = parts.retention.or(group.retention);
            group.tags.extend(parts.tags.clone().unwrap_or_default());
        }
        Op::SetFunction(parts) => {
            let function = live.function.as_mut().unwrap();
            function.role.clone_from(&parts.role);
            (function.memory_mb, function.timeout_s) = (parts.memory_mb, parts.timeout_s);
            function.environment.retain(|key, _| !parts.clears.contains(key));
            function.environment.extend(parts.environment.clone());
        }
        Op::SetPermission(parts) => {
            live.function.as_mut().unwrap().policy = Some(permission(&parts.bucket_arn, &parts.account));
        }
        Op::SetTrigger(trigger) => replace(live, Some(trigger.to_entry().unwrap())),
        Op::CreateQueue(kind, parts) | Op::SetQueue(kind, parts) => {
            let queue = queue(live, *kind).get_or_insert_with(bare_queue);
            queue.attributes.extend(parts.attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            queue.tags.extend(parts.tags.clone().unwrap_or_default());
        }
        Op::CreateMapping(parts) | Op::SetMapping { parts, .. } => live.mapping = Some(mapping(parts)),
        Op::SetInvoke(InvokeParts { on_failure, retries, most_seconds }) => {
            let on_failure = Some(on_failure.clone());
            live.invoke = Some(LiveInvoke { on_failure, retries: Some(*retries), most_seconds: Some(*most_seconds) });
        }
        Op::Reserve(wanted) => live.function.as_mut().unwrap().reserved = Some(*wanted),
        Op::DeleteMapping { drains, .. } => {
            live.mapping = None;
            if let (true, Some(queue)) = (drains, &mut live.queues.images) {
                queue.attributes.remove("ApproximateNumberOfMessages");
            }
        }
        Op::DeleteInvoke => live.invoke = None,
        Op::DeleteQueue(kind) => *queue(live, *kind) = None,
        Op::DeleteTrigger => replace(live, None),
        Op::DeletePermission => live.function.as_mut().unwrap().policy = None,
        Op::DeleteFunction => (live.function, live.invoke) = (None, None),
        Op::DeleteRole => live.role = None,
        Op::DeleteBatchRole { .. } => live.batch_role = None,
        Op::DeleteLogGroup => live.log_group = None,
        Op::DeleteStray(stray) => live.strays.retain(|it| it != stray),
        Op::DeleteBucket(side) => *bucket(live, *side) = LiveBucket::Absent,
    }
}

fn set_properties(bucket: &mut HereBucket, properties: &[Property]) {
    for property in properties {
        match property {
            Property::Tags(tags) => bucket.tags.clone_from(tags),
            Property::Guard(guard) => drop(bucket.guards.insert(*guard)),
            Property::Policy(policy) => bucket.policy = Some(policy.clone()),
        }
    }
}

fn queue(live: &mut Live, kind: QueueKind) -> &mut Option<LiveQueue> {
    match kind {
        QueueKind::Images => &mut live.queues.images,
        QueueKind::DeadLetters => &mut live.queues.dead_letters,
    }
}

fn bare_queue() -> LiveQueue {
    LiveQueue { url: "url".into(), tags: BTreeMap::new(), attributes: BTreeMap::new() }
}

fn mapping(parts: &MappingParts) -> LiveMapping {
    LiveMapping {
        uuid: "uuid".into(),
        state: "Enabled".into(),
        batch_size: parts.batch_size,
        most_at_once: parts.most_at_once,
        reports_failures: true,
    }
}

fn replace(live: &mut Live, entry: Option<Entry>) {
    let input = here(live, Side::Input);
    input.notifications = replace_entry(input.notifications.clone(), entry);
}

fn permission(bucket_arn: &str, account: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": PERMISSION_SID, "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction", "Resource": FUNCTION,
        "Condition": {"StringEquals": {"AWS:SourceAccount": account}, "ArnLike": {"AWS:SourceArn": bucket_arn}}
    }]})
}

/// Carries out all steps, each after what it needs.
#[track_caller]
fn carry_out_all(live: &mut Live, plan: &Plan<Op>) {
    let roles: BTreeSet<_> = plan.steps.iter().map(|step| step.role.as_str()).collect();
    assert_eq!(roles.len(), plan.steps.len(), "one step a role");
    let mut done = BTreeSet::new();
    for step in &plan.steps {
        let late = step.needs.iter().find(|need| roles.contains(need.as_str()) && !done.contains(need.as_str()));
        assert_eq!(late, None, "{} comes before what it needs", step.title());
        carry_out(live, &step.op);
        done.insert(step.role.as_str());
    }
}

/// Carries out all steps as soon as what they need is done, whatever their order in the plan.
#[track_caller]
fn carry_out_in_any_order(live: &mut Live, plan: &Plan<Op>) {
    let mut left: Vec<_> = plan.steps.iter().collect();
    while !left.is_empty() {
        let waits = |need: &String| left.iter().any(|step| step.role == *need);
        let ready = left.iter().position(|step| !step.needs.iter().any(waits)).expect("no step waits for ever");
        carry_out(live, &left.remove(ready).op);
    }
}

/// `create bucket lab-input-bucket-ada`, …
fn titles(plan: &Plan<Op>) -> Vec<String> {
    plan.steps.iter().map(Step::title).collect()
}

#[test]
fn the_first_up_makes_all_but_what_the_function_needs() {
    let (want, place) = sample(|_| ());
    let plan = make_plan(&want, &nothing(&place)).unwrap();
    let expected = [
        "create bucket lab-input-bucket-ada",
        "create bucket lab-output-bucket-ada",
        "create role lab-lambda-role-ada",
        "create log-group /aws/lambda/lab-lambda-function",
    ];
    assert_eq!(titles(&plan), expected);
    assert!(plan.steps.iter().all(|step| step.needs.is_empty()), "all at once");
}

#[test]
fn a_learner_lab_gets_no_role_and_a_deployed_function_its_own() {
    let (want, place) = sample(|lab| lab.account = lab_common::Account::Academy);
    let mut live = nothing(&place);
    live.function = Some(deployed(&want, &place));
    let plan = make_plan(&want, &live).unwrap();
    assert!(!titles(&plan).iter().any(|title| title.contains(" role ")), "{:?}", titles(&plan));
    assert!(place.role_arn(&want).ends_with(":role/LabRole"));
}

#[test]
fn what_differs_is_named_and_nothing_else_is_touched() {
    let (want, place) = sample(|_| ());
    let mut live = nothing(&place);
    live.function = Some(deployed(&want, &place));
    let plan = make_plan(&want, &live).unwrap();
    carry_out_all(&mut live, &plan);
    let function = live.function.as_mut().unwrap();
    function.memory_mb = 128;
    function.environment.remove("MODE");
    function.environment.insert("WIDTH", "720".into());
    here(&mut live, Side::Output).guards.clear();
    let plan = make_plan(&want, &live).unwrap();
    let details: Vec<_> = plan.steps.iter().map(|step| (step.title(), step.detail.as_str())).collect();
    let expected = [
        ("update bucket lab-output-bucket-ada".to_owned(), "public access block, encryption, ownership"),
        ("update function lab-lambda-function".to_owned(), "memory 128 -> 512 MB, MODE -> png, no WIDTH"),
    ];
    assert_eq!(details, expected);
    assert_eq!(plan.unchanged, 5);
}

#[test]
fn tags_of_others_stay_and_those_of_aws_are_not_written() {
    let (want, place) = sample(|_| ());
    let mut tags = want.bucket_tags(Side::Input);
    tags.remove("Name");
    tags.extend([("course".to_owned(), "cloud".to_owned()), ("aws:x".to_owned(), "y".to_owned())]);
    let mut live = nothing(&place);
    live.buckets.input = LiveBucket::Here(Box::new(HereBucket { tags, ..HereBucket::bare() }));
    let plan = make_plan(&want, &live).unwrap();
    let Op::SetBucket(Side::Input, properties) = &plan.steps[0].op else { panic!("{:?}", plan.steps[0]) };
    let mut expected = want.bucket_tags(Side::Input);
    expected.insert("course".into(), "cloud".into());
    assert_eq!(properties[0], Property::Tags(expected));
}

#[test]
fn an_untagged_bucket_is_healed_when_empty_and_refused_when_not() {
    let (want, place) = sample(|_| ());
    let plan = |is_empty: bool| {
        let mut live = nothing(&place);
        live.buckets.input = LiveBucket::Here(Box::new(HereBucket { is_empty, ..HereBucket::bare() }));
        make_plan(&want, &live)
    };
    assert!(matches!(plan(true).unwrap().steps[0].op, Op::SetBucket(Side::Input, _)));
    let refused = plan(false).unwrap_err();
    assert!(refused[0].to_string().contains("does not bear the tags of this lab"), "{refused:?}");
}

#[test]
fn an_untagged_log_group_is_taken_over_only_with_a_function_of_ours() {
    let (want, place) = sample(|_| ());
    let mut live = nothing(&place);
    live.log_group = Some(LogGroup { arn: "log".into(), tags: BTreeMap::new(), retention: None });
    let changes = |live: &Live| {
        let plan = make_plan(&want, live).unwrap();
        plan.steps.iter().any(|step| step.kind == "log-group")
    };
    assert!(!changes(&live), "it may be what is left of somebody's function");
    live.function = Some(deployed(&want, &place));
    assert!(changes(&live), "Lambda has made it for ours");
}

#[test]
fn everything_that_belongs_to_others_is_refused_at_once() {
    let (want, place) = sample(|_| ());
    let mut live = nothing(&place);
    let others: BTreeMap<_, _> =
        [("hybrid-lab:lab", "lab"), ("hybrid-lab:owner", "bob")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    live.buckets.input = LiveBucket::Taken;
    live.buckets.output = LiveBucket::Elsewhere("eu-west-1".into());
    live.role = Some(LiveRole { arn: String::new(), tags: BTreeMap::new(), trust: None, policy: None });
    live.log_group = Some(LogGroup { arn: String::new(), tags: others.clone(), retention: None });
    live.function = Some(LiveFunction { tags: others, ..deployed(&want, &place) });
    let problems = make_plan(&want, &live).unwrap_err();
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for (text, part) in texts.iter().zip([
        "lab-input-bucket-ada belongs to someone else",
        "lab-output-bucket-ada is in eu-west-1",
        "the role lab-lambda-role-ada",
        "the log group /aws/lambda/lab-lambda-function",
        "the function lab-lambda-function",
    ]) {
        assert!(text.contains(part) && text.contains("fix: "), "{part:?} is missing from {text}");
    }
    assert_eq!(texts.len(), 5);
    assert!(make_teardown(&want, &live).is_empty(), "none of it is ours to delete");
}

fn with_entry(function: &str) -> NotificationConfiguration {
    let trigger = Trigger { target: Target::Function(function.into()), filter: Filter::default() };
    let Ok(Entry::Function(mut entry)) = trigger.to_entry() else { panic!("an entry of a function") };
    entry.id = Some("theirs".into());
    NotificationConfiguration::builder().lambda_function_configurations(entry).build()
}

#[test]
fn an_overlapping_notification_and_an_endless_loop_are_refused() {
    let (want, place) = sample(|_| ());
    let mut live = nothing(&place);
    live.function = Some(deployed(&want, &place));
    let plan = make_plan(&want, &live).unwrap();
    carry_out_all(&mut live, &plan);
    replace(&mut live, None);
    here(&mut live, Side::Input).notifications = with_entry("arn:aws:lambda:us-east-1:123456789012:function:other");
    here(&mut live, Side::Output).notifications = with_entry(FUNCTION);
    let problems = make_plan(&want, &live).unwrap_err();
    assert!(problems[0].to_string().contains("the function would trigger itself"), "{}", problems[0]);
    assert!(problems[1].to_string().contains("`theirs` of lab-input-bucket-ada overlaps"), "{}", problems[1]);
}

/// The pipeline of HOL 02 with a queue.
fn queued(change: impl FnOnce(&mut lab_common::Images)) -> (Want, Place) {
    sample(|lab| {
        let images = lab.images.as_mut().unwrap();
        (images.queue, images.dead_letters) = (true, true);
        change(images);
    })
}

/// Everything is there as `want` says.
fn whole(want: &Want, place: &Place) -> Live {
    let mut live = nothing(place);
    live.function = Some(deployed(want, place));
    let plan = make_plan(want, &live).unwrap();
    carry_out_all(&mut live, &plan);
    live
}

#[test]
fn a_queue_stands_whole_before_s3_is_told_to_use_it() {
    let (want, place) = queued(|images| images.concurrency = Some(5));
    let mut live = nothing(&place);
    live.function = Some(deployed(&want, &place));
    let plan = make_plan(&want, &live).unwrap();
    let needs = |role: &str| plan.steps.iter().find(|step| step.role == role).unwrap().needs.clone();
    assert_eq!(needs("bucket-notification"), ["bucket input", "queue images", "event-source-mapping"]);
    assert_eq!(needs("event-source-mapping"), ["queue images", "role", "function"]);
    assert_eq!(needs("queue images"), ["queue dead-letters"]);
    carry_out_all(&mut live, &plan);
    assert_eq!(here(&mut live, Side::Input).notifications.queue_configurations().len(), 1);
    assert_eq!(live.mapping.as_ref().unwrap().most_at_once, Some(5));
    assert!(make_plan(&want, &live).unwrap().is_empty());
}

#[test]
fn without_a_queue_any_more_s3_tells_the_function_first_and_the_queue_goes_when_it_is_empty() {
    let (queued, place) = queued(|_| ());
    let mut live = whole(&queued, &place);
    live.queues.images.as_mut().unwrap().attributes.insert("ApproximateNumberOfMessages".into(), "3".into());
    let (want, _) = sample(|_| ());
    let plan = make_plan(&want, &live).unwrap();
    let expected = [
        "delete queue lab-image-dead-letters-ada",
        "delete queue lab-image-queue-ada",
        "update role lab-lambda-role-ada",
        "delete function-event-invoke-config lab-lambda-function",
        "delete event-source-mapping lab-lambda-function",
        "update bucket-notification lab-input-bucket-ada",
    ];
    assert_eq!(titles(&plan), expected);
    let needs = |role: &str| plan.steps.iter().find(|step| step.role == role).unwrap().needs.clone();
    assert_eq!(needs("event-source-mapping"), ["bucket-notification"]);
    assert_eq!(needs("queue images"), ["bucket-notification", "event-source-mapping"]);
    assert_eq!(needs("role"), ["event-source-mapping"], "Lambda takes from the queue in the role's name");
    carry_out_in_any_order(&mut live, &plan);
    assert!(make_plan(&want, &live).unwrap().is_empty());
    assert_eq!(live.queues, Queues::default());
}

#[test]
fn what_lab_toml_calls_otherwise_now_goes_with_the_rest_and_is_left_alone_before() {
    let (want, place) = sample(|_| ());
    let mut live = whole(&want, &place);
    let stray = |kind, name: &str| Stray { kind, name: name.into(), arn: format!("arn:{name}") };
    live.strays = vec![
        stray(StrayKind::Bucket, "old-bucket"),
        stray(StrayKind::Function, "old-function"),
        stray(StrayKind::Mapping, "1-2-3"),
        stray(StrayKind::LogGroup, "/aws/lambda/old-function"),
    ];
    assert!(make_plan(&want, &live).unwrap().is_empty());
    let plan = make_teardown(&want, &live);
    let needs = |role: &str| plan.steps.iter().find(|step| step.role == role).unwrap().needs.clone();
    assert_eq!(needs("function old-function"), ["event-source-mapping 1-2-3"]);
    for last in ["bucket old-bucket", "log-group /aws/lambda/old-function"] {
        assert_eq!(needs(last), ["function old-function", "event-source-mapping 1-2-3"], "{last}");
    }
    assert!(needs(Side::Input.role()).contains(&"function old-function".to_owned()), "it may still write");
    carry_out_in_any_order(&mut live, &plan);
    assert!(make_teardown(&want, &live).is_empty());
}

#[test]
fn dead_letters_are_not_thrown_away_but_by_down() {
    let (queued, place) = queued(|_| ());
    let mut live = whole(&queued, &place);
    live.queues.dead_letters.as_mut().unwrap().attributes.insert("ApproximateNumberOfMessages".into(), "2".into());
    let (want, _) = sample(|_| ());
    let plan = make_plan(&want, &live).unwrap();
    assert!(!titles(&plan).iter().any(|title| title.contains("dead-letters")), "{:?}", titles(&plan));
    carry_out_in_any_order(&mut live, &plan);
    assert!(make_plan(&want, &live).unwrap().is_empty());
    let notes = note_delivery(&want, &live);
    assert!(
        notes[0].starts_with("2 dead letters wait in lab-image-dead-letters-ada: `pipeline-up redrive`"),
        "{notes:?}"
    );
    let down = make_teardown(&want, &live);
    let letters = down.steps.iter().find(|step| step.role == "queue dead-letters").unwrap();
    assert_eq!(letters.detail, "with 2 messages in it");
}

#[test]
fn a_bound_is_reserved_where_the_quota_has_room_and_told_where_it_has_none() {
    for (queue, room, reserves, told) in [
        (false, Some(Room { limit: 1000, unreserved: 1000 }), true, None),
        (true, Some(Room { limit: 1000, unreserved: 1000 }), true, None),
        (false, Some(Room { limit: 10, unreserved: 10 }), false, Some("`queue = true`")),
        (true, Some(Room { limit: 10, unreserved: 10 }), false, Some("the queue's mapping bounds")),
        (true, None, false, Some("cannot be read")),
    ] {
        let (want, place) = queued(|images| {
            (images.queue, images.concurrency) = (queue, Some(4));
        });
        let mut live = nothing(&place);
        live.function = Some(deployed(&want, &place));
        live.room = room;
        let plan = make_plan(&want, &live).unwrap();
        let is_reserved = plan.steps.iter().any(|step| step.op == Op::Reserve(4));
        assert_eq!(is_reserved, reserves, "{room:?}");
        carry_out_all(&mut live, &plan);
        assert!(make_plan(&want, &live).unwrap().is_empty());
        let notes = note_delivery(&want, &live);
        assert_eq!(notes.len(), usize::from(told.is_some()), "{notes:?}");
        assert!(told.is_none_or(|told| notes[0].contains(told)), "{notes:?}");
    }
}

#[test]
fn down_takes_the_role_of_backfills_along_and_up_lets_it_be() {
    let (want, place) = sample(|_| ());
    let mut live = whole(&want, &place);
    let role = |tags| Some(LiveRole { arn: "batch".into(), tags, trust: None, policy: None });
    live.batch_role = role(want.batch_role_tags());
    assert!(make_plan(&want, &live).unwrap().is_empty());
    assert!(titles(&make_teardown(&want, &live)).contains(&"delete role lab-batch-role-ada".to_owned()));
    live.batch_role = role(BTreeMap::new());
    assert!(!titles(&make_teardown(&want, &live)).contains(&"delete role lab-batch-role-ada".to_owned()));
}

#[test]
fn a_queue_of_somebody_else_s_is_refused_where_it_is_wanted_and_spared_where_not() {
    let (want, place) = queued(|_| ());
    let mut live = nothing(&place);
    live.queues.images = Some(bare_queue());
    let problems = make_plan(&want, &live).unwrap_err();
    assert!(problems[0].what().contains("the queue lab-image-queue-ada is there"), "{problems:?}");
    assert!(make_teardown(&want, &live).is_empty());
    let (want, _) = sample(|_| ());
    assert!(!titles(&make_plan(&want, &live).unwrap()).iter().any(|title| title.contains(" queue ")));
}

#[test]
fn down_stops_the_events_then_the_function_then_the_rest() {
    let (want, place) = sample(|_| ());
    let mut live = nothing(&place);
    live.function = Some(deployed(&want, &place));
    let plan = make_plan(&want, &live).unwrap();
    carry_out_all(&mut live, &plan);
    let plan = make_teardown(&want, &live);
    let expected = [
        "delete bucket-notification lab-input-bucket-ada",
        "delete function lab-lambda-function",
        "delete log-group /aws/lambda/lab-lambda-function",
        "delete role lab-lambda-role-ada",
        "delete bucket lab-input-bucket-ada",
        "delete bucket lab-output-bucket-ada",
    ];
    assert_eq!(titles(&plan), expected);
    carry_out_all(&mut live, &plan);
    assert!(make_teardown(&want, &live).is_empty());
}

/// Somewhere between nothing and everything, as runs that were cut short and people in the console leave it.
fn any_live() -> impl Strategy<Value = Live> {
    let bucket = || (any::<[bool; 5]>(), any::<bool>());
    let function = prop::option::weighted(0.8, (any::<bool>(), 1i32..3, any::<[bool; 3]>()));
    let delivery = any::<[bool; 5]>();
    (bucket(), bucket(), any::<[bool; 4]>(), any::<[bool; 3]>(), function, delivery).prop_map(
        |(input, output, role, log_group, function, delivery)| {
            let (want, place) = sample(|_| ());
            let mut live = nothing(&place);
            for (side, ([there, access, encryption, owner, policy], empty)) in
                [(Side::Input, input), (Side::Output, output)]
            {
                let guards = [
                    (access, Guard::PublicAccessBlock),
                    (encryption, Guard::Encryption),
                    (owner, Guard::OwnerEnforced),
                ];
                let made = HereBucket {
                    tags: if empty { BTreeMap::new() } else { want.bucket_tags(side) },
                    guards: guards.into_iter().filter(|(on, _)| *on).map(|(_, guard)| guard).collect(),
                    policy: policy.then(|| json!({"Statement": {"Sid": "Theirs", "Effect": "Deny"}})),
                    is_empty: empty,
                    ..HereBucket::bare()
                };
                if there {
                    *super::tests::bucket(&mut live, side) = LiveBucket::Here(Box::new(made));
                }
            }
            let [there, trust, policy, named] = role;
            let mut tags = want.role_tags();
            if !named {
                tags.remove("Name");
            }
            let wanted = function_policy(&want, &place);
            live.role = there.then(|| LiveRole {
                arn: "role".into(),
                tags,
                trust: trust.then(trust_policy),
                policy: policy.then_some(wanted),
            });
            let [there, tagged, days] = log_group;
            live.log_group = there.then(|| LogGroup {
                arn: "log".into(),
                tags: if tagged { want.log_group_tags() } else { BTreeMap::new() },
                retention: days.then_some(30),
            });
            if let Some((ours, memory, [permitted, connected, right])) = function {
                let mut made = deployed(&want, &place);
                made.memory_mb = memory * 256;
                if !ours {
                    made.tags = BTreeMap::new();
                }
                let account = if right { &place.account } else { "999999999999" };
                made.policy = permitted.then(|| permission(&want.input_arn(&place), account));
                live.function = Some(made);
                if let (true, LiveBucket::Here(_)) = (connected, &live.buckets.input) {
                    let mut notifications = with_entry(if right { FUNCTION } else { "arn:old" });
                    notifications.lambda_function_configurations.as_mut().unwrap()[0].id = Some(ENTRY_ID.into());
                    here(&mut live, Side::Input).notifications = notifications;
                }
            }
            let [images, dead_letters, mapped, full, told] = delivery;
            let (queued, _) = queued(|_| ());
            let made = |kind: QueueKind| LiveQueue {
                tags: queued.queue_tags(kind),
                attributes: if full && kind == QueueKind::Images {
                    [("ApproximateNumberOfMessages".to_owned(), "3".to_owned())].into()
                } else {
                    BTreeMap::new()
                },
                ..bare_queue()
            };
            live.queues.images = images.then(|| made(QueueKind::Images));
            live.queues.dead_letters = dead_letters.then(|| made(QueueKind::DeadLetters));
            let parts = MappingParts { queue_arn: String::new(), batch_size: 1, most_at_once: None, tags: None };
            live.mapping = (mapped && images).then(|| mapping(&parts));
            let on_failure = told.then(|| want.queue_arn(&place, QueueKind::DeadLetters));
            live.invoke =
                live.function.is_some().then_some(LiveInvoke { on_failure, retries: None, most_seconds: Some(60) });
            live
        },
    )
}

proptest! {
    #[test]
    fn from_anywhere_one_plan_is_enough_and_a_second_is_empty(mut live in any_live(), has_queue: bool) {
        let (want, _) = if has_queue { queued(|images| images.concurrency = Some(7)) } else { sample(|_| ()) };
        let plan = make_plan(&want, &live).unwrap();
        let deletes = plan.steps.iter().filter(|step| step.action == Action::Delete).count();
        carry_out_in_any_order(&mut live, &plan);
        let again = make_plan(&want, &live).unwrap();
        prop_assert_eq!(titles(&again), Vec::<String>::new());
        prop_assert_eq!(again.unchanged, plan.unchanged + plan.steps.len() - deletes);
    }

    #[test]
    fn from_anywhere_one_teardown_is_enough_and_spares_what_is_not_ours(mut live in any_live()) {
        let (want, _) = sample(|_| ());
        let others = |live: &Live| {
            let function = live.function.as_ref().is_some_and(|it| find_claim(&want.tags, &it.tags) != Claim::Ours);
            let buckets = Side::BOTH.map(|side| {
                live.buckets.get(side).here().is_some() && find_ours(&want, live, side).is_none()
            });
            (function, buckets)
        };
        let before = others(&live);
        let plan = make_teardown(&want, &live);
        prop_assert!(plan.steps.iter().all(|step| step.action == Action::Delete));
        carry_out_all(&mut live, &plan);
        prop_assert!(make_teardown(&want, &live).is_empty());
        prop_assert_eq!(others(&live), before);
    }
}
