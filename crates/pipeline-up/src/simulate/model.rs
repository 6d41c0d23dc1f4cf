//! The model: how long one object takes on a function of some memory, and what all of them take and cost. Pure.
//!
//! A function has one core for each 1,769 MB of memory, and a share of one below (Lambda developer guide, "Configure Lambda
//! function memory"). The work on one picture uses one core; waiting for S3 needs none.

use clap::ValueEnum;
use lab_common::{Arch, prices};
use lab_plan::round_usd;
use serde::{Serialize, Serializer};

use super::mix::{Kind, Mix};

/// MB of memory for which a function has one whole core.
const MB_PER_CORE: f64 = 1769.0;
/// What Lambda's and the function's own code takes of each invocation, in milliseconds of one core.
const OVERHEAD_MS: f64 = 3.0;
/// As many messages of the queue as one invocation takes.
const BATCH: f64 = crate::queue::BATCH_SIZE as f64;

/// How objects reach the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// Each by an event of S3's
    S3,
    /// Through the queue, several an invocation
    Queue,
    /// By a job of S3 Batch Operations
    Batch,
}

impl Via {
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::S3 => "each by an event of S3's",
            Self::Queue => "through the queue",
            Self::Batch => "by S3 Batch Operations",
        }
    }
}

/// On what the objects are processed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Setup {
    pub(crate) concurrency: u32,
    pub(crate) memory_mb: u32,
    pub(crate) arch: Arch,
    pub(crate) via: Via,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Outcome {
    /// How long a function is busy with one object, in milliseconds.
    pub(crate) ms_per_object: f64,
    /// How long all of them take, in seconds.
    pub(crate) seconds: f64,
    /// What all of them cost, in US dollars.
    #[serde(serialize_with = "rounded")]
    pub(crate) usd: f64,
    pub(crate) costs: Costs,
}

/// The parts of the cost, in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Costs {
    /// Memory of functions, by time.
    #[serde(serialize_with = "rounded")]
    pub(crate) lambda_time: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) lambda_requests: f64,
    /// The look whether there is a result, and the object itself.
    #[serde(serialize_with = "rounded")]
    pub(crate) s3_gets: f64,
    /// The results.
    #[serde(serialize_with = "rounded")]
    pub(crate) s3_puts: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) sqs: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) batch: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn rounded<S: Serializer>(usd: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round_usd(*usd))
}

impl Costs {
    pub(crate) fn list(self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("Lambda, by time and memory", self.lambda_time),
            ("Lambda requests", self.lambda_requests),
            ("S3 GET and HEAD", self.s3_gets),
            ("S3 PUT", self.s3_puts),
            ("SQS", self.sqs),
            ("S3 Batch Operations", self.batch),
        ];
        all.into_iter().filter(|(_, usd)| *usd > 0.0)
    }

    fn sum(self) -> f64 {
        self.list().map(|(_, usd)| usd).sum()
    }
}

/// Computes it.
pub(crate) fn simulate(objects: f64, mix: &Mix, setup: &Setup) -> Outcome {
    let per_call = if setup.via == Via::Queue { BATCH.min(objects) } else { 1.0 };
    let calls = (objects / per_call).ceil();
    let ms = invocation_ms(mix, setup, per_call);
    let concurrency = f64::from(setup.concurrency).min(calls);
    let seconds = (calls / concurrency).ceil() * ms / 1000.0 + mix.cold_start_ms / 1000.0;
    let busy_seconds = (calls * ms + concurrency * mix.cold_start_ms) / 1000.0;
    let costs = Costs {
        lambda_time: busy_seconds * f64::from(setup.memory_mb) / 1024.0 * prices::lambda_gb_second(setup.arch),
        lambda_requests: calls / 1e6 * prices::LAMBDA_PER_MILLION,
        s3_gets: 2.0 * objects / 1e3 * prices::S3_PER_1000_GETS,
        s3_puts: objects * mix.mean(|kind| kind.results) / 1e3 * prices::S3_PER_1000_PUTS,
        // S3's sending is free; Lambda receives and deletes a batch at a time.
        sqs: if setup.via == Via::Queue { 2.0 * calls / 1e6 * prices::SQS_PER_MILLION } else { 0.0 },
        batch: if setup.via == Via::Batch {
            prices::BATCH_JOB + objects / 1e6 * prices::BATCH_PER_MILLION
        } else {
            0.0
        },
    };
    Outcome { ms_per_object: ms / per_call, seconds, usd: costs.sum(), costs }
}

