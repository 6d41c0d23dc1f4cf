//! The command line.

// The doc comments are the help text, which is not Markdown.
#![allow(clippy::doc_markdown)]

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;

use crate::quotas::{CONCURRENCY, Quota, parse_quota};

const AFTER_HELP: &str = "\
Examples:
  lab-sim -- scripts/task1.sh   a script against a local AWS that ends with it
  lab-sim                       serve until Ctrl-C and print the exports
  eval \"$(lab-sim --print-env --port 4566)\"
                                the exports of one that serves on port 4566
  lab-sim --call-log calls.jsonl --latency 100 -- net-up --lab hol02
  lab-sim --vpn-netns -- vpn-setup check --connect
                                the VPN for real, in network namespaces
  lab-sim --faults faults.json -- net-up
                                where faults.json is
      [{\"service\": \"ec2\", \"action\": \"Create*\", \"nth\": 3,
        \"effect\": \"reset-after\"}]

Exit code: COMMAND's (128 + N when signal N ended it); 1 failed; 2 usage;
without COMMAND 130 after Ctrl-C, 143 after SIGTERM. docs/LOCAL-AWS.md describes
fault rules and the control path /_lab-sim/.";

/// A local AWS: moto behind a front that adds what it lacks. It listens on 127.0.0.1 only.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(name = "lab-sim", version, after_help = AFTER_HELP, max_term_width = 80)]
pub struct Cli {
    /// Port of the endpoint on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,

    /// The moto_server program; default: .venv/bin/moto_server of this folder or of one above, then PATH
    #[arg(long, value_name = "PATH", env = "LAB_MOTO", hide_env_values = true)]
    pub moto: Option<PathBuf>,

    /// Print the exports for a lab-sim that serves on --port, and start nothing
    #[arg(long, requires = "port", conflicts_with = "command")]
    pub print_env: bool,

    /// Write each call as a line of JSON to FILE
    #[arg(long, value_name = "FILE", help_heading = "What happens")]
    pub call_log: Option<PathBuf>,

    /// Make every call take MS milliseconds longer
    #[arg(long, value_name = "MS", default_value_t = 0, help_heading = "What happens")]
    pub latency: u64,

    /// Fault rules, a JSON file
    #[arg(long, value_name = "FILE", help_heading = "What happens")]
    pub faults: Option<PathBuf>,

    /// How long states take, as a share of what AWS takes (an instance is pending for 20 s, so 20 ms by default)
    #[arg(long, value_name = "SCALE", default_value = "0.001", value_parser = parse_scale, help_heading = "What happens")]
    pub state_times: f64,

    /// States take as long as on AWS
    #[arg(long, conflicts_with = "state_times", help_heading = "What happens")]
    pub real_times: bool,

    /// A bucket name that belongs to somebody else; may be repeated
    #[arg(long = "foreign-bucket", value_name = "NAME", help_heading = "The account")]
    pub foreign_buckets: Vec<String>,

    /// A Region that the account has not enabled; may be repeated
    #[arg(long = "disabled-region", value_name = "NAME", help_heading = "The account")]
    pub disabled_regions: Vec<String>,

    /// Whom GetCallerIdentity names, such as arn:aws:sts::…:assumed-role/voclabs/user1
    #[arg(long, value_name = "ARN", help_heading = "The account")]
    pub caller_arn: Option<String>,

    /// For how many seconds the tagging API goes on listing what it has listed and was deleted since; AWS may take hours
    #[arg(long, value_name = "SECONDS", default_value_t = 0, help_heading = "What happens")]
    pub tag_memory: u64,

    /// The value of a quota, such as L-F678F1CE=20 for VPCs; may be repeated
    #[arg(long = "quota", value_name = "CODE=VALUE", value_parser = parse_quota, help_heading = "The account")]
    pub(crate) quotas: Vec<Quota>,

    /// Date every answer SECONDS ahead, or behind when negative
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 0,
        allow_negative_numbers = true,
        help_heading = "What happens"
    )]
    pub clock_skew: i64,

    /// The credentials are temporary and end SECONDS after the start; the exports say so
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, help_heading = "The account")]
    pub session_ends: Option<i64>,

    /// How many function instances may run at once; --quota L-B99A9384=N says the same
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "The account")]
    pub concurrency: u32,

    /// Run Client VPN endpoints as real OpenVPN servers in network namespaces, and COMMAND on the other side (Linux, root)
    #[arg(long, conflicts_with = "print_env")]
    pub vpn_netns: bool,

    /// Let moto load its services before COMMAND starts, so that no first call takes longer: for measurements
    #[arg(long)]
    pub warm: bool,

    /// The public address that COMMAND believes to have ($LAB_MY_IP)
    #[arg(long, value_name = "ADDRESS", default_value = "203.0.113.250", help_heading = "The account")]
    pub my_ip: Ipv4Addr,

    /// What to run; without it, serve until Ctrl-C
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl Cli {
    /// How many function instances may run at once, in each Region.
    pub(crate) fn concurrent_executions(&self) -> u32 {
        let quota = self.quotas.iter().find(|quota| quota.code == CONCURRENCY);
        // A quota is no negative number, and a larger one than this is no bound here.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
        quota.map_or(self.concurrency, |quota| quota.value as u32)
    }

    /// The factor from AWS's times to ours.
    pub(crate) fn time_scale(&self) -> f64 {
        if self.real_times { 1.0 } else { self.state_times }
    }
}

fn parse_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && (0.0..=1.0).contains(&scale) => Ok(scale),
        _ => Err("a number from 0 (at once) to 1 (as on AWS) is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_two_dashes_is_the_command() {
        let cli = Cli::try_parse_from(["lab-sim", "--port", "4566", "--", "sh", "-c", "true"]).expect("parsed");
        assert_eq!(cli.port, 4566);
        assert_eq!(cli.command, ["sh", "-c", "true"]);
    }

    #[test]
    fn wrong_values_are_refused() {
        for arguments in
            [["lab-sim", "--state-times", "2"], ["lab-sim", "--state-times", "nan"], ["lab-sim", "--concurrency", "0"]]
        {
            assert!(Cli::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }
}
