//! lab-sim.
