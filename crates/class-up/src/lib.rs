//! The same lab for each of many owners.
