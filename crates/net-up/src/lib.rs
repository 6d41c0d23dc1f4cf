//! net-up.
