//! What N objects take and cost, computed from measured stage times: no credentials, no call.

mod mix;
mod model;
mod recommend;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use lab_common::{Arch, Images, LabArgs, prices};
use lab_plan::{Exit, Problem, print_out, round_usd, to_json};
use serde::Serialize;

pub(crate) use mix::Mix;
pub(crate) use model::{Outcome, Setup, Via, simulate};
use recommend::{Choice, recommend};

/// How many functions a new account may run at once.
const NEW_ACCOUNT: u32 = 10;

/// What is computed.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(crate) struct Simulate {
    /// How many objects, such as 250000 or 1e6
    #[arg(long, value_name = "N", value_parser = parse_objects)]
    pub(crate) objects: f64,
    /// Measured stage times, TOML or CSV [default: a built-in mix of photos]
    #[arg(long, value_name = "FILE")]
    pub(crate) mix: Option<PathBuf>,
    /// Functions at work at once [default: lab.toml's, else 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: Option<u32>,
    /// The function's memory in MB [default: lab.toml's, else 512]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10_240))]
    pub(crate) memory: Option<u32>,
    /// What the function runs on [default: lab.toml's, else `x86_64`]
    #[arg(long, value_enum)]
    pub(crate) arch: Option<ArchArg>,
    /// How objects reach the function
    #[arg(long, value_enum, default_value_t = Via::Batch)]
    pub(crate) via: Via,
}

/// `x86_64` or `arm64`, as Lambda writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArchArg {
    /// Intel and AMD
    #[value(name = "x86_64")]
    X86,
    /// AWS Graviton
    #[value(name = "arm64")]
    Arm,
}

impl From<ArchArg> for Arch {
    fn from(arch: ArchArg) -> Self {
        match arch {
            ArchArg::X86 => Self::X86,
            ArchArg::Arm => Self::Arm,
        }
    }
}

fn parse_objects(text: &str) -> Result<f64, String> {
    let number = text.replace('_', "").parse::<f64>().ok();
    number
        .map(f64::round)
        .filter(|number| (1.0..=1e12).contains(number))
        .ok_or_else(|| "write a number of objects from 1 to 1e12, such as 250000 or 1e6".to_owned())
}

/// The answer, for text and JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    objects: f64,
    mix: &'a str,
    concurrency: u32,
    memory_mb: u32,
    arch: &'static str,
    via: Via,
    #[serde(flatten)]
    outcome: &'a Outcome,
    recommended: &'a Choice,
    choices: &'a [Choice],
    prices_of: &'static str,
    prices_region: &'static str,
}

/// Computes and prints it. Of a lab file that is there, only `[images]` counts, whoever its owner is.
///
/// # Errors
/// When the mix or a lab file that is named or there cannot be read.
pub(crate) fn run(args: &Simulate, lab: &LabArgs) -> Result<Exit, Problem> {
    let images = lab.read_lab_of_anyone()?.and_then(|lab| lab.images);
    let mix = match &args.mix {
        Some(path) => Mix::read(path)?,
        None => Mix::built_in(),
    };
    let setup = set_up(args, images.as_ref());
    let outcome = simulate(args.objects, &mix, &setup);
    let (recommended, choices) = recommend(args.objects, &mix, &setup);
    let report = Report {
        objects: args.objects,
        mix: &mix.name,
        concurrency: setup.concurrency,
        memory_mb: setup.memory_mb,
        arch: setup.arch.as_str(),
        via: setup.via,
        outcome: &outcome,
        recommended: &recommended,
        choices: &choices,
        prices_of: prices::PRICES_OF,
        prices_region: prices::PRICES_REGION,
    };
    print_out(&if lab.json { to_json(&report)? } else { show(&report, &mix) })?;
    Ok(Exit::Done)
}

fn set_up(args: &Simulate, images: Option<&Images>) -> Setup {
    let of_lab = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    Setup {
        concurrency: args
            .concurrency
            .or_else(|| of_lab(images.and_then(|images| images.concurrency)))
            .unwrap_or(NEW_ACCOUNT),
        memory_mb: args.memory.or_else(|| of_lab(images.map(|images| images.memory_mb))).unwrap_or(512),
        arch: args.arch.map(Arch::from).or_else(|| images.map(|images| images.arch)).unwrap_or(Arch::X86),
        via: args.via,
    }
}

/// Seconds, as people say them.
pub(crate) fn show_seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.1} h", seconds / 3600.0),
        seconds => format!("{:.1} days", seconds / 86_400.0),
    }
}

fn show(report: &Report<'_>, mix: &Mix) -> String {
    let Report { outcome, recommended, .. } = report;
    let mut text = format!(
        "{} objects ({}), {} MB {}, at most {} at once, {}:\n",
        report.objects,
        report.mix,
        report.memory_mb,
        report.arch,
        report.concurrency,
        report.via.describe()
    );
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "  {what:<12} {value}");
    };
    line("an object", format!("{:.0} ms", outcome.ms_per_object));
    line("all of them", show_seconds(outcome.seconds));
    line("cost", format!("${:.2}", outcome.usd));
    for (what, usd) in outcome.costs.list() {
        line("", format!("${usd:.2} {what}"));
    }
    text.push_str("memory    an object   all of them        cost\n");
    for choice in report.choices {
        let mark = if choice.memory_mb == recommended.memory_mb { "  <- recommended" } else { "" };
        let _ = writeln!(
            text,
            "{:>6} MB {:>9.0} ms {:>13} {:>11}{mark}",
            choice.memory_mb,
            choice.ms_per_object,
            show_seconds(choice.seconds),
            format!("${:.2}", choice.usd)
        );
    }
    let _ = writeln!(text, "{}", recommended.why);
    if let Some(needed) = mix.memory_needed() {
        let _ = writeln!(text, "the largest picture of the mix needs {needed} MB at least");
    }
    let _ = writeln!(text, "estimate: list prices of {}, {}", report.prices_region, report.prices_of);
    text
}

/// The estimate of a part of it: dollars, rounded as documents have them.
pub(crate) fn estimate_usd(objects: f64, setup: &Setup) -> f64 {
    round_usd(simulate(objects, &Mix::built_in(), setup).usd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_objects_may_be_short() {
        assert_eq!(parse_objects("1e6"), Ok(1e6));
        assert_eq!(parse_objects("250_000"), Ok(250_000.0));
        for wrong in ["", "0", "-5", "NaN", "inf", "1e13", "many"] {
            assert!(parse_objects(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_told_in_the_largest_unit_that_says_something() {
        for (seconds, text) in [(0.25, "0.2 s"), (600.0, "10 min"), (9000.0, "2.5 h"), (864_000.0, "10.0 days")] {
            assert_eq!(show_seconds(seconds), text);
        }
    }
}
