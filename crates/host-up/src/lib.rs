//! host-up.
