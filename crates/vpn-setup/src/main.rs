//! The `vpn-setup` command.

fn main() {}
