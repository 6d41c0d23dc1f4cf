//! Faults on purpose: rules that say which calls go wrong and how, and the answers AWS gives in those cases.

pub(crate) mod answers;
pub(crate) mod print;
pub(crate) mod rules;
