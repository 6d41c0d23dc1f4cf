//! What every binary of the lab shares: `lab.toml` as one validated [`Lab`], names, tags, prices, the command-line
//! options and the SDK configuration.
//!
//! A value of type [`Lab`] has been checked once and completely; nothing behind it sees TOML or clap. This crate
//! depends on no AWS service crate, so it costs little to compile.

pub mod academy;
mod caller;
mod cli;
mod clock;
pub mod estimate;
mod explain;
mod file;
mod home;
mod inquiry;
mod lab;
mod my_ip;
mod names;
pub mod prices;
mod read;
mod recipe;
pub mod roles;
mod sdk;
mod session;
mod signed;
pub mod size;
mod table;
mod tags;
mod upload;

pub use academy::{Breach, find_breaches};
pub use caller::Caller;
pub use cli::{LabArgs, parse_args, parse_words};
pub use clock::Clock;
pub use estimate::{Billed, Estimate, estimate};
pub use explain::{
    RENEW_CREDENTIALS, describe, explain, has_code, is_denied, is_lost_answer, is_throttled, is_unknown_caller,
    no_credentials, tell_whether_made, tells_of_expiry,
};
pub use home::{Home, Secret, lost_file};
pub use inquiry::Inquiry;
pub use lab::{
    Account, Allow, Arch, Budget, Host, Image, Images, Internet, Lab, Mode, Network, Protocol, Runs, Source, Subnet,
    Transport, Vpn,
};
pub use my_ip::find_my_ip;
pub use names::Names;
pub use read::{HOL02, Overrides, check_region, find_owner_fault, read_lab};
pub use recipe::{Depth, Fit, PictureFormat, Recipe};
pub use sdk::{Connection, connect, prepare};
pub use session::{Access, Session, note_other_region, quote, repeat_access, repeat_options};
pub use signed::{JsonService, call_json};
pub use tags::Tags;
pub use upload::upload_limits;
