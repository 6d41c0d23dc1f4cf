//! lab-sim: a local AWS for labs, tests and demos.
//!
//! It is moto behind a front. The front passes requests on as they came and does three things only: it answers itself
//! what moto cannot (Client VPN, functions, console output, stored answers to a `ClientToken`, faults), it asks moto first and then
//! refuses what AWS would refuse, and it edits one known element of a known answer (a state that takes time, a public
//! address, an item that is not visible yet).
//!
//! The way of a request: `front` reads it, `classify` names it, `faults` may spoil it, an overlay (`lambda`,
//! `s3`, `s3control`, `sqs`, `ec2`, `acm`, …) or `moto` answers it, `calls` records it. `run` starts and stops everything.
//! `vpn` turns Client VPN endpoints into real servers where that is asked for.
//!
//! It listens on 127.0.0.1 only. Nothing here is needed for the real AWS, and no other program knows that it exists.

#![allow(clippy::print_stderr, reason = "its stderr is its log; it depends on none of the labs' crates")]

mod accounts;
mod acm;
mod call;
mod caller;
mod calls;
mod cbor;
mod classify;
pub mod cli;
mod control;
mod ec2;
mod events;
mod faults;
mod form;
mod front;
mod guard;
mod iam;
mod images;
mod lambda;
mod late;
mod monitoring;
mod moto;
mod overlay;
mod quotas;
mod resource_policy;
pub mod run;
mod s3;
mod s3control;
mod session;
mod sim;
mod sns;
mod sqs;
mod ssm;
mod sts;
mod tagging;
mod vpn;
mod xml;
