//! lab-tests.
