//! The one flow of the lab: observe, plan, show, apply, observe.
//!
//! A concern (network, hosts, pipeline, VPN) says what it wants, what is there, and how one step is carried out.
//! Everything between is here and is written once: which steps are ready, how many run at a time, how long a wait may
//! take, what is retried, what the user sees while it happens, and what a failure leaves behind.
//!
//! This crate knows no AWS. The cloud is the only state: nothing here is read back from disk, so running a command again
//! is how anything is resumed. (A record of the last run's times is written, for reports.)

mod ask;
mod budget;
mod chain;
mod ended;
mod flow;
mod ids;
mod layout;
mod limit;
mod look;
mod private;
mod problem;
mod program;
mod progress;
mod record;
mod report;
mod run;
mod schedule;
mod show;
mod step;
mod stop;
mod text;
mod usual;
mod wait;

pub use ask::{confirm, require_someone_to_ask};
pub use budget::{Budget, Cost};
pub use ended::exit_code;
pub use flow::{Concern, Goal, Request, Settling, Verb, answer_nothing, run_verb};
pub use ids::Ids;
pub use layout::TableRow;
pub use limit::{Limiter, RATE_FILE};
pub use look::Look;
pub use private::{DRAFT, write_draft};
pub use problem::{Cause, Exit, PROGRAMS, Problem};
pub use program::{answer_error, is_unread, print_err, print_out, run_program, run_with_signals, to_json};
pub use progress::{Line, Progress};
pub use record::{RecordedStep, RunEnd, RunRecord};
pub use report::{Changed, Heading, Resource, round_usd, sum_usd};
pub use run::{Context, Outcome, run_steps};
pub use schedule::{Schedule, State};
pub use step::{Action, Plan, Step};
pub use stop::{Signals, Stop};
pub use text::clean;
pub use usual::Usual;
pub use wait::{Pace, find_within, retry_while, wait_for};