/// Milliseconds of one invocation with so many records. Records of one invocation wait for S3 at the same time, and share
/// the function's cores.
fn invocation_ms(mix: &Mix, setup: &Setup, records: f64) -> f64 {
    let speed = match setup.arch {
        Arch::X86 => 1.0,
        Arch::Arm => mix.arm64_speed,
    };
    let cores = f64::from(setup.memory_mb) / MB_PER_CORE;
    let at_once = cores.min(records);
    let work = OVERHEAD_MS + records * mix.mean(Kind::works_ms);
    // Lambda bills started milliseconds.
    (mix.mean(Kind::waits_ms) + work / at_once / speed).ceil()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(share: f64, read_ms: f64, decode_ms: f64) -> Kind {
        Kind {
            share,
            format: "jpeg".into(),
            megapixels: 12.0,
            results: 1.0,
            read_ms,
            decode_ms,
            resize_ms: 0.0,
            encode_ms: 0.0,
            write_ms: 0.0,
            memory_mb: 100.0,
        }
    }

    pub(in crate::simulate) fn mix(read_ms: f64, decode_ms: f64) -> Mix {
        Mix { name: "test".into(), arm64_speed: 1.0, cold_start_ms: 0.0, images: vec![kind(1.0, read_ms, decode_ms)] }
    }

    fn setup(memory_mb: u32, concurrency: u32, via: Via) -> Setup {
        Setup { concurrency, memory_mb, arch: Arch::X86, via }
    }

    fn near(found: f64, wanted: f64) -> bool {
        (found - wanted).abs() < 1e-9 * wanted.abs().max(1.0)
    }

    #[test]
    fn a_million_objects_cost_what_the_price_list_says() {
        // 97 ms of work and 3 of overhead on one whole core, and 100 ms of waiting.
        let outcome = simulate(1e6, &mix(100.0, 97.0), &setup(1769, 10, Via::Batch));
        assert!(near(outcome.ms_per_object, 200.0) && near(outcome.seconds, 20_000.0), "{outcome:?}");
        let gb_seconds = 1e6 * 0.2 * 1769.0 / 1024.0;
        assert!(near(outcome.costs.lambda_time, gb_seconds * 0.000_016_666_7), "{outcome:?}");
        assert!(near(outcome.costs.lambda_requests, 0.20));
        assert!(near(outcome.costs.s3_gets, 0.80) && near(outcome.costs.s3_puts, 5.0));
        assert!(near(outcome.costs.batch, 1.25) && near(outcome.costs.sqs, 0.0));
    }

    #[test]
    fn a_share_of_a_core_makes_work_slower_and_not_waiting() {
        let ms = |memory| simulate(1.0, &mix(100.0, 97.0), &setup(memory, 1, Via::S3)).ms_per_object;
        assert!(near(ms(1769), 200.0) && near(ms(10_240), 200.0), "one picture uses one core");
        let half = ms(885);
        assert!((half - 300.0).abs() <= 1.0, "{half}");
    }

    #[test]
    fn records_of_one_invocation_wait_together_and_share_the_cores() {
        let queue = simulate(1000.0, &mix(100.0, 100.0), &setup(1769, 1, Via::Queue));
        // 100 ms of waiting once, then 10 × 100 ms + 3 on one core.
        assert!(near(queue.ms_per_object, 110.3), "{queue:?}");
        assert!(near(queue.costs.lambda_requests, 100.0 / 1e6 * 0.20), "ten at a time");
    }

    fn any_setup() -> impl Strategy<Value = Setup> {
        let via = prop_oneof![Just(Via::S3), Just(Via::Queue), Just(Via::Batch)];
        let arch = prop_oneof![Just(Arch::X86), Just(Arch::Arm)];
        (1u32..5000, 128u32..=10_240, arch, via).prop_map(|(concurrency, memory_mb, arch, via)| Setup {
            concurrency,
            memory_mb,
            arch,
            via,
        })
    }

    fn any_mix() -> impl Strategy<Value = Mix> {
        (prop::collection::vec((0.1f64..10.0, 0.0f64..500.0, 0.0f64..2000.0), 1..5), 0.0f64..500.0).prop_map(
            |(kinds, cold_start_ms)| {
                let sum: f64 = kinds.iter().map(|(share, ..)| share).sum();
                let images = kinds.into_iter().map(|(share, waits, works)| kind(share / sum, waits, works)).collect();
                Mix { name: "any".into(), arm64_speed: 1.0, cold_start_ms, images }
            },
        )
    }

    proptest! {
        #[test]
        fn more_objects_never_cost_less_nor_take_less(
            mix in any_mix(), setup in any_setup(), objects in 1u32..1_000_000, more in 0u32..1_000_000
        ) {
            let few = simulate(f64::from(objects), &mix, &setup);
            let many = simulate(f64::from(objects) + f64::from(more), &mix, &setup);
            let slack = 1.0 + 1e-9;
            prop_assert!(few.usd <= many.usd * slack, "{few:?} {many:?}");
            prop_assert!(few.seconds <= many.seconds * slack, "{few:?} {many:?}");
        }

        #[test]
        fn more_at_once_is_never_slower(mix in any_mix(), setup in any_setup(), objects in 1u32..100_000, more in 0u32..500) {
            let wider = Setup { concurrency: setup.concurrency + more, ..setup };
            let objects = f64::from(objects);
            prop_assert!(simulate(objects, &mix, &wider).seconds <= simulate(objects, &mix, &setup).seconds);
        }

        #[test]
        fn more_memory_is_never_slower(mix in any_mix(), setup in any_setup(), objects in 1u32..100_000, more in 0u32..2000) {
            let larger = Setup { memory_mb: setup.memory_mb + more, ..setup };
            let objects = f64::from(objects);
            prop_assert!(simulate(objects, &mix, &larger).seconds <= simulate(objects, &mix, &setup).seconds);
        }

        #[test]
        fn at_the_same_speed_arm_is_cheaper(mix in any_mix(), setup in any_setup(), objects in 1u32..100_000) {
            let of = |arch| simulate(f64::from(objects), &mix, &Setup { arch, ..setup });
            let (x86, arm) = (of(Arch::X86), of(Arch::Arm));
            prop_assert!(arm.usd < x86.usd && arm.seconds <= x86.seconds);
        }

        #[test]
        fn the_parts_add_up(mix in any_mix(), setup in any_setup(), objects in 1u32..100_000) {
            let outcome = simulate(f64::from(objects), &mix, &setup);
            let Costs { lambda_time, lambda_requests, s3_gets, s3_puts, sqs, batch } = outcome.costs;
            prop_assert!(near(outcome.usd, lambda_time + lambda_requests + s3_gets + s3_puts + sqs + batch));
        }
    }
}
