//! The function's own program under a Lambda host, with an S3 that fails.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub mod http;
pub mod lambda;
pub mod s3;
