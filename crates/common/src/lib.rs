//! lab-common.
