//! pipeline-up.
