//! lab-plan.
