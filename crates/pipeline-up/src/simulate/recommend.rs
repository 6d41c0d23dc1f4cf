//! Which memory is worth its price. Pure.

use lab_plan::round_usd;
use serde::Serialize;

use super::mix::Mix;
use super::model::{Setup, simulate};
use super::show_seconds;

/// What is compared: steps of memory, with those that give 1, 2, 3 and 4 whole cores.
const MEMORIES: [u32; 13] = [256, 384, 512, 768, 1024, 1280, 1536, 1769, 2048, 3008, 3538, 5307, 7076];
/// How much slower than the fastest is fast enough.
const NEARLY: f64 = 1.10;

/// One amount of memory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Choice {
    pub(crate) memory_mb: u32,
    pub(crate) ms_per_object: f64,
    pub(crate) seconds: f64,
    pub(crate) usd: f64,
    /// Why it is recommended; empty where it is not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
}

/// The cheapest of the choices that are within 10 % of the fastest, and all choices in which the mix's pictures fit.
pub(crate) fn recommend(objects: f64, mix: &Mix, setup: &Setup) -> (Choice, Vec<Choice>) {
    let needed = mix.memory_needed().unwrap_or(0);
    let mut memories: Vec<u32> = MEMORIES.into_iter().filter(|memory| *memory >= needed).collect();
    if memories.is_empty() {
        memories.push(needed.min(10_240));
    }
    let choices: Vec<Choice> = memories
        .into_iter()
        .map(|memory_mb| {
            let outcome = simulate(objects, mix, &Setup { memory_mb, ..*setup });
            let usd = round_usd(outcome.usd);
            Choice {
                memory_mb,
                ms_per_object: outcome.ms_per_object,
                seconds: outcome.seconds,
                usd,
                why: String::new(),
            }
        })
        .collect();
    let fastest = choices.iter().map(|choice| choice.seconds).fold(f64::INFINITY, f64::min);
    let cheapest = choices.iter().min_by(|a, b| a.usd.total_cmp(&b.usd));
    let fast = choices.iter().filter(|choice| choice.seconds <= fastest * NEARLY);
    // Of equal ones the smallest: they stand in order.
    let best = fast.min_by(|a, b| a.usd.total_cmp(&b.usd)).unwrap_or(&choices[0]);
    let why = explain(best, cheapest.unwrap_or(best), fastest);
    (Choice { why, ..best.clone() }, choices)
}

fn explain(best: &Choice, cheapest: &Choice, fastest: f64) -> String {
    let told = format!(
        "recommended: {} MB, the cheapest within 10 % of the fastest ({})",
        best.memory_mb,
        show_seconds(fastest)
    );
    if cheapest.usd >= best.usd {
        return format!("{told}; none is cheaper");
    }
    format!(
        "{told}; {} MB saves ${:.2} and takes {}",
        cheapest.memory_mb,
        best.usd - cheapest.usd,
        show_seconds(cheapest.seconds)
    )
}

#[cfg(test)]
mod tests {
    use lab_common::Arch;
    use proptest::prelude::*;

    use super::super::model::Via;
    use super::super::model::tests::mix;
    use super::*;

    fn setup() -> Setup {
        Setup { concurrency: 10, memory_mb: 512, arch: Arch::X86, via: Via::Batch }
    }

    #[test]
    fn work_wants_a_whole_core_and_not_more() {
        let (best, choices) = recommend(1e6, &mix(0.0, 500.0), &setup());
        assert!((1536..=1769).contains(&best.memory_mb), "{best:?}");
        assert!(best.why.contains("within 10 %"), "{}", best.why);
        assert!(choices.iter().all(|choice| choice.memory_mb >= 140), "each picture fits");
    }

    #[test]
    fn waiting_wants_no_more_memory_than_the_pictures_need() {
        let (best, _) = recommend(1e6, &mix(500.0, 0.1), &setup());
        assert_eq!(best.memory_mb, 256);
    }

    proptest! {
        #[test]
        fn nothing_that_is_as_fast_is_cheaper(read in 0.0f64..1000.0, decode in 0.0f64..3000.0, concurrency in 1u32..1000) {
            let (best, choices) = recommend(1e5, &mix(read, decode), &Setup { concurrency, ..setup() });
            let fastest = choices.iter().map(|choice| choice.seconds).fold(f64::INFINITY, f64::min);
            prop_assert!(best.seconds <= fastest * NEARLY);
            for choice in choices {
                prop_assert!(choice.seconds > fastest * NEARLY || choice.usd >= best.usd, "{choice:?} {best:?}");
            }
        }
    }
}
