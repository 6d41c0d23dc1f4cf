//! What every EC2 concern would write again: tags, filters, lists in pages, the codes of errors, creating things exactly
//! once, whose of two is kept, whether the NAT window is open, and what instances take of a quota.

mod code;
mod create;
mod list;
mod nat;
mod tag;
mod token;
mod turn;
mod vcpus;

pub use code::{is_dependency, is_duplicate, is_gone};
pub use create::{Attempt, create_once, create_with_token, without_retries};
pub use list::list;
pub use nat::{NatGateway, find_nat_gateways, note_open_nat, show_age};
pub use tag::{find_role, find_tag, is_ours, lab_filters, specify_tags};
pub use token::client_token;
pub use turn::{Drawn, find_number, take_turn, turn_of, write_number};
pub use vcpus::standard_vcpus;
