//! lab-status.
