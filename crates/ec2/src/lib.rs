//! lab-ec2.
