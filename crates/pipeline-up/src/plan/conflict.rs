//! What of others stands in the way of a plan. Pure.

use lab_plan::Problem;

use super::wanted_trigger;
use crate::live::{Claim, HereBucket, Live, LiveBucket, LiveQueue, find_claim};
use crate::notification::{Found, Trigger, find_overlap, find_trigger, invokes};
use crate::queue;
use crate::want::{QueueKind, Side, Want};

/// Everything that is not ours and has a name that we need, and entries that S3 would not have beside ours.
pub(super) fn find_conflicts(want: &Want, live: &Live) -> Vec<Problem> {
    let mut problems: Vec<_> = Side::BOTH.iter().filter_map(|side| find_bucket_conflict(want, live, *side)).collect();
    let taken = |kind: &str, name: &str, fix: &str| {
        Problem::failed(format!("the {kind} {name} is there and does not bear the tags of this lab")).fix(fix)
    };
    if live.role.as_ref().is_some_and(|role| find_claim(&want.tags, &role.tags) != Claim::Ours) {
        problems.push(taken("role", &want.role, "choose another --owner, or delete that role"));
    }
    for kind in QueueKind::BOTH {
        let is_in_the_way = |queue: &LiveQueue| find_claim(&want.tags, &queue.tags) != Claim::Ours;
        if want.delivery.wants(kind) && live.queues.get(kind).is_some_and(is_in_the_way) {
            problems.push(queue::taken(want.delivery.name(kind)));
        }
    }
    if live.log_group.as_ref().is_some_and(|group| find_claim(&want.tags, &group.tags) == Claim::Anothers) {
        problems.push(taken("log group", &want.log_group, RENAME_FUNCTION));
    }
    let Some(function) = &live.function else { return problems };
    if find_claim(&want.tags, &function.tags) == Claim::Anothers {
        problems.push(taken("function", &want.function.name, RENAME_FUNCTION));
    }
    if live.buckets.output.here().is_some_and(|bucket| invokes(&bucket.notifications, &function.arn)) {
        let output = &want.buckets.output;
        problems.push(
            Problem::failed(format!("the output bucket {output} triggers {}, which writes there", want.function.name))
                .because("the function would trigger itself, again and again")
                .fix(format!("remove that event notification of {output} (S3 console, Properties)")),
        );
    }
    if let Some(bucket) = live.buckets.input.here() {
        problems.extend(find_overlap_conflict(want, bucket, &wanted_trigger(want, live, &function.arn)));
    }
    problems
}

const RENAME_FUNCTION: &str =
    "give the function a name of your own: function = \"lab-lambda-function-{owner}\" in [images] of lab.toml";

fn find_bucket_conflict(want: &Want, live: &Live, side: Side) -> Option<Problem> {
    let name = want.buckets.get(side);
    let rename = "choose another --owner, or another name in [images] of lab.toml; nothing was changed";
    match live.buckets.get(side) {
        LiveBucket::Absent => None,
        LiveBucket::Taken => Some(
            Problem::failed(format!("the bucket name {name} belongs to someone else"))
                .because("HeadBucket: 403; bucket names are shared by all AWS accounts")
                .fix(rename),
        ),
        LiveBucket::Elsewhere(region) => Some(
            Problem::failed(format!("the bucket {name} is in {region}, and the lab is in {}", want.region))
                .because("a bucket cannot be moved")
                .fix(format!("pass --region {region}, take it down there first, or choose another name")),
        ),
        LiveBucket::Here(bucket) => {
            let claim = find_claim(&want.tags, &bucket.tags);
            // Tags come with the bucket; only where the service drops them can a new one be found bare, and then it is
            // empty. With something in it, it is somebody's: `down` would delete that.
            let is_new = bucket.tags.is_empty() && bucket.is_empty;
            (claim != Claim::Ours && !is_new).then(|| {
                Problem::failed(format!("the bucket {name} is there and does not bear the tags of this lab"))
                    .because("what is in it may be somebody's; taking the lab down would delete it")
                    .fix(rename)
            })
        }
    }
}

fn find_overlap_conflict(want: &Want, bucket: &HereBucket, trigger: &Trigger) -> Option<Problem> {
    if find_trigger(&bucket.notifications, trigger) == Found::Right {
        return None;
    }
    let other = find_overlap(&bucket.notifications, trigger)?;
    let show = |prefix: &str, suffix: &str| format!("prefix \"{prefix}\", suffix \"{suffix}\"");
    let (theirs, ours) = (&other.filter, &trigger.filter);
    let input = &want.buckets.input;
    Some(
        Problem::failed(format!("the event notification `{}` of {input} overlaps with ours", other.id))
            .because(format!(
                "it tells {} of {}; ours is for {}; S3 takes no two for one object and event",
                other.target,
                show(&theirs.prefix, &theirs.suffix),
                show(&ours.prefix, &ours.suffix)
            ))
            .fix(format!(
                "remove it (S3 console, {input}, Properties), or set prefix or suffix in [images] of lab.toml"
            )),
    )
}
